//! A treatment against a control: how far their means are apart, at every look. Owns the bounds of differences and of
//! relative lifts; what may be done about them says [`crate::verdict`].
//!
//! The mean of each arm comes with the variance of that mean, robust against calls of one unit that are alike where it
//! comes from [`crate::clustered`]. Their difference over its standard error stays within the line of
//! [`crate::asymptotic`] (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic
//! confidence sequences, 2021), with the number of units for the time. It is valid as
//! units grow in number: before [`LEAST`] of each arm it says nothing.
//!
//! A small arm in which nothing rare has happened yet seems not to scatter at all, and would be called different far too
//! often (30 % of 2,000 simulated A/A tests with a share of 10 % and a yes in 100). So an arm's units count as scattering
//! at least as much as those of both arms do. Where one arm truly scatters less, that makes intervals wider than they had
//! to be: by at most 22 % for arms of one size, and more for an arm that is much smaller than the other.
//! `tests/simulated.rs` counts what is left: below 5 % at every look together.

use crate::alpha::Alpha;
use crate::asymptotic;
use crate::bernoulli;
use crate::interval::Interval;
use crate::moments::Moments;
use serde::{Deserialize, Serialize};

/// Fewer units of either arm say nothing, since a variance that is not known yet errs far more often than was said.
pub const LEAST: f64 = 100.0;

/// The mean of an arm and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many independent units it is of.
    pub units: f64,
    /// The mean.
    pub mean: f64,
    /// The variance of that mean; infinite for one unit.
    pub variance: f64,
}

impl Estimate {
    /// Of values of which each is a unit; `None` where there is none.
    #[must_use]
    pub fn of(values: &Moments) -> Option<Self> {
        let variance = values.sample_variance().map_or(f64::INFINITY, |variance| variance / values.count());
        Some(Self { units: values.count(), mean: values.mean()?, variance })
    }
}

/// How often one may err, and for how many units it matters most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    alpha: Alpha,
    tuned: f64,
}

impl Design {
    /// Tightest near 1,000 units of both arms together.
    #[must_use]
    pub const fn new(alpha: Alpha) -> Self {
        Self { alpha, tuned: 1_000.0 }
    }

    /// Tightest near so many units of both arms together. It is valid for any number, but one has to choose it before the
    /// first look.
    #[must_use]
    pub fn tuned_for(self, units: f64) -> Self {
        Self { tuned: units.max(1.0), ..self }
    }

    /// How often one may err.
    #[must_use]
    pub const fn alpha(&self) -> Alpha {
        self.alpha
    }

    /// What the absolute value of a standardised distance stays below after so many units.
    #[must_use]
    pub fn line(&self, units: f64) -> f64 {
        units.sqrt() * asymptotic::margin(units, 1.0, self.alpha, self.tuned)
    }

    /// What a standardised distance stays below on one side:
    /// `√(2 (t ρ² + 1)/(t ρ²) · ln(1 + √(t ρ² + 1)/(2α)))`, with `ρ` tuned for `2α`. The mixture over half of a normal
    /// distribution is `2 e^(x²/2) Φ(x) / √(t ρ² + 1)` (Howard and others 2021), and `Φ(x) ≥ 1 − e^(−x²/2)/2`.
    #[must_use]
    pub fn one_sided(&self, units: f64) -> f64 {
        let twice = Alpha::new((2.0 * self.alpha.get()).min(0.5)).unwrap_or(self.alpha);
        let grown = units * asymptotic::mixing(twice, self.tuned);
        (2.0 * (grown + 1.0) / grown * ((grown + 1.0).sqrt() / (2.0 * self.alpha.get())).ln_1p()).sqrt()
    }

    /// The p-value of a standardised distance after so many units: below `alpha` just where [`Self::line`] is crossed. The
    /// smallest of all looks so far is one, too (Johari and others 2017).
    #[must_use]
    pub fn p(&self, units: f64, standardised: f64) -> f64 {
        let grown = units * asymptotic::mixing(self.alpha, self.tuned);
        let ln = 0.5 * grown.ln_1p() - 0.5 * standardised * standardised * grown / (grown + 1.0);
        ln.exp().min(1.0)
    }
}

/// Two arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// What is in force.
    pub control: Estimate,
    /// What may follow it.
    pub treatment: Estimate,
}

