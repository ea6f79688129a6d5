//! Verdicts as sentences. Owns how numbers are shown in them.

use super::{Known, Verdict};
use crate::guardrail::Goal;
use crate::sample_ratio::Drawn;
use std::fmt::{Display, Formatter, Result};

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::SampleRatio { p, arms } => missing(f, *p, arms),
            Self::TooFew { arm, has, needs } => {
                write!(f, "Go on: `{arm}` has {has} units, and each arm needs {needs} before anything is said.")
            }
            Self::Better(known) => known.stop(f, "better"),
            Self::Worse(known) => known.stop(f, "worse"),
            Self::Equivalent { least, known } => {
                let (least, from, to) = (shown(*least), shown(known.interval.low), shown(known.interval.high));
                let Known { control, treatment, .. } = known;
                write!(
                    f,
                    "You may stop: `{treatment}` and `{control}` differ by less than {least}, from {from} to {to}"
                )?;
                write!(f, " ({}).", known.sure())
            }
            Self::NoDifferenceYet { needs, known } => known.go_on(f, *needs),
        }
    }
}

impl Known {
    fn stop(&self, f: &mut Formatter<'_>, how: &str) -> Result {
        let (low, high) = (self.interval.low.abs(), self.interval.high.abs());
        let (from, to) = (shown(low.min(high)), shown(low.max(high)));
        let turned = if self.goal == Goal::Minimize { ", where less is better" } else { "" };
        let Self { control, treatment, .. } = self;
        write!(f, "You may stop: `{treatment}` is {how} than `{control}` by {from} to {to}{turned} ({}).", self.sure())
    }

    fn go_on(&self, f: &mut Formatter<'_>, needs: Option<f64>) -> Result {
        let Self { control, treatment, interval, .. } = self;
        write!(f, "Go on: neither `{treatment}` nor `{control}` is known to be better; ")?;
        if interval.width().is_finite() {
            write!(f, "they differ by {} to {} ({})", shown(interval.low), shown(interval.high), self.sure())?;
        } else {
            write!(f, "all values of an arm's units were alike so far, so that nothing is known of their scatter")?;
        }
        match needs {
            Some(needs) => write!(f, ", and a difference that matters takes about {} units of each arm.", shown(needs)),
            None => write!(f, "."),
        }
    }

    fn sure(&self) -> String {
        format!("{} % at every look", shown(100.0 * (1.0 - self.alpha)))
    }
}

fn missing(f: &mut Formatter<'_>, p: f64, arms: &[Drawn]) -> Result {
    write!(f, "Do not judge: the arms do not get the units that they were to get: ")?;
    for (at, arm) in arms.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(f, "{comma}{} where {:.0} were expected", arm.seen, arm.expected)?;
    }
    write!(f, " (p = {p:.1e} at every look). Find out where the others are lost, and begin anew.")
}

/// A number with three digits that say something; whole numbers whole.
#[must_use]
pub fn shown(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of digits is small")]
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_say_something() {
        for (value, expected) in [
            (0.0, "0"),
            (95.0, "95"),
            (99.9, "99.9"),
            (-0.012_345, "-0.0123"),
            (1_234.6, "1235"),
            (0.5, "0.5"),
            (2.0, "2"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
