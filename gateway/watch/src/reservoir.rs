//! A sample of whole rows, of which each has the same chance: those whose ids, hashed with a seed, come first (bottom-k, as
//! in Efraimidis and Spirakis 2006, with hashes for chance). Owns which rows stay.
//!
//! What stays is the **longest run of rows in the order of their hashes that fits** into so many rows and bytes. That is a
//! property of the set, so neither the order of rows matters nor how they came to replicas; therefore the hash of the
//! first row that did not fit is remembered, and nothing behind it is taken again.

use crate::plan::Keep;
use crate::share::hash;
use crate::value::{Row, Value};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use tidegate_core::InferenceId;

/// What a row takes beside its values.
const ENTRY: usize = 96;

/// A row that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The call.
    pub call: InferenceId,
    /// When it was accepted, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Its values, by column.
    pub row: Row,
}

impl Kept {
    /// What it takes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        ENTRY + self.row.iter().map(Value::bytes).sum::<usize>()
    }
}

/// The rows that stay.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Stored")]
pub struct Reservoir {
    keep: Keep,
    kept: BTreeMap<(u64, InferenceId), Kept>,
    bytes: usize,
    /// Rows with this hash or a later one do not stay.
    cut: Option<u64>,
}

/// As it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    keep: Keep,
    kept: Vec<Kept>,
    cut: Option<u64>,
}

impl From<Stored> for Reservoir {
    fn from(Stored { keep, kept, cut }: Stored) -> Self {
        Self::of(keep, kept, cut)
    }
}

impl Serialize for Reservoir {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stored = serializer.serialize_struct("Stored", 3)?;
        stored.serialize_field("keep", &self.keep)?;
        stored.serialize_field("kept", &self.kept.values().collect::<Vec<_>>())?;
        stored.serialize_field("cut", &self.cut)?;
        stored.end()
    }
}

impl Reservoir {
    /// An empty one.
    #[must_use]
    pub const fn new(keep: Keep) -> Self {
        Self { keep, kept: BTreeMap::new(), bytes: 0, cut: None }
    }

    /// Of rows that another one kept, and of its cut.
    #[must_use]
    pub fn of(keep: Keep, rows: Vec<Kept>, cut: Option<u64>) -> Self {
        let mut reservoir = Self { cut, ..Self::new(keep) };
        for kept in rows {
            let hash = hash(keep.seed, kept.call);
            if reservoir.wants(hash) {
                reservoir.put(hash, kept);
            }
        }
        reservoir
    }

    /// Shows a row; `make` is asked for it only where it stays for now.
    #[inline]
    pub fn offer(&mut self, call: InferenceId, unix_ms: u64, make: impl FnOnce() -> Row) {
        if self.keep.rows == 0 {
            return;
        }
        let hash = hash(self.keep.seed, call);
        if self.wants(hash) {
            self.put(hash, Kept { call, unix_ms, row: make() });
        }
    }

    fn wants(&self, hash: u64) -> bool {
        self.cut.is_none_or(|cut| hash < cut)
    }

    fn put(&mut self, hash: u64, kept: Kept) {
        let bytes = kept.bytes();
        if let Some(before) = self.kept.insert((hash, kept.call), kept) {
            self.bytes -= before.bytes();
        }
        self.bytes += bytes;
        self.trim();
    }

    /// Lets those go that do not fit, from the last hash on.
    fn trim(&mut self) {
        while self.kept.len() > self.keep.rows || self.bytes > self.keep.bytes {
            let Some(((hash, _), last)) = self.kept.pop_last() else { return };
            self.bytes -= last.bytes();
            self.cut = Some(hash);
        }
    }

    /// Lets those go that do not fit into so many bytes, from the last hash on; nothing behind them is taken again.
    pub fn fit(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(((hash, _), last)) = self.kept.pop_last() else { return };
            self.bytes -= last.bytes();
            self.cut = Some(hash);
        }
    }

    /// Takes what another one kept.
    pub fn merge(&mut self, other: &Self) {
        self.cut = match (self.cut, other.cut) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, two) => one.or(two),
        };
        while let Some(last) = self.kept.last_entry() {
            if self.cut.is_none_or(|cut| last.key().0 < cut) {
                break;
            }
            self.bytes -= last.remove().bytes();
        }
        for ((hash, _), kept) in &other.kept {
            if self.wants(*hash) {
                self.put(*hash, kept.clone());
            }
        }
    }

    /// The rows, in the order of their hashes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Kept> {
        self.kept.values()
    }

    /// The rows themselves, in the order of their hashes.
    #[must_use]
    pub fn into_rows(self) -> Vec<Kept> {
        self.kept.into_values().collect()
    }

    /// Rows with this hash or a later one did not stay.
    #[must_use]
    pub const fn cut(&self) -> Option<u64> {
        self.cut
    }

    /// Their bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn offer(reservoir: &mut Reservoir, number: u64) {
        let length = usize::try_from(number % 97).unwrap_or_default();
        let text = || Value::Text(Cow::Owned("x".repeat(length)));
        reservoir.offer(InferenceId::from_parts(number, number, !number), number, || vec![text()].into());
    }

    #[test]
    fn each_row_has_the_same_chance() {
        let mut times = [0u32; 20];
        for seed in 0..10_000 {
            let mut reservoir = Reservoir::new(Keep { rows: 5, bytes: usize::MAX, seed });
            (0..20).for_each(|number| offer(&mut reservoir, number));
            assert_eq!(reservoir.rows().len(), 5);
            reservoir.rows().for_each(|kept| times[usize::try_from(kept.unix_ms).unwrap()] += 1);
        }
        // 2,500 each, and five standard deviations.
        assert!(times.iter().all(|times| (2_284..=2_716).contains(times)), "{times:?}");
    }

    #[test]
    fn bytes_are_bounded_and_the_order_does_not_matter() {
        let keep = Keep { rows: 1_000, bytes: 5_000, seed: 1 };
        let (mut up, mut down) = (Reservoir::new(keep), Reservoir::new(keep));
        let mut parts = [Reservoir::new(keep), Reservoir::new(keep), Reservoir::new(keep)];
        for number in 0..500 {
            offer(&mut up, number);
            assert!(up.bytes() <= keep.bytes);
            offer(&mut down, 499 - number);
            offer(&mut parts[usize::try_from(number % 3).unwrap()], number);
        }
        assert_eq!(up, down);
        assert_eq!(up.bytes(), up.rows().map(Kept::bytes).sum::<usize>());
        let [mut one, two, three] = parts;
        one.merge(&three);
        one.merge(&two);
        assert_eq!(up, one);
        let again: Reservoir = serde_json::from_str(&serde_json::to_string(&up).unwrap()).unwrap();
        assert_eq!(up, again);
        // Nothing fits: nothing is kept, and nothing wrong is.
        let mut none = Reservoir::new(Keep { rows: 9, bytes: 10, seed: 1 });
        (0..9).for_each(|number| offer(&mut none, number));
        assert_eq!((none.rows().len(), none.bytes()), (0, 0));
    }
}
