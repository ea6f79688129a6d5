//! Windows that have not ended. Owns which one a call belongs to and when it ends: after so many calls, or when its time is
//! over, whichever comes first. Windows by time begin at whole multiples of it since 1970, so that all replicas mean the
//! same ones.

use super::{Counts, millis};
use crate::pane::{Packed, Pane};
use crate::plan::{Keep, Plan, Unlike};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::InferenceId;
use tidegate_core::spec::WindowSpec;

/// The most windows that may be open at a time.
const MOST_OPEN: u64 = 1024;

/// A window that has ended.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Names it among those of its monitor: its begin, and which of those that begin then it is.
    pub id: String,
    /// Its begin, in milliseconds since 1970.
    pub start_ms: u64,
    /// Its end.
    pub end_ms: u64,
    /// What was seen.
    pub pane: Pane,
    /// Whether that is enough to say something.
    pub speaks: bool,
}

/// A window that has ended as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    id: String,
    start_ms: u64,
    end_ms: u64,
    pane: Packed,
    speaks: bool,
}

impl Closed {
    /// As it is written down.
    #[must_use]
    pub fn packed(&self) -> Ended {
        let Self { id, start_ms, end_ms, pane, speaks } = self;
        Ended { id: id.clone(), start_ms: *start_ms, end_ms: *end_ms, pane: pane.packed(), speaks: *speaks }
    }
}

impl Ended {
    /// The window.
    ///
    /// # Errors
    /// It was made for something else, or is damaged.
    pub fn open(self, plan: &Arc<Plan>) -> Result<Closed, Unlike> {
        let Self { id, start_ms, end_ms, pane, speaks } = self;
        Ok(Closed { id, start_ms, end_ms, pane: pane.open(plan)?, speaks })
    }
}

/// Where and when windows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Here: when they are full, or when their time is over.
    Here,
    /// Here, but their time is over when a tick says so, and not before: what others collected may be on its way as long
    /// as nobody ticks.
    AtTicks,
    /// Elsewhere.
    Elsewhere,
}

/// Too many windows would be open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(u64);

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(open) = self;
        write!(
            f,
            "{open} windows would be open at a time, since calls wait for what is said of them later, and {MOST_OPEN} may \
             be: make `window.every` longer or `window.wait` shorter"
        )
    }
}

impl std::error::Error for TooMany {}

/// Windows that have not ended.
#[derive(Debug)]
pub struct Open {
    size: Option<u64>,
    every_ms: Option<u64>,
    min: u64,
    lateness_ms: u64,
    /// How long after its end a window still takes calls.
    grace_ms: u64,
    ends: Ends,
    /// By the number of their begin; without a time there is only the number 0.
    slots: BTreeMap<u64, Slot>,
    /// The first slot that has not ended.
    next: u64,
    /// Of windows without a time: how many ended.
    ended: u64,
}

#[derive(Debug)]
struct Slot {
    /// How many windows of this begin are full.
    full: u64,
    pane: Pane,
}

/// As it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    slots: Vec<(u64, u64, Packed)>,
    next: u64,
    ended: u64,
}

impl Open {
    /// None yet.
    ///
    /// # Errors
    /// Too many would be open at a time.
    pub(super) fn new(spec: WindowSpec, lateness: Duration, waits: bool, ends: Ends) -> Result<Self, TooMany> {
        let wait_ms = if waits { millis(spec.wait) } else { 0 };
        let open = Self {
            size: spec.size.map(|size| size.max(1)),
            every_ms: spec.every.map(|every| millis(every).max(1)),
            min: spec.min,
            lateness_ms: millis(lateness),
            grace_ms: wait_ms.saturating_add(millis(lateness)),
            ends,
            slots: BTreeMap::new(),
            next: 0,
            ended: 0,
        };
        let at_a_time = open.at_a_time();
        if at_a_time > MOST_OPEN { Err(TooMany(at_a_time)) } else { Ok(open) }
    }

    /// How many are open at a time, at most: those that still take calls, and the one that skewed clocks may open.
    fn at_a_time(&self) -> u64 {
        self.every_ms.map_or(1, |every| self.grace_ms.div_ceil(every).saturating_add(2))
    }

    /// The same plan, keeping in each window what is due to it of the bytes for all.
    pub(super) fn divided(&self, plan: Arc<Plan>) -> Result<Arc<Plan>, TooMany> {
        let keep = plan.keep();
        let at_a_time = usize::try_from(self.at_a_time()).unwrap_or(usize::MAX);
        // Two are open at a time even without waiting; that much is in the bytes.
        let bytes = keep.bytes / (at_a_time / 2).max(1);
        if bytes == keep.bytes {
            return Ok(plan);
        }
        let divided = Plan::new(plan.shape().clone(), plan.reference().cloned(), Keep { bytes, ..keep });
        divided.map(Arc::new).map_err(|_| TooMany(self.at_a_time()))
    }

