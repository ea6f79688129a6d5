//! The wiring: checked specs to built parts. The only place that constructs organs, and the only one that sees all.

mod adapters;
#[cfg(feature = "engine")]
mod admission;
pub(crate) mod alerts;
mod announcer;
#[cfg(feature = "engine")]
pub(crate) mod artifacts;
mod batches;
#[cfg(feature = "host")]
mod book;
mod budgets;
pub(crate) mod deciders;
mod events;
mod following;
pub(crate) mod gateway;
#[cfg(feature = "host")]
mod granting;
mod holds;
mod limiter;
#[cfg(feature = "engine")]
pub(crate) mod local;
pub(crate) mod log;
pub(crate) mod operations;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
pub(crate) mod pages;
pub(crate) mod parts;
pub(crate) mod plugins;
pub(crate) mod prompts;
pub(crate) mod registry;
pub(crate) mod reload;
mod replica;
mod rest_mount;
mod rooms;
pub(crate) mod snapshot;
#[cfg(not(feature = "host"))]
mod ungranted;
#[cfg(feature = "engine")]
mod verified;
pub(crate) mod views;
#[cfg(feature = "engine")]
mod warmup;

pub(crate) use adapters::AdapterMount;
pub(crate) use deciders::Deciders;
pub(crate) use gateway::Gateway;
#[cfg(feature = "host")]
use granting::Granting;
pub(crate) use reload::Reloader;
pub(crate) use rest_mount::RestMount;
#[cfg(not(feature = "host"))]
use ungranted::Granting;
