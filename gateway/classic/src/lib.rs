//! Classic models, in process: tree ensembles as XGBoost and LightGBM save them, and graphs in ONNX (feature `onnx`), what
//! they predict and why.
//!
//! [`Model`] is one loaded model: `read` it from bytes, ask what it takes and gives, `predict`, `explain`. [`Pool`] serves it:
//! queued within bounds, in batches, swapped under its calls. [`contract`] checks inputs against what was agreed, [`features`]
//! adds to them what stores know of their entities. Tensors are
//! `core`'s; wire formats are the server's. Files are trusted with nothing: what they say of sizes is held against what is
//! there, and trees with circles are refused.

mod batch;
pub mod contract;
mod error;
mod explanation;
pub mod features;
mod forest;
mod format;
mod matrix;
mod model;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod permutation;
mod pool;
mod tree;

pub use batch::BatchSpec;
pub use error::{Refused, Unreadable};
pub use explanation::{Explaining, Explanation, Method};
pub use matrix::Matrix;
pub use model::Model;
pub use pool::{Generation, Pool, PoolState, SIZES, Served, Unready, Unserved};