    /// Takes a call.
    pub(super) fn take(
        &mut self,
        plan: &Arc<Plan>,
        counts: &mut Counts,
        now_ms: u64,
        (call, unix_ms): (InferenceId, u64),
        row: &[Value<'_>],
    ) -> Vec<Closed> {
        let is_skewed = unix_ms > now_ms.saturating_add(self.lateness_ms);
        let at_ms = if is_skewed { now_ms } else { unix_ms };
        let number = self.number(at_ms);
        if self.has_ended(number, now_ms) {
            counts.late += 1;
            return Vec::new();
        }
        counts.skewed += u64::from(is_skewed);
        counts.taken += 1;
        self.slot(plan, number).pane.take(call, at_ms, row);
        self.full(plan, number)
    }

    /// Takes what came elsewhere.
    pub(super) fn absorb(
        &mut self,
        plan: &Arc<Plan>,
        counts: &mut Counts,
        now_ms: u64,
        number: u64,
        pane: &Pane,
    ) -> Result<Vec<Closed>, Unlike> {
        // What others call a slot is not believed where it is none of now.
        let number = number.min(self.number(now_ms.saturating_add(self.lateness_ms)));
        if self.has_ended(number, now_ms) {
            counts.late += pane.rows();
            return Ok(Vec::new());
        }
        self.slot(plan, number).pane.merge(pane)?;
        counts.taken += pane.rows();
        Ok(self.full(plan, number))
    }

    fn number(&self, at_ms: u64) -> u64 {
        self.every_ms.map_or(0, |every| at_ms / every)
    }

    fn has_ended(&self, number: u64, now_ms: u64) -> bool {
        let is_over = self.ends != Ends::AtTicks && number < self.over(now_ms);
        self.every_ms.is_some() && (number < self.next || is_over)
    }

    /// The first slot that takes calls at this time.
    fn over(&self, now_ms: u64) -> u64 {
        self.every_ms.map_or(0, |every| now_ms.saturating_sub(self.grace_ms) / every)
    }

    fn slot(&mut self, plan: &Arc<Plan>, number: u64) -> &mut Slot {
        self.slots.entry(number).or_insert_with(|| Slot { full: 0, pane: Pane::new(plan) })
    }

    /// Ends a window that is full.
    fn full(&mut self, plan: &Arc<Plan>, number: u64) -> Vec<Closed> {
        let Some(slot) = self.slots.get_mut(&number) else { return Vec::new() };
        if self.ends == Ends::Elsewhere || self.size.is_none_or(|size| slot.pane.rows() < size) {
            return Vec::new();
        }
        let pane = std::mem::replace(&mut slot.pane, Pane::new(plan));
        slot.full += 1;
        let (full, (start_ms, end_ms)) = (slot.full, pane.span_ms().unwrap_or_default());
        let id = if self.every_ms.is_some() {
            format!("{start_ms}-{full}")
        } else {
            self.ended += 1;
            format!("{start_ms}-{}", self.ended)
        };
        vec![Closed { id, start_ms, end_ms, speaks: pane.rows() >= self.min, pane }]
    }

    /// Ends those whose time is over.
    pub(super) fn tick(&mut self, now_ms: u64) -> Vec<Closed> {
        let (Some(every), false) = (self.every_ms, self.ends == Ends::Elsewhere) else { return Vec::new() };
        self.next = self.next.max(self.over(now_ms));
        let mut closed = Vec::new();
        while let Some(entry) = self.slots.first_entry().filter(|entry| *entry.key() < self.next) {
            let (number, slot) = entry.remove_entry();
            if slot.pane.rows() == 0 {
                continue;
            }
            let begin = number.saturating_mul(every);
            // What is left of a slot in which windows were full begins where the last of them ended.
            let start_ms = if slot.full == 0 { begin } else { slot.pane.span_ms().map_or(begin, |(first, _)| first) };
            closed.push(Closed {
                id: format!("{start_ms}-{}", slot.full + 1),
                start_ms,
                end_ms: begin.saturating_add(every),
                speaks: slot.pane.rows() >= self.min,
                pane: slot.pane,
            });
        }
        closed
    }

    /// What came, slot by slot; nothing stays.
    pub(super) fn drain(&mut self) -> Vec<(u64, Pane)> {
        let slots = std::mem::take(&mut self.slots);
        slots.into_iter().map(|(number, slot)| (number, slot.pane)).filter(|(_, pane)| pane.rows() > 0).collect()
    }

    /// Lets the oldest go where there are more than so many; the calls that they had.
    pub(super) fn let_go(&mut self, most: usize) -> u64 {
        let mut rows = 0;
        while self.slots.len() > most {
            rows += self.slots.pop_first().map_or(0, |(_, slot)| slot.pane.rows());
        }
        rows
    }

    /// Lets all go.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }

    pub(super) fn rows(&self) -> u64 {
        self.slots.values().map(|slot| slot.pane.rows()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.values().map(|slot| slot.pane.bytes()).sum()
    }

    pub(super) fn saved(&self) -> Saved {
        let slots = self.slots.iter().map(|(number, slot)| (*number, slot.full, slot.pane.packed())).collect();
        Saved { slots, next: self.next, ended: self.ended }
    }

    /// Goes on from what was saved; panes in the bins of another reference are let go.
    pub(super) fn restore(&mut self, plan: &Arc<Plan>, saved: Saved) -> Result<(), Unlike> {
        let mut slots = BTreeMap::new();
        for (number, full, packed) in saved.slots {
            match packed.open(plan) {
                Ok(pane) => {
                    slots.insert(number, Slot { full, pane });
                }
                Err(Unlike::Reference) => {}
                Err(unlike) => return Err(unlike),
            }
        }
        (self.slots, self.next, self.ended) = (slots, saved.next, saved.ended);
        Ok(())
    }
}
