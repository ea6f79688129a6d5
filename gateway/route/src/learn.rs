//! Learning which arm is better: rewards fold into a [`Tally`] per arm, a [`Rule`] turns the tallies into a vector of
//! probabilities, and [`Mixing`] sees to it that no arm is forgotten, and that dear ones keep to their part of the cost ([`CostShare`]). All of it is pure: when a vector is published, and
//! where tallies are kept, belong to others.
//!
//! The vector is computed once for each published state, so that a decision is one draw from it and its propensity is
//! exact. A rule that picks by a score alone (`ucb1`, the greedy part of `epsilon_greedy`) is certain, and so mixed with
//! `explore`; without, its records cannot tell what another policy would have earned.
//!
//! Where the best arm depends on the call, a [`LinearRule`] folds rewards with the features of their calls into a
//! [`LinearTally`] per arm, and publishes a [`ContextState`], which makes the vector from a call's features.

mod allocation;
mod best;
mod context;
mod contextual;
mod cost_share;
mod density;
mod fault;
mod heard;
mod learner;
mod linear;
mod mixing;
mod posterior;
mod rule;
mod sums;
mod tally;
mod triangle;

pub use context::ContextState;
pub use contextual::LinearRule;
pub use cost_share::CostShare;
pub use fault::LearnFault;
pub use heard::{Heard, Told};
pub use learner::Learner;
pub use linear::LinearTally;
pub use mixing::{Mixing, MixingFault};
pub use rule::{Rule, Values};
pub use sums::Sums;
pub use tally::Tally;
