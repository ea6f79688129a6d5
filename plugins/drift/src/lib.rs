//! Whether the values of a window still come from where the reference came from.
//!
//! - [`measure`]: the maths, one measure a file;
//! - [`config`]: what may be asked, and [`choose`]: which test fits a column where nothing is asked;
//! - [`table`]: the columns, [`evaluate`]: from two tables to a [`report`];
//! - `guest`: the same as a component of the world `drift-plugin`; only there for WebAssembly.
//!
//! Nothing here does I/O or asks for the time or for chance: the same tables give the same report.

pub mod choose;
pub mod config;
pub mod evaluate;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod measure;
pub mod report;
pub mod table;
#[cfg(feature = "wrong")]
mod wrong;

pub use config::Config;
pub use evaluate::{Fault, evaluate};
pub use report::{Measurement, Report, Severity};
pub use table::Table;

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
