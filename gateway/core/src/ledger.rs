//! The open account of one call. Owns that every accepted call leaves exactly one record, on whatever way it ends.

use crate::event::{Attempt, Event};
use crate::port::aside::Aside;
use crate::port::events::{Events, Recorded};
use crate::port::limits::{Amounts, Reservation};
use crate::{Api, Clock, Dice, InferenceId, NanoUsd, Outcome, Price, Usage, Visit};
use std::sync::Arc;
use std::time::Instant;

/// The open account of one call: each step writes its facts in, `close` hands them over. Dropped unclosed it closes
/// itself, without awaiting: as a panic when the thread unwinds, else as cancelled.
#[derive(Debug)]
pub struct Ledger {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    event: Box<Event>,
    events: Arc<dyn Events>,
    clock: Arc<dyn Clock>,
    started: Instant,
    price: Option<Price>,
    /// What was used beside the answer that the caller gets.
    beside: Amounts,
    reservation: Option<Reservation>,
    /// Where the try under way says what it comes by in a graph, and how many microseconds after the call it began.
    visiting: Option<(Arc<Aside>, u64)>,
}

impl Ledger {
    /// Opens the account of a call whose head matched an API path.
    #[must_use]
    pub fn open(api: Api, config: Arc<str>, events: Arc<dyn Events>, clock: Arc<dyn Clock>, dice: &dyn Dice) -> Self {
        let unix_ms = clock.unix_ms();
        let event = Box::new(Event {
            id: InferenceId::from_parts(unix_ms, dice.next_u64(), dice.next_u64()),
            unix_ms,
            api,
            episode: None,
            client_request_id: None,
            trace_id: None,
            parent_span: None,
            sampled: None,
            config,
            key: None,
            principal: None,
            tenant: None,
            subject: None,
            route: None,
            variant: None,
            model: None,
            adapter: None,
            adapter_generation: None,
            model_version: None,
            provider: None,
            prompt: None,
            decision: None,
            attempts: Vec::new(),
            stream: false,
            outcome: Outcome::Cancelled,
            status: 0,
            request_bytes: 0,
            answer_bytes: 0,
            usage: None,
            usage_estimated: false,
            cost_usd: None,
            first_us: None,
            total_us: 0,
            filtered: Vec::new(),
            checks: None,
            reasons: None,
            features: Vec::new(),
            visits: Vec::new(),
            content: None,
        });
        let started = clock.now();
        Self {
            open: Some(Open {
                event,
                events,
                clock,
                started,
                price: None,
                beside: Amounts::default(),
                reservation: None,
                visiting: None,
            }),
        }
    }

    /// Writes facts in.
    pub fn note(&mut self, facts: impl FnOnce(&mut Event)) {
        if let Some(open) = &mut self.open {
            facts(&mut open.event);
        }
    }

    /// The facts so far.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.open.as_ref().map(|open| &*open.event)
    }

    /// Takes a reservation into keeping, to be settled at the close.
    pub fn hold(&mut self, reservation: Reservation) {
        if let Some(open) = &mut self.open {
            open.reservation = Some(reservation);
        }
    }

    /// Notes one try and the price of what it serves.
    pub fn attempt(&mut self, attempt: Attempt, price: Option<Price>) {
        if let Some(open) = &mut self.open {
            open.price = price;
            // Nearly every call has one.
            open.event.attempts.reserve_exact(1);
            open.event.attempts.push(attempt);
        }
    }

    /// A try at a graph begins now: what it comes by until the next one, or until the call ends in whatever way, is noted behind
    /// what those before it did.
    pub fn visiting(&mut self, aside: Arc<Aside>) {
        if let Some(open) = &mut self.open {
            open.visited();
            open.visiting = Some((aside, open.elapsed_us()));
        }
    }

    /// Notes the price of what answers, where that is another one than was tried last.
    pub fn priced(&mut self, price: Option<Price>) {
        if let Some(open) = &mut self.open {
            open.price = price;
        }
    }

    /// Notes what was used beside the answer that the caller gets: it counts for the limits and the cost.
    pub fn beside(&mut self, used: Amounts) {
        if let Some(open) = &mut self.open {
            open.beside.tokens = open.beside.tokens.saturating_add(used.tokens);
            open.beside.cost = NanoUsd(open.beside.cost.0.saturating_add(used.cost.0));
        }
    }

    /// Takes back what was noted as used beside the answer, since it is the answer now.
    pub fn not_beside(&mut self, used: Amounts) {
        if let Some(open) = &mut self.open {
            open.beside.tokens = open.beside.tokens.saturating_sub(used.tokens);
            open.beside.cost = NanoUsd(open.beside.cost.0.saturating_sub(used.cost.0));
        }
    }

    /// Notes that the first byte of the answer's body is there.
    pub fn first_byte(&mut self) {
        if let Some(open) = &mut self.open {
            let us = open.elapsed_us();
            open.event.first_us.get_or_insert(us);
        }
    }

    /// Notes the tokens; `estimated` where the count is ours and not the provider's.
    pub fn usage(&mut self, usage: Usage, estimated: bool) {
        if let Some(open) = &mut self.open {
            open.event.usage = Some(usage);
            open.event.usage_estimated = estimated;
        }
    }

    /// USD of the answer, where the price and the tokens are known by now.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        let open = self.open.as_ref()?;
        Some(open.price?.cost(&open.event.usage?))
    }

    /// Microseconds since it was opened.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        self.open.as_ref().map_or(0, Open::elapsed_us)
    }

    /// Closes the account: settles the limits, reckons the cost and hands the record over.
    #[must_use = "a durable record is only durable when its future says so"]
    pub fn close(mut self, outcome: Outcome) -> Recorded {
        match self.open.take() {
            Some(open) => open.close(outcome),
            None => Recorded::Queued,
        }
    }
}

