//! The lease against a model of the store: whatever order, loss, delay and death there is.

use super::super::model::Model;
use super::*;
use proptest::prelude::*;

/// Few enough that it is all spent in most runs, or a bound that is broken would not be seen.
const MOST: u64 = 300;
const BUDGET: Terms = Terms { most: MOST, fill: Fill::Span(Period::Day) };
const RATE: Terms = Terms { most: MOST, fill: Fill::Steady(EVERY_MS * 1000) };
/// So long that a slice is much beside what refills in a pause.
const EVERY_MS: u64 = 600_000;
const DAY_MS: u64 = 86_400_000;
/// All begin at noon.
const NOON_MS: u64 = 20_000 * DAY_MS + DAY_MS / 2;

#[derive(Debug, Clone)]
enum Step {
    /// A call on a replica takes so much, if it fits.
    Call(usize, u64),
    /// A call asks for more than is at hand.
    Miss(usize, u64),
    /// One of its calls ends, having used so many percent.
    End(usize, usize, u64),
    /// It sends an exchange, if one is due, and all goes well.
    Talk(usize),
    /// It sends an exchange, if one is due.
    Send(usize),
    /// One of the exchanges under way arrives; the answer is lost, late or here at once.
    Arrive(usize, bool),
    /// One of the answers under way arrives.
    Hear(usize),
    /// It gives up what is under way.
    GiveUp(usize),
    /// It is killed, and another comes up in its place.
    Kill(usize),
    /// Time goes on, in milliseconds.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..2_usize;
    let step = prop_oneof![
        10 => (who.clone(), 0..60_u64).prop_map(|(r, n)| Step::Call(r, n)),
        6 => (who.clone(), 0..60_u64).prop_map(|(r, n)| Step::Miss(r, n)),
        10 => who.clone().prop_map(Step::Talk),
        2 => (who.clone(), any::<usize>(), 0..=100_u64).prop_map(|(r, i, n)| Step::End(r, i, n)),
        4 => who.clone().prop_map(Step::Send),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(i, now)| Step::Arrive(i, now)),
        4 => any::<usize>().prop_map(Step::Hear),
        2 => who.clone().prop_map(Step::GiveUp),
        1 => who.prop_map(Step::Kill),
        4 => (0..1_500_u64).prop_map(Step::Wait),
        1 => (8_000..12_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 50..300)
}

struct Replica {
    name: String,
    lease: Lease,
    calls: Vec<(u64, u64)>,
}

struct World {
    now: Now,
    model: Model,
    replicas: [Replica; 2],
    /// What killed ones used or may have used.
    dead: u64,
    asks: Vec<(String, Ask)>,
    answers: Vec<(String, u64, Answer)>,
    seq: u64,
    lives: u64,
    taken: u64,
}

impl World {
    fn new(terms: Terms) -> Self {
        let replica =
            |name: &str, life| Replica { name: name.to_owned(), lease: Lease::new(terms, life), calls: vec![] };
        Self {
            now: Now { ns: 0, unix_ms: NOON_MS },
            model: Model::default(),
            replicas: [replica("a", 0), replica("b", 1)],
            dead: 0,
            asks: vec![],
            answers: vec![],
            seq: 0,
            lives: 2,
            taken: 0,
        }
    }

    fn spent(&self) -> u64 {
        self.dead + self.replicas.iter().map(|replica| replica.lease.spent()).sum::<u64>()
    }

