//! The breakers of a provider's endpoints together: which of them may take a call, and how many may be ejected at once.
//! Owns that the last endpoint that takes calls is never ejected. Pure: time, loads and chance come from outside.

use crate::breaker::{Breaker, Change, Verdict};
use tidegate_core::dice::{mix, unit};
use tidegate_core::port::backend::{EjectReason, EndpointState};
use tidegate_core::spec::provider::OutlierSpec;

/// The breakers of all endpoints, in their order.
#[derive(Debug)]
pub(crate) struct Ward {
    spec: OutlierSpec,
    breakers: Vec<Breaker>,
    /// How many may be ejected at once.
    most_out: usize,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// Milliseconds.
    pub(crate) now: u64,
    /// The endpoint that failed it before, or that is asked already.
    pub(crate) avoid: Option<usize>,
    /// 64 uniform bits.
    pub(crate) bits: u64,
}

/// Who takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) index: usize,
    /// Whether the call tries an endpoint that was ejected.
    pub(crate) is_trial: bool,
}

impl Ward {
    pub(crate) fn new(spec: &OutlierSpec, count: usize) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small count"
        )]
        let share = (spec.max_ejected.clamp(0.0, 1.0) * count as f64).ceil() as usize;
        Self {
            spec: spec.clone(),
            breakers: (0..count).map(|_| Breaker::new(spec)).collect(),
            most_out: share.min(count.saturating_sub(1)),
        }
    }

    /// Who takes a call: one on trial that is due, else whom `pick` finds among those that take calls and have room.
    /// Better one that failed this call before than none; `None` where nobody has room.
    pub(crate) fn choose(
        &mut self,
        ask: Ask,
        has_room: impl Fn(usize) -> bool,
        pick: impl Fn(&dyn Fn(usize) -> bool) -> Option<usize>,
    ) -> Option<Chosen> {
        // A call that failed before is not risked again.
        let due = self.breakers.iter().position(Breaker::may_try).filter(|_| ask.avoid.is_none());
        if let Some(index) = due.filter(|index| has_room(*index)) {
            self.breakers[index].tried(true);
            return Some(Chosen { index, is_trial: true });
        }
        let takes = |i: usize| self.breakers[i].state() == EndpointState::Closed && has_room(i);
        let is_other = |i: usize| ask.avoid != Some(i);
        let is_drawn = |i: usize| {
            let weight = self.breakers[i].weight(&self.spec, ask.now);
            weight >= 1.0 || unit(mix(ask.bits.wrapping_add(i as u64))) < weight
        };
        let index = pick(&|i| takes(i) && is_other(i) && is_drawn(i))
            .or_else(|| pick(&|i| takes(i) && is_other(i)))
            .or_else(|| pick(&takes))?;
        Some(Chosen { index, is_trial: false })
    }

    /// Notes what came of a call; `None` where it ended without telling anything.
    pub(crate) fn note(&mut self, chosen: Chosen, verdict: Option<Verdict>, now: u64) -> Option<Change> {
        let may_eject = self.out() < self.most_out;
        let breaker = self.breakers.get_mut(chosen.index)?;
        match verdict {
            Some(verdict) => breaker.note(verdict, chosen.is_trial, may_eject, &self.spec, now),
            None => {
                if chosen.is_trial {
                    breaker.tried(false);
                }
                None
            }
        }
    }

    /// The endpoints that somebody shall connect to now.
    pub(crate) fn probes_due(&mut self, now: u64) -> Option<usize> {
        // Mostly none is out, and then this is all that a call pays.
        (0..self.breakers.len()).find(|i| self.breakers[*i].probe_due(now))
    }

    /// Notes whether an endpoint could be connected to.
    pub(crate) fn probed(&mut self, index: usize, is_there: bool, now: u64) -> Option<Change> {
        self.breakers.get_mut(index)?.probed(is_there, now)
    }

    /// Whether an endpoint takes calls and does not fail all of them.
    pub(crate) fn is_ready(&self) -> bool {
        self.breakers.iter().any(|b| b.state() == EndpointState::Closed && !b.is_failing(&self.spec))
    }

    /// Whether another endpoint than this one takes calls.
    pub(crate) fn has_other(&self, than: usize) -> bool {
        self.breakers.iter().enumerate().any(|(i, b)| i != than && b.state() == EndpointState::Closed)
    }

    pub(crate) fn stand(&self, index: usize) -> Option<(EndpointState, [u64; EjectReason::ALL.len()])> {
        self.breakers.get(index).map(|b| (b.state(), b.ejections()))
    }

    /// Endpoints that do not take all calls; those on trial count, since they may be ejected again.
    fn out(&self) -> usize {
        self.breakers.iter().filter(|b| b.state() != EndpointState::Closed).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BAD: Verdict = Verdict::Bad(EjectReason::Connect);

    fn ask(now: u64, avoid: Option<usize>) -> Ask {
        Ask { now, avoid, bits: now }
    }

    fn at(index: usize) -> Chosen {
        Chosen { index, is_trial: false }
    }

    fn first(count: usize) -> impl Fn(&dyn Fn(usize) -> bool) -> Option<usize> {
        move |is_fit| (0..count).find(|i| is_fit(*i))
    }

    fn fail(ward: &mut Ward, index: usize, now: u64) -> Option<Change> {
        (0..5).map(|_| ward.note(at(index), Some(BAD), now)).last().flatten()
    }

    #[test]
    fn no_more_than_the_share_are_ejected_and_the_last_never() {
        for (count, share, most) in
            [(1, 1.0, 0), (2, 0.5, 1), (2, 1.0, 1), (3, 0.5, 2), (4, 0.5, 2), (5, 1.0, 4), (5, 0.0, 0)]
        {
            let spec = OutlierSpec { max_ejected: share, ..OutlierSpec::default() };
            let mut ward = Ward::new(&spec, count);
            let ejected = (0..count).filter(|i| fail(&mut ward, *i, 0).is_some()).count();
            assert_eq!(ejected, most, "{count} endpoints, {share}");
            assert!(ward.choose(ask(0, None), |_| true, first(count)).is_some());
            assert_eq!(ward.is_ready(), ejected + ward.breakers.iter().filter(|b| b.is_failing(&spec)).count() < count);
        }
    }

    #[test]
    fn full_endpoints_are_passed_over_and_ejected_ones_stay_so() {
        let mut ward = Ward::new(&OutlierSpec::default(), 3);
        fail(&mut ward, 0, 0);
        assert_eq!(ward.choose(ask(0, None), |i| i != 1, first(3)), Some(at(2)));
        assert_eq!(ward.choose(ask(0, Some(2)), |i| i != 1, first(3)), Some(at(2)), "better the same than none");
        assert_eq!(ward.choose(ask(0, None), |i| i == 0, first(3)), None, "an ejected one is no way out");
    }

    #[test]
    fn one_on_trial_takes_a_fresh_call_and_never_one_that_failed() {
        let mut ward = Ward::new(&OutlierSpec::default(), 2);
        fail(&mut ward, 0, 0);
        assert_eq!(ward.probes_due(1_000), Some(0));
        assert_eq!(ward.probed(0, true, 1_000), Some(Change::OnTrial));
        assert_eq!(ward.choose(ask(1_000, Some(1)), |_| true, first(2)), Some(at(1)));
        let trial = Chosen { index: 0, is_trial: true };
        assert_eq!(ward.choose(ask(1_000, None), |_| true, first(2)), Some(trial));
        assert_eq!(ward.choose(ask(1_000, None), |_| true, first(2)), Some(at(1)), "one call at a time");
        assert_eq!(ward.note(trial, None, 1_000), None);
        assert_eq!(ward.choose(ask(1_000, None), |_| true, first(2)), Some(trial), "a cancelled trial tells nothing");
        assert_eq!(ward.note(trial, Some(Verdict::Good), 1_000), Some(Change::Back));
    }

    #[test]
    fn one_that_came_back_gets_a_growing_share() {
        let mut ward = Ward::new(&OutlierSpec::default(), 2);
        fail(&mut ward, 0, 0);
        ward.probes_due(1_000);
        ward.probed(0, true, 1_000);
        let trial = ward.choose(ask(1_000, None), |_| true, first(2)).unwrap();
        ward.note(trial, Some(Verdict::Good), 1_000);
        // `first` would give it all calls.
        let mut taken = |now: u64| {
            let asks = (0..1_000).map(|bits| Ask { now, avoid: None, bits });
            asks.filter(|ask| ward.choose(*ask, |_| true, first(2)) == Some(at(0))).count()
        };
        assert!((60..140).contains(&taken(1_000)) && (440..560).contains(&taken(6_000)));
        assert_eq!(taken(11_000), 1_000);
    }

    proptest! {
        #[test]
        fn whatever_happens_somebody_takes_calls_and_trials_come_one_by_one(
            count in 1usize..6, share in 0.0f64..=1.0,
            steps in prop::collection::vec((0u64..3_000, 0usize..6, 0u8..6), 0..400),
        ) {
            let spec = OutlierSpec { max_ejected: share, ..OutlierSpec::default() };
            let mut ward = Ward::new(&spec, count);
            let (mut now, mut held): (u64, Vec<Chosen>) = (0, Vec::new());
            for (passed, which, what) in steps {
                now += passed;
                match what {
                    0 | 1 => {
                        let pick = |fit: &dyn Fn(usize) -> bool| (0..count).map(|i| (i + which) % count).find(|i| fit(*i));
                        let chosen = ward.choose(Ask { now, avoid: None, bits: passed }, |_| true, pick);
                        let chosen = chosen.expect("somebody takes calls");
                        prop_assert_ne!(ward.breakers[chosen.index].state(), EndpointState::Open);
                        let tries = held.iter().filter(|h| h.is_trial && h.index == chosen.index).count();
                        prop_assert!(!chosen.is_trial || tries == 0, "two trials at once");
                        held.push(chosen);
                    }
                    2 | 3 if !held.is_empty() => {
                        let chosen = held.swap_remove(which % held.len());
                        let verdict = if what == 2 { Verdict::Good } else { BAD };
                        if let Some(Change::Ejected(_, time)) = ward.note(chosen, Some(verdict), now) {
                            prop_assert!((1_000..=30_000).contains(&time));
                        }
                    }
                    4 if !held.is_empty() => {
                        let chosen = held.swap_remove(which % held.len());
                        prop_assert_eq!(ward.note(chosen, None, now), None);
                    }
                    _ => {
                        if let Some(index) = ward.probes_due(now) {
                            ward.probed(index, which % 2 == 0, now);
                        }
                    }
                }
                prop_assert!(ward.out() <= ward.most_out && ward.most_out < count);
            }
            // Left in peace, and with good answers, all come back.
            for chosen in held {
                ward.note(chosen, None, now);
            }
            for _ in 0..count {
                now += 30_000;
                while let Some(index) = ward.probes_due(now) {
                    ward.probed(index, true, now);
                }
                let ask = Ask { now, avoid: None, bits: 0 };
                let chosen = ward.choose(ask, |_| true, |fit| (0..count).find(|i| fit(*i))).expect("somebody");
                ward.note(chosen, Some(Verdict::Good), now);
            }
            prop_assert_eq!(ward.out(), 0);
        }
    }
}
