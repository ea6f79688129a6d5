//! What became of alarms at one alert: each that is handed over ends in one of four ways.

use std::sync::atomic::{AtomicU64, Ordering};

/// How telling of an alarm, or of its end, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver took it.
    Delivered,
    /// The receiver refused it for good.
    Refused,
    /// It could not be told in time.
    Expired,
    /// Too much waited already, or the program stopped.
    Dropped,
}

impl Outcome {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::Expired, Self::Dropped];

    /// As metrics name it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: [AtomicU64; Outcome::ALL.len()],
    retries: AtomicU64,
}

impl Counts {
    /// One more that ended so.
    pub(super) fn add(&self, outcome: Outcome) {
        self.add_many(outcome, 1);
    }

    /// So many more.
    pub(super) fn add_many(&self, outcome: Outcome, count: u64) {
        self.ended[outcome as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// One more try that is to be repeated.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended so.
    pub(super) fn ended(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize].load(Ordering::Relaxed)
    }

    /// How many tries were to be repeated.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}
