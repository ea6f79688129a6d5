//! Why an adapter was not taken.

use std::path::PathBuf;

/// Why an adapter was not taken, or not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterFault {
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// `adapter_config.json` is not what PEFT writes.
    #[error("adapter_config.json: {0}")]
    Config(String),
    /// A kind of adapter that the engine does not run.
    #[error("the engine does not run {what}: {remedy}")]
    Unsupported {
        /// The kind.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The numbers are damaged, or do not fit the configuration or the base.
    #[error("{0}")]
    Unfit(String),
    /// There is no room for it.
    #[error(
        "it takes {needed} bytes and {used} of the {budget} for adapters are in use: unload others, or set a larger `adapter_memory`"
    )]
    NoRoom {
        /// What it takes.
        needed: usize,
        /// What those take that requests under way use.
        used: usize,
        /// What there is for all.
        budget: usize,
    },
    /// There is none of this name.
    #[error("this model has no adapter `{name}`{}", if known.is_empty() { "; it has none".to_owned() } else { format!("; it has {}", known.join(", ")) })]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Another generation is in force than the caller expects.
    #[error("adapter `{name}` is not as expected: {} in force", found.as_ref().map_or_else(|| "none is".to_owned(), |found| format!("generation {found} is")))]
    Conflict {
        /// The name.
        name: String,
        /// The generation in force.
        found: Option<String>,
    },
    /// The files are not those that were loaded first.
    #[error("the files of adapter `{name}` have changed since it was loaded: load it anew")]
    Changed {
        /// The name.
        name: String,
    },
}
