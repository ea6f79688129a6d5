//! What every rule's vector is mixed with, so that no arm is forgotten, and how far dear ones are held back. Owns the floor
//! and the exploring; the bounds of cost are [`CostShare`]'s.

use super::cost_share::CostShare;

/// Why numbers cannot be mixed in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MixingFault {
    /// A share is a fraction.
    #[error("{0} is no share; give a fraction between 0 and 1")]
    NotAShare(f64),
    /// The floors of all arms together are more than there is.
    #[error("{arms} variants with a least share of {min_share} need more than all traffic")]
    TooMuch {
        /// How many arms there are.
        arms: usize,
        /// The least share of each.
        min_share: f64,
    },
}

/// A least share for each arm, and a part of the traffic that is spread evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixing {
    explore: f64,
    min_share: f64,
    cost: Option<CostShare>,
}

impl Mixing {
    /// Nothing is mixed in.
    pub const NONE: Self = Self { explore: 0.0, min_share: 0.0, cost: None };

    /// `explore` of the traffic evenly, and at least `min_share` for each of `arms`.
    ///
    /// # Errors
    /// They are no fractions, or there is not so much.
    pub fn new(explore: f64, min_share: f64, arms: usize) -> Result<Self, MixingFault> {
        if let Some(bad) = [explore, min_share].into_iter().find(|share| !(0.0..=1.0).contains(share)) {
            return Err(MixingFault::NotAShare(bad));
        }
        #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
        if min_share * arms as f64 > 1.0 + 1e-9 {
            return Err(MixingFault::TooMuch { arms, min_share });
        }
        Ok(Self { explore, min_share, cost: None })
    }

    /// The same, with these bounds of cost: they hold above the least shares.
    #[must_use]
    pub fn within(self, cost: Option<CostShare>) -> Self {
        Self { cost, ..self }
    }

    /// `vector` with it mixed in; the sum stays 1. The order of arms by their shares stays too, but for bounds of cost.
    #[must_use]
    pub fn applied(&self, vector: &[f64]) -> Vec<f64> {
        let mut mixed = vector.to_vec();
        self.apply(&mut mixed);
        mixed
    }

    /// Mixes it into `vector`.
    pub(super) fn apply(&self, vector: &mut [f64]) {
        #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
        let count = vector.len() as f64;
        let even = self.explore / count;
        let floor = self.min_share.min(1.0 / count);
        let rest = 1.0 - floor * count;
        vector.iter_mut().for_each(|share| *share = floor + rest * (even + (1.0 - self.explore) * *share));
        if let Some(cost) = &self.cost {
            cost.apply(vector);
        }
    }

    /// What it is, for the name of a state that has it in it.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        [self.explore, self.min_share].into_iter().chain(self.cost.iter().flat_map(CostShare::numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        assert_eq!(Mixing::new(1.5, 0.0, 2), Err(MixingFault::NotAShare(1.5)));
        assert!(matches!(Mixing::new(0.0, f64::NAN, 2), Err(MixingFault::NotAShare(_))));
        assert_eq!(Mixing::new(0.0, 0.3, 4), Err(MixingFault::TooMuch { arms: 4, min_share: 0.3 }));
        assert_eq!(Mixing::new(0.0, 0.5, 2).unwrap().applied(&[1.0, 0.0]), [0.5, 0.5]);
        assert_eq!(Mixing::NONE.applied(&[0.25, 0.75]), [0.25, 0.75]);
    }

    proptest! {
        #[test]
        fn each_arm_has_its_floor_and_the_sum_stays(
            raw in prop::collection::vec(0.0..1.0f64, 1..12), explore in 0.0..=1.0f64, part in 0.0..=1.0f64,
        ) {
            let sum: f64 = raw.iter().sum();
            prop_assume!(sum > 0.0);
            let vector: Vec<f64> = raw.iter().map(|share| share / sum).collect();
            let floor = part / vector.len() as f64;
            let mixed = Mixing::new(explore, floor, vector.len()).unwrap().applied(&vector);
            prop_assert!((mixed.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(mixed.iter().all(|share| *share >= floor - 1e-12));
        }
    }
}
