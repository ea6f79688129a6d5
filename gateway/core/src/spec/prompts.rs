//! The settings of prompts.

use crate::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Prompts versioned in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptsSpec {
    /// The folder of the repository, bare or with a work tree; of a remote one, the folder of its mirror.
    pub repository: PathBuf,
    /// Where the mirror is fetched from; `None` where the repository is a folder of this machine.
    pub remote: Option<RemoteSpec>,
    /// The folder of prompts in it.
    pub path: String,
    /// The branch that is followed and written; `None` for the one that `HEAD` names.
    pub branch: Option<String>,
}

/// A remote repository, which is only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSpec {
    /// Its address: `https://…`, `ssh://…` or `user@host:path`.
    pub url: String,
    /// Who we are there, for https.
    pub login: Option<(String, Secret)>,
    /// The file of our key, for ssh.
    pub identity: Option<PathBuf>,
    /// How often it is fetched.
    pub poll: Duration,
    /// What its forge signs webhooks with, where it sends any.
    pub webhook: Option<Secret>,
}
