//! The windows of one version of a model: those that are open, those that wait to be judged, and what was found. Owns that
//! windows are judged one after the other, in their order.

use super::window::Past;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tidegate_core::port::alerts::Measured;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::AlarmSpec;
use tidegate_watch::{Change, Closed, Ended, Judge, Told, Windows};

/// So many windows may wait to be judged; older ones are left out.
const MOST_WAITING: usize = 8;
/// So many windows are remembered.
const MOST_PAST: usize = 64;
/// The least time between two evaluations that say the same, in milliseconds.
const EVALUATED_EACH_MS: u64 = 60_000;

/// The windows of a version.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) windows: Windows,
    /// Those that wait to be judged, the oldest first.
    queue: VecDeque<Closed>,
    /// Whether one is being judged.
    is_busy: bool,
    /// It, where others hear of it.
    busy: Option<Ended>,
    pub(super) record: Record,
    /// When a call was last taken.
    pub(super) last_ms: u64,
    /// When an evaluation was written last, and whether it passed.
    evaluated: Option<(u64, bool)>,
}

/// What is known of windows that are over. It outlives a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) judge: Judge,
    /// What it said last, in a sentence.
    pub(super) summary: String,
    /// Since when the verdict is this one.
    pub(super) since_ms: u64,
    /// The newest last.
    pub(super) past: VecDeque<Past>,
    pub(super) heard: u64,
    pub(super) breached: u64,
    pub(super) failed: u64,
    /// Those that had too few calls.
    pub(super) silent: u64,
    /// Those that waited too long.
    pub(super) left: u64,
}

impl Watching {
    pub(super) fn new(windows: Windows, record: Record, now_ms: u64) -> Self {
        Self { windows, queue: VecDeque::new(), is_busy: false, busy: None, record, last_ms: now_ms, evaluated: None }
    }

    /// These windows ended; `min` calls are needed to say anything.
    pub(super) fn ended(&mut self, closed: Vec<Closed>, min: u64) {
        for one in closed {
            if one.speaks {
                self.queue.push_back(one);
                if self.queue.len() > MOST_WAITING {
                    self.queue.pop_front();
                    self.record.left += 1;
                }
            } else if one.pane.rows() > 0 {
                self.record.silent += 1;
                let why = format!("it has {} calls, and fewer than {min} say nothing", one.pane.rows());
                self.record.remember(Past::silent(&one, why));
            }
        }
    }

    /// The next window to be judged, unless one is already; whether others are to hear of it meanwhile.
    pub(super) fn next(&mut self, is_shared: bool) -> Option<Closed> {
        if self.is_busy {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.is_busy = true;
        self.busy = is_shared.then(|| next.packed());
        Some(next)
    }

    /// The windows that are not judged yet, for others.
    pub(super) fn unjudged(&self) -> Vec<Ended> {
        self.busy.iter().cloned().chain(self.queue.iter().map(Closed::packed)).collect()
    }

    /// Takes up windows that were not judged; those that were counted in the bins of another reference are let go.
    pub(super) fn take_up(&mut self, unjudged: Vec<Ended>) {
        let plan = self.windows.plan();
        self.queue.extend(unjudged.into_iter().filter_map(|ended| ended.open(plan).ok()));
    }

    /// Whether nothing waits to be judged, or is being.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy && self.queue.is_empty()
    }

    /// This was found; what follows from it, where anything was.
    pub(super) fn judged(&mut self, past: Past, alarm: AlarmSpec, now_ms: u64) -> Option<Told> {
        (self.is_busy, self.busy) = (false, None);
        self.record.hear(past, alarm, now_ms)
    }

    /// Whether an evaluation is to be written now.
    pub(super) fn is_to_be_evaluated(&mut self, now_ms: u64) -> bool {
        let passed = !self.record.judge.firing();
        let is_new = self
            .evaluated
            .is_none_or(|(at, before)| before != passed || now_ms.saturating_sub(at) >= EVALUATED_EACH_MS);
        if is_new {
            self.evaluated = Some((now_ms, passed));
        }
        is_new
    }
}

impl Record {
    fn hear(&mut self, past: Past, alarm: AlarmSpec, now_ms: u64) -> Option<Told> {
        if past.fault.is_some() {
            self.failed += 1;
            self.remember(past);
            return None;
        }
        let out = past.found.out_of_bounds();
        if self.heard == 0 {
            self.since_ms = now_ms;
        }
        self.heard += 1;
        self.breached += u64::from(!out.is_empty());
        let told = self.judge.hear(alarm, past.end_ms, &out);
        self.summary.clone_from(&told.summary);
        if told.change != Change::Same {
            self.since_ms = now_ms;
        }
        self.remember(past);
        Some(told)
    }

    /// Of older windows no more than their numbers is needed.
    fn remember(&mut self, past: Past) {
        if past.fault.is_none() {
            for older in &mut self.past {
                older.found.detail = None;
                older.found.values.clear();
                older.columns = serde_json::Value::Null;
                older.worst.clear();
            }
        }
        self.past.push_back(past);
        if self.past.len() > MOST_PAST {
            self.past.pop_front();
        }
    }

    /// The numbers of the newest window that are out of bounds.
    pub(super) fn out_of_bounds(&self) -> Vec<Measured> {
        self.past
            .iter()
            .rev()
            .find(|past| past.fault.is_none())
            .map(|past| past.found.out_of_bounds())
            .unwrap_or_default()
    }

    /// What is said of this version now.
    pub(super) fn verdict(&self) -> Verdict {
        match (self.judge.firing(), self.heard) {
            (true, _) => Verdict::Alarm(self.summary.clone()),
            (false, 0) => Verdict::Unknown,
            (false, _) => Verdict::Well,
        }
    }
}
