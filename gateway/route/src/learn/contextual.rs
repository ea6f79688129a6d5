//! A learner that regards what the call is like: a linear regression per arm, and the state that a policy draws from. Owns
//! the fold of a reward with the features of its call, and the rules `lin_ucb` and `linear_thompson`.

use super::context::{Bound, ContextState, Draws, Scores};
use super::linear::{LinearTally, Regression};
use super::mixing::Mixing;
use crate::policy::PolicyState;
use crate::share::SharesFault;
use tidegate_core::StateId;
use tidegate_core::spec::feature::MOST_FEATURES;

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

/// Why nothing can be learnt by features.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LinearFault {
    /// There is no arm.
    #[error("a route without variants learns nothing; give it at least one")]
    NoArm,
    /// There are more features than are reckoned with.
    #[error("{0} features are too many; declare at most {MOST_FEATURES}, where each value of a tag or header is one")]
    TooMany(usize),
    /// What is known is of other features.
    #[error("what is known of variant {arm} is not of {features} features; begin without it")]
    OtherFeatures {
        /// Which arm.
        arm: usize,
        /// How many features there are.
        features: usize,
    },
    /// What is known cannot come from rewards.
    #[error("what is known of variant {arm} are the sums of no rewards; begin without it")]
    NoSums {
        /// Which arm.
        arm: usize,
    },
    /// It leads to no shares.
    #[error(transparent)]
    Shares(#[from] SharesFault),
}

/// Folds rewards of calls with features into tallies, and tallies into states.
#[derive(Debug, Clone)]
pub struct ContextLearner {
    rule: LinearRule,
    mixing: Mixing,
    /// What the tallies are multiplied by before each reward.
    fading: Option<f64>,
    features: usize,
    tallies: Vec<LinearTally>,
}

impl ContextLearner {
    /// A learner of calls with so many features that begins with `tallies`, one for each arm; after `half_life` rewards one
    /// counts for a half.
    ///
    /// # Errors
    /// There is no arm, there are too many features, or the tallies are of other ones.
    pub fn new(
        rule: LinearRule,
        mixing: Mixing,
        half_life: Option<f64>,
        features: usize,
        tallies: Vec<LinearTally>,
    ) -> Result<Self, LinearFault> {
        if tallies.is_empty() {
            return Err(LinearFault::NoArm);
        }
        if features > MOST_FEATURES {
            return Err(LinearFault::TooMany(features));
        }
        if let Some(arm) = tallies.iter().position(|tally| !tally.is_of(features)) {
            return Err(LinearFault::OtherFeatures { arm, features });
        }
        let fading = half_life.map(|rewards| (-1.0 / rewards).exp2());
        Ok(Self { rule, mixing, fading, features, tallies })
    }

    /// Folds a reward of an arm for a call with these features; larger is better. One that is no finite number, or of an arm
    /// that is not there, changes nothing.
    pub fn fold(&mut self, arm: usize, features: &[f64], reward: f64) {
        if !reward.is_finite() || arm >= self.tallies.len() {
            return;
        }
        if let Some(by) = self.fading {
            self.tallies.iter_mut().for_each(|tally| tally.fade(by));
        }
        self.tallies[arm].fold(features, reward);
    }

    /// What it remembers of each arm.
    #[must_use]
    pub fn tallies(&self) -> &[LinearTally] {
        &self.tallies
    }

    /// The state to publish.
    ///
    /// # Errors
    /// What it began with were the sums of no rewards, or the rewards are too large to reckon with.
    pub fn state(&self) -> Result<PolicyState, LinearFault> {
        Ok(PolicyState::of_context(self.context()?)?)
    }

    fn context(&self) -> Result<ContextState, LinearFault> {
        let Regression { arms, noise } = Regression::of(&self.tallies).map_err(|arm| LinearFault::NoSums { arm })?;
        let id = self.id();
        let scores = match self.rule {
            LinearRule::LinUcb { alpha, range: Some((low, high)) } => {
                Scores::Bounds(arms.into_iter().map(|arm| Bound::new(arm, alpha * (high - low))).collect())
            }
            _ if noise <= 0.0 => Scores::Even,
            LinearRule::LinUcb { alpha, range: None } => {
                Scores::Bounds(arms.into_iter().map(|arm| Bound::new(arm, alpha * noise.sqrt())).collect())
            }
            LinearRule::LinearThompson => Scores::Draws(Draws::new(&arms, noise, id.bits())),
        };
        Ok(ContextState::new(id, (self.tallies.len(), self.features), self.mixing, scores))
    }

    /// The state's name, from all that it is reckoned from.
    fn id(&self) -> StateId {
        let sums = self.tallies.iter().flat_map(|tally| tally.a.iter().chain(&tally.b).chain([&tally.squares]));
        let numbers = self.rule.numbers().into_iter().chain(self.mixing.numbers()).chain(sums.copied());
        let mut content = b"linear 1\0".to_vec();
        content.extend_from_slice(&self.tallies.len().to_be_bytes());
        content.extend(numbers.flat_map(|number| number.to_bits().to_be_bytes()));
        StateId::of(&content)
    }
}

#[cfg(test)]
mod tests;
