//! How soon a place in the queue comes free, from how soon they did: what a refused caller is told.

use std::time::{Duration, Instant};

/// How much of the estimate the newest interval is.
const NEWEST: f64 = 0.2;
/// The shortest and the longest time that a caller is asked to wait.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The pace of the queue.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// When the last turn came, or somebody began to wait where nobody did.
    last: Option<Instant>,
    /// The usual time between two turns while somebody waits.
    usual: Option<Duration>,
}

impl Pace {
    /// Somebody waits, and nobody did before.
    pub(crate) fn waits(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// The turn of one who waited has come.
    pub(crate) fn turn(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let newest = now.saturating_duration_since(last);
            let mixed = |usual: Duration| usual.mul_f64(1.0 - NEWEST) + newest.mul_f64(NEWEST);
            self.usual = Some(self.usual.map_or(newest, mixed));
        }
    }

    /// How long it takes until a place is free, as far as can be known: the usual time, or as long as it takes already.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.usual.unwrap_or_default().max(since).clamp(BOUNDS.0, BOUNDS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_turns_took_and_take() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        assert_eq!(pace.wait(start), BOUNDS.0, "nothing is known");
        pace.waits(start);
        for turn in 1..=20 {
            pace.turn(at(turn * 6));
        }
        assert_eq!(pace.wait(at(120)), Duration::from_secs(6));
        assert_eq!(pace.wait(at(135)), Duration::from_secs(15), "it takes longer this time");
        assert_eq!(pace.wait(at(600)), BOUNDS.1);
        // A time in which nobody waited says nothing of how long one waits.
        pace.waits(at(10_000));
        pace.turn(at(10_006));
        assert_eq!(pace.wait(at(10_006)), Duration::from_secs(6));
    }
}
