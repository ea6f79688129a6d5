//! What was retrieved beside what should have been, without a model. Owns ragas's non-LLM and id-based context precision and
//! recall (`NonLLMContextPrecisionWithReference`, `NonLLMContextRecall`, `IDBasedContextPrecision`, `IDBasedContextRecall`).
//!
//! A retrieved passage is useful where it is like enough to a reference passage. As in ragas, precision takes a likeness of just
//! the threshold for enough and recall does not.

use crate::ranked::count;
use crate::strings::{Likeness, letters};
use crate::verdicts;
use std::collections::BTreeSet;

/// How alike each retrieved passage is to each reference passage.
#[derive(Debug, Clone, PartialEq)]
pub struct Contexts {
    likenesses: Vec<Vec<f64>>,
    references: usize,
}

impl Contexts {
    /// Compares all with all.
    #[must_use]
    pub fn compare(retrieved: &[&str], references: &[&str], likeness: Likeness) -> Self {
        let wanted: Vec<Vec<char>> = references.iter().map(|text| letters(text)).collect();
        let rows = retrieved.iter().map(|text| {
            let text = letters(text);
            wanted.iter().map(|wanted| likeness.of_letters(&text, wanted)).collect()
        });
        Self { likenesses: rows.collect(), references: references.len() }
    }

    /// A row for each retrieved passage, with a likeness to each reference passage.
    #[must_use]
    pub fn likenesses(&self) -> &[Vec<f64>] {
        &self.likenesses
    }

    /// Whether the useful passages come first: the mean over useful ones of the share of useful ones up to their rank. 0 where
    /// none is, `None` where nothing was retrieved or there is nothing to compare with.
    #[must_use]
    pub fn precision(&self, threshold: f64) -> Option<f64> {
        let useful: Vec<bool> =
            self.likenesses.iter().map(|row| row.iter().any(|likeness| *likeness >= threshold)).collect();
        if self.references == 0 { None } else { verdicts::context_precision(&useful) }
    }

    /// The share of reference passages that something retrieved is like. `None` where there is no reference passage.
    #[must_use]
    pub fn recall(&self, threshold: f64) -> Option<f64> {
        let found = (0..self.references).filter(|at| {
            let mut column = self.likenesses.iter().filter_map(|row| row.get(*at));
            column.any(|likeness| *likeness > threshold)
        });
        (self.references > 0).then(|| count(found.count()) / count(self.references))
    }
}

/// The share of retrieved ids that are reference ids, each counted once. `None` where nothing was retrieved.
#[must_use]
pub fn id_precision(retrieved: &[&str], references: &[&str]) -> Option<f64> {
    share(retrieved, references)
}

/// The share of reference ids that were retrieved, each counted once. `None` where there is no reference id.
#[must_use]
pub fn id_recall(retrieved: &[&str], references: &[&str]) -> Option<f64> {
    share(references, retrieved)
}

fn share(of: &[&str], among: &[&str]) -> Option<f64> {
    let (of, among): (BTreeSet<_>, BTreeSet<_>) = (of.iter().collect(), among.iter().collect());
    (!of.is_empty()).then(|| count(of.intersection(&among).count()) / count(of.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_the_threshold_is_enough_for_precision_only() {
        let contexts = Contexts::compare(&["abcd", "ab"], &["ab"], Likeness::Levenshtein);
        assert_eq!(contexts.likenesses(), [[0.5], [1.0]]);
        assert_eq!((contexts.precision(0.5), contexts.recall(0.5)), (Some(1.0), Some(1.0)));
        let tied = Contexts::compare(&["abcd"], &["ab"], Likeness::Levenshtein);
        assert_eq!((tied.precision(0.5), tied.recall(0.5)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn nothing_to_compare_is_undefined() {
        let none = Contexts::compare(&[], &["a"], Likeness::Jaro);
        assert_eq!((none.precision(0.5), none.recall(0.5)), (None, Some(0.0)));
        let unknown = Contexts::compare(&["a"], &[], Likeness::Jaro);
        assert_eq!((unknown.precision(0.5), unknown.recall(0.5)), (None, None));
        assert_eq!((id_precision(&[], &["a"]), id_recall(&[], &["a"])), (None, Some(0.0)));
        assert_eq!((id_precision(&["a"], &[]), id_recall(&["a"], &[])), (Some(0.0), None));
    }

    #[test]
    fn ids_count_once() {
        assert_eq!(id_precision(&["a", "a", "b"], &["a"]), Some(0.5));
        assert_eq!(id_recall(&["a", "a", "b"], &["a", "c", "c"]), Some(0.5));
    }
}