/// What is known of two arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The treatment's mean less the control's.
    pub difference: f64,
    /// Where that lies, at all looks together.
    pub interval: Interval,
    /// The same relative to the control's mean without its sign; `None` where that is 0.
    pub lift: Option<f64>,
    /// Where that lies; anything while the control's mean may be 0.
    pub lift_interval: Interval,
    /// The p-value of no difference; 1 while nothing may be said.
    pub p: f64,
}

impl Pair {
    /// Compares them.
    #[must_use]
    pub fn compare(&self, design: Design) -> Comparison {
        let control = self.control.mean;
        let (difference, error) = self.against(1.0);
        Comparison {
            difference,
            interval: self.beside(1.0, design.line(self.units())),
            lift: (control != 0.0).then(|| difference / control.abs()),
            lift_interval: self.lift_interval(design),
            p: if self.is_known() { design.p(self.units(), difference / error) } else { 1.0 },
        }
    }

    /// The units of both arms.
    #[must_use]
    pub fn units(&self) -> f64 {
        self.control.units + self.treatment.units
    }

    /// Whether anything may be said: there are [`LEAST`] units of each arm, and their values were not all alike, so that
    /// their scatter is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let error = self.control.variance + self.treatment.variance;
        self.control.units.min(self.treatment.units) >= LEAST && error > 0.0 && error.is_finite()
    }

    /// The variances of the means, control and treatment, as if a unit of either scattered at least as much as one of both.
    fn variances(&self) -> (f64, f64) {
        let of_unit = |arm: &Estimate| arm.variance * arm.units;
        let (control, treatment) = (&self.control, &self.treatment);
        let both = (of_unit(control) * control.units + of_unit(treatment) * treatment.units) / self.units();
        (of_unit(control).max(both) / control.units, of_unit(treatment).max(both) / treatment.units)
    }

    /// The treatment's mean less `times` the control's, and its standard error.
    pub(crate) fn against(&self, times: f64) -> (f64, f64) {
        let (control, treatment) = self.variances();
        (self.treatment.mean - times * self.control.mean, (treatment + times * times * control).sqrt())
    }

    /// Where [`Self::against`] lies, so many standard errors beside it.
    pub(crate) fn beside(&self, times: f64, errors: f64) -> Interval {
        let (distance, error) = self.against(times);
        if self.is_known() { Interval::around(distance, errors * error) } else { Interval::ALL }
    }

    /// From the ratios `r` for which the treatment's mean may be `r` times the control's (Fieller 1954): those with
    /// `(t − r c)² ≤ z² (v_t + r² v_c)`. As the line holds for the true ratio at all looks, so do they.
    fn lift_interval(&self, design: Design) -> Interval {
        if !self.is_known() {
            return Interval::ALL;
        }
        let (control, treatment) = (&self.control, &self.treatment);
        let variances = self.variances();
        let line = design.line(self.units()).powi(2);
        let square = control.mean * control.mean - line * variances.0;
        if square <= 0.0 {
            // The control's mean may be 0.
            return Interval::ALL;
        }
        let half = control.mean * treatment.mean;
        let rest = treatment.mean * treatment.mean - line * variances.1;
        let root = (half * half - square * rest).max(0.0).sqrt();
        let (low, high) = ((half - root) / square - 1.0, (half + root) / square - 1.0);
        // Relative to a control below 0, more is less.
        if control.mean > 0.0 { Interval { low, high } } else { Interval { low: -high, high: -low } }
    }
}

