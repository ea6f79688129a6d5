//! Measures of retrieval and of answers that rest on it. No clock, no chance, no I/O: models are reached by a port. Where to
//! begin:
//!
//! - passages with scores and judgements become a [`Ranking`], which has nDCG, reciprocal rank, precision, recall and more;
//!   [`ranked::mean`] takes them together over queries;
//! - [`Contexts`] compares retrieved texts with reference texts by a [`Likeness`], [`contexts`] has the same by ids;
//! - [`verdicts`] has faithfulness, relevancy, and context precision and recall from what a judge said, [`judge`] asks it;
//! - [`Config`] says what is asked, and [`evaluate()`] goes from samples to reports; `guest` is the same as a component of the
//!   world `rag-plugin`, and only there for WebAssembly.
//!
//! What has no number is `None`, never NaN.

pub mod config;
pub mod contexts;
pub mod denials;
pub mod evaluate;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod judge;
pub mod measure;
pub mod ranked;
pub mod ranking;
pub mod sample;
pub mod strings;
pub mod verdicts;
pub mod words;
#[cfg(feature = "wrong")]
mod wrong;

pub use config::Config;
pub use contexts::{Contexts, id_precision, id_recall};
pub use evaluate::{evaluate, left_out};
pub use measure::Measure;
pub use ranked::Gain;
pub use ranking::{Found, Judgements, Ranking, RankingFault};
pub use sample::{Passage, Sample};
pub use strings::Likeness;

/// The settings that are understood, as a JSON Schema.
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");
