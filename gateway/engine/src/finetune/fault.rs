//! Why a fine-tuning did not begin or end. Each says what was wrong and how to mend it.

use crate::adapter::AdapterFault;
use crate::error::LoadError;
use std::path::PathBuf;

/// A fine-tuning failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneFault {
    /// What was asked for is impossible.
    #[error("{0}")]
    Options(String),
    /// The base cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The base is of a kind that is not trained.
    #[error("{0} is not fine-tuned here; those of the Llama kind without fused products and capped scores are")]
    Unsupported(String),
    /// Lines of the data are wrong.
    #[error("{path}: {}", faults.join("; "), path = path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong, each with its line.
        faults: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {path}: {why}", path = path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// There is something in the folder already.
    #[error("{} has {what} already: add --resume to go on from it, or name another folder", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// What was kept does not fit what is asked for.
    #[error("cannot go on from {}: {why}", path.display())]
    Resume {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The loss is no number any more.
    #[error("the loss of step {0} is no number: try a lower rate (--lr), or a longer warm-up")]
    NotFinite(usize),
    /// A computation failed.
    #[error("the computation failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// What was written is not what the engine loads.
    #[error("the adapter that was written cannot be loaded: {0}")]
    Written(#[from] AdapterFault),
    /// It was told to stop.
    #[error("stopped after step {step} of {steps}; --resume goes on from there")]
    Stopped {
        /// Steps that were taken and kept.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
}

impl TuneFault {
    /// Whether what was given is wrong, and not the work.
    #[must_use]
    pub const fn is_wrong_input(&self) -> bool {
        matches!(self, Self::Options(_) | Self::Data { .. } | Self::Taken { .. } | Self::Resume { .. })
    }
}
