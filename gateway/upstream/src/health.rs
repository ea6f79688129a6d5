//! Passive health of one endpoint: how long it is left alone after failing to connect. Owns the count and the growing
//! pause; who is asked instead is the balance's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Failures in a row before an endpoint is left alone.
const PATIENCE: u32 = 3;
/// The first pause; each further one doubles it.
const FIRST_PAUSE_MS: u64 = 1_000;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 30_000;

/// What is known of an endpoint's health. Times are milliseconds since the backend was built.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Until when it is left alone; 0 where it never was.
    out_until: AtomicU64,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    pauses: u32,
}

impl Health {
    /// Whether it is left alone at `now`.
    pub(crate) fn is_out(&self, now: u64) -> bool {
        now < self.out_until.load(Ordering::Relaxed)
    }

    /// Counts a failure to connect; says for how long the endpoint is left alone, where that begins now.
    pub(crate) fn failed(&self, now: u64) -> Option<u64> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_out(now) {
            // Calls that were under way when the pause began say nothing new.
            return None;
        }
        record.failures = record.failures.saturating_add(1);
        if record.failures < PATIENCE {
            return None;
        }
        let pause = FIRST_PAUSE_MS.checked_shl(record.pauses.min(16)).unwrap_or(u64::MAX).min(LONGEST_PAUSE_MS);
        record.pauses = record.pauses.saturating_add(1);
        self.out_until.store(now.saturating_add(pause), Ordering::Relaxed);
        Some(pause)
    }

    /// Counts a success: the slate is clean.
    pub(crate) fn connected(&self) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        *record = Record::default();
        self.out_until.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_failure_in_a_row_pauses_and_pauses_grow() {
        let health = Health::default();
        assert_eq!((health.failed(0), health.failed(0)), (None, None));
        assert!(!health.is_out(0));
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(health.failed(now), Some(pause));
            assert_eq!(health.failed(now), None, "a late failure must not lengthen the pause");
            assert!(health.is_out(now + pause - 1));
            now += pause;
            assert!(!health.is_out(now));
        }
    }

    #[test]
    fn a_success_cleans_the_slate() {
        let health = Health::default();
        for _ in 0..3 {
            health.failed(10);
        }
        health.connected();
        assert!(!health.is_out(11));
        assert_eq!((health.failed(12), health.failed(12), health.failed(12)), (None, None, Some(1_000)));
    }
}