/// How far the shares of yes of two arms are apart, treatment less control, from `(yes, no)` of each; exact for answers
/// that are independent, however few and however rare a yes is, and so wider: each arm's share lies in its own
/// [`bernoulli::sequence`] with half of `alpha`.
#[must_use]
pub fn of_shares(control: (f64, f64), treatment: (f64, f64), alpha: Alpha) -> Interval {
    let of = |(yes, no): (f64, f64)| bernoulli::sequence(yes, no, alpha.shared(2));
    let (control, treatment) = (of(control), of(treatment));
    Interval { low: treatment.low - control.high, high: treatment.high - control.low }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(control: (f64, f64), treatment: (f64, f64), units: f64) -> Pair {
        let of = |(mean, deviation): (f64, f64)| Estimate { units, mean, variance: deviation * deviation / units };
        Pair { control: of(control), treatment: of(treatment) }
    }

    proptest! {
        #[test]
        fn the_interval_and_p_say_the_same(
            mean in -3.0..3.0f64, deviation in 0.1..10.0f64, units in 100.0..1e6f64, alpha in 0.001..0.3f64,
        ) {
            let design = Design::new(Alpha::new(alpha).unwrap());
            let got = pair((0.0, deviation), (mean, 1.0), units.floor()).compare(design);
            prop_assert_eq!(got.p < alpha, !got.interval.has(0.0), "{:?}", got);
        }

        #[test]
        fn lifts_are_those_ratios_that_may_be(
            control in 0.5..3.0f64, treatment in -3.0..3.0f64, deviation in 0.1..5.0f64, units in 100.0..1e5f64,
        ) {
            let design = Design::new(Alpha::FIVE_PERCENT);
            let pair = pair((control, deviation), (treatment, deviation), units.floor());
            let got = pair.compare(design).lift_interval;
            let line = design.line(pair.units());
            for end in [got.low, got.high].into_iter().filter(|end| end.is_finite()) {
                let (distance, error) = pair.against(1.0 + end);
                prop_assert!((distance.abs() - line * error).abs() < 1e-6 * (1.0 + distance.abs()), "{end}");
            }
            prop_assert!(got.has(pair.compare(design).lift.unwrap()));
        }
    }

    #[test]
    fn few_units_and_values_that_are_alike_say_nothing() {
        let design = Design::new(Alpha::FIVE_PERCENT);
        let few = pair((0.0, 1.0), (100.0, 1.0), 99.0).compare(design);
        assert_eq!((few.interval, few.lift_interval, few.p, few.lift), (Interval::ALL, Interval::ALL, 1.0, None));
        let alike = pair((1.0, 0.0), (1.0, 0.0), 1e6).compare(design);
        assert_eq!((alike.interval, alike.p), (Interval::ALL, 1.0));
        let one: Moments = [1.0].into_iter().collect();
        assert_eq!(Estimate::of(&one).map(|got| got.variance), Some(f64::INFINITY));
        assert_eq!(Estimate::of(&Moments::default()), None);
    }

    #[test]
    fn an_arm_that_seems_not_to_scatter_scatters_as_both_do() {
        // 9 yes of 900 and none of 100.
        let control = Estimate { units: 900.0, mean: 0.01, variance: 0.0099 / 900.0 };
        let treatment = Estimate { units: 100.0, mean: 0.0, variance: 0.0 };
        let (_, error) = Pair { control, treatment }.against(1.0);
        let expected = 0.0099 / 900.0 + 0.9 * 0.0099 / 100.0;
        assert!((error * error - expected).abs() < 1e-12, "{error}");
        let (_, turned) = Pair { control: treatment, treatment: control }.against(1.0);
        assert_eq!(error, turned);
    }

    #[test]
    fn relative_to_a_negative_control_more_is_less() {
        let design = Design::new(Alpha::FIVE_PERCENT);
        let up = pair((2.0, 1.0), (2.2, 1.0), 1e5).compare(design);
        let down = pair((-2.0, 1.0), (-2.2, 1.0), 1e5).compare(design);
        assert!((up.lift_interval.low - 0.1).abs() < 0.05 && up.lift_interval.low > 0.0);
        assert_eq!(down.lift, up.lift.map(|lift| -lift));
        assert!(down.lift_interval.has(-0.1) && !up.lift_interval.has(-0.1));
    }

    #[test]
    fn one_side_is_nearer_than_two_and_no_nearer_than_two_of_twice_the_error() {
        let (two, twice) = (Design::new(Alpha::FIVE_PERCENT), Design::new(Alpha::new(0.1).unwrap()));
        for units in [100.0, 1_000.0, 1e6] {
            assert!(
                two.one_sided(units) < two.line(units) && two.one_sided(units) > 0.98 * twice.line(units),
                "{units}"
            );
        }
    }

    #[test]
    fn shares_are_compared_exactly() {
        let got = of_shares((0.0, 10_000.0), (0.0, 10_000.0), Alpha::FIVE_PERCENT);
        assert!(got.has(0.0) && got.width() < 0.004, "{got:?}");
        assert!(!of_shares((10.0, 990.0), (100.0, 900.0), Alpha::FIVE_PERCENT).has(0.0));
    }
}
