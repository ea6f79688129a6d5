//! How unequally predictions treat single persons. Owns the generalised entropy of benefits (Speicher et al. 2018, "A Unified
//! Approach to Quantifying Algorithmic Unfairness"; AIF360 `generalized_entropy_index` and what it makes of it).
//!
//! The benefit of a row is `1 + predicted − truth`: 2 for who is favoured wrongly, 1 for who is judged rightly, 0 for who is
//! denied wrongly. Only labelled rows have one.

use crate::counts::Counts;
use crate::measured::{Measured, count};

/// Benefits and how many rows have each.
#[derive(Debug, Clone, PartialEq)]
pub struct Benefits {
    weights: Vec<(f64, f64)>,
    n: u64,
}

impl Benefits {
    /// Those of the rows that were counted.
    #[must_use]
    pub fn of(counts: &Counts) -> Self {
        let right = counts.true_positives + counts.true_negatives;
        let each = [(0.0, counts.false_negatives), (1.0, right), (2.0, counts.false_positives)];
        let weights = each.into_iter().filter(|(_, rows)| *rows > 0).map(|(benefit, rows)| (benefit, count(rows)));
        Self { weights: weights.collect(), n: counts.labelled() }
    }

    /// The generalised entropy index: the mean of `((b/µ)^α − 1) / (α(α − 1))`, of `(b/µ) ln(b/µ)` for α = 1, of
    /// `−ln(b/µ)` for α = 0. Undefined where there is no benefit at all, infinite for `α ≤ 0` where a row has none.
    #[must_use]
    pub fn generalized_entropy(&self, alpha: f64) -> Measured {
        let n = self.n;
        let mean = self.mean(|benefit| benefit);
        if self.weights.is_empty() || mean <= 0.0 {
            return Measured::Undefined { n };
        }
        let by_mean = |of: &dyn Fn(f64) -> f64| self.mean(|benefit| of(benefit / mean));
        let index = if alpha == 1.0 {
            // 0 ln 0 is 0.
            by_mean(&|share| if share > 0.0 { share * share.ln() } else { 0.0 })
        } else if alpha == 0.0 {
            -by_mean(&f64::ln)
        } else {
            by_mean(&|share| share.powf(alpha) - 1.0) / (alpha * (alpha - 1.0))
        };
        Measured::new(index, n)
    }

    /// Theil's index: the generalised entropy with α = 1.
    #[must_use]
    pub fn theil_index(&self) -> Measured {
        self.generalized_entropy(1.0)
    }

    /// The square root of twice the generalised entropy with α = 2, which is the standard deviation of benefits by their
    /// mean.
    #[must_use]
    pub fn coefficient_of_variation(&self) -> Measured {
        self.generalized_entropy(2.0).map(|index| (2.0 * index.max(0.0)).sqrt())
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.weights.iter().map(|&(benefit, rows)| rows * of(benefit)).sum::<f64>() / count(self.n)
    }
}

/// The generalised entropy where each row has its group's mean benefit: what of the inequality lies between groups. Groups
/// without a labelled row are left out.
#[must_use]
pub fn between_groups(groups: &[Counts], alpha: f64) -> Measured {
    let labelled = groups.iter().filter(|group| group.labelled() > 0);
    let weights = labelled.map(|group| (Benefits::of(group).mean(|benefit| benefit), count(group.labelled())));
    Benefits { weights: weights.collect(), n: groups.iter().map(Counts::labelled).sum() }.generalized_entropy(alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_is_judged_rightly_everywhere_is_treated_equally() {
        let right = Benefits::of(&Counts::of([5, 0, 7, 0, 3, 3]));
        for alpha in [0.0, 0.5, 1.0, 2.0, 3.0] {
            assert_eq!(right.generalized_entropy(alpha), Measured::Value(0.0));
        }
        let denied = Benefits::of(&Counts::of([0, 0, 0, 7, 0, 0]));
        assert_eq!(denied.theil_index(), Measured::Undefined { n: 7 });
        assert_eq!(Benefits::of(&Counts::default()).theil_index(), Measured::Undefined { n: 0 });
        // One of two has everything: ln 2.
        let half = Benefits::of(&Counts::of([0, 1, 0, 1, 0, 0])).theil_index();
        assert!((half.value().expect("a number") - 2f64.ln()).abs() < 1e-15);
        let none = Benefits::of(&Counts::of([1, 0, 0, 1, 0, 0])).generalized_entropy(0.0);
        assert_eq!(none, Measured::Value(f64::INFINITY));
    }

    proptest! {
        #[test]
        fn inequality_between_groups_is_at_most_all_of_it(groups in prop::collection::vec(prop::array::uniform4(0u64..20), 1..5)) {
            let groups: Vec<Counts> = groups.iter().map(|&[a, b, c, d]| Counts::of([a, b, c, d, 0, 0])).collect();
            let all = Benefits::of(&groups.iter().collect());
            for alpha in [0.5, 1.0, 2.0] {
                match (all.generalized_entropy(alpha).value(), between_groups(&groups, alpha).value()) {
                    (Some(all), Some(between)) => prop_assert!(-1e-12 <= between && between <= all + 1e-12),
                    (all, between) => prop_assert_eq!(all, between),
                }
            }
        }
    }
}
