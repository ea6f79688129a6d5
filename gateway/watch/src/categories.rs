//! A column of categories in a window. Owns which of them are counted by name: those of the reference, and of the others
//! the 1,000 whose hashes come first; the rest are counted together.
//!
//! So what is counted does not depend on the order in which categories turn up, and the counts of parts add up to those
//! of the whole: whichever is among the first of all is among the first of each part that has it (the least `k` hashes, as
//! in Bar-Yossef et al. 2002).

use crate::value::{LONGEST_CATEGORY, Value, spelled};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use tidegate_core::dice::mix;

/// How all others are called together.
pub const OTHER: &str = "__other__";
/// The most categories that are counted by name beside those of the reference.
pub const MOST: usize = 1000;

/// What was seen of a column of categories.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    n: u64,
    missing: u64,
    /// Of the reference's categories, in their order.
    #[serde(with = "crate::packed::narrow")]
    known: Box<[u32]>,
    /// Those that the reference does not have, by their hashes.
    unseen: BTreeMap<u64, (Box<str>, u64)>,
    /// What is counted without a name.
    other: u64,
}

impl Categories {
    /// Beside so many of the reference's.
    #[must_use]
    pub fn new(known: usize) -> Self {
        Self { known: vec![0; known].into(), ..Self::default() }
    }

    /// Whether these were counted beside so many.
    #[must_use]
    pub fn fit(&self, known: usize) -> bool {
        self.known.len() == known && self.unseen.len() <= MOST
    }

    /// Takes a value; `known` are the reference's categories, ascending.
    pub fn take(&mut self, known: &[Box<str>], value: &Value<'_>) {
        let text: Cow<'_, str> = match value {
            Value::Text(text) => Cow::Borrowed(text),
            Value::Number(x) => match crate::value::number(*x) {
                Some(x) => Cow::Owned(spelled(x)),
                None => return self.missing += 1,
            },
            Value::Missing | Value::Vector(_) => return self.missing += 1,
        };
        if text.trim().is_empty() {
            return self.missing += 1;
        }
        self.n += 1;
        if let Ok(at) = known.binary_search_by(|name| (**name).cmp(&*text)) {
            if let Some(count) = self.known.get_mut(at) {
                *count = count.saturating_add(1);
            }
            return;
        }
        if text.len() > LONGEST_CATEGORY || &*text == OTHER {
            self.other += 1;
            return;
        }
        let hash = hash(&text);
        if let Some((_, count)) = self.unseen.get_mut(&hash) {
            *count += 1;
        } else if self.unseen.len() >= MOST && self.unseen.last_key_value().is_some_and(|(last, _)| hash > *last) {
            self.other += 1;
        } else {
            self.unseen.insert(hash, (Box::from(&*text), 1));
            self.trim();
        }
    }

    fn trim(&mut self) {
        while self.unseen.len() > MOST {
            let Some((_, (_, count))) = self.unseen.pop_last() else { return };
            self.other += count;
        }
    }

    /// Takes all that another column has, beside the same of a reference.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.missing += other.missing;
        self.other += other.other;
        self.known.iter_mut().zip(&other.known).for_each(|(count, more)| *count = count.saturating_add(*more));
        for (hash, (name, count)) in &other.unseen {
            let entry = self.unseen.entry(*hash).or_insert_with(|| (name.clone(), 0));
            entry.1 += count;
        }
        self.trim();
    }

    /// How many values.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// How many rows have none.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// How often each of the reference's categories was seen, in their order.
    #[must_use]
    pub fn of_known(&self) -> &[u32] {
        &self.known
    }

    /// The categories that the reference does not have, in the order of their names.
    #[must_use]
    pub fn unseen(&self) -> Vec<(&str, u64)> {
        let mut unseen: Vec<(&str, u64)> = self.unseen.values().map(|(name, count)| (&**name, *count)).collect();
        unseen.sort_unstable();
        unseen
    }

    /// How many were counted without a name.
    #[must_use]
    pub const fn other(&self) -> u64 {
        self.other
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names: usize = self.unseen.values().map(|(name, _)| name.len() + 64).sum();
        size_of::<Self>() + size_of_val(&*self.known) + names
    }
}

/// FNV-1a (Fowler, Noll, Vo), its bits scattered.
fn hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)))
}
