//! The port to the registry for those who serve its models: what a reference means now, and whether anything changed.

use super::BoxFuture;
use crate::digest::Digest;
use crate::model_ref::ModelRef;
use crate::{Fault, ReplicaId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The registered models, as those see them who serve them.
pub trait Models: Send + Sync + std::fmt::Debug {
    /// The version that a reference means now.
    ///
    /// # Errors
    /// `NotFound` where there is none; `Unavailable` where the registry cannot be asked.
    fn resolve<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<ServedVersion, Fault>>;

    /// The number of the newest change: as long as it stays, so does what references mean.
    ///
    /// # Errors
    /// The registry cannot be asked.
    fn revision(&self) -> BoxFuture<'_, Result<Revision, Fault>>;

    /// Resolves when somebody changed the registry, as far as its database tells: it may never do, and whoever waits looks
    /// at the revision now and then anyway.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// Notes what this replica does now with the references that it has, in the place of what it noted before; and
    /// forgets replicas that noted nothing for a minute. This is no change of the registry.
    ///
    /// # Errors
    /// The registry cannot be written.
    fn announce<'a>(&'a self, replica: &'a ReplicaId, all: &'a [Serving]) -> BoxFuture<'a, Result<(), Fault>>;

    /// What the replicas do that noted something within the last minute.
    ///
    /// # Errors
    /// The registry cannot be asked.
    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaServing>, Fault>>;

    /// Enters into the audit log that a version could not be served here, and why.
    ///
    /// # Errors
    /// The registry cannot be written.
    fn refused<'a>(&'a self, reference: &'a ModelRef, version: u32, why: &'a str) -> BoxFuture<'a, Result<(), Fault>>;
}

/// The newest change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// When it was made, in milliseconds since 1970; `None` where there is none yet.
    pub at: Option<u64>,
}

/// What a replica does with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServingState {
    /// This version serves.
    Serves,
    /// This version is being loaded; the one before it serves meanwhile, if there is one.
    Loads,
    /// This version could not be loaded.
    Refused,
}

impl ServingState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Serves, Self::Loads, Self::Refused];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Loads => "loads",
            Self::Refused => "refused",
        }
    }
}

/// A reference and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The reference.
    pub reference: ModelRef,
    /// The version.
    pub version: u32,
    /// What is done with it.
    pub state: ServingState,
    /// Why it was refused.
    pub reason: String,
}

/// What one replica does with one reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaServing {
    /// The replica.
    pub replica: ReplicaId,
    /// The reference, as configurations write it.
    pub reference: String,
    /// The version.
    pub version: u32,
    /// What is done with it.
    pub state: ServingState,
    /// Why it was refused; else empty.
    #[serde(default)]
    pub reason: String,
    /// When it was noted last, in milliseconds since 1970.
    pub at: u64,
}

/// A version that is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedVersion {
    /// Its number.
    pub version: u32,
    /// Where its files lie, as the registry knows it: `mlflow-artifacts:/PATH`.
    pub storage: String,
    /// The SHA-256 that one of them must have, where the version was registered with one.
    pub sha256: Option<Digest>,
    /// What it takes and gives in MLflow's form, where it was registered with that.
    pub signature: Option<Value>,
}
