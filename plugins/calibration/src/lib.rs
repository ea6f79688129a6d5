//! Pure measures of probabilities: whether what is said to be so in 8 of 10 cases is so in 8 of 10. No clock, no chance, no
//! I/O; which rows belong together, and what is done about an error, belong to others. Where to begin:
//!
//! - rows of `(probability, truth)` become [`Scores`], which refuse what is no probability;
//! - a [`Reliability`] table of them has ECE, MCE and RMSCE, and is what a diagram is drawn from;
//! - [`loss`] has the Brier score and the log loss, [`ranked`] the area under the ROC curve and the average precision;
//! - [`Config`] says what is asked, and [`evaluate()`] goes from a window to a report; `guest` is the same as a component of the
//!   world `fairness-plugin`, and only there for WebAssembly.
//!
//! What has no number is `None`, never NaN; the table says how many rows there were.

pub mod bins;
pub mod config;
pub mod evaluate;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod loss;
pub mod ranked;
pub mod reliability;
pub mod scored;
#[cfg(feature = "wrong")]
mod wrong;

pub use bins::Edges;
pub use config::Config;
pub use evaluate::evaluate;
pub use loss::{brier, log_loss};
pub use ranked::{average_precision, roc_auc};
pub use reliability::{Bin, Reliability};
pub use scored::{ScoreFault, Scored, Scores};

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
