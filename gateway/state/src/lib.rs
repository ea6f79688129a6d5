//! State that outlives one call, behind the ports of core.
//!
//! Here: limits in the memory of one process. [`MemoryLimits`] holds callers to them; requests are counted by
//! governor, tokens by a [`TokenBucket`], because what a call did not use comes back and governor cannot give back,
//! and money by a [`Purse`], whose spending a [`KeptFile`] carries over a restart. [`SharedLimits`] hold replicas together
//! to limits, by leases that a [`Feeder`] draws from a store such as Redis. [`feast`] is the layout of
//! features in Redis, which [`RedisFeatures`] look up there. The crate is the only one that names governor, dashmap and redis.

mod account;
pub mod bucket;
pub mod feast;
pub mod kept;
mod limit;
pub mod memory;
pub mod purse;
#[cfg(feature = "redis")]
pub mod redis;
mod requests;
pub mod shared;
pub mod span;
pub mod ticks;
mod words;

pub use bucket::{Quota, TokenBucket};
pub use kept::{Kept, KeptFile};
pub use memory::MemoryLimits;
pub use purse::Purse;
#[cfg(feature = "redis")]
pub use redis::{
    Course, CourseAsk, Pinned, RedisCourses, RedisFeatures, RedisParcels, RedisPins, RedisStore, RedisWire,
};
pub use shared::{Feeder, SharedLimits};
