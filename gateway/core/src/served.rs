//! What was looked up for a call, as its record has it. Owns the form and how much is kept.

use crate::ViewName;
use crate::port::features::{FeatureValue, KeyValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many rows of a call are kept, the first ones.
pub const MOST_SERVED_ROWS: usize = 64;

/// What a view served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedView {
    /// The view.
    pub view: ViewName,
    /// How many rows there were.
    pub rows: u64,
    /// Microseconds that it took.
    pub us: u64,
    /// Why the store could not be asked, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Arc<str>>,
    /// What was served of the first rows, in their order.
    pub served: Vec<ServedRow>,
}

/// What was served of one row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServedRow {
    /// Whose features they are, where contents are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key: BTreeMap<Arc<str>, KeyValue>,
    /// They, by the names under which the model got them.
    pub features: BTreeMap<Arc<str>, ServedFeature>,
}

/// What was served as a feature.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServedFeature {
    /// The value that the model got; none where it got nothing, or what is not a finite number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<FeatureValue>,
    /// Since when it was so, in milliseconds since 1970; not of defaults, nor where the store does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// How old what the store had was at the look-up, in milliseconds; below zero where it was from the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<i64>,
    /// Whether it was older than the view allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Why the value is not the store's: then it is the default, or the call was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Lack>,
}

/// Why there was no value to serve: a closed set, so it may be a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The store has none.
    Missing,
    /// It was too old.
    Stale,
    /// The store could not be asked.
    Failed,
    /// It is no value of the column's type.
    Unfit,
}

impl Lack {
    /// Its name in records and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Unfit => "unfit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_served_survives_its_record() {
        for text in [
            r#"{"view":"customer","rows":1,"us":312,"served":[{"key":{"customer":7},"features":{"rate":{"value":0.5,"at":5,"age_ms":-2}}}]}"#,
            r#"{"view":"c","rows":9,"us":1,"failed":"late","served":[{"features":{"a":{"value":"x","lacks":"failed"},"b":{"value":3,"age_ms":9,"stale":true},"c":{"lacks":"missing"}}}]}"#,
        ] {
            let view: ServedView = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&view).unwrap(), text);
        }
    }
}
