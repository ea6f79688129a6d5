//! One endpoint's breaker: closed (it takes calls), open (ejected) and half open (on trial). Owns what counts as failing
//! again and again, the growing ejections and the slow start after them; whether there are others to take its calls is
//! the ward's question. Pure: times are milliseconds that come from outside.

use tidegate_core::port::backend::{EjectReason, EndpointState};
use tidegate_core::spec::provider::OutlierSpec;

/// How often an ejected endpoint is connected to, to see whether it is there.
pub(crate) const PROBE_MS: u64 = 500;
/// The share of calls that an endpoint gets that has just come back.
const FIRST_WEIGHT: f64 = 0.1;
/// The parts of the window over which the share of failures is taken.
const PARTS: usize = 10;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The endpoint did its part, be the answer a refusal.
    Good,
    /// It failed, in this way.
    Bad(EjectReason),
}

/// A change of state, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is left alone for so many milliseconds.
    Ejected(EjectReason, u64),
    /// The next call tries it.
    OnTrial,
    /// It takes calls again.
    Back,
}

/// Where it stands.
#[derive(Debug, Clone, Copy)]
enum Stand {
    /// It takes calls; `back_at` is when it came back, where it was away.
    Closed { back_at: Option<u64> },
    /// It takes none.
    Open {
        until: u64,
        /// When it is connected to next; `u64::MAX` while it is.
        probe_at: u64,
        /// Whether it could not be connected to since it is open: it comes back as soon as it can be.
        was_down: bool,
    },
    /// It takes one call at a time.
    HalfOpen { is_tried: bool },
}

/// The breaker of one endpoint.
#[derive(Debug)]
pub(crate) struct Breaker {
    stand: Stand,
    in_a_row: u32,
    window: Window,
    /// Ejections without a long good time between them.
    streak: u32,
    ejections: [u64; EjectReason::ALL.len()],
}

impl Breaker {
    pub(crate) fn new(spec: &OutlierSpec) -> Self {
        Self {
            stand: Stand::Closed { back_at: None },
            in_a_row: 0,
            window: Window::over(millis(spec.window)),
            streak: 0,
            ejections: [0; EjectReason::ALL.len()],
        }
    }

    pub(crate) const fn state(&self) -> EndpointState {
        match self.stand {
            Stand::Closed { .. } => EndpointState::Closed,
            Stand::HalfOpen { .. } => EndpointState::HalfOpen,
            Stand::Open { .. } => EndpointState::Open,
        }
    }

    pub(crate) const fn ejections(&self) -> [u64; EjectReason::ALL.len()] {
        self.ejections
    }

    /// Whether it has failed so often that it were ejected, were it not the last.
    pub(crate) const fn is_failing(&self, spec: &OutlierSpec) -> bool {
        self.in_a_row >= spec.consecutive_failures
    }

    /// The share of its calls that it gets at `now`: less than 1 while it starts slowly.
    pub(crate) fn weight(&self, spec: &OutlierSpec, now: u64) -> f64 {
        let Stand::Closed { back_at: Some(back_at) } = self.stand else { return 1.0 };
        let (passed, all) = (now.saturating_sub(back_at), millis(spec.slow_start).max(1));
        #[expect(clippy::cast_precision_loss, reason = "a share of a time")]
        let share = passed as f64 / all as f64;
        FIRST_WEIGHT.max(share).min(1.0)
    }

    /// Takes the one call that tries it, where it is due.
    pub(crate) const fn may_try(&self) -> bool {
        matches!(self.stand, Stand::HalfOpen { is_tried: false })
    }

    /// Notes that a call tries it, or that this call ended without telling anything.
    pub(crate) const fn tried(&mut self, is_tried: bool) {
        if let Stand::HalfOpen { .. } = self.stand {
            self.stand = Stand::HalfOpen { is_tried };
        }
    }

