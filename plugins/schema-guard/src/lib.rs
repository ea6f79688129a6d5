//! Holds a table against a suite of Great Expectations: what a window, or a request, has to be.
//!
//! - [`suite`]: a suite's JSON, [`expectation`]: what each of its expectations means; one that is not known is an error;
//! - [`check`]: an expectation and a table, [`config`]: what may be asked of the plugin;
//! - `guest`: the same as a component of the world `validator-plugin`; only there for WebAssembly.
//!
//! Nothing here does I/O or asks for the time or for chance.

pub mod check;
pub mod config;
pub mod expectation;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod suite;

pub use check::{Finding, validate};
pub use config::Config;
pub use expectation::Expectation;
pub use suite::{Expected, Suite};

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
