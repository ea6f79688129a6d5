//! What replicas hand over to the one that judges: a parcel of what one of them collected since its last one. Owns the form,
//! and that a parcel is taken once, however often and in whatever order it is delivered.
//!
//! What goes into windows at once goes as panes, which add up and take little room however many calls there are; calls that
//! wait for what is said of them, or of which a reference is made, go as rows, and what is said goes as it was said. So all
//! that is not a sum is in one place.

use crate::reservoir::Kept;
use crate::value::Value;
use crate::windows::Part;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::{InferenceId, ModelName};

/// The version of the form.
pub const FORM: u32 = 1;
/// Parcels of so many replicas are known again; of more, of those that were heard of last.
const MOST_REPLICAS: usize = 256;
/// So many parcels of a replica may come before one that is lacking; then that one is not waited for any more.
const MOST_BEYOND: usize = 256;

/// A parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handed {
    /// The version of the form.
    pub handed: u32,
    /// Who hands it over: a run of a replica.
    pub by: String,
    /// Which of its parcels it is, counted from 1.
    pub seq: u64,
    /// What came, by version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<Of>,
    /// What was said of calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// Who wants all to begin anew, where somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anew: Option<String>,
}

/// What came of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    /// The model as it is configured.
    pub model: ModelName,
    /// Its version, where it comes from the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What goes into windows at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Calls that wait, or make a reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Call>,
}

/// A call, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The call.
    pub kept: Kept,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<u64>,
}

/// What was said of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The call.
    pub call: InferenceId,
    /// In which column.
    pub at: usize,
    /// What.
    pub value: Value<'static>,
    /// Who said it, where nobody knew whether the call is his.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<u64>,
}

/// Which parcels were taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(BTreeMap<String, Mark>);

/// Which parcels of one replica were taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// All up to this one,
    upto: u64,
    /// and these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    beyond: BTreeSet<u64>,
    /// When one came last.
    at_ms: u64,
}

impl Marks {
    /// Whether this parcel was not taken before; now it is.
    pub fn take(&mut self, now_ms: u64, by: &str, seq: u64) -> bool {
        if !self.0.contains_key(by) {
            while self.0.len() >= MOST_REPLICAS {
                let oldest = self.0.iter().min_by_key(|(_, mark)| mark.at_ms).map(|(by, _)| by.clone());
                oldest.map(|by| self.0.remove(&by));
            }
        }
        let mark = self.0.entry(by.to_owned()).or_default();
        mark.at_ms = now_ms;
        if seq <= mark.upto || !mark.beyond.insert(seq) {
            return false;
        }
        while mark.beyond.remove(&(mark.upto + 1)) {
            mark.upto += 1;
        }
        while mark.beyond.len() > MOST_BEYOND {
            mark.upto = mark.beyond.pop_first().unwrap_or(mark.upto);
        }
        true
    }

    /// How many replicas handed something over in the last so many milliseconds.
    #[must_use]
    pub fn replicas(&self, now_ms: u64, within_ms: u64) -> usize {
        self.0.values().filter(|mark| now_ms.saturating_sub(mark.at_ms) <= within_ms).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_parcel_is_taken_once_whatever_comes_when(order in prop::collection::vec((0..3usize, 1..40u64), 0..300)) {
            let (mut marks, mut taken) = (Marks::default(), BTreeSet::new());
            for (by, seq) in order {
                prop_assert_eq!(marks.take(0, &format!("r{by}"), seq), taken.insert((by, seq)));
                // A new leader goes on from what was written down.
                marks = serde_json::from_str(&serde_json::to_string(&marks).unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut marks = Marks::default();
        for n in 0..1_000 {
            assert!(marks.take(n, &format!("r{n}"), 1));
        }
        assert_eq!((marks.0.len(), marks.replicas(999, 9)), (MOST_REPLICAS, 10));
        // One that never comes is not waited for for ever; coming then, it is taken for one that came.
        for seq in (2..1_000).filter(|seq| *seq != 5) {
            assert!(marks.take(1_000, "r999", seq));
        }
        assert!(marks.0["r999"].beyond.len() <= MOST_BEYOND && !marks.take(1_000, "r999", 5));
    }
}
