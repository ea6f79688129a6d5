//! Limits that replicas share by leases. Each replica draws slices of what is left from a store, ahead of need and
//! beside the calls, and calls reserve from the slice at hand; only a call that it does not cover asks the store, for a
//! few milliseconds, and then the limit's `failure` decides.
//!
//! [`lease`] is what one replica holds of one quantity (pure), [`account`] the quantities of one caller in one limit,
//! [`limits`] the port, [`feeder`] the task that draws, [`store`] what it draws from. What a replica spends was lent to
//! it before, so however calls, answers and deaths fall, all replicas together spend no more than there is; calls let
//! through by `failure: open`, and what a call used beyond what it reserved, are told to the store when it can be
//! asked.
//!
//! What a killed replica held of a budget and had not spent is lost to its span: nobody can know what it spent. Of a
//! rate it refills when the lease is over.

mod account;
pub mod counts;
mod feeder;
mod lease;
mod limit;
pub mod limits;
#[cfg(test)]
pub(crate) mod model;
pub mod store;

pub use counts::{SharedCounts, Way};
pub use feeder::Feeder;
pub use limits::SharedLimits;
pub use store::{Answer, Ask, Store, StoreFault, Verdict};
