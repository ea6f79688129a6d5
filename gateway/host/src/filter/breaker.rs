//! The breaker of a filter: one that fails too often is not called for a while. Owns when it opens, for how long, and who may
//! try whether it works again. Pure: time is given. While it is closed a call costs one atomic read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many failures within so long open it.
const FAILURES: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// How long it stays open at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    is_open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last failures while it was closed.
    failures: VecDeque<Instant>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    backoff: Duration,
    is_tried: bool,
}

/// How a call is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// As usual.
    Usual,
    /// To try whether it works again.
    Trial,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The plugin did its work, or said that it could not.
    Well,
    /// It trapped, took too long or gave back what is none.
    Badly,
    /// It was not called at last.
    Unknown,
}

impl Breaker {
    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Whether a call would not be let through now.
    pub(crate) fn rests(&self, now: impl FnOnce() -> Instant) -> bool {
        self.is_open() && self.lock().open.is_some_and(|open| open.is_tried || now() < open.until)
    }

    /// Lets a call through, or says for how long none will be. `now` is asked for only where it matters.
    pub(crate) fn admit(&self, now: impl FnOnce() -> Instant) -> Result<Passage, Duration> {
        if !self.is_open() {
            return Ok(Passage::Usual);
        }
        self.lock().admit(now())
    }

    /// Takes note of a call; says for how long none will be let through, if it opens by that.
    pub(crate) fn note(&self, passage: Passage, verdict: Verdict, now: impl FnOnce() -> Instant) -> Option<Duration> {
        if passage == Passage::Usual && verdict != Verdict::Badly {
            return None;
        }
        let mut state = self.lock();
        let opened = state.note(passage, verdict, now());
        self.is_open.store(state.open.is_some(), Ordering::Relaxed);
        opened
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&mut self, now: Instant) -> Result<Passage, Duration> {
        match &mut self.open {
            None => Ok(Passage::Usual),
            Some(open) if now >= open.until && !open.is_tried => {
                open.is_tried = true;
                Ok(Passage::Trial)
            }
            Some(open) => Err(open.until.saturating_duration_since(now)),
        }
    }

    fn note(&mut self, passage: Passage, verdict: Verdict, now: Instant) -> Option<Duration> {
        match (passage, verdict, &mut self.open) {
            (Passage::Trial, Verdict::Well, open) => {
                *open = None;
                self.failures.clear();
                None
            }
            (Passage::Trial, Verdict::Badly, Some(open)) => {
                let backoff = (open.backoff * 2).min(LONGEST);
                *open = Open { until: now + backoff, backoff, is_tried: false };
                Some(backoff)
            }
            (Passage::Trial, _, open) => {
                if let Some(open) = open {
                    open.is_tried = false;
                }
                None
            }
            (Passage::Usual, Verdict::Badly, None) => self.count(now),
            // What was under way when it opened.
            (Passage::Usual, ..) => None,
        }
    }

    fn count(&mut self, now: Instant) -> Option<Duration> {
        self.failures.retain(|then| now.saturating_duration_since(*then) < WITHIN);
        self.failures.push_back(now);
        if self.failures.len() < FAILURES {
            return None;
        }
        self.failures.clear();
        self.open = Some(Open { until: now + FIRST, backoff: FIRST, is_tried: false });
        Some(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::Clock as _;
    use tidegate_core::clock::{ManualClock, SystemClock};

    struct Bench {
        breaker: Breaker,
        clock: ManualClock,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::default(), clock: ManualClock::at(SystemClock.wall()) }
        }

        fn admit(&self) -> Result<Passage, Duration> {
            self.breaker.admit(|| self.clock.now())
        }

        fn ends(&self, verdict: Verdict) -> Option<Duration> {
            self.breaker.note(self.admit().unwrap(), verdict, || self.clock.now())
        }

        fn open(self) -> Self {
            for at in 1..=FAILURES {
                assert_eq!(self.ends(Verdict::Badly), (at == FAILURES).then_some(FIRST));
            }
            self
        }
    }

    #[test]
    fn five_failures_in_a_minute_open_it() {
        let bench = Bench::new().open();
        assert!(bench.breaker.is_open());
        bench.clock.advance(Duration::from_millis(400));
        assert_eq!(bench.admit(), Err(Duration::from_millis(600)));
        let rests = || bench.breaker.rests(|| bench.clock.now());
        assert!(rests());
        bench.clock.advance(Duration::from_millis(600));
        assert!(!rests() && bench.admit() == Ok(Passage::Trial) && rests());
    }

    #[test]
    fn failures_that_are_far_apart_do_not() {
        let bench = Bench::new();
        for _ in 0..100 {
            assert_eq!(bench.ends(Verdict::Badly), None);
            assert_eq!((bench.ends(Verdict::Well), bench.ends(Verdict::Unknown)), (None, None));
            bench.clock.advance(Duration::from_secs(15));
        }
        assert!(!bench.breaker.is_open());
    }

    #[test]
    fn one_tries_whether_it_works_again() {
        let bench = Bench::new().open();
        bench.clock.advance(FIRST);
        assert_eq!(bench.admit(), Ok(Passage::Trial));
        assert_eq!(bench.admit(), Err(Duration::ZERO), "one at a time");
        assert_eq!(bench.breaker.note(Passage::Trial, Verdict::Unknown, || bench.clock.now()), None);
        assert_eq!(bench.ends(Verdict::Well), None);
        assert!(!bench.breaker.is_open() && bench.admit() == Ok(Passage::Usual));
        let bench = bench.open();
        assert!(bench.breaker.is_open(), "it begins anew");
    }

    #[test]
    fn the_pause_doubles_to_a_minute() {
        let bench = Bench::new().open();
        let mut pause = FIRST;
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            bench.clock.advance(pause);
            pause = Duration::from_secs(seconds);
            assert_eq!(bench.ends(Verdict::Badly), Some(pause));
            assert_eq!(bench.admit(), Err(pause));
        }
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing() {
        let bench = Bench::new();
        let late = bench.admit().unwrap();
        let bench = bench.open();
        assert_eq!(bench.breaker.note(late, Verdict::Badly, || bench.clock.now()), None);
        assert_eq!(bench.breaker.note(late, Verdict::Well, || bench.clock.now()), None);
        assert!(bench.breaker.is_open() && bench.admit() == Err(FIRST));
    }
}
