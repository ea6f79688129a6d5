//! What can be seen of the gateway from outside: metrics, traces and spans. Owns their forms; what happened is told by
//! the path, and where spans go is the program's.

pub(crate) mod adapters;
pub mod alerts;
pub(crate) mod endpoints;
pub(crate) mod engines;
pub mod exposition;
pub mod histogram;
pub mod learning;
pub mod leases;
pub mod metrics;
pub mod monitors;
pub mod plugins;
pub(crate) mod pools;
pub mod process;
pub mod shadows;
pub(crate) mod shares;
pub mod span;
pub mod trace;
pub(crate) mod views;