    fn step(&mut self, step: &Step, terms: Terms) {
        let now = self.now;
        match *step {
            Step::Call(r, wanted) => {
                let replica = &mut self.replicas[r];
                replica.lease.turn(now, || 0);
                if replica.lease.room(wanted, now) == Room::Fits {
                    replica.lease.take(wanted, true);
                    replica.calls.push((replica.lease.life(), wanted));
                    self.taken += wanted;
                }
            }
            Step::Miss(r, wanted) => {
                let lease = &mut self.replicas[r].lease;
                lease.turn(now, || 0);
                if lease.room(wanted, now) == Room::Short {
                    lease.miss(wanted, &mut None);
                }
            }
            Step::End(r, i, percent) => {
                let replica = &mut self.replicas[r];
                if !replica.calls.is_empty() {
                    let (life, reserved) = replica.calls.swap_remove(i % replica.calls.len());
                    let used = reserved * percent / 100;
                    replica.lease.settle(life, reserved, used);
                    self.taken -= reserved - used;
                }
            }
            Step::Send(r) => {
                let replica = &mut self.replicas[r];
                replica.lease.turn(now, || 0);
                if replica.lease.is_due(now) {
                    self.seq += 1;
                    let (ask, is_beyond) = replica.lease.ask(self.seq, "k", &replica.name, now);
                    assert!(!is_beyond, "nobody took what was not lent");
                    self.asks.push((replica.name.clone(), ask));
                }
            }
            Step::Talk(r) => {
                let before = self.asks.len();
                self.step(&Step::Send(r), terms);
                if self.asks.len() > before {
                    self.arrive(before, true);
                }
            }
            Step::Arrive(i, at_once) => {
                if !self.asks.is_empty() {
                    self.arrive(i % self.asks.len(), at_once);
                }
            }
            Step::Hear(i) => {
                if !self.answers.is_empty() {
                    self.hear(i % self.answers.len());
                }
            }
            Step::GiveUp(r) => {
                let lease = &mut self.replicas[r].lease;
                if let Some(flight) = lease.flying {
                    lease.lost(flight.seq);
                }
            }
            Step::Kill(r) => {
                self.lives += 1;
                let fresh = Replica { name: format!("r{}", self.lives), lease: Lease::new(terms, 0), calls: vec![] };
                let killed = std::mem::replace(&mut self.replicas[r], fresh);
                self.dead += killed.lease.spent();
            }
            Step::Wait(ms) => {
                self.now =
                    Now { ns: now.ns + ms * 1_000_000, unix_ms: (now.unix_ms + ms).min(NOON_MS + DAY_MS / 2 - 1) };
            }
        }
    }

    fn arrive(&mut self, i: usize, at_once: bool) {
        let (name, ask) = self.asks.swap_remove(i);
        let answer = self.model.exchange(&ask, i64::try_from(self.now.unix_ms * 1000).unwrap());
        self.answers.push((name, ask.seq, answer));
        if at_once {
            self.hear(self.answers.len() - 1);
        }
    }

    fn hear(&mut self, i: usize) {
        let (name, seq, answer) = self.answers.swap_remove(i);
        let now = self.now;
        if let Some(replica) = self.replicas.iter_mut().find(|replica| replica.name == name) {
            replica.lease.answer(seq, answer, now);
        }
    }
}

