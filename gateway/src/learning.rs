//! Routes that learn: what calls and callers tell becomes rewards, rewards become states, and states are what routes draw
//! their arms from. Owns the one thread that learns; how rewards become shares is `tidegate_route::learn`'s, and how the
//! log is written the store's.
//!
//! Labels and demonstrations come the same way; nobody learns from them, and they lie in a log that goes with the records.
//!
//! A call that ended goes to the thread by a queue that never blocks ([`Watched`]); a caller's value by the same queue,
//! and he is answered when it is on disk ([`FeedbackMount`]). The thread folds them in the order in which they stand in
//! the log, so that the log leads to the same states again.
//!
//! Replicas on one shared store tell each other what they learnt ([`Sharing`]): each of its own rewards only, and all of
//! them, so that the sum is what one would know that saw all.

mod calls;
mod form;
mod keys;
mod learners;
mod mount;
mod saying;
mod seat;
mod seldon;
mod sharing;
mod told;
mod watched;
mod worker;

pub(crate) use learners::Learners;
pub(crate) use mount::FeedbackMount;
pub(crate) use seat::{Later, carried, entry, fold, learner, learner_of, sums};
pub(crate) use sharing::Sharing;
pub(crate) use told::Board;
pub(crate) use watched::Watched;