    /// Notes what came of a call at `now`; `is_trial` of the one that tried it. With `may_eject` it may be ejected.
    pub(crate) fn note(
        &mut self,
        verdict: Verdict,
        is_trial: bool,
        may_eject: bool,
        spec: &OutlierSpec,
        now: u64,
    ) -> Option<Change> {
        match (self.stand, verdict) {
            (Stand::Closed { .. }, Verdict::Good) => {
                self.in_a_row = 0;
                self.window.add(now, false);
                None
            }
            (Stand::Closed { .. }, Verdict::Bad(how)) => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.window.add(now, true);
                let why = if self.is_failing(spec) { Some(how) } else { self.share_reached(spec, now) };
                why.filter(|_| may_eject).map(|why| self.eject(why, spec, now))
            }
            (Stand::HalfOpen { .. }, Verdict::Good) if is_trial => {
                self.stand = Stand::Closed { back_at: Some(now) };
                (self.in_a_row, self.window) = (0, Window::over(millis(spec.window)));
                Some(Change::Back)
            }
            (Stand::HalfOpen { .. }, Verdict::Bad(_)) if is_trial => Some(self.eject(EjectReason::Trial, spec, now)),
            // Calls that were under way when it was ejected say nothing new.
            _ => None,
        }
    }

    fn share_reached(&self, spec: &OutlierSpec, now: u64) -> Option<EjectReason> {
        let (calls, failures) = self.window.sums(now);
        let is_reached = calls >= spec.min_calls && f64::from(failures) >= spec.failure_share * f64::from(calls);
        is_reached.then_some(EjectReason::Share)
    }

    fn eject(&mut self, why: EjectReason, spec: &OutlierSpec, now: u64) -> Change {
        let (first, longest) = (millis(spec.ejection_time), millis(spec.max_ejection_time));
        if let Stand::Closed { back_at: Some(back_at) } = self.stand
            && now.saturating_sub(back_at) >= longest
        {
            self.streak = 0;
        }
        let time = first.saturating_mul(1 << self.streak.min(32)).min(longest);
        self.streak = self.streak.saturating_add(1);
        self.stand = Stand::Open {
            until: now.saturating_add(time),
            probe_at: now.saturating_add(PROBE_MS.min(time)),
            was_down: false,
        };
        self.ejections[why as usize] = self.ejections[why as usize].saturating_add(1);
        Change::Ejected(why, time)
    }

    /// Whether somebody shall connect to it now and tell what came of it; true once a time.
    pub(crate) const fn probe_due(&mut self, now: u64) -> bool {
        match &mut self.stand {
            Stand::Open { probe_at, .. } if now >= *probe_at => {
                *probe_at = u64::MAX;
                true
            }
            _ => false,
        }
    }

    /// Notes whether it could be connected to.
    pub(crate) const fn probed(&mut self, is_there: bool, now: u64) -> Option<Change> {
        let Stand::Open { until, probe_at, was_down } = &mut self.stand else { return None };
        if !is_there {
            (*was_down, *probe_at) = (true, now.saturating_add(PROBE_MS));
            return None;
        }
        if *was_down || now >= *until {
            self.stand = Stand::HalfOpen { is_tried: false };
            return Some(Change::OnTrial);
        }
        // It was there all the time, so it has to sit its time out.
        *probe_at = *until;
        None
    }
}

/// Calls and failures of the last while, in parts that are forgotten one by one.
#[derive(Debug)]
struct Window {
    part_ms: u64,
    /// The number of each part since the beginning of time, its calls and its failures.
    parts: [(u64, u32, u32); PARTS],
}

impl Window {
    fn over(ms: u64) -> Self {
        Self { part_ms: (ms / PARTS as u64).max(1), parts: [(0, 0, 0); PARTS] }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder by a small number")]
    fn add(&mut self, now: u64, is_failure: bool) {
        let number = now / self.part_ms;
        let part = &mut self.parts[(number % PARTS as u64) as usize];
        if part.0 != number {
            *part = (number, 0, 0);
        }
        part.1 = part.1.saturating_add(1);
        part.2 = part.2.saturating_add(u32::from(is_failure));
    }

    fn sums(&self, now: u64) -> (u32, u32) {
        let newest = now / self.part_ms;
        let recent = self.parts.iter().filter(|part| part.0 + PARTS as u64 > newest);
        recent.fold((0, 0), |(calls, failures), part| (calls.saturating_add(part.1), failures.saturating_add(part.2)))
    }
}

pub(crate) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BAD: Verdict = Verdict::Bad(EjectReason::Status);

    fn spec() -> OutlierSpec {
        OutlierSpec { consecutive_failures: 3, ..OutlierSpec::default() }
    }

    /// Fails until it is ejected; says for how long that is.
    fn ejected(breaker: &mut Breaker, now: u64) -> u64 {
        assert_eq!(breaker.note(BAD, false, true, &spec(), now), None);
        assert_eq!(breaker.note(BAD, false, true, &spec(), now), None);
        match breaker.note(BAD, false, true, &spec(), now) {
            Some(Change::Ejected(EjectReason::Status, ms)) => ms,
            other => panic!("{other:?}"),
        }
    }

