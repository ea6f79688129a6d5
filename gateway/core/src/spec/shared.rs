//! The store that replicas share.

use crate::Secret;

/// Where replicas share what limits count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSpec {
    /// The address of a Redis, with its password where it has one.
    pub url: Secret,
}
