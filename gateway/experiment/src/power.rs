//! How many units an experiment needs. Owns the formulas.

use crate::alpha::Alpha;
use crate::compare::{Design, LEAST, Pair};
use crate::normal;
use serde::{Deserialize, Serialize};

/// How large a change is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// In the metric's own unit.
    Absolute(f64),
    /// As a share of the control's mean.
    Relative(f64),
}

impl Change {
    /// Its size where the control has this mean.
    #[must_use]
    pub fn of(self, mean: f64) -> f64 {
        match self {
            Self::Absolute(change) => change.abs(),
            Self::Relative(share) => (share * mean).abs(),
        }
    }
}

/// What is known before the experiment begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The mean of a unit.
    pub mean: f64,
    /// The variance between units.
    pub variance: f64,
}

/// How many units each arm needs so that a change of at least that size is found with the probability `power` by one look
/// at the end: `n = 2 σ² (z_{1−α/2} + z_power)² / δ²` (for example van Belle: Statistical rules of thumb, 2008, 2.1).
/// `None` where the change is 0 or `power` is no probability.
#[must_use]
pub fn needed_n(baseline: Baseline, least: Change, alpha: Alpha, power: f64) -> Option<f64> {
    let quantiles = normal::exceeded(alpha.get() / 2.0) + normal::exceeded(1.0 - power);
    needed(baseline, least, power, |_| quantiles)
}

/// The same where one looks at every unit and stops as soon as the difference is known ([`Design::line`] in the place of
/// the normal quantile): what it takes at most with that probability; most experiments end sooner.
#[must_use]
pub fn needed_n_at_every_look(baseline: Baseline, least: Change, design: Design, power: f64) -> Option<f64> {
    let beyond = normal::exceeded(1.0 - power);
    needed(baseline, least, power, |n| design.line(2.0 * n) + beyond)
}

/// How many units `(control, treatment)` need in all until a difference of at least that size is seen at one of the looks,
/// with the probability `power`, where further units come to the arms in the numbers and with the scatter of those of now:
/// they have to become `g` times as many, with `g = V (line(g N) + z_power)² / δ²` for the variance `V` of the difference
/// and `N` units of both. `None` where the change is 0 or nothing is known of the scatter yet.
#[must_use]
pub fn needed_of(pair: &Pair, least: Change, design: Design, power: f64) -> Option<(f64, f64)> {
    let (change, beyond) = (least.of(pair.control.mean), normal::exceeded(1.0 - power));
    if !(change > 0.0 && change.is_finite() && pair.is_known() && power > 0.0 && power < 1.0) {
        return None;
    }
    let (_, error) = pair.against(1.0);
    let fewest = LEAST / pair.control.units.min(pair.treatment.units);
    let mut times = 1.0f64;
    for _ in 0..50 {
        times = (error * (design.line(times * pair.units()) + beyond) / change).powi(2).max(fewest);
    }
    times.is_finite().then(|| ((times * pair.control.units).ceil(), (times * pair.treatment.units).ceil()))
}

/// The smallest `n` with `n ≥ 2 σ² q(n)² / δ²`; `q` changes slowly, so that going on from what it asks for ends soon.
fn needed(baseline: Baseline, least: Change, power: f64, quantiles: impl Fn(f64) -> f64) -> Option<f64> {
    let change = least.of(baseline.mean);
    if !(change > 0.0 && change.is_finite() && baseline.variance >= 0.0 && power > 0.0 && power < 1.0) {
        return None;
    }
    let asked = |n: f64| (2.0 * baseline.variance * (quantiles(n) / change).powi(2)).max(2.0);
    let mut n = asked(1_000.0);
    for _ in 0..50 {
        n = asked(n);
    }
    n.is_finite().then(|| n.ceil())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Estimate;

    #[test]
    fn arms_of_one_size_need_what_is_needed_of_each() {
        let of = |units: f64, mean: f64| Estimate { units, mean, variance: 0.25 / units };
        let design = Design::new(Alpha::FIVE_PERCENT);
        let pair = Pair { control: of(200.0, 0.5), treatment: of(200.0, 0.5) };
        let each = needed_n_at_every_look(Baseline { mean: 0.5, variance: 0.25 }, Change::Relative(0.1), design, 0.8);
        let (control, treatment) = needed_of(&pair, Change::Relative(0.1), design, 0.8).unwrap();
        assert!((control / each.unwrap() - 1.0).abs() < 0.01 && control == treatment, "{control} {each:?}");
        // A small arm costs more units in all, and none needs fewer than anything is said of.
        let uneven = Pair { control: of(900.0, 0.5), treatment: of(100.0, 0.5) };
        let (large, small) = needed_of(&uneven, Change::Absolute(0.05), design, 0.8).unwrap();
        assert!(large + small > 2.0 * control && (large / small - 9.0).abs() < 0.1, "{large} {small}");
        assert_eq!(needed_of(&uneven, Change::Absolute(9.0), design, 0.8), Some((900.0, 100.0)));
        for (pair, change) in [(pair, 0.0), (Pair { control: of(20.0, 0.5), ..pair }, 0.1)] {
            assert_eq!(needed_of(&pair, Change::Absolute(change), design, 0.8), None);
        }
    }

    #[test]
    fn the_rule_of_thumb_is_sixteen_variances_over_the_square() {
        let baseline = Baseline { mean: 10.0, variance: 4.0 };
        // 2 · 4 · (1.959964 + 0.841621)² / 0.25 = 251.16
        assert_eq!(needed_n(baseline, Change::Absolute(0.5), Alpha::FIVE_PERCENT, 0.8), Some(252.0));
        assert_eq!(needed_n(baseline, Change::Relative(-0.05), Alpha::FIVE_PERCENT, 0.8), Some(252.0));
        for (change, power) in [(0.0, 0.8), (f64::NAN, 0.8), (1.0, 0.0), (1.0, 1.0)] {
            assert_eq!(needed_n(baseline, Change::Absolute(change), Alpha::FIVE_PERCENT, power), None);
        }
    }

    #[test]
    fn looking_all_the_time_costs_less_than_twice_as_much() {
        let baseline = Baseline { mean: 0.5, variance: 0.25 };
        for change in [0.2, 0.05, 0.01] {
            let once = needed_n(baseline, Change::Absolute(change), Alpha::FIVE_PERCENT, 0.8).unwrap();
            let design = Design::new(Alpha::FIVE_PERCENT).tuned_for(2.0 * once);
            let always = needed_n_at_every_look(baseline, Change::Absolute(change), design, 0.8).unwrap();
            assert!(always > once && always < 2.3 * once, "{once} {always}");
            let quantiles = design.line(2.0 * always) + 0.841_621_233_572_914;
            assert!((always / (2.0 * 0.25 * (quantiles / change).powi(2)) - 1.0).abs() < 0.05);
        }
    }
}
