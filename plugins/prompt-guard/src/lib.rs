//! Scores texts of others for attempts to instruct the model, without asking one: callers' messages, what tools said, the
//! arguments of tools. What the route's own prompt says is not looked at.
//!
//! - [`plain`]: a text as words, whatever it is disguised as; [`phrases`]: the words of such attempts, with weights;
//! - [`markers`]: forged turns of a conversation; [`hidden`]: letters that nobody sees; [`encoded`]: texts in other alphabets;
//! - [`score`]: what all of these come to; [`config`]: what may be asked, [`filter`]: from a view of a call to what is said of it;
//! - `guest`: the same as a component of the world `filter-plugin`; only there for WebAssembly.
//!
//! It is a heuristic: it makes the common attempts fail and cannot make all of them fail. Nothing here does I/O or asks for the
//! time or for chance.

pub mod config;
pub mod encoded;
pub mod filter;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod hidden;
pub mod markers;
pub mod phrases;
pub mod plain;
pub mod score;

pub use config::{Config, Mode};
pub use score::{Score, Signal};

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
