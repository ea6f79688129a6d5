//! The categories of a reference. Owns which of them have a name: the 1,000 most frequent ones.

use crate::categories::{MOST, OTHER};
use crate::packed;
use crate::value::LONGEST_CATEGORY;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which categories there are, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// Ascending.
    names: Box<[Box<str>]>,
    /// How often each was seen.
    #[serde(with = "packed::wide")]
    counts: Box<[u64]>,
    /// How often any other.
    other: u64,
}

impl Vocabulary {
    /// Of these counts, and of `other` values that nobody named. Names that are too long go to the others.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (String, u64)>, mut other: u64) -> Self {
        let mut named = BTreeMap::<String, u64>::new();
        for (name, count) in counts {
            if name.len() > LONGEST_CATEGORY || name == OTHER {
                other += count;
            } else {
                *named.entry(name).or_default() += count;
            }
        }
        let mut ranked: Vec<(String, u64)> = named.into_iter().collect();
        // Stable: of those that are as frequent, the first in the alphabet.
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        other += ranked.iter().skip(MOST).map(|(_, count)| count).sum::<u64>();
        ranked.truncate(MOST);
        ranked.sort_unstable();
        let (names, counts): (Vec<Box<str>>, Vec<u64>) =
            ranked.into_iter().map(|(name, count)| (name.into_boxed_str(), count)).unzip();
        Self { names: names.into(), counts: counts.into(), other }
    }

    /// Whether it holds together.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        self.names.len() == self.counts.len() && self.names.len() <= MOST && self.names.is_sorted_by(|a, b| a < b)
    }

    /// The names, ascending.
    #[must_use]
    pub const fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// How often each was seen.
    #[must_use]
    pub const fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How often any other.
    #[must_use]
    pub const fn other(&self) -> u64 {
        self.other
    }

    /// How many values.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.counts.iter().fold(self.other, |n, count| n.saturating_add(*count))
    }
}
