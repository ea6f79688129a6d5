//! Shared limits as callers meet them, with a store in memory that can be late, frozen or gone.

use super::super::model::Model;
use super::super::store::{Answer, Ask, Store, StoreFault};
use super::*;
use crate::shared::Feeder;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};
use tidegate_core::dice::{Dice as _, SplitMix};
use tidegate_core::digest::Digest;
use tidegate_core::port::limits::Quantity;
use tidegate_core::spec::limit::{Budget, OnFailure, Per, Period, Rate};
use tidegate_core::{Caller, Clock, KeyRecord, NanoUsd, RouteName};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Noon of some day.
const NOON_MS: u64 = 20_000 * 86_400_000 + 43_200_000;

/// The runtime's clock, which stands still while something is to be done.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(NOON_MS) + self.0.elapsed()
    }
}

/// A store of all replicas of a test.
#[derive(Debug, Clone)]
struct World {
    model: Arc<Mutex<Model>>,
    clock: Arc<Paused>,
    frozen: Arc<AtomicBool>,
    trips: Arc<Mutex<usize>>,
}

impl Store for World {
    async fn exchange(&mut self, asks: &[Ask]) -> Result<Vec<Answer>, StoreFault> {
        tokio::time::sleep(Duration::from_micros(500)).await;
        if self.frozen.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            return Err(StoreFault("frozen".into()));
        }
        *self.trips.lock().unwrap() += 1;
        let now = i64::try_from(self.clock.unix_ms() * 1000).unwrap();
        let mut model = self.model.lock().unwrap();
        Ok(asks.iter().map(|ask| model.exchange(ask, now)).collect())
    }
}

struct Replica {
    limits: Arc<SharedLimits>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        Self {
            model: Arc::default(),
            clock: Arc::new(Paused(tokio::time::Instant::now())),
            frozen: Arc::default(),
            trips: Arc::default(),
        }
    }

    fn replica(&self, name: &str, specs: &[LimitSpec]) -> Replica {
        let clock = Arc::clone(&self.clock);
        let dice = Arc::new(SplitMix::seeded(1));
        let (limits, feeder) = Feeder::new(specs, self.clone(), name.to_owned(), clock, dice);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(feeder.run(async {
            let _gone = stopped.await;
        }));
        Replica { limits: Arc::new(limits), stop, task }
    }
}

impl Replica {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    async fn spend(&self, amounts: Amounts) -> Result<Reservation, Denied> {
        spend(&self.limits, amounts).await
    }
}

/// A call as the server makes it.
async fn spend(limits: &SharedLimits, amounts: Amounts) -> Result<Reservation, Denied> {
    let (caller, route) = (caller(), "r".parse::<RouteName>().unwrap());
    let call = Demand { caller: &caller, route: &route, amounts };
    match limits.reserve(&call) {
        Err(short) if short.why == Why::Short => limits.ask(&call).await,
        known => known,
    }
}

fn caller() -> Caller {
    Caller(Arc::new(KeyRecord {
        id: "k".parse().unwrap(),
        digest: Digest::of(b"k"),
        principal: "p".parse().unwrap(),
        tenant: "t".parse().unwrap(),
        roles: BTreeSet::new(),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    }))
}

fn budget(usd: f64, failure: OnFailure) -> LimitSpec {
    let cost = Some(Budget { most: NanoUsd::from_usd(usd), every: Period::Day });
    LimitSpec { per: Per::Key, requests: None, tokens: None, cost, failure }
}

fn requests(count: u64, failure: OnFailure) -> LimitSpec {
    let rate = Rate { count, every: Duration::from_secs(60) };
    LimitSpec { per: Per::Tenant, requests: Some(rate), tokens: None, cost: None, failure }
}

fn usd(usd: f64) -> Amounts {
    Amounts { cost: NanoUsd::from_usd(usd), ..Amounts::default() }
}

