//! Taking out of a metric what was known of each unit before the experiment. Owns the sums and the adjustment.
//!
//! Deng, Xu, Kohavi, Walker: Improving the sensitivity of online controlled experiments by utilizing pre-experiment data
//! (CUPED), WSDM 2013: `y − θ (x − x̄)` has the same mean in each arm as `y`, since the arms are drawn without regard to
//! `x`, and with `θ = cov(x, y) / var(x)` a variance smaller by the square of their correlation.

use crate::compare::Estimate;
use serde::{Deserialize, Serialize};

/// Pairs of a unit's covariate from before and its metric, as mergeable moments.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pairs {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Pairs {
    /// Takes a unit: what was known of it before, and its metric.
    pub fn add(&mut self, before: f64, metric: f64) {
        self.merge(&Self { n: 1.0, x: before, y: metric, ..Self::default() });
    }

    /// Takes other units.
    pub fn merge(&mut self, other: &Self) {
        let all = self.n + other.n;
        if other.n <= 0.0 {
            return;
        }
        let (x, y) = (other.x - self.x, other.y - self.y);
        let weight = self.n * other.n / all;
        self.xx += other.xx + x * x * weight;
        self.xy += other.xy + x * y * weight;
        self.yy += other.yy + y * y * weight;
        self.x += x * other.n / all;
        self.y += y * other.n / all;
        self.n = all;
    }

    /// How many units.
    #[must_use]
    pub const fn units(&self) -> f64 {
        self.n
    }

    /// The variance of the mean of `y − θ x`.
    fn variance(&self, theta: f64) -> f64 {
        if self.n < 2.0 {
            return f64::INFINITY;
        }
        let scatter = self.yy - 2.0 * theta * self.xy + theta * theta * self.xx;
        scatter.max(0.0) / (self.n - 1.0) / self.n
    }
}

/// Arms whose metric was adjusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// What was taken from the metric per unit of the covariate.
    pub theta: f64,
    /// By which share the variance within the arms became smaller.
    pub reduction: f64,
    /// The arms, in their order; `None` for one without units.
    pub arms: Vec<Option<Estimate>>,
}

/// Adjusts arms by the covariate of their units; one that is the same everywhere changes nothing.
#[must_use]
pub fn adjust(arms: &[Pairs]) -> Adjusted {
    let mut all = Pairs::default();
    arms.iter().for_each(|arm| all.merge(arm));
    let sum = |of: fn(&Pairs) -> f64| arms.iter().map(of).sum::<f64>();
    let (xx, xy, yy) = (sum(|arm| arm.xx), sum(|arm| arm.xy), sum(|arm| arm.yy));
    let theta = if xx > 0.0 { xy / xx } else { 0.0 };
    let reduction = if yy > 0.0 { (theta * xy / yy).clamp(0.0, 1.0) } else { 0.0 };
    let estimate = |arm: &Pairs| {
        (arm.n > 0.0).then(|| Estimate {
            units: arm.n,
            mean: arm.y - theta * (arm.x - all.x),
            variance: arm.variance(theta),
        })
    };
    Adjusted { theta, reduction, arms: arms.iter().map(estimate).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pairs: &[(f64, f64)]) -> Pairs {
        let mut all = Pairs::default();
        pairs.iter().for_each(|(x, y)| all.add(*x, *y));
        all
    }

    proptest! {
        #[test]
        fn parts_add_up(pairs in prop::collection::vec((-1e3..1e3f64, -1e3..1e3f64), 2..60), cut in 0usize..60) {
            let (left, right) = pairs.split_at(cut.min(pairs.len()));
            let (whole, mut joined) = (of(&pairs), of(right));
            joined.merge(&of(left));
            for theta in [0.0, 0.7] {
                prop_assert!((whole.variance(theta) - joined.variance(theta)).abs() < 1e-6 * (1.0 + whole.variance(theta)));
            }
            prop_assert!((whole.y - joined.y).abs() < 1e-8 && whole.n == joined.n);
        }

        #[test]
        fn no_other_theta_leaves_less(pairs in prop::collection::vec((-10.0..10.0f64, -10.0..10.0f64), 3..40), off in -1.0..1.0f64) {
            let arm = of(&pairs);
            let got = adjust(&[arm]);
            prop_assert!(arm.variance(got.theta) <= arm.variance(got.theta + off) + 1e-9);
            let left = 1.0 - arm.variance(got.theta) / arm.variance(0.0);
            prop_assert!((left - got.reduction).abs() < 1e-6);
        }
    }

    #[test]
    fn what_was_known_before_is_taken_out_of_the_difference() {
        // y = 3 x + arm, exactly; the arms' covariates differ by chance.
        let control = of(&[(1.0, 3.0), (2.0, 6.0), (3.0, 9.0)]);
        let treatment = of(&[(2.0, 6.5), (3.0, 9.5), (4.0, 12.5)]);
        let got = adjust(&[control, treatment, Pairs::default()]);
        assert!((got.theta - 3.0).abs() < 1e-12 && (got.reduction - 1.0).abs() < 1e-12);
        let means: Vec<_> = got.arms.iter().flatten().map(|arm| arm.mean).collect();
        assert!((means[1] - means[0] - 0.5).abs() < 1e-9 && got.arms[2].is_none());
        let plain = adjust(&[of(&[(1.0, 2.0), (1.0, 4.0)])]);
        assert_eq!((plain.theta, plain.reduction, plain.arms[0].map(|arm| arm.mean)), (0.0, 0.0, Some(3.0)));
    }
}
