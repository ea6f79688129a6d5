//! What is counted of a filter, for metrics and the admin page. Owns the counters; what a failure leads to is the breaker's and
//! the route's to say.

use crate::cell::MetricKind;
use crate::fault::Kind;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted of a filter since it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls: requests, answers, beginnings of streams, deltas and ends of choices.
    pub calls: u64,
    /// Calls that failed, by the kinds that occurred ([`Kind::as_str`]).
    pub failures: Vec<(&'static str, u64)>,
    /// Instances that live.
    pub alive: u32,
    /// Those of them that wait for a call.
    pub idle: u32,
    /// Instances ever made.
    pub made: u64,
    /// Whether the breaker is open: calls fail at once.
    pub is_tripped: bool,
    /// Log lines that were one too many.
    pub dropped_lines: u64,
    /// Metrics that were one too many, or none.
    pub dropped_metrics: u64,
}

/// What a filter said by the interface `metrics`, added up: one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// How it adds up.
    pub kind: MetricKind,
    /// Its name, yet without the plugin's.
    pub name: String,
    /// Its labels, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The sum of counts or of observations, or where a gauge stands.
    pub value: f64,
    /// How often it was said.
    pub times: u64,
}

/// Failures by kind.
#[derive(Debug, Default)]
pub(crate) struct Failures([AtomicU64; Kind::NAMES.len()]);

impl Failures {
    pub(crate) fn count(&self, kind: Kind) {
        let at = Kind::NAMES.iter().position(|name| *name == kind.as_str());
        if let Some(counter) = at.and_then(|at| self.0.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that occurred.
    pub(crate) fn counted(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        Kind::NAMES.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_occurred_are_counted() {
        let failures = Failures::default();
        for kind in [Kind::Trap, Kind::Deadline, Kind::Trap, Kind::Tripped] {
            failures.count(kind);
        }
        assert_eq!(failures.counted(), [("deadline", 1), ("trap", 2), ("tripped", 1)]);
    }
}
