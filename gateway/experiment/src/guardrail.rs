//! Metrics that a treatment may not worsen by more than so much. Owns what follows from where they lie, by one-sided
//! bounds that hold at every look ([`crate::compare::Design::one_sided`]).

use crate::compare::{Design, Pair};
use crate::power::Change;
use serde::{Deserialize, Serialize};

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// More is better.
    Maximize,
    /// Less is better.
    Minimize,
}

/// How much worse the treatment may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// Which way the metric is better.
    pub goal: Goal,
    /// So much worse at most, at least 0; a relative one is relative to the control's mean without its sign.
    pub worse_by: Change,
}

/// What is known of a guardrail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarded {
    /// The treatment is not worse by more than allowed.
    Held,
    /// It is.
    Broken,
    /// Either may be.
    NotYetKnown,
}

impl Guardrail {
    /// Judges it. Of all looks together it says `Broken` of what is held with a probability of at most the design's alpha,
    /// and `Held` of what is broken likewise.
    #[must_use]
    pub fn judge(&self, pair: &Pair, design: Design) -> Guarded {
        // How much worse it is, less what is allowed: a distance from `times` the control, and from `most`.
        let sign = if self.goal == Goal::Maximize { -1.0 } else { 1.0 };
        let (times, most) = match self.worse_by {
            Change::Absolute(by) => (1.0, by),
            Change::Relative(by) => (1.0 + sign * by * pair.control.mean.signum(), 0.0),
        };
        let at = pair.beside(times, design.one_sided(pair.units()));
        let (least_worse, most_worse) = if sign > 0.0 { (at.low, at.high) } else { (-at.high, -at.low) };
        if least_worse > most {
            Guarded::Broken
        } else if most_worse <= most {
            Guarded::Held
        } else {
            Guarded::NotYetKnown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpha, Estimate};

    fn judged(goal: Goal, worse_by: Change, control: f64, treatment: f64, units: f64) -> Guarded {
        let of = |mean: f64| Estimate { units, mean, variance: 1.0 / units };
        let pair = Pair { control: of(control), treatment: of(treatment) };
        Guardrail { goal, worse_by }.judge(&pair, Design::new(Alpha::FIVE_PERCENT))
    }

    #[test]
    fn it_is_held_or_broken_once_that_is_known() {
        use Guarded::{Broken, Held, NotYetKnown};
        let by = Change::Absolute(0.1);
        for (goal, treatment, units, expected) in [
            (Goal::Minimize, 1.0, 200.0, NotYetKnown),
            (Goal::Minimize, 1.0, 1e5, Held),
            (Goal::Minimize, 1.1, 1e5, NotYetKnown),
            (Goal::Minimize, 1.2, 1e5, Broken),
            (Goal::Minimize, 0.5, 1e5, Held),
            (Goal::Maximize, 0.8, 1e5, Broken),
            (Goal::Maximize, 0.95, 1e5, Held),
            (Goal::Maximize, 9.0, 1e5, Held),
            (Goal::Minimize, 9.0, 99.0, NotYetKnown),
        ] {
            assert_eq!(judged(goal, by, 1.0, treatment, units), expected, "{goal:?} {treatment} {units}");
        }
    }

    #[test]
    fn a_relative_one_grows_with_the_control_and_knows_its_sign() {
        use Guarded::{Broken, Held};
        let by = Change::Relative(0.1);
        assert_eq!(judged(Goal::Minimize, by, 10.0, 10.8, 1e5), Held);
        assert_eq!(judged(Goal::Minimize, by, 10.0, 11.2, 1e5), Broken);
        assert_eq!(judged(Goal::Maximize, by, 10.0, 9.2, 1e5), Held);
        assert_eq!(judged(Goal::Maximize, by, 10.0, 8.8, 1e5), Broken);
        assert_eq!(judged(Goal::Maximize, by, -10.0, -10.8, 1e5), Held);
        assert_eq!(judged(Goal::Maximize, by, -10.0, -11.2, 1e5), Broken);
    }
}