#[tokio::test(start_paused = true)]
async fn two_replicas_hold_to_one_budget_and_one_that_is_killed_overspends_nothing() {
    let world = World::new();
    let specs = [budget(10.0, OnFailure::Closed), requests(100_000, OnFailure::Closed)];
    let (a, b) = (world.replica("a", &specs), world.replica("b", &specs));
    let dice = Arc::new(SplitMix::seeded(5));
    let (mut calls, mut spent) = (tokio::task::JoinSet::new(), 0);
    for call in 0..200_u32 {
        let limits = Arc::clone(if call % 2 == 0 { &a.limits } else { &b.limits });
        let (dice, most) = (Arc::clone(&dice), usd(0.05 + f64::from(call % 20) / 20.0));
        calls.spawn(async move {
            let begin = dice.unit() * 0.4;
            tokio::time::sleep(Duration::from_secs_f64(begin)).await;
            let mut held = spend(&limits, most).await.ok()?;
            tokio::time::sleep(Duration::from_secs_f64(dice.unit() * 0.4)).await;
            let used = NanoUsd(dice.next_u64() % (most.cost.0 + 1));
            held.note_used(Amounts { cost: used, ..Amounts::default() });
            Some(used.0)
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Killed, as far as the store can tell: what it held does not come back.
    b.task.abort();
    let (mut passed, mut refused) = (0, 0);
    while let Some(done) = calls.join_next().await {
        match done.unwrap() {
            Some(used) => (passed, spent) = (passed + 1, spent + used),
            None => refused += 1,
        }
    }
    assert!(spent <= 10_000_000_000, "{spent}");
    assert!(passed > 15 && refused > 50, "{passed} passed, {refused} refused");
    a.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_one_gives_back_at_its_end_the_other_can_spend() {
    let world = World::new();
    let specs = [budget(10.0, OnFailure::Closed)];
    let (a, b) = (world.replica("a", &specs), world.replica("b", &specs));
    drop(a.spend(usd(4.0)).await.unwrap());
    let mut held = a.spend(usd(4.0)).await.unwrap();
    held.note_used(usd(1.0));
    drop(held);
    a.stop().await;
    let denied = b.spend(usd(9.5)).await.unwrap_err();
    assert_eq!((denied.why, denied.quantity), (Why::Reached, Quantity::Cost));
    assert_eq!(denied.limit, "10 USD a day (UTC) for this key");
    assert!(denied.retry_after > Duration::from_secs(43_000), "{:?}", denied.retry_after);
    drop(b.spend(usd(9.0)).await.unwrap());
    b.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_steady_load_is_served_from_leases() {
    let world = World::new();
    let a = world.replica("a", &[requests(600_000, OnFailure::Closed)]);
    for _ in 0..20_000 {
        a.spend(Amounts::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let counts = a.limits.counts();
    assert!(counts.decided(Way::Asked) <= 10, "{} calls waited", counts.decided(Way::Asked));
    assert!(*world.trips.lock().unwrap() <= 100, "{} round trips in 20 s", world.trips.lock().unwrap());
    a.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_store_costs_a_few_milliseconds_and_then_failure_decides() {
    let world = World::new();
    let open = world.replica("a", &[requests(100, OnFailure::Open)]);
    let closed = world.replica("b", &[budget(10.0, OnFailure::Closed)]);
    drop(closed.spend(usd(1.0)).await.unwrap());
    open.spend(Amounts::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.frozen.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    for _ in 0..300 {
        let began = tokio::time::Instant::now();
        open.spend(Amounts::default()).await.unwrap();
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(longest <= Duration::from_millis(5), "{longest:?}");
    let denied = closed.spend(usd(9.5)).await.unwrap_err();
    assert_eq!((denied.why, denied.retry_after), (Why::Unknown, AGAIN));
    let counts = open.limits.counts();
    assert!(!counts.is_up() && counts.losses() == 1 && counts.decided(Way::Open) > 100, "{counts:?}");

    world.frozen.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(counts.is_up());
    assert!(counts.reconciled() > 0, "what was let through is told");
    let denied = open.spend(Amounts::default()).await.unwrap_err();
    assert_eq!((denied.why, denied.quantity), (Why::Reached, Quantity::Requests), "it counts");
    drop(closed.spend(usd(9.5)).await.unwrap());
    open.stop().await;
    closed.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_keeps_what_is_held() {
    let world = World::new();
    let a = world.replica("a", &[budget(10.0, OnFailure::Closed)]);
    let mut held = a.spend(usd(6.0)).await.unwrap();
    let never = a.limits.reconfigured(&[budget(6.5, OnFailure::Closed)]);
    drop(a.spend(usd(3.0)).await.unwrap());
    drop(never);
    let lower = Arc::new(a.limits.reconfigured(&[budget(7.0, OnFailure::Closed)]));
    assert_eq!(spend(&lower, usd(2.0)).await.unwrap_err().why, Why::Reached);
    held.note_used(usd(3.0));
    drop(held);
    drop(spend(&lower, usd(3.5)).await.unwrap());
    assert_eq!(lower.accounts(), 1);
    a.stop().await;
}
