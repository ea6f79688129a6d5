//! When a batch is run: the decision, and the estimates it rests on. Pure: time is given.
//!
//! A free worker takes what is queued. It waits for more only where the next call is expected sooner than what it would
//! save (the part of a run's time that does not depend on the rows), and never longer than `max_wait` from the oldest call.

use std::time::{Duration, Instant};

/// How calls are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSpec {
    /// At most so many rows in a batch. One call alone may have more.
    pub max_rows: usize,
    /// A call waits at most so long for others.
    pub max_wait: Duration,
    /// At most so many calls wait; more are refused.
    pub queue: usize,
    /// How many batches run at a time, each on a thread of its own.
    pub instances: usize,
    /// Whether a model is run once before calls come to it.
    pub warm_up: bool,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self { max_rows: 64, max_wait: Duration::from_millis(2), queue: 1024, instances: 1, warm_up: true }
    }
}

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) rows: usize,
    pub(crate) since: Instant,
    /// Whether it may be put together with the call before it.
    pub(crate) joins: bool,
}

/// What a free worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing waits.
    Idle,
    /// Look again at this time, or when a call comes.
    Until(Instant),
    /// Run the first so many calls.
    Run(usize),
}

/// What is decided for those who wait, in their order.
pub(crate) fn next(spec: &BatchSpec, pace: &Pace, waiting: impl Iterator<Item = Waiting>, now: Instant) -> Next {
    let mut waiting = waiting.peekable();
    let Some(first) = waiting.next() else { return Next::Idle };
    let (mut calls, mut rows) = (1, first.rows);
    while let Some(next) = waiting.next_if(|next| next.joins && rows.saturating_add(next.rows) <= spec.max_rows) {
        calls += 1;
        rows += next.rows;
    }
    let is_full = rows >= spec.max_rows || waiting.peek().is_some();
    let latest = first.since + spec.max_wait;
    if is_full || now >= latest {
        return Next::Run(calls);
    }
    match pace.worth_waiting() {
        // Twice the gap: if nobody comes by then, they do not come as expected.
        Some(gap) => Next::Until(latest.min(now + gap * 2)).unless_past(pace.last, gap, now, calls),
        None => Next::Run(calls),
    }
}

impl Next {
    /// The last arrival is so long ago that the next one is overdue: no more waiting.
    fn unless_past(self, last: Option<Instant>, gap: Duration, now: Instant, calls: usize) -> Self {
        let is_overdue = last.is_some_and(|last| now.saturating_duration_since(last) > gap * 2);
        if is_overdue { Self::Run(calls) } else { self }
    }
}

/// Estimates of what a run costs and how calls come, newest weighing most.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pace {
    last: Option<Instant>,
    /// Seconds between calls.
    gap: Option<f64>,
    /// Decayed moments of (rows, seconds) of runs: weight, rows, seconds, rows², rows·seconds.
    moments: [f64; 5],
}

/// How much an arrival or a run changes an estimate.
const ARRIVAL: f64 = 0.2;
const RUN: f64 = 0.05;

impl Pace {
    /// A call came.
    pub(crate) fn arrived(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let gap = now.saturating_duration_since(last).as_secs_f64();
            self.gap = Some(self.gap.map_or(gap, |mean| mean + ARRIVAL * (gap - mean)));
        }
    }

    /// A run of so many rows took so long.
    pub(crate) fn ran(&mut self, rows: usize, took: Duration) {
        let (rows, took) = (rows as f64, took.as_secs_f64());
        for (moment, value) in self.moments.iter_mut().zip([1.0, rows, took, rows * rows, rows * took]) {
            *moment = *moment * (1.0 - RUN) + value;
        }
    }

    /// Whether anything was run yet.
    pub(crate) fn is_known(&self) -> bool {
        self.moments[0] > 0.0
    }

    /// What a run costs whatever its rows, and what a row costs beside: a line through the runs.
    pub(crate) fn cost(&self) -> (Duration, Duration) {
        let [weight, rows, took, squares, products] = self.moments;
        if weight == 0.0 {
            return (Duration::ZERO, Duration::ZERO);
        }
        let spread = squares * weight - rows * rows;
        let per_row = if spread > 1e-9 * squares * weight { (products * weight - rows * took) / spread } else { 0.0 };
        let per_row = per_row.clamp(0.0, took / rows.max(f64::MIN_POSITIVE));
        let fixed = ((took - per_row * rows) / weight).max(0.0);
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        (duration(fixed), duration(per_row))
    }

    /// How long a run of so many rows will take.
    pub(crate) fn expected(&self, rows: usize) -> Duration {
        let (fixed, per_row) = self.cost();
        fixed.saturating_add(per_row.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX)))
    }

    /// The gap to the next call, where it is shorter than what that call saves.
    fn worth_waiting(&self) -> Option<Duration> {
        let gap = Duration::try_from_secs_f64(self.gap?).ok()?;
        // A thread cannot wait for less.
        let gap = gap.max(Duration::from_micros(50));
        (gap < self.cost().0).then_some(gap)
    }
}

#[cfg(test)]
mod tests;
