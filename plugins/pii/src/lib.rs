//! Finds personal data in texts and takes it out: in requests, in whole answers, and in streams across the deltas.
//!
//! - [`find`]: what is looked for, one kind a file, and the scan that goes over a text once;
//! - [`redactor`]: a text that comes in pieces, of which only what could still become a find is held back;
//! - [`config`]: what may be asked, [`filter`]: from a view of a call to what is said of it;
//! - `guest`: the same as a component of the world `filter-plugin`; only there for WebAssembly.
//!
//! Nothing here does I/O or asks for the time or for chance. It finds what has a form: names and addresses have none.

pub mod config;
pub mod filter;
pub mod find;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod redactor;

pub use config::{Config, Mode};
pub use find::Kind;
pub use redactor::Redactor;

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
