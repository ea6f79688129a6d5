//! The port to prompts: a reference and variables in, messages out.

use crate::Fault;
use crate::prompt::{PromptRef, PromptStamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Renders prompts. Reads an immutable snapshot; only the first use of a version reads from the disk.
pub trait Prompts: Send + Sync + std::fmt::Debug {
    /// Renders what `reference` points to now.
    ///
    /// # Errors
    /// `NotFound` where there is no such prompt, label or version; `InvalidRequest` with the variable as `param` where
    /// one is missing, unknown or not what its schema says; `Forbidden` for the work tree from afar.
    fn render(
        &self,
        reference: &PromptRef,
        variables: &Map<String, Value>,
        reach: Reach,
    ) -> Result<RenderedPrompt, Fault>;

    /// Whether `reference` points to a version that can be rendered: for `check` and for a reload; loads it on the way.
    ///
    /// # Errors
    /// Says what is wrong with it.
    fn ready(&self, reference: &PromptRef) -> Result<PromptStamp, Fault>;
}

/// From where a caller comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine: may use the work tree.
    Loopback,
    /// Any other.
    Afar,
}

/// A rendered prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenderedPrompt {
    /// Which version it is.
    pub stamp: PromptStamp,
    /// The messages, in order; a prompt of one text is one message of the user.
    pub messages: Vec<PromptMessage>,
    /// Default parameters of the call, such as `temperature`.
    pub parameters: Map<String, Value>,
    /// The form that the answer shall have, as in `response_format` of chat completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
}

/// One message of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptMessage {
    /// Who speaks.
    pub role: PromptRole,
    /// What is said.
    pub content: String,
}

/// Who speaks in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptRole {
    /// The operator's instructions.
    System,
    /// The same, as newer models name it.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl PromptRole {
    /// The word of it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}
