//! What is measured of one arm: the calls under way, the time to the first byte, the tokens of its answers, failures in a
//! row. Owns when what is counted, and that a call which is given up is counted too; the lock is held for a few sums, never
//! across a wait.

use super::ewma::PeakEwma;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::spec::steer::GaugeSpec;
use tidegate_core::{Clock, Fault, FaultKind, Side};

/// So many failures in a row, and an arm is left alone …
const FAILURES: u32 = 3;
/// … for so long after the last of them. An endpoint that fails is ejected by its provider, but never the last one.
const REST: Duration = Duration::from_secs(10);
/// The mean of an arm's tokens is about that of so many answers, the newest ones weighing most.
pub const MOST_ANSWERS: u32 = 100;
/// The most that a `Retry-After` counts as.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Measures an arm.
#[derive(Debug)]
pub struct Gauge {
    spec: GaugeSpec,
    clock: Arc<dyn Clock>,
    busy: AtomicU32,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    time: Option<PeakEwma>,
    failures: u32,
    failed: Option<Instant>,
    answers: u32,
    tokens: f64,
}

/// How an arm stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Calls under way.
    pub busy: u32,
    /// Seconds to the first byte, by the peak-sensitive average; `None` where no call was answered or failed yet.
    pub time: Option<f64>,
    /// The answers whose tokens are known, up to [`MOST_ANSWERS`].
    pub answers: u32,
    /// The mean of their tokens.
    pub tokens: f64,
    /// Seconds that a failure counts as.
    pub penalty: f64,
    /// Whether it failed again and again, a moment ago.
    pub is_failing: bool,
}

impl Reading {
    /// What a further call would wait for, by Finagle: the time to the first byte times the calls, that one included. An
    /// arm of which nothing is known is tried at once, but not by all: those under way count as if they were failing.
    #[must_use]
    pub fn load(&self) -> f64 {
        let busy = f64::from(self.busy);
        self.time.map_or(self.penalty * busy, |time| time * (busy + 1.0))
    }
}

impl Gauge {
    /// A gauge of an arm of which nothing is known.
    #[must_use]
    pub fn new(spec: GaugeSpec, clock: Arc<dyn Clock>) -> Self {
        Self { spec, clock, busy: AtomicU32::new(0), known: Mutex::default() }
    }

    /// How it measures.
    #[must_use]
    pub const fn spec(&self) -> GaugeSpec {
        self.spec
    }

    /// A call goes to the arm.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Ride {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Ride { gauge: Arc::clone(self), began: self.clock.now(), is_told: false }
    }

    /// How the arm stands now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let now = self.clock.now();
        let known = self.known();
        let rests = known.failed.is_some_and(|failed| now.saturating_duration_since(failed) < REST);
        Reading {
            busy: self.busy.load(Ordering::Relaxed),
            answers: known.answers,
            tokens: known.tokens,
            time: known.time.map(|time| time.now(now, self.spec.decay)),
            penalty: self.spec.penalty.as_secs_f64(),
            is_failing: known.failures >= FAILURES && rests,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn observe(&mut self, sample: Duration, now: Instant, decay: Duration) {
        let sample = sample.as_secs_f64();
        match &mut self.time {
            Some(time) => time.observe(sample, now, decay),
            None => self.time = Some(PeakEwma::first(sample, now)),
        }
    }
}

/// A call at an arm: dropped when it is over, however it ends.
#[derive(Debug)]
pub struct Ride {
    gauge: Arc<Gauge>,
    began: Instant,
    /// Whether its time is measured already.
    is_told: bool,
}

impl Ride {
    /// Its answer began.
    pub fn answered(&mut self) {
        let (now, decay) = (self.gauge.clock.now(), self.gauge.spec.decay);
        self.is_told = true;
        let mut known = self.gauge.known();
        known.failures = 0;
        known.observe(now.saturating_duration_since(self.began), now, decay);
    }

    /// It failed, before its answer or within it. What is not the caller's doing counts as a slow answer: a refusal, a
    /// 429 too, comes fast, and an arm that refuses would seem the best one.
    pub fn failed(&mut self, fault: &Fault) {
        self.is_told = true;
        if fault.side() != Side::Upstream && fault.kind != FaultKind::Overloaded {
            return;
        }
        let (now, GaugeSpec { decay, penalty }) = (self.gauge.clock.now(), self.gauge.spec);
        let asked = fault.retry_after.unwrap_or_default().min(LONGEST_WAIT);
        let took = now.saturating_duration_since(self.began);
        let mut known = self.gauge.known();
        known.failures = known.failures.saturating_add(1);
        known.failed = Some(now);
        known.observe(took.max(penalty).max(asked), now, decay);
    }

