//! What learners learnt from, kept beside the records of calls: each reward that was folded and each state that was
//! published, in that order, so that a learner goes on where it was and a decision can be reckoned anew. Owns what the
//! entries are; how rewards of many calls stand in one line is [`calls`]'s.

pub mod calls;

use crate::StoreFault;
use crate::lines::Lines;
use calls::Calls;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::event::Regarded;
use tidegate_core::{InferenceId, RouteName, StateId, Tenant, VariantName};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learnt {
    /// A reward was folded.
    Reward(RewardEntry),
    /// A state was published.
    State(StateEntry),
    /// A caller's value was taken, whether anybody learnt from it or not.
    Feedback(FeedbackEntry),
}

/// A reward of an arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The route.
    pub route: RouteName,
    /// The arm that was drawn.
    pub variant: VariantName,
    /// The reward's name.
    pub reward: Arc<str>,
    /// Its value, as it was given.
    pub value: f64,
    /// The call.
    pub id: InferenceId,
    /// What of the call was regarded. Older entries lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regarded: Option<Regarded>,
}

/// What is remembered of an arm's rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SumsEntry {
    /// Their weight, sum and sum of squares.
    Plain([f64; 3]),
    /// The sums of a regression on the features of calls.
    Linear {
        /// The lower triangle of `Σ x xᵀ`, row by row, where `x` is 1 and then the features.
        a: Vec<f64>,
        /// `Σ x r`.
        b: Vec<f64>,
        /// `Σ r²`.
        squares: f64,
    },
}

/// What a learner knew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The route.
    pub route: RouteName,
    /// Its name in records.
    pub id: StateId,
    /// What it learns from.
    pub reward: Arc<str>,
    /// The arms, in the order of the route.
    pub variants: Vec<VariantName>,
    /// The probability of each.
    pub shares: Arc<[f64]>,
    /// What is remembered of each arm's rewards, as far as this replica took them.
    pub tallies: Vec<SumsEntry>,
    /// Names the declaration of the features that these are of. Entries of blind rules lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<StateId>,
    /// How many rewards this replica has folded, ever. Older entries lack it.
    #[serde(default)]
    pub folded: u64,
    /// What it knew from other replicas then, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<HeardEntry>,
}

/// What a learner knew from other replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeardEntry {
    /// How many rewards each of them had folded, by its name.
    pub folded: BTreeMap<String, u64>,
    /// The sum of what they knew of each arm, as in [`StateEntry::tallies`].
    pub tallies: Vec<SumsEntry>,
}

/// What a caller said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The call, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InferenceId>,
    /// The episode, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Arc<str>>,
    /// For whom the caller spoke: episodes of different tenants may have one name. Older entries lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// The reward's name.
    pub reward: Arc<str>,
    /// Its value.
    pub value: f64,
    /// Who said so.
    pub by: String,
    /// Under which key, and what was said: digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<(String, String)>,
}

/// The log.
#[derive(Debug)]
pub struct LearningLog(Lines<Learnt>);

impl LearningLog {
    /// Writes entries of one moment; with `is_synced` they are on disk when this returns.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, now_ms: u64, entries: &[Learnt], is_synced: bool) -> Result<(), StoreFault> {
        self.0.append(now_ms, entries, is_synced)
    }

    /// Writes rewards that calls said of themselves, in their short form: many cost little. They are read as entries.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append_calls(&mut self, now_ms: u64, calls: &[Calls<'_>]) -> Result<(), StoreFault> {
        self.0.append_as(now_ms, calls.iter().flat_map(|calls| calls.lines(now_ms)), false)
    }

    /// All entries in their order; lines that a kill cut off are none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&self, each: impl FnMut(Learnt)) -> Result<(), StoreFault> {
        self.read_since(0, each)
    }

    /// The entries of the day of this moment and all later ones.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read_since(&self, since_ms: u64, mut each: impl FnMut(Learnt)) -> Result<(), StoreFault> {
        self.0.read_lines(since_ms, |line| match serde_json::from_slice(line) {
            Ok(entry) => each(entry),
            Err(_) => calls::read(line, &mut each),
        })
    }
}

/// The log in this folder of an event store.
#[must_use]
pub fn log_at(folder: &Path) -> LearningLog {
    LearningLog(Lines::at(folder.join("learning")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives(text: &str) -> StateEntry {
        let entry: StateEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        entry
    }

    #[test]
    fn an_entry_of_either_kind_survives_its_line_to_the_bit() {
        let plain = survives(
            r#"{"at":1,"route":"r","id":"0123456789abcdef","reward":"error","variants":["a"],"shares":[1.0],"tallies":[[3.0,0.30000000000000004,1e-300]],"folded":3}"#,
        );
        assert_eq!(plain.tallies, [SumsEntry::Plain([3.0, 0.1 + 0.2, 1e-300])]);
        let linear = survives(
            r#"{"at":1,"route":"r","id":"0123456789abcdef","reward":"error","variants":["a"],"shares":[1.0],"tallies":[{"a":[2.0,0.30000000000000004,1.0],"b":[1.0,-0.1],"squares":1.0}],"features":"0123456789abcdef","folded":3}"#,
        );
        let (a, b) = (vec![2.0, 0.1 + 0.2, 1.0], vec![1.0, -0.1]);
        assert_eq!(linear.tallies, [SumsEntry::Linear { a, b, squares: 1.0 }]);
    }
}