    /// Lets it come to its trial at `now`.
    fn on_trial(breaker: &mut Breaker, now: u64) {
        assert!(breaker.probe_due(now));
        assert_eq!(breaker.probed(true, now), Some(Change::OnTrial));
        assert!(breaker.may_try());
        breaker.tried(true);
        assert!(!breaker.may_try(), "one call at a time");
    }

    #[test]
    fn a_success_ends_a_row_of_failures() {
        let mut breaker = Breaker::new(&spec());
        for _ in 0..4 {
            assert_eq!(breaker.note(BAD, false, true, &spec(), 0), None);
            assert_eq!(breaker.note(BAD, false, true, &spec(), 0), None);
            assert_eq!(breaker.note(Verdict::Good, false, true, &spec(), 0), None);
        }
        assert_eq!(ejected(&mut breaker, 0), 1_000);
    }

    #[test]
    fn failed_trials_eject_for_longer_up_to_the_longest_and_a_good_one_ends_it() {
        let mut breaker = Breaker::new(&spec());
        let mut now = ejected(&mut breaker, 0);
        for time in [2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            on_trial(&mut breaker, now);
            let change = breaker.note(BAD, true, true, &spec(), now);
            assert_eq!(change, Some(Change::Ejected(EjectReason::Trial, time)));
            now += time;
        }
        on_trial(&mut breaker, now);
        assert_eq!(breaker.note(BAD, false, true, &spec(), now), None, "a late call is no trial");
        assert_eq!(breaker.note(Verdict::Good, true, true, &spec(), now), Some(Change::Back));
        assert_eq!(breaker.state(), EndpointState::Closed);
        assert_eq!(ejected(&mut breaker, now + 10), 30_000, "it is remembered for a while");
        let after = now + 10 + 30_000;
        on_trial(&mut breaker, after);
        breaker.note(Verdict::Good, true, true, &spec(), after);
        assert_eq!(ejected(&mut breaker, after + 30_000), 1_000, "and then forgotten");
    }

    #[test]
    fn one_that_was_down_is_tried_as_soon_as_it_is_there() {
        let spec = OutlierSpec { ejection_time: Duration::from_secs(20), ..spec() };
        let mut breaker = Breaker::new(&spec);
        for _ in 0..3 {
            breaker.note(BAD, false, true, &spec, 0);
        }
        assert!(!breaker.probe_due(PROBE_MS - 1));
        assert!(breaker.probe_due(PROBE_MS) && !breaker.probe_due(PROBE_MS), "one probe at a time");
        assert_eq!(breaker.probed(false, PROBE_MS), None);
        assert!(!breaker.probe_due(2 * PROBE_MS - 1));
        assert!(breaker.probe_due(2 * PROBE_MS));
        assert_eq!(breaker.probed(true, 2 * PROBE_MS), Some(Change::OnTrial));
        // One that was there all the time sits its time out.
        let mut breaker = Breaker::new(&spec);
        for _ in 0..3 {
            breaker.note(BAD, false, true, &spec, 0);
        }
        assert!(breaker.probe_due(PROBE_MS));
        assert_eq!(breaker.probed(true, PROBE_MS), None);
        assert!(!breaker.probe_due(19_999) && breaker.probe_due(20_000));
    }

    #[test]
    fn a_share_of_failures_ejects_once_there_are_enough_calls_and_is_forgotten_with_time() {
        let mut breaker = Breaker::new(&spec());
        let (mut change, mut calls) = (None, 0);
        while change.is_none() {
            let verdict = if calls % 2 == 0 { BAD } else { Verdict::Good };
            change = breaker.note(verdict, false, true, &spec(), calls * 100);
            calls += 1;
        }
        assert_eq!(change, Some(Change::Ejected(EjectReason::Share, 1_000)));
        assert_eq!(calls, 21, "twenty calls, and the next that fails");
        let mut breaker = Breaker::new(&spec());
        for call in 0..200 {
            let verdict = if call % 2 == 0 { BAD } else { Verdict::Good };
            // Ten calls a window are too few to judge.
            assert_eq!(breaker.note(verdict, false, true, &spec(), call * 1_000), None);
        }
    }

    #[test]
    fn one_that_came_back_starts_slowly() {
        let mut breaker = Breaker::new(&spec());
        assert_eq!(breaker.weight(&spec(), 0), 1.0);
        let back = ejected(&mut breaker, 0);
        on_trial(&mut breaker, back);
        breaker.note(Verdict::Good, true, true, &spec(), back);
        let weights: Vec<f64> = [0, 500, 5_000, 10_000, 60_000].map(|ms| breaker.weight(&spec(), back + ms)).to_vec();
        assert_eq!(weights, [0.1, 0.1, 0.5, 1.0, 1.0]);
    }
}
