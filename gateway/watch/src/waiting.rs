//! Calls that wait for what is said of them later: labels and rewards, by the call's id. Owns how long they wait, how many
//! of them, and that what is said twice counts once.
//!
//! A label may come before its call, since both travel by queues of their own; what is said of a call that is younger than
//! a minute is therefore kept for a while, too.

use crate::reservoir::Kept;
use crate::shape::Shape;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::InferenceId;

/// How long what came before its call is kept, in milliseconds.
const EARLY_MS: u64 = 60_000;
/// How much of it.
const MOST_EARLY: usize = 4096;
/// How much of it of one call.
const MOST_SAID: usize = 256;

/// How many calls may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// So many,
    pub calls: usize,
    /// and of so many bytes.
    pub bytes: usize,
}

impl Room {
    /// 100,000 calls within 64 MiB.
    pub const USUAL: Self = Self { calls: 100_000, bytes: 64 << 20 };
}

/// What became of what waited, and of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Waited {
    /// Calls of which all was said.
    pub complete: u64,
    /// Calls whose time was over before.
    pub expired: u64,
    /// Calls that had to go on before, since there was no room.
    pub evicted: u64,
    /// What was said of a call again: the first word stands.
    pub repeated: u64,
    /// What was said of calls that do not wait, or not any more.
    pub stray: u64,
}

/// Calls that wait.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    calls: BTreeMap<InferenceId, Waiter>,
    /// When the time of each is over.
    due: BTreeSet<(u64, InferenceId)>,
    bytes: usize,
    early: BTreeMap<InferenceId, Early>,
    /// What became of them.
    pub waited: Waited,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiter {
    due_ms: u64,
    /// Whose call it is, where what is said of it comes from where nobody knew that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whose: Option<u64>,
    kept: Kept,
}

/// What was said of a call that did not come yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Early {
    until_ms: u64,
    said: Vec<(usize, Value<'static>)>,
    /// Who said it, in the same order, where it is not known whether the call is his.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by: Vec<Option<u64>>,
}

impl Waiting {
    /// Lets a call wait. Gives back those that go on now: itself, where nothing is left to be said of it, and the oldest ones
    /// where there is no room for all.
    #[must_use]
    pub fn put(&mut self, shape: &Shape, room: Room, (due_ms, whose): (u64, Option<u64>), mut kept: Kept) -> Vec<Kept> {
        let early = self.early.remove(&kept.call);
        let (said, by) = early.map(|early| (early.said, early.by)).unwrap_or_default();
        let by = by.into_iter().chain(std::iter::repeat(None));
        for ((at, value), who) in said.into_iter().zip(by) {
            if !may(whose, who) {
                self.waited.stray += 1;
                continue;
            }
            match kept.row.get_mut(at) {
                Some(cell) if cell.is_missing() => *cell = value,
                _ => self.waited.repeated += 1,
            }
        }
        if is_complete(shape, &kept) {
            self.waited.complete += 1;
            return vec![kept];
        }
        self.bytes += kept.bytes();
        self.due.insert((due_ms, kept.call));
        if let Some(before) = self.calls.insert(kept.call, Waiter { due_ms, whose, kept }) {
            // The same call once more: that is not foreseen, and the newer one stays.
            self.bytes -= before.kept.bytes();
            if before.due_ms != due_ms {
                self.due.remove(&(before.due_ms, before.kept.call));
            }
        }
        let mut gone = Vec::new();
        while self.calls.len() > room.calls || self.bytes > room.bytes {
            let Some(kept) = self.due.first().copied().and_then(|(_, call)| self.remove(call)) else { break };
            self.waited.evicted += 1;
            gone.push(kept);
        }
        gone
    }

    /// This is said of a call in this column. Gives the call back where nothing is left to be said of it.
    #[must_use]
    pub fn said(
        &mut self,
        shape: &Shape,
        now_ms: u64,
        (call, who): (InferenceId, Option<u64>),
        at: usize,
        value: &Value<'_>,
    ) -> Option<Kept> {
        let value = value.to_kept(shape.kind(at));
        let Some(waiter) = self.calls.get_mut(&call) else {
            self.early(now_ms, (call, who), at, value);
            return None;
        };
        if !may(waiter.whose, who) {
            self.waited.stray += 1;
            return None;
        }
        let before = waiter.kept.bytes();
        match waiter.kept.row.get_mut(at) {
            Some(cell) if shape.is_later(at) && cell.is_missing() => *cell = value,
            _ => {
                self.waited.repeated += 1;
                return None;
            }
        }
        self.bytes = self.bytes + waiter.kept.bytes() - before;
        if !is_complete(shape, &waiter.kept) {
            return None;
        }
        self.waited.complete += 1;
        self.remove(call)
    }

    fn early(&mut self, now_ms: u64, (call, who): (InferenceId, Option<u64>), at: usize, value: Value<'static>) {
        if call.unix_ms() + EARLY_MS <= now_ms || value.is_missing() {
            self.waited.stray += 1;
            return;
        }
        if self.early.len() >= MOST_EARLY && !self.early.contains_key(&call) {
            // Ids sort by time, so the first is the oldest.
            let oldest = self.early.pop_first();
            self.waited.stray += oldest.map_or(0, |(_, early)| early.said.len() as u64);
        }
        let fresh = || Early { until_ms: now_ms + EARLY_MS, said: Vec::new(), by: Vec::new() };
        let early = self.early.entry(call).or_insert_with(fresh);
        // Another's word must not stand in the place of his whose call it is.
        let mut by = early.by.iter().copied().chain(std::iter::repeat(None));
        if early.said.iter().any(|(place, _)| by.next() == Some(who) && *place == at) || early.said.len() >= MOST_SAID {
            self.waited.repeated += 1;
        } else {
            early.by.resize(early.said.len(), None);
            early.said.push((at, value));
            early.by.push(who);
        }
    }

    /// Those whose time is over.
    #[must_use]
    pub fn tick(&mut self, now_ms: u64) -> Vec<Kept> {
        let mut gone = Vec::new();
        while let Some((_, call)) = self.due.first().copied().filter(|(due_ms, _)| *due_ms <= now_ms) {
            let Some(kept) = self.remove(call) else { break };
            self.waited.expired += 1;
            gone.push(kept);
        }
        let stray = &mut self.waited.stray;
        self.early.retain(|_, early| {
            let stays = early.until_ms > now_ms;
            *stray += if stays { 0 } else { early.said.len() as u64 };
            stays
        });
        gone
    }

    fn remove(&mut self, call: InferenceId) -> Option<Kept> {
        let waiter = self.calls.remove(&call)?;
        self.due.remove(&(waiter.due_ms, call));
        self.bytes = self.bytes.saturating_sub(waiter.kept.bytes());
        Some(waiter.kept)
    }

    /// Whether this call waits.
    #[must_use]
    pub fn has(&self, call: InferenceId) -> bool {
        self.calls.contains_key(&call)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Their bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether those that wait have a value for each column.
    #[must_use]
    pub fn fits(&self, shape: &Shape) -> bool {
        self.calls.values().all(|waiter| waiter.kept.row.len() == shape.len())
    }
}

/// Whether somebody may say something of a call of `whose`.
fn may(whose: Option<u64>, who: Option<u64>) -> bool {
    whose.is_none() || who.is_none() || whose == who
}

/// Whether nothing is left to be said of a call.
fn is_complete(shape: &Shape, kept: &Kept) -> bool {
    kept.row.iter().enumerate().all(|(at, value)| !value.is_missing() || !shape.is_later(at))
}
