//! Pure measures of group fairness: Fairlearn's and AIF360's, exact from counts. No clock, no I/O, no chance but a seeded one;
//! what is measured when, and what is done about it, belong to others. Where to begin:
//!
//! - rows of `(group, predicted, truth)` go into a [`Table`], which shows no group that is too small;
//! - [`Measure`]s of each group, their [`Spread`] over groups and the named comparisons of [`Parity`] are Fairlearn's;
//! - a [`Pair`] of all others and the privileged group has AIF360's;
//! - [`Bootstrap`] says how far any of these may be off;
//! - [`Config`] says what is asked, and [`evaluate()`] goes from a window to a report; `guest` is the same as a component of the
//!   world `fairness-plugin`, and only there for WebAssembly.
//!
//! What has no number is [`Measured::Undefined`] with the n that it would rest on: never NaN, and 0 only where [`Empty::Zero`]
//! asks for what Fairlearn would say.

pub mod bootstrap;
pub mod comparison;
pub mod config;
pub mod counts;
pub mod differential;
pub mod evaluate;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod inequality;
pub mod measure;
pub mod measured;
pub mod pair;
pub mod parity;
pub mod spread;
pub mod table;
#[cfg(feature = "wrong")]
mod wrong;

pub use bootstrap::{Bootstrap, Interval};
pub use comparison::Comparison;
pub use config::Config;
pub use counts::{Counts, Row};
pub use evaluate::evaluate;
pub use measure::{Empty, Measure};
pub use measured::Measured;
pub use pair::{Pair, PairMeasure};
pub use parity::{Against, Of, Parity};
pub use spread::Spread;
pub use table::{Group, Suppressed, Table, TableFault};

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
