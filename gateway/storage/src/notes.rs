//! What callers said of calls that nobody learns from: labels, and answers that would have been right. They lie beside the
//! records of calls, in a log of their own, since they may be content and so go when records go. Owns what the entries are.

use crate::lines::Lines;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::port::learning::Kept;
use tidegate_core::{InferenceId, LabelName, Tenant};

/// What a caller said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoteEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The call, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InferenceId>,
    /// The episode, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Arc<str>>,
    /// For whom the caller spoke.
    pub tenant: Tenant,
    /// What he said.
    pub said: Note,
    /// Whether it came late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Who said so.
    pub by: String,
    /// Under which key, and what was said: digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<(String, String)>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Of which class it is.
    Label {
        /// Of what that is a class.
        name: LabelName,
        /// The class.
        class: Arc<str>,
    },
    /// The answer that would have been right, as far as it is kept.
    Demonstration {
        /// How far.
        kept: Kept,
        /// The digest of the text, or of the JSON without white space and with its members sorted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
        /// It, whole or with each text replaced by its length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<serde_json::Value>,
    },
}

/// The log.
pub type NoteLog = Lines<NoteEntry>;

/// The log in this folder of an event store.
#[must_use]
pub fn notes_at(folder: &Path) -> NoteLog {
    Lines::at(folder.join("notes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_its_line_and_what_is_not_kept_is_not_in_it() {
        for text in [
            r#"{"at":1,"id":"01931c2e-8f10-7cc3-98c4-dc0c0c07398f","tenant":"t","said":{"label":{"name":"topic","class":"billing"}},"by":"ann","once":["k","s"]}"#,
            r#"{"at":1,"episode":"e","tenant":"t","said":{"demonstration":{"kept":"nothing"}},"late":true,"by":"ann"}"#,
            r#"{"at":1,"episode":"e","tenant":"t","said":{"demonstration":{"kept":"full","content":{"a":["b",1]}}},"by":"ann"}"#,
        ] {
            let entry: NoteEntry = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        }
    }
}
