//! The port to the audit log, for what is done beside the registry and belongs into its log.

use super::BoxFuture;
use crate::Fault;
use serde_json::Value;

/// The audit log.
pub trait Audit: Send + Sync + std::fmt::Debug {
    /// Enters a deed; it is durable when this resolves.
    ///
    /// # Errors
    /// The log cannot be written.
    fn enter(&self, deed: Noted) -> BoxFuture<'_, Result<(), Fault>>;
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// By whom.
    pub by: String,
    /// What was done, such as `prompt.label`.
    pub action: &'static str,
    /// To what, such as `prompts:/support@production`.
    pub subject: String,
    /// The particulars, which can be erased later.
    pub detail: Value,
}
