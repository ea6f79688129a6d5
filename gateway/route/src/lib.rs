//! Pure choice: which arm of a route serves a call, and what is tried next when it fails.
//!
//! [`Policy`] draws the arm and says with which probability; [`learn`] makes these probabilities of rewards, [`steer`] of
//! how the arms stand, [`rules`] of what is known of the call; [`Plan`] walks through retries and fallbacks within a
//! [`RetryBudget`], [`cascade`] says which answers are too poor, [`hedge`] when a second request goes out beside a slow
//! one, and [`graph`] what the nodes of a graph of models make of tensors. Time and chance come from outside, so every decision can be made again. What is sent where, and
//! the balancing among the endpoints of one provider, belong to others.

pub mod advise;
pub mod backoff;
pub mod budget;
pub mod cascade;
pub mod condition;
pub mod feature;
pub mod graph;
pub mod hedge;
pub mod learn;
pub mod plan;
pub mod policy;
pub mod rollout;
pub mod rules;
pub mod share;
pub mod steer;
pub mod sticky;

pub use advise::Advising;
pub use budget::RetryBudget;
pub use condition::matches;
pub use feature::{Facts, Features};
pub use hedge::{Allowance, Pace};
pub use plan::{Next, Plan};
pub use policy::{Policy, PolicyState, StateCell};
pub use rollout::Rollout;
pub use rules::Rules;
pub use share::{Shares, SharesFault};
pub use steer::{Gauge, Ride, Steering};
