//! Whether one may stop an experiment, in plain words. Owns the order of the questions and their sentences; the bounds
//! are those of [`crate::compare`].

mod words;

use crate::compare::{Comparison, Design, LEAST, Pair};
use crate::guardrail::Goal;
use crate::interval::Interval;
use crate::power::{Baseline, Change, needed_n_at_every_look};
use crate::sample_ratio::{Alarm, Drawn, SampleRatio};
use serde::Serialize;
pub use words::shown;

/// What one wants to know of two arms.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The name of what is in force.
    pub control: String,
    /// The name of what may follow it.
    pub treatment: String,
    /// Which way the metric is better.
    pub goal: Goal,
    /// How often one may err.
    pub design: Design,
    /// The smallest difference that matters, where one was named: below it the arms are alike.
    pub least: Option<Change>,
}

/// Whether one may stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The arms do not get the units that they were to get, and nothing may be said of the rest.
    SampleRatio {
        /// How probable that is by chance.
        p: f64,
        /// What was counted of each arm, and what was expected.
        arms: Vec<Drawn>,
    },
    /// There are too few units to say anything.
    TooFew {
        /// Whom there is less of.
        arm: String,
        /// How many units it has.
        has: f64,
        /// How many each arm needs before anything is said.
        needs: f64,
    },
    /// The treatment is better.
    Better(Known),
    /// The treatment is worse.
    Worse(Known),
    /// The arms differ by less than matters.
    Equivalent {
        /// What matters.
        least: f64,
        /// Where the difference lies.
        known: Known,
    },
    /// Neither is known to be better.
    NoDifferenceYet {
        /// About how many units of each arm are needed to see the smallest difference that matters (in four of five
        /// experiments that have it), where one was named.
        needs: Option<f64>,
        /// Where the difference lies.
        known: Known,
    },
}

/// Two arms and where their difference lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Known {
    /// What is in force.
    pub control: String,
    /// What may follow it.
    pub treatment: String,
    /// Which way the metric is better.
    pub goal: Goal,
    /// The treatment's mean less the control's, at all looks together.
    pub interval: Interval,
    /// How often that errs.
    pub alpha: f64,
}

impl Verdict {
    /// Whether one may stop now, and be no more often wrong for it.
    #[must_use]
    pub const fn may_stop(&self) -> bool {
        matches!(self, Self::Better(_) | Self::Worse(_) | Self::Equivalent { .. })
    }
}

/// How probable it should be to see a difference that matters.
pub const POWER: f64 = 0.8;

impl Question {
    /// Answers it. `ratio` and the alarm that was looked at with it say whether the arms got what they were to get.
    #[must_use]
    pub fn answer(&self, pair: &Pair, ratio: &SampleRatio, alarm: &Alarm) -> Verdict {
        if alarm.raised() {
            return Verdict::SampleRatio { p: alarm.p(), arms: ratio.arms().to_vec() };
        }
        let (name, has) = if pair.control.units <= pair.treatment.units {
            (&self.control, pair.control.units)
        } else {
            (&self.treatment, pair.treatment.units)
        };
        if has < LEAST {
            return Verdict::TooFew { arm: name.clone(), has, needs: LEAST };
        }
        self.judge(pair, &pair.compare(self.design))
    }

    fn judge(&self, pair: &Pair, compared: &Comparison) -> Verdict {
        let interval = compared.interval;
        let known = Known {
            control: self.control.clone(),
            treatment: self.treatment.clone(),
            goal: self.goal,
            interval,
            alpha: self.design.alpha().get(),
        };
        if !interval.has(0.0) {
            let better = (interval.low > 0.0) == (self.goal == Goal::Maximize);
            return if better { Verdict::Better(known) } else { Verdict::Worse(known) };
        }
        let least = self.least.map(|least| least.of(pair.control.mean));
        match least.filter(|least| interval.low > -least && interval.high < *least) {
            Some(least) => Verdict::Equivalent { least, known },
            None => Verdict::NoDifferenceYet { needs: least.and_then(|least| self.needs(pair, least)), known },
        }
    }

