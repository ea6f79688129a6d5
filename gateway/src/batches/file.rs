//! A file of a tenant: what is known of it beside its content. Owns OpenAI's object of it. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_core::Tenant;

/// The longest name that is kept of a file.
pub(super) const LONGEST_NAME: usize = 256;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// The input of a batch.
    Batch,
    /// What came of one.
    BatchOutput,
}

impl Purpose {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
        }
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// Its id.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) tenant: Tenant,
    /// How its caller calls it.
    pub(crate) name: String,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// When it was made, in seconds since 1970.
    pub(crate) created: u64,
    /// What it is for.
    pub(crate) purpose: Purpose,
}

impl File {
    /// OpenAI's object of it; `keep` is how long it is kept, in seconds.
    pub(super) fn shown(&self, keep: u64) -> Value {
        json!({
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created,
            "expires_at": self.created.saturating_add(keep),
            "filename": self.name,
            "purpose": self.purpose.name(),
            "status": "processed",
            "status_details": Value::Null,
        })
    }
}

/// What of a caller's name for a file is kept.
pub(super) fn named(given: &str) -> String {
    let plain = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = plain.chars().filter(|c| !c.is_control()).collect();
    while name.len() > LONGEST_NAME {
        name.pop();
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_no_path_is_kept() {
        assert_eq!(named("C:\\x\\a.jsonl"), "a.jsonl");
        assert_eq!(named("../../a\n.jsonl"), "a.jsonl");
        assert_eq!(named("dir/"), "file");
        assert_eq!(named(&"ü".repeat(300)).len(), 256);
    }
}