    /// Its answer had so many tokens.
    pub fn produced(&self, tokens: u64) {
        let mut known = self.gauge.known();
        known.answers = (known.answers + 1).min(MOST_ANSWERS);
        #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
        let beside = tokens as f64 - known.tokens;
        known.tokens += beside / f64::from(known.answers);
    }
}

impl Drop for Ride {
    fn drop(&mut self) {
        self.gauge.busy.fetch_sub(1, Ordering::Relaxed);
        if self.is_told {
            return;
        }
        // Given up before an answer: the arm takes at least so long, which says something only if it is long.
        let (now, decay) = (self.gauge.clock.now(), self.gauge.spec.decay);
        let waited = now.saturating_duration_since(self.began);
        let mut known = self.gauge.known();
        if known.time.is_some_and(|time| waited.as_secs_f64() > time.now(now, decay)) {
            known.observe(waited, now, decay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;
    use tidegate_core::clock::ManualClock;

    const MS: Duration = Duration::from_millis(1);

    fn gauge() -> (Arc<Gauge>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
        (Arc::new(Gauge::new(GaugeSpec::default(), Arc::<ManualClock>::clone(&clock))), clock)
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "")
    }

    #[test]
    fn calls_are_under_way_until_they_are_dropped_and_timed_when_they_are_answered() {
        let (gauge, clock) = gauge();
        assert_eq!((gauge.read().busy, gauge.read().time, gauge.read().load()), (0, None, 0.0));
        let (mut first, second) = (gauge.begin(), gauge.begin());
        assert_eq!(gauge.read().load(), 10.0, "nothing is known, so those under way count as if they failed");
        clock.advance(200 * MS);
        first.answered();
        assert_eq!((gauge.read().busy, gauge.read().time), (2, Some(0.2)));
        assert!((gauge.read().load() - 0.6).abs() < 1e-12);
        drop(first);
        drop(second);
        assert_eq!(gauge.read().busy, 0);
    }

    #[test]
    fn a_refusal_is_slow_however_fast_it_comes_and_the_callers_mistake_is_nothing() {
        for (kind, counts) in [
            (FaultKind::UpstreamRateLimited, true),
            (FaultKind::UpstreamFailed, true),
            (FaultKind::Overloaded, true),
            (FaultKind::UpstreamRefused, false),
            (FaultKind::ContextLength, false),
        ] {
            let (gauge, clock) = gauge();
            let mut ride = gauge.begin();
            clock.advance(MS);
            ride.failed(&fault(kind));
            assert_eq!(gauge.read().time, counts.then_some(5.0), "{kind:?}");
        }
        let (gauge, _) = gauge();
        gauge.begin().failed(&fault(FaultKind::UpstreamRateLimited).after(30 * 1000 * MS));
        assert_eq!(gauge.read().time, Some(30.0), "it says itself for how long");
    }

    #[test]
    fn a_call_that_is_given_up_counts_by_what_it_waited() {
        let (gauge, clock) = gauge();
        let mut quick = gauge.begin();
        clock.advance(10 * MS);
        quick.answered();
        drop(gauge.begin());
        assert_eq!(gauge.read().time, Some(0.01), "one that left at once says nothing");
        let patient = gauge.begin();
        clock.advance(2000 * MS);
        drop(patient);
        assert_eq!((gauge.read().time, gauge.read().busy), (Some(2.0), 1));
        drop(quick);
        assert_eq!(gauge.read().busy, 0);
    }

    #[test]
    fn the_mean_of_tokens_follows_the_newest_answers() {
        let (gauge, _) = gauge();
        gauge.begin().produced(10);
        gauge.begin().produced(30);
        assert_eq!((gauge.read().answers, gauge.read().tokens), (2, 20.0));
        (0..1000).for_each(|_| gauge.begin().produced(500));
        assert!(gauge.read().answers == MOST_ANSWERS && gauge.read().tokens > 499.0, "{:?}", gauge.read());
    }

    #[test]
    fn an_arm_that_fails_again_and_again_rests_and_an_answer_ends_it() {
        let (gauge, clock) = gauge();
        let fail = || gauge.begin().failed(&fault(FaultKind::Unreachable));
        fail();
        fail();
        assert!(!gauge.read().is_failing);
        fail();
        assert!(gauge.read().is_failing);
        clock.advance(REST);
        assert!(!gauge.read().is_failing, "it is tried again");
        fail();
        assert!(gauge.read().is_failing, "and one failure is enough then");
        gauge.begin().answered();
        assert!(!gauge.read().is_failing);
    }
}
