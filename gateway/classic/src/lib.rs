//! Classic models, in process: tree ensembles as XGBoost and LightGBM save them, what they predict and why.
//!
//! [`Model`] is one loaded model: `read` it from bytes, ask its [`Signature`], `predict` rows, `explain` them. Everything
//! here is typed; wire formats are the server's. Files are trusted with nothing: what they say of sizes is held against
//! what is there, and trees with circles are refused.

mod error;
mod format;
mod matrix;
mod model;
mod signature;
mod tree;

pub use error::{Refused, Unreadable};
pub use matrix::Matrix;
pub use model::{Explanation, Model, Output, Values};
pub use signature::{Field, Kind, Signature};
