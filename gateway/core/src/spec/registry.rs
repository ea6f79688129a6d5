//! The registry's settings.

use super::GovernanceSpec;
use crate::Secret;
use crate::port::outbound::Reach;
use http::Uri;
use std::path::PathBuf;

/// The registry of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySpec {
    /// Where it keeps what it knows.
    pub database: DatabaseSpec,
    /// Where the files of versions lie.
    pub artifacts: PathBuf,
    /// The longest file that is taken, in bytes.
    pub largest_artifact: u64,
    /// Where webhooks may go.
    pub webhooks: Reach,
    /// A tracking server of MLflow, which knows where the files of logged models lie.
    pub tracking: Option<Uri>,
    /// What stands before aliases.
    pub governance: GovernanceSpec,
}

/// Which database a registry lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSpec {
    /// A file of this machine; made where it is not there.
    Sqlite(PathBuf),
    /// A server, as `postgres://user:password@host:port/database`.
    Postgres(Secret),
}
