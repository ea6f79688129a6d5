//! What shadows answered, kept beside the records of calls: how far each answer was from the one that the caller got. Owns
//! what the entries are; texts are none of them.

use crate::lines::Lines;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::{FaultKind, InferenceId, RouteName, VariantName};

/// A copy of a call that was answered, or failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The call.
    pub id: InferenceId,
    /// Its route.
    pub route: RouteName,
    /// The shadow.
    pub shadow: VariantName,
    /// The variant that answered the caller.
    pub primary: VariantName,
    /// Why the shadow failed; nothing where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// Seconds of the shadow, and of the call.
    pub seconds: [f64; 2],
    /// USD of the shadow, and of the call, where they are known.
    pub usd: [Option<f64>; 2],
    /// How the answers differ; nothing where the shadow failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
}

/// How two answers differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Compared {
    /// Whether the texts are the same to the byte.
    pub exact: bool,
    /// Whether they are the same but for case, white space and punctuation.
    pub normalised: bool,
    /// Where both are JSON, the paths at which they differ, at most 20; numbers may differ as far as is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Arc<str>>>,
    /// The cosine of their embeddings, in `[-1, 1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// What a judge says of the shadow's answer, in `[0, 1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<f64>,
}

/// The log.
pub type ShadowLog = Lines<ShadowEntry>;

/// The log in this folder of an event store.
#[must_use]
pub fn log_at(folder: &Path) -> ShadowLog {
    Lines::at(folder.join("shadows"))
}
