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
    pub artifacts: ArtifactsSpec,
    /// The longest file that is taken, in bytes.
    pub largest_artifact: u64,
    /// Where webhooks may go.
    pub webhooks: Reach,
    /// A tracking server of MLflow, which knows where the files of logged models lie.
    pub tracking: Option<Uri>,
    /// What stands before aliases.
    pub governance: GovernanceSpec,
}

/// Where the files of versions lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactsSpec {
    /// A folder of this machine; made where it is not there.
    Folder(PathBuf),
    /// A bucket.
    S3(S3Spec),
}

/// A bucket of S3 or of what speaks like it. What is left out here is taken from the environment as AWS's own tools do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Spec {
    /// The bucket; it has to be there.
    pub bucket: String,
    /// Below which all keys begin; empty for none.
    pub prefix: String,
    /// The server, where it is not AWS's own.
    pub endpoint: Option<Uri>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// Who we are there.
    pub key: Option<S3Key>,
    /// The folder of this machine for what has to be a file here.
    pub cache: PathBuf,
}

/// Credentials for S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Key {
    /// The key's name.
    pub id: Secret,
    /// The key.
    pub secret: Secret,
}

/// Which database a registry lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSpec {
    /// A file of this machine; made where it is not there.
    Sqlite(PathBuf),
    /// A server, as `postgres://user:password@host:port/database`.
    Postgres(Secret),
}
