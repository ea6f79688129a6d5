//! Why nothing can be learnt. Owns the reasons with their remedies.

use super::mixing::MixingFault;
use crate::share::SharesFault;
use tidegate_core::spec::feature::MOST_FEATURES;

/// Why there is no learner, or no state of one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LearnFault {
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
    /// The least shares do not fit.
    #[error(transparent)]
    Mixing(#[from] MixingFault),
    /// It leads to no shares.
    #[error(transparent)]
    Shares(#[from] SharesFault),
}
