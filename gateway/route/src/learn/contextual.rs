//! How regressions become a state whose probabilities depend on the call. Owns the rules `linucb` and `linear_thompson`.

use super::context::{Bound, ContextState, Draws, Scores};
use super::fault::LearnFault;
use super::linear::{LinearTally, Regression};
use super::mixing::Mixing;
use tidegate_core::StateId;

/// A rule by which an arm is picked for a call with features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinearRule {
    /// The arm of the largest upper bound, `x · θ + α √(xᵀ A⁻¹ x)` (Li, Chu, Langford, Schapire: A Contextual-Bandit
    /// Approach to Personalized News Article Recommendation, WWW 2010, disjoint models).
    LinUcb {
        /// How wide the bounds are, above 0.
        alpha: f64,
        /// The smallest and the largest reward that there can be: `alpha` is of rewards from 0 to 1. Where there is no
        /// such range, `alpha` is in deviations of the noise.
        range: Option<(f64, f64)>,
    },
    /// Each arm by the probability that it is the best one for the call (Agrawal, Goyal: Thompson Sampling for Contextual
    /// Bandits with Linear Payoffs, ICML 2013), where the deviation is that of the noise.
    LinearThompson,
}

impl LinearRule {
    /// Whether it is certain of an arm, so that only what is mixed in explores.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        matches!(self, Self::LinUcb { .. })
    }

    /// Its part of a state's name.
    fn numbers(self) -> [f64; 4] {
        match self {
            Self::LinUcb { alpha, range: Some((low, high)) } => [1.0, alpha, low, high],
            Self::LinUcb { alpha, range: None } => [2.0, alpha, 0.0, 0.0],
            Self::LinearThompson => [3.0, 0.0, 0.0, 0.0],
        }
    }
}

impl LinearRule {
    /// The state to publish where so many features are regarded and this is known of each arm.
    ///
    /// # Errors
    /// What is known are the sums of no rewards, or the rewards are too large to reckon with.
    pub(super) fn state(
        self,
        mixing: Mixing,
        features: usize,
        tallies: &[LinearTally],
    ) -> Result<ContextState, LearnFault> {
        let Regression { arms, noise } = Regression::of(tallies).map_err(|arm| LearnFault::NoSums { arm })?;
        let id = self.id(&mixing, tallies);
        let scores = match self {
            Self::LinUcb { alpha, range: Some((low, high)) } => {
                Scores::Bounds(arms.into_iter().map(|arm| Bound::new(arm, alpha * (high - low))).collect())
            }
            _ if noise <= 0.0 => Scores::Even,
            Self::LinUcb { alpha, range: None } => {
                Scores::Bounds(arms.into_iter().map(|arm| Bound::new(arm, alpha * noise.sqrt())).collect())
            }
            Self::LinearThompson => Scores::Draws(Draws::new(&arms, noise, id.bits())),
        };
        Ok(ContextState::new(id, (tallies.len(), features), mixing, scores))
    }

    /// The state's name, from all that it is reckoned from.
    fn id(self, mixing: &Mixing, tallies: &[LinearTally]) -> StateId {
        let sums = tallies.iter().flat_map(|tally| tally.a.iter().chain(&tally.b).chain([&tally.squares]));
        let numbers = self.numbers().into_iter().chain(mixing.numbers()).chain(sums.copied());
        let mut content = b"linear 1\0".to_vec();
        content.extend_from_slice(&tallies.len().to_be_bytes());
        content.extend(numbers.flat_map(|number| number.to_bits().to_be_bytes()));
        StateId::of(&content)
    }
}

#[cfg(test)]
mod tests;
