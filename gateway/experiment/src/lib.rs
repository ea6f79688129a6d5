//! Pure statistics of experiments: what may be said of arms while one looks at them all the time.
//!
//! All bounds here hold at every look together ("anytime-valid"), so whoever looks after each call errs no more often
//! than he said, but for what says that it is for one look. No clock, no chance, no I/O. What is measured, and what is done
//! about it, belong to others. Where to begin:
//!
//! - a stream of `(arm, unit, value)` in any order goes into [`Units`] (or [`Moments`], where each value is a unit), and the
//!   units' first draws into a [`SampleRatio`];
//! - a [`Pair`] of what they know is compared by a [`Design`], or asked by a [`verdict::Question`] whether one may stop;
//! - calls logged with their propensities go into [`off_policy::Log`], which says what another policy would have earned.

pub mod alpha;
pub mod asymptotic;
pub mod bernoulli;
pub mod boundary;
pub mod clustered;
pub mod compare;
pub mod conjugate;
pub mod cuped;
pub mod gamma;
pub mod guardrail;
pub mod interval;
pub mod moments;
pub mod msprt;
pub mod multiplicity;
pub mod normal;
pub mod off_policy;
pub mod power;
pub mod predictable;
pub mod sample_ratio;
pub mod sketch;
pub mod verdict;

pub use alpha::{Alpha, AlphaFault};
pub use clustered::Units;
pub use compare::{Comparison, Design, Estimate, Pair};
pub use interval::Interval;
pub use moments::Moments;
pub use sample_ratio::SampleRatio;
pub use sketch::Sketch;
pub use verdict::Verdict;
