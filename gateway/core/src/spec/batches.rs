//! Batches of calls: files of requests that are worked off while nobody waits.

use std::path::PathBuf;
use std::time::Duration;

/// How batches of calls are taken and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchesSpec {
    /// The folder of this machine that they lie in; made where it is not there.
    pub folder: PathBuf,
    /// How many of their calls are under way at most, at least 1.
    pub parallel: usize,
    /// The longest file that is taken, in bytes.
    pub max_file: u64,
    /// The most bytes of files that a tenant may have here.
    pub max_stored: u64,
    /// How long files and batches are kept.
    pub keep: Duration,
}
