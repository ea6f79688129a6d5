//! State that outlives one call, behind the ports of core.
//!
//! Here: limits in the memory of one process. [`MemoryLimits`] holds callers to them; requests are counted by
//! governor, tokens by a [`TokenBucket`], because what a call did not use comes back and governor cannot give back.
//! The crate is the only one that names governor and dashmap.

mod account;
pub mod bucket;
mod limit;
pub mod memory;
mod requests;
pub mod ticks;

pub use bucket::{Quota, TokenBucket};
pub use memory::MemoryLimits;
