//! The settings of prompts.

use std::path::PathBuf;

/// Prompts versioned in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptsSpec {
    /// The folder of the repository, bare or with a work tree.
    pub repository: PathBuf,
    /// The folder of prompts in it.
    pub path: String,
    /// The branch that is followed and written; `None` for the one that `HEAD` names.
    pub branch: Option<String>,
}
