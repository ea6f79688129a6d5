//! The port to the registry for those who serve its models: what a reference means now, and whether anything changed.

use super::BoxFuture;
use crate::Fault;
use crate::model_ref::ModelRef;

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
    fn revision(&self) -> BoxFuture<'_, Result<i64, Fault>>;

    /// Enters into the audit log that a version could not be served here, and why.
    ///
    /// # Errors
    /// The registry cannot be written.
    fn refused<'a>(&'a self, reference: &'a ModelRef, version: u32, why: &'a str) -> BoxFuture<'a, Result<(), Fault>>;
}

/// A version that is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedVersion {
    /// Its number.
    pub version: u32,
    /// Where its files lie, as the registry knows it: `mlflow-artifacts:/PATH`.
    pub storage: String,
}