    /// How many units each arm needs by what is known of their variance.
    fn needs(&self, pair: &Pair, least: f64) -> Option<f64> {
        let (control, treatment) = (&pair.control, &pair.treatment);
        let variance = f64::midpoint(control.variance * control.units, treatment.variance * treatment.units);
        let known = pair.is_known() && variance.is_finite();
        let baseline = Baseline { mean: control.mean, variance };
        let needs = needed_n_at_every_look(baseline, Change::Absolute(least), self.design, POWER);
        needs.filter(|_| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpha, Estimate};

    fn question(goal: Goal, least: Option<f64>) -> Question {
        Question {
            control: "small".to_owned(),
            treatment: "big".to_owned(),
            goal,
            design: Design::new(Alpha::FIVE_PERCENT),
            least: least.map(Change::Absolute),
        }
    }

    fn answered(question: &Question, control: f64, treatment: f64, units: f64) -> Verdict {
        let of = |mean: f64, units: f64| Estimate { units, mean, variance: 0.25 / units };
        let pair = Pair { control: of(control, units), treatment: of(treatment, units + 1.0) };
        question.answer(&pair, &SampleRatio::among(2), &Alarm::default())
    }

    /// The ends were reckoned by hand: 3.351 standard errors at 20,001 units, 3.069 at 2,001.
    #[test]
    fn it_says_when_one_may_stop() {
        let more = question(Goal::Maximize, None);
        let verdict = answered(&more, 0.5, 0.58, 10_000.0);
        assert!(matches!(verdict, Verdict::Better(_)) && verdict.may_stop());
        let says = "You may stop: `big` is better than `small` by 0.0563 to 0.104 (95 % at every look).";
        assert_eq!(verdict.to_string(), says);
        let verdict = answered(&question(Goal::Minimize, None), 0.5, 0.58, 10_000.0);
        let says =
            "You may stop: `big` is worse than `small` by 0.0563 to 0.104, where less is better (95 % at every look).";
        assert_eq!(verdict.to_string(), says);
        let verdict = answered(&question(Goal::Minimize, None), 0.5, 0.42, 10_000.0);
        assert!(matches!(verdict, Verdict::Better(_)), "{verdict}");
    }

    #[test]
    fn it_says_what_is_missing() {
        let verdict = answered(&question(Goal::Maximize, None), 0.0, 1.0, 40.0);
        assert_eq!(verdict.to_string(), "Go on: `small` has 40 units, and each arm needs 100 before anything is said.");
        let verdict = answered(&question(Goal::Maximize, Some(0.02)), 0.5, 0.51, 1_000.0);
        assert!(!verdict.may_stop());
        let says = verdict.to_string();
        assert!(says.starts_with("Go on: neither `big` nor `small` is known to be better; "), "{says}");
        assert!(
            says.contains("-0.0586 to 0.0786") && says.contains("a difference that matters takes about "),
            "{says}"
        );
        let alike = Estimate { units: 500.0, mean: 1.0, variance: 0.0 };
        let same = Pair { control: alike, treatment: alike };
        let verdict = question(Goal::Maximize, None).answer(&same, &SampleRatio::among(2), &Alarm::default());
        assert!(verdict.to_string().contains("all values of an arm's units were alike"), "{verdict}");
    }

    #[test]
    fn arms_that_differ_by_less_than_matters_are_alike() {
        let verdict = answered(&question(Goal::Maximize, Some(0.05)), 0.5, 0.505, 10_000.0);
        assert!(verdict.may_stop());
        let says =
            "You may stop: `big` and `small` differ by less than 0.05, from -0.0187 to 0.0287 (95 % at every look).";
        assert_eq!(verdict.to_string(), says);
    }

    #[test]
    fn nothing_is_said_of_arms_that_lack_units() {
        let mut ratio = SampleRatio::among(2);
        (0..1_000).for_each(|i| ratio.add(usize::from(i % 10 == 0), &[0.5, 0.5]).unwrap());
        let mut alarm = Alarm::default();
        alarm.look(&ratio);
        let of = Estimate { units: 500.0, mean: 1.0, variance: 1.0 };
        let pair = Pair { control: of, treatment: Estimate { mean: 100.0, ..of } };
        let verdict = question(Goal::Maximize, None).answer(&pair, &ratio, &alarm);
        assert!(!verdict.may_stop());
        let says = verdict.to_string();
        assert!(says.starts_with("Do not judge: the arms do not get the units that they were to get: "), "{says}");
        assert!(says.contains("900 where 500 were expected, 100 where 500 were expected"), "{says}");
        let json = serde_json::to_value(&verdict).unwrap();
        assert_eq!((json["verdict"].as_str(), json["arms"][0]["seen"].as_u64()), (Some("sample_ratio"), Some(900)));
    }
}