impl Open {
    fn elapsed_us(&self) -> u64 {
        let us = self.clock.now().saturating_duration_since(self.started).as_micros();
        u64::try_from(us).unwrap_or(u64::MAX)
    }

    /// Notes what the last try came by in a graph.
    fn visited(&mut self) {
        let Some((aside, after_us)) = self.visiting.take() else { return };
        let before = u32::try_from(self.event.visits.len()).unwrap_or(u32::MAX);
        let behind = |within: u32| within.saturating_add(before);
        let of_call = |visit: Visit| {
            let from_us = visit.from_us.saturating_add(after_us);
            Visit { within: visit.within.map(behind), from_us, ..visit }
        };
        self.event.visits.extend(aside.visits.take().into_iter().map(of_call));
    }

    /// What the answer cost, and with it the tries that were of no use.
    fn cost(&self) -> Option<f64> {
        let answer = self.event.usage.and_then(|usage| Some(self.price?.cost(&usage)));
        let wasted = self.event.attempts.iter().filter_map(|attempt| attempt.cost_usd);
        let beside = (self.beside.cost.0 > 0).then(|| self.beside.cost.usd());
        answer.into_iter().chain(wasted).chain(beside).reduce(|sum, cost| sum + cost)
    }

    fn close(mut self, outcome: Outcome) -> Recorded {
        self.visited();
        self.event.total_us = self.elapsed_us();
        self.event.outcome = outcome;
        self.event.cost_usd = self.cost();
        if let Some(reservation) = &mut self.reservation {
            let tokens = self.event.usage.map_or(0, |usage| usage.total()).saturating_add(self.beside.tokens);
            let cost = self.event.cost_usd.map_or(NanoUsd::default(), NanoUsd::from_usd);
            reservation.note_used(Amounts { tokens, cost });
        }
        drop(self.reservation.take());
        self.events.record(self.event)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let outcome = if std::thread::panicking() { Outcome::Panic } else { Outcome::Cancelled };
            drop(open.close(outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::dice::SplitMix;
    use crate::port::limits::{Settle, Standings};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime};

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl Events for Kept {
        fn record(&self, event: Box<Event>) -> Recorded {
            self.0.lock().unwrap().push(*event);
            Recorded::Queued
        }
    }

    /// How many tokens and billionths of a USD came back.
    #[derive(Default)]
    struct Back([AtomicU64; 2]);

    impl Settle for Arc<Back> {
        fn settle(&self, reserved: Amounts, used: Amounts) {
            self.0[0].fetch_add(reserved.tokens - used.tokens, Ordering::Relaxed);
            self.0[1].fetch_add(reserved.cost.0 - used.cost.0, Ordering::Relaxed);
        }
    }

    fn ledger(kept: &Arc<Kept>, clock: &Arc<ManualClock>) -> Ledger {
        Ledger::open(
            Api::ChatCompletions,
            "c".into(),
            Arc::<Kept>::clone(kept),
            Arc::<ManualClock>::clone(clock),
            &SplitMix::seeded(1),
        )
    }

    #[test]
    fn every_way_out_leaves_one_record() {
        let (kept, clock) = (Arc::new(Kept::default()), Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)));
        let open = ledger(&kept, &clock);
        clock.advance(Duration::from_micros(7));
        assert!(matches!(open.close(Outcome::Ok), Recorded::Queued));
        drop(ledger(&kept, &clock));
        let panicking = ledger(&kept, &clock);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = panicking;
            panic!("on purpose");
        }));
        assert!(caught.is_err());
        let events = kept.0.lock().unwrap();
        assert_eq!(
            events.iter().map(|e| e.outcome).collect::<Vec<_>>(),
            [Outcome::Ok, Outcome::Cancelled, Outcome::Panic]
        );
        assert_eq!(events[0].total_us, 7);
    }

    #[test]
    fn what_a_graph_came_by_is_noted_even_where_the_call_is_dropped() {
        let (kept, clock) = (Arc::new(Kept::default()), Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)));
        let mut open = ledger(&kept, &clock);
        let visit = |within: Option<u32>| -> Visit {
            let within = within.map_or(serde_json::Value::Null, Into::into);
            serde_json::from_value(serde_json::json!({"node": "n", "within": within, "from_us": 1})).unwrap()
        };
        for _ in 0..2 {
            clock.advance(Duration::from_micros(10));
            let aside = Arc::new(Aside::default());
            open.visiting(Arc::clone(&aside));
            let outer = aside.visits.begin(visit(None));
            aside.visits.begin(visit(Some(outer)));
        }
        drop(open);
        let events = kept.0.lock().unwrap();
        let noted: Vec<_> = events[0].visits.iter().map(|visit| (visit.within, visit.from_us)).collect();
        assert_eq!(noted, [(None, 11), (Some(0), 11), (None, 21), (Some(2), 21)]);
    }

    #[test]
    fn what_was_used_beside_the_answer_counts_and_can_be_taken_back() {
        let (kept, clock) = (Arc::new(Kept::default()), Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)));
        let back = Arc::new(Back::default());
        let used = Amounts { tokens: 30, cost: NanoUsd(20_000) };
        for times in 0..3 {
            let reserved = Amounts { tokens: 100, cost: NanoUsd(100_000) };
            let mut open = ledger(&kept, &clock);
            open.hold(Reservation::new(Standings::default(), reserved, Some(Box::new(Arc::clone(&back)))));
            open.beside(used);
            if times > 0 {
                open.attempt(
                    Attempt::of("a".parse().unwrap()),
                    Some(Price { input: 1.0, cached_input: None, output: 2.0 }),
                );
                open.usage(Usage { prompt: 10, completion: 20, ..Usage::default() }, false);
            }
            if times > 1 {
                open.not_beside(used);
            }
        }
        let costs: Vec<Option<f64>> = kept.0.lock().unwrap().iter().map(|event| event.cost_usd).collect();
        let nano: Vec<u64> = costs.iter().map(|cost| NanoUsd::from_usd(cost.unwrap()).0).collect();
        assert_eq!(nano, [20_000, 70_000, 50_000], "alone, with the answer's, taken back");
        assert_eq!(
            back.0.each_ref().map(|back| back.load(Ordering::Relaxed)),
            [70 + 40 + 70, 80_000 + 30_000 + 50_000]
        );
    }

    #[test]
    fn the_close_settles_the_reservation_and_reckons_the_cost() {
        let (kept, clock) = (Arc::new(Kept::default()), Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)));
        let back = Arc::new(Back::default());
        let reserved = Amounts { tokens: 100, cost: NanoUsd(60_000) };
        let mut open = ledger(&kept, &clock);
        open.hold(Reservation::new(Standings::default(), reserved, Some(Box::new(Arc::clone(&back)))));
        let attempt = Attempt::of("a".parse().unwrap());
        open.attempt(attempt, Some(Price { input: 1.0, cached_input: None, output: 2.0 }));
        open.usage(Usage { prompt: 10, completion: 20, ..Usage::default() }, false);
        drop(open);
        assert_eq!(back.0.each_ref().map(|back| back.load(Ordering::Relaxed)), [70, 10_000]);
        assert_eq!(kept.0.lock().unwrap()[0].cost_usd, Some(50e-6));
    }

    #[test]
    fn what_was_of_no_use_is_paid_too() {
        let (kept, clock) = (Arc::new(Kept::default()), Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)));
        let price = Some(Price { input: 1.0, cached_input: None, output: 2.0 });
        let lost = || Attempt { lost: true, cost_usd: Some(10e-6), ..Attempt::of("a".parse().unwrap()) };
        for (usage, wanted) in [(Some(Usage { prompt: 10, completion: 20, ..Usage::default() }), 60e-6), (None, 10e-6)]
        {
            let back = Arc::new(Back::default());
            let reserved = Amounts { tokens: 100, cost: NanoUsd(100_000) };
            let mut open = ledger(&kept, &clock);
            open.hold(Reservation::new(Standings::default(), reserved, Some(Box::new(Arc::clone(&back)))));
            open.attempt(lost(), price);
            open.attempt(Attempt { hedge: true, ..Attempt::of("a".parse().unwrap()) }, price);
            if let Some(usage) = usage {
                open.usage(usage, false);
            }
            drop(open);
            let cost = kept.0.lock().unwrap().pop().unwrap().cost_usd.unwrap();
            assert!((cost - wanted).abs() < 1e-12, "{cost}");
            assert_eq!(back.0[1].load(Ordering::Relaxed), 100_000 - NanoUsd::from_usd(wanted).0);
        }
    }
}