fn prompt(lease: &mut Lease, model: &mut Model, name: &str, now: Now) {
    static SEQ: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let seq = SEQ.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let (ask, _) = lease.ask(seq, "k", name, now);
    let answer = model.exchange(&ask, i64::try_from(now.unix_ms * 1000).unwrap());
    lease.answer(seq, answer, now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_budget_is_never_overspent_however_exchanges_and_deaths_fall(steps in steps()) {
        let mut world = World::new(BUDGET);
        for step in &steps {
            world.step(step, BUDGET);
            prop_assert!(world.spent() <= MOST, "{} spent of {MOST} after {step:?}", world.spent());
        }
    }

    #[test]
    fn a_rate_lets_no_more_through_than_it_holds_and_refills(steps in steps()) {
        let mut world = World::new(RATE);
        for step in &steps {
            world.step(step, RATE);
            let refilled = MOST * world.now.ns / (EVERY_MS * 1_000_000);
            prop_assert!(world.taken <= MOST + refilled, "{} taken of {MOST} + {refilled} after {step:?}", world.taken);
        }
    }
}

#[test]
fn all_of_a_budget_can_be_spent_by_two_in_turn() {
    let (mut model, mut now) = (Model::default(), Now { ns: 0, unix_ms: NOON_MS });
    let mut leases = [Lease::new(BUDGET, 0), Lease::new(BUDGET, 0)];
    let mut spent = 0;
    for call in 0..10_000 {
        let (lease, name) = (&mut leases[call % 2], ["a", "b"][call % 2]);
        lease.turn(now, || 7);
        if lease.room(3, now) == Room::Short {
            lease.miss(3, &mut None);
            prompt(lease, &mut model, name, now);
        }
        if lease.room(3, now) == Room::Fits {
            lease.take(3, false);
            spent += 3;
        } else {
            lease.refuse();
        }
        if lease.is_due(now) {
            prompt(lease, &mut model, name, now);
        }
        now = Now { ns: now.ns + 20_000_000, unix_ms: now.unix_ms + 20 };
    }
    assert_eq!(spent, 300, "what one holds and does not use goes to the other");
}

#[test]
fn a_steady_load_asks_the_store_beside_the_calls_and_seldom() {
    let terms = Terms { most: 100_000, fill: Fill::Steady(60_000_000) };
    let (mut model, mut now, mut lease) = (Model::default(), Now { ns: 0, unix_ms: NOON_MS }, Lease::new(terms, 0));
    let (mut waits, mut draws) = (0, 0);
    for call in 0..20_000 {
        lease.turn(now, || 7);
        if lease.room(1, now) != Room::Fits {
            waits += 1;
            lease.miss(1, &mut None);
            prompt(&mut lease, &mut model, "a", now);
        }
        assert_eq!(lease.room(1, now), Room::Fits, "call {call}");
        lease.take(1, false);
        if lease.is_due(now) {
            draws += 1;
            prompt(&mut lease, &mut model, "a", now);
        }
        now = Now { ns: now.ns + 2_000_000, unix_ms: now.unix_ms + 2 };
    }
    assert!(waits <= 3 && draws <= 100, "{waits} calls waited, {draws} draws in 40 s");
}

/// A moment so many milliseconds after noon.
fn at(ms: u64) -> Now {
    Now { ns: ms * 1_000_000, unix_ms: NOON_MS + ms }
}

/// Takes in ones what is at hand and what the store still lends.
fn drain(lease: &mut Lease, model: &mut Model, name: &str, now: Now) -> u64 {
    let mut taken = 0;
    loop {
        lease.turn(now, || 0);
        match lease.room(1, now) {
            Room::Fits => {
                lease.take(1, true);
                taken += 1;
            }
            Room::Short => {
                lease.miss(1, &mut None);
                prompt(lease, model, name, now);
            }
            Room::None(_) => return taken,
        }
    }
}

#[test]
fn a_slice_of_a_rate_is_not_spent_when_its_lease_is_over() {
    let (mut model, mut a, mut b) = (Model::default(), Lease::new(RATE, 0), Lease::new(RATE, 0));
    a.miss(100, &mut None);
    prompt(&mut a, &mut model, "a", at(0));
    assert!(a.left() >= 100);
    // It is cut off from the store, for longer than the store waits for it: the store lends its slice to another.
    let refilled = MOST * 10_500 / EVERY_MS;
    let taken = drain(&mut b, &mut model, "b", at(10_500));
    assert!(taken > MOST - 100, "{taken} of {MOST}: the slice went to the other");
    a.turn(at(9_500), || 0);
    assert_eq!(a.room(1, at(9_500)), Room::Short, "it stops before the store does");
    assert!(taken + drain(&mut a, &mut model, "a", at(10_500)) <= MOST + refilled);
}

#[test]
fn an_answer_that_was_given_up_lends_nothing() {
    let (mut model, mut a, mut b) = (Model::default(), Lease::new(BUDGET, 0), Lease::new(BUDGET, 0));
    let (now, us) = (at(0), i64::try_from(NOON_MS * 1000).unwrap());
    a.turn(now, || 0);
    a.miss(200, &mut None);
    let late = model.exchange(&a.ask(1_000_001, "k", "a", now).0, us);
    a.lost(1_000_001);
    a.miss(10, &mut None);
    let newer = model.exchange(&a.ask(1_000_002, "k", "a", now).0, us);
    assert!(late.granted > newer.granted);
    a.answer(1_000_001, late, now);
    a.answer(1_000_002, newer, now);
    assert_eq!(a.left(), newer.granted, "what was given up went back with the newer exchange");
    assert!(drain(&mut b, &mut model, "b", now) + a.left() <= MOST);
}
