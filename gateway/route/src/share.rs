//! The vector of probabilities over a route's arms. Owns its check and the draw by its cumulative sums; where the
//! vector comes from is the policy's.

use std::sync::Arc;

/// How far a sum may be from 1 and still count as 1: what adding a few hundred decimal fractions can lose.
const ROUNDING: f64 = 1e-9;

/// Why numbers are no shares.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SharesFault {
    /// As many numbers as arms are needed, and at least one.
    #[error("a route of {arms} variants needs {arms} shares, not {shares}")]
    Count {
        /// How many arms there are.
        arms: usize,
        /// How many numbers came.
        shares: usize,
    },
    /// A share is a number of at least 0.
    #[error("the share of variant {arm} is {share}; give a fraction between 0 and 1")]
    NotAShare {
        /// Which arm's.
        arm: usize,
        /// What it is.
        share: f64,
    },
    /// All of them are 0.
    #[error("every share is 0; give at least one variant a share above 0")]
    Nothing,
}

/// The probability of each arm, computed once; their sum is 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Arc<[f64]>);

impl Shares {
    /// Takes `shares` as they are where their sum is 1 (but for rounding), else in proportion to their sum.
    ///
    /// # Errors
    /// If one of them is negative or not finite, or if there is none above 0.
    pub fn new(shares: &[f64]) -> Result<Self, SharesFault> {
        if let Some((arm, &share)) = shares.iter().enumerate().find(|(_, s)| !s.is_finite() || **s < 0.0) {
            return Err(SharesFault::NotAShare { arm, share });
        }
        let largest = shares.iter().copied().fold(0.0, f64::max);
        if largest <= 0.0 {
            return Err(SharesFault::Nothing);
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() <= ROUNDING {
            return Ok(Self(shares.into()));
        }
        // By the largest first, so that huge numbers cannot add up to infinity.
        let scaled: f64 = shares.iter().map(|s| s / largest).sum();
        Ok(Self(shares.iter().map(|s| s / largest / scaled).collect()))
    }

    /// The vector, in the order of the route's variants.
    #[must_use]
    pub const fn vector(&self) -> &Arc<[f64]> {
        &self.0
    }
}

/// The arm at `draw`, a number in `[0, 1)`, in the order of the arms: the inverse of the cumulative distribution.
///
/// An arm without a share is never drawn. What rounding leaves above the sum belongs to the last arm that has one.
#[must_use]
pub fn at(shares: &[f64], draw: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (arm, &share) in shares.iter().enumerate() {
        if share > 0.0 {
            sum += share;
            last = arm;
            if draw < sum {
                return arm;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_that_cannot_be_are_refused_with_the_remedy() {
        assert_eq!(Shares::new(&[]), Err(SharesFault::Nothing));
        assert_eq!(Shares::new(&[0.0, 0.0]), Err(SharesFault::Nothing));
        assert_eq!(Shares::new(&[1.5, -0.5]), Err(SharesFault::NotAShare { arm: 1, share: -0.5 }));
        assert!(matches!(Shares::new(&[f64::NAN]), Err(SharesFault::NotAShare { arm: 0, .. })));
        let says = SharesFault::NotAShare { arm: 1, share: -0.5 }.to_string();
        assert_eq!(says, "the share of variant 1 is -0.5; give a fraction between 0 and 1");
    }

    #[test]
    fn a_sum_of_one_is_kept_to_the_bit_and_another_is_scaled() {
        assert_eq!(**Shares::new(&[0.1, 0.2, 0.7]).unwrap().vector(), [0.1, 0.2, 0.7]);
        assert_eq!(**Shares::new(&[1.0, 3.0]).unwrap().vector(), [0.25, 0.75]);
        assert_eq!(**Shares::new(&[f64::MAX, f64::MAX]).unwrap().vector(), [0.5, 0.5]);
    }

    #[test]
    fn borders_belong_to_the_upper_arm_and_empty_arms_have_none() {
        let shares = [0.0, 0.25, 0.0, 0.75, 0.0];
        let at = |draw| at(&shares, draw);
        assert_eq!([at(0.0), at(0.249_999), at(0.25), at(1.0 - f64::EPSILON / 2.0)], [1, 1, 3, 3]);
    }

    proptest! {
        #[test]
        fn no_draw_reaches_an_arm_without_a_share(
            raw in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1.0f64], 1..12),
            draw in 0.0..1.0f64,
        ) {
            prop_assume!(raw.iter().any(|s| *s > 0.0));
            let shares = Shares::new(&raw).unwrap();
            let vector = shares.vector();
            prop_assert!((vector.iter().sum::<f64>() - 1.0).abs() <= ROUNDING);
            let arm = at(vector, draw);
            prop_assert!(vector[arm] > 0.0);
            let below: f64 = vector[..arm].iter().sum();
            prop_assert!(below <= draw + 1e-12 && draw < below + vector[arm] + ROUNDING);
        }
    }
}
