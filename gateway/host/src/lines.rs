//! How many lines may go to the log in a minute: the first are kept, the others counted. Owns the count; time is given.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// The budget of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    most: usize,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    since: Option<Instant>,
    kept: usize,
    dropped: u64,
}

impl Lines {
    /// A budget of so many a minute.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, minute: Mutex::default() }
    }

    /// Whether a line may be kept, and how many were dropped in a minute that is over by that.
    pub(crate) fn admit(&self, now: Instant) -> (bool, u64) {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if minute.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE) {
            dropped = minute.dropped;
            *minute = Minute { since: Some(now), ..Minute::default() };
        }
        if minute.kept < self.most {
            minute.kept += 1;
            return (true, dropped);
        }
        minute.dropped += 1;
        (false, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_the_minute() {
        let lines = Lines::new(2);
        let begin = Instant::now();
        let admitted = |second| {
            let all = (0..5).map(|_| lines.admit(begin + Duration::from_secs(second)));
            all.fold((0, 0), |(kept, told), (is_kept, dropped)| (kept + u64::from(is_kept), told + dropped))
        };
        assert_eq!(admitted(0), (2, 0));
        assert_eq!(admitted(59), (0, 0));
        assert_eq!(admitted(60), (2, 8));
        assert_eq!(admitted(1000), (2, 3));
    }
}
