//! Limits as callers meet them: all or none, exact under threads, kept over reloads, forgotten when idle.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::{Dice, SplitMix};
use tidegate_core::digest::Digest;
use tidegate_core::port::limits::Quantity;
use tidegate_core::spec::limit::{Budget, OnFailure, Per, Period, Rate};
use tidegate_core::{Caller, KeyRecord, NanoUsd, RouteName};

fn limit(per: Per, requests: Option<u64>, tokens: Option<u64>) -> LimitSpec {
    let minute = |count| Rate { count, every: Duration::from_secs(60) };
    let (requests, tokens) = (requests.map(minute), tokens.map(minute));
    LimitSpec { per, requests, tokens, cost: None, failure: OnFailure::Open }
}

fn a_day(per: Per, usd: f64) -> LimitSpec {
    let cost = Some(Budget { most: NanoUsd::from_usd(usd), every: Period::Day });
    LimitSpec { cost, ..limit(per, None, None) }
}

/// Limits asked by callers of one route, as most tests do.
trait Asks {
    fn reserve_for(&self, caller: &Caller, tokens: u64) -> Result<Reservation, Denied>;
    fn spend(&self, caller: &Caller, usd: f64) -> Result<Reservation, Denied>;
}

impl Asks for MemoryLimits {
    fn reserve_for(&self, caller: &Caller, tokens: u64) -> Result<Reservation, Denied> {
        self.reserve(&Demand { caller, route: &route("r"), amounts: of_tokens(tokens) })
    }

    fn spend(&self, caller: &Caller, usd: f64) -> Result<Reservation, Denied> {
        self.reserve(&Demand { caller, route: &route("r"), amounts: of_usd(usd) })
    }
}

fn route(name: &str) -> RouteName {
    name.parse().unwrap()
}

fn of_tokens(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::default() }
}

fn of_usd(usd: f64) -> Amounts {
    Amounts { cost: NanoUsd::from_usd(usd), ..Amounts::default() }
}

fn caller(key: &str, tenant: &str) -> Caller {
    Caller(Arc::new(KeyRecord {
        id: key.parse().unwrap(),
        digest: Digest::of(key.as_bytes()),
        principal: "p".parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        roles: BTreeSet::new(),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    }))
}

fn limits(specs: &[LimitSpec]) -> (Arc<ManualClock>, MemoryLimits) {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
    (Arc::clone(&clock), MemoryLimits::new(specs, clock))
}

fn remaining(reservation: &Reservation) -> (Option<u64>, Option<u64>) {
    let of = |standing: Option<Standing>| standing.map(|s| s.remaining);
    (of(reservation.standings.requests), of(reservation.standings.tokens))
}

#[test]
fn without_limits_all_pass() {
    let (_, limits) = limits(&[limit(Per::Key, None, None)]);
    let reservation = limits.reserve_for(&caller("k", "t"), u64::MAX).unwrap();
    assert_eq!(reservation.standings, Standings::default());
    assert_eq!(limits.accounts(), 0);
}

#[test]
fn the_one_above_the_limit_is_told_which_and_when() {
    let (clock, limits) = limits(&[limit(Per::Key, Some(600), None)]);
    let caller = caller("k", "t");
    (0..600).for_each(|_| drop(limits.reserve_for(&caller, 0).unwrap()));
    let denied = limits.reserve_for(&caller, 0).unwrap_err();
    assert_eq!(denied.quantity, Quantity::Requests);
    assert_eq!(denied.limit, "600 requests per minute for this key");
    assert_eq!(denied.retry_after, Duration::from_millis(100));
    assert_eq!(denied.standings.requests.unwrap().remaining, 0);
    clock.advance(denied.retry_after);
    assert!(limits.reserve_for(&caller, 0).is_ok());
    assert!(limits.reserve_for(&caller, 0).is_err());
}

#[test]
fn keys_count_apart_and_a_tenant_counts_over_its_keys() {
    let (_, limits) = limits(&[limit(Per::Key, Some(2), None), limit(Per::Tenant, Some(3), None)]);
    let (a, b, other) = (caller("a", "t"), caller("b", "t"), caller("c", "u"));
    let passes = |caller: &Caller| limits.reserve_for(caller, 0).is_ok();
    assert_eq!([passes(&a), passes(&a), passes(&a)], [true, true, false]);
    assert_eq!([passes(&b), passes(&b)], [true, false]);
    assert!(passes(&other));
}

#[test]
fn tokens_are_held_and_settle_when_dropped() {
    let (_, limits) = limits(&[limit(Per::Key, None, Some(1000))]);
    let caller = caller("k", "t");
    let mut first = limits.reserve_for(&caller, 900).unwrap();
    assert_eq!(remaining(&first), (None, Some(100)));
    assert_eq!(limits.reserve_for(&caller, 200).unwrap_err().retry_after, Duration::from_secs(6));
    first.note_used(of_tokens(300));
    drop(first);
    let second = limits.reserve_for(&caller, 700).unwrap();
    assert_eq!(remaining(&second), (None, Some(0)));
    drop(second);
    assert_eq!(
        remaining(&limits.reserve_for(&caller, 0).unwrap()),
        (None, Some(700)),
        "dropped unused, all comes back"
    );
}

#[test]
fn a_refused_call_leaves_no_trace_in_any_limit() {
    let specs = [limit(Per::Key, Some(10), Some(500)), limit(Per::Tenant, Some(100), Some(100))];
    for specs in [specs.clone(), [specs[1].clone(), specs[0].clone()]] {
        let (_, limits) = limits(&specs);
        let caller = caller("k", "t");
        let mut spent = limits.reserve_for(&caller, 90).unwrap();
        spent.note_used(of_tokens(90));
        drop(spent);
        let denied = limits.reserve_for(&caller, 50).unwrap_err();
        assert_eq!(denied.limit, "100 tokens per minute for this tenant");
        assert_eq!(denied.standings.requests.unwrap().remaining, 9);
        assert_eq!(remaining(&limits.reserve_for(&caller, 0).unwrap()), (Some(8), Some(10)));
    }
}

#[test]
fn of_several_refusals_the_longest_is_told() {
    let (_, limits) = limits(&[limit(Per::Key, Some(60), Some(60)), limit(Per::Tenant, Some(1), None)]);
    let caller = caller("k", "t");
    let mut spent = limits.reserve_for(&caller, 60).unwrap();
    spent.note_used(of_tokens(60));
    drop(spent);
    let denied = limits.reserve_for(&caller, 30).unwrap_err();
    assert_eq!((denied.quantity, denied.retry_after), (Quantity::Requests, Duration::from_secs(60)));
}

#[test]
fn two_hundred_parallel_calls_on_a_limit_of_ten_admit_ten() {
    for specs in [[limit(Per::Key, Some(10), None)], [limit(Per::Key, None, Some(100))]] {
        let (_, limits) = limits(&specs);
        let (caller, start, admitted) = (caller("k", "t"), Barrier::new(200), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    start.wait();
                    if let Ok(mut reservation) = limits.reserve_for(&caller, 10) {
                        reservation.note_used(of_tokens(10));
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 10);
    }
}

#[test]
fn keys_that_race_for_their_tenants_rest_take_exactly_it() {
    let (_, limits) = limits(&[limit(Per::Key, Some(10), Some(1000)), limit(Per::Tenant, Some(25), Some(1000))]);
    let callers: Vec<Caller> = (0..5).map(|i| caller(&format!("k{i}"), "t")).collect();
    let admitted: usize = std::thread::scope(|scope| {
        let run = |caller| (0..40).filter(|_| limits.reserve_for(caller, 1).is_ok()).count();
        let threads: Vec<_> = callers.iter().map(|caller| scope.spawn(move || run(caller))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 25);
    let left: u64 =
        callers.iter().map(|c| limits.limits[0].account_of(c.0.id.as_str(), limits.ticks.now()).lock().full_at).sum();
    assert_eq!(left, 25 * 6_000_000_000, "keys were charged for the admitted calls alone");
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let (key, tenant) = (limit(Per::Key, Some(2), None), limit(Per::Tenant, Some(5), None));
    let (_, old) = limits(&[key.clone(), tenant.clone()]);
    let caller = caller("k", "t");
    (0..2).for_each(|_| drop(old.reserve_for(&caller, 0).unwrap()));
    let reordered = old.reconfigured(&[LimitSpec { failure: OnFailure::Closed, ..tenant.clone() }, key]);
    assert!(reordered.reserve_for(&caller, 0).is_err());
    let widened = reordered.reconfigured(&[limit(Per::Key, Some(9), None), tenant]);
    let standings = widened.reserve_for(&caller, 0).unwrap().standings;
    assert_eq!(standings.requests.unwrap(), Standing { limit: 5, remaining: 2, reset: Duration::from_secs(36) });
    assert_eq!(old.reconfigured(&[]).reserve_for(&caller, 0).unwrap().standings, Standings::default());
}

#[test]
fn a_limit_given_twice_is_not_counted_twice_in_one_account() {
    let spec = limit(Per::Key, Some(2), None);
    let (_, limits) = limits(&[spec.clone(), spec.clone()]);
    let reloaded = limits.reconfigured(&[spec.clone(), spec]);
    assert_eq!(remaining(&reloaded.reserve_for(&caller("k", "t"), 0).unwrap()), (Some(1), None));
}

#[test]
fn an_old_and_a_new_configuration_in_another_order_do_not_wait_for_each_other() {
    let (a, b) = (limit(Per::Key, Some(1_000_000), None), limit(Per::Tenant, Some(1_000_000), None));
    let (_, old) = limits(&[a.clone(), b.clone()]);
    let new = old.reconfigured(&[limit(Per::Key, None, Some(9)), b, a]);
    let order = |limits: &MemoryLimits| limits.limits.iter().map(|l| l.rank).collect::<Vec<_>>();
    assert_eq!((order(&old), order(&new)), (vec![1, 2], vec![1, 2, 3]));
    let caller = caller("k", "t");
    std::thread::scope(|scope| {
        for limits in [&old, &new, &old, &new] {
            scope.spawn(|| (0..20_000).for_each(|_| drop(limits.reserve_for(&caller, 0))));
        }
    });
}

#[test]
fn idle_callers_are_forgotten_and_busy_ones_are_not() {
    let (clock, limits) = limits(&[limit(Per::Key, Some(60), Some(60))]);
    let (busy, idle) = (caller("busy", "t"), caller("idle", "t"));
    let held = limits.reserve_for(&busy, 10).unwrap();
    drop(limits.reserve_for(&idle, 10).unwrap());
    assert_eq!(limits.sweep(), 0, "one request is still counted");
    clock.advance(Duration::from_secs(60));
    assert_eq!((limits.sweep(), limits.accounts()), (1, 1));
    drop(held);
    assert_eq!((limits.sweep(), limits.accounts()), (1, 0));
}

#[test]
fn callers_without_number_do_not_stay_in_memory() {
    let (clock, limits) = limits(&[limit(Per::Key, Some(60), None)]);
    let mut most = 0;
    for i in 0..100_000 {
        drop(limits.reserve_for(&caller(&format!("k{i}"), "t"), 0).unwrap());
        clock.advance(Duration::from_millis(10));
        most = most.max(limits.accounts());
    }
    // A request is forgotten after a second, so 100 callers are worth remembering at any time.
    assert!((100..=1025).contains(&most), "{most} accounts");
}

#[test]
fn two_hundred_parallel_calls_of_random_cost_never_overspend_a_budget() {
    for seed in 0..20u64 {
        let (_, limits) = limits(&[a_day(Per::Key, 10.0), a_day(Per::Tenant, 9.0), a_day(Per::Route, 9.5)]);
        let (start, spent) = (Barrier::new(200), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for i in 0..200u64 {
                let (limits, start, spent) = (&limits, &start, &spent);
                scope.spawn(move || {
                    let dice = SplitMix::seeded(seed * 1000 + i);
                    let most = 0.01 + (dice.next_u64() % 500) as f64 / 1000.0;
                    let really = most * (dice.next_u64() % 101) as f64 / 100.0;
                    start.wait();
                    if let Ok(mut reservation) = limits.spend(&caller("k", "t"), most) {
                        reservation.note_used(of_usd(really));
                        spent.fetch_add(usize::try_from(of_usd(really).cost.0).unwrap(), Ordering::Relaxed);
                    }
                });
            }
        });
        let spent = spent.into_inner() as u64;
        assert!(spent <= 9_000_000_000, "{spent}");
        assert!(spent > 8_000_000_000, "{spent}: most of a budget that is asked for is given");
        let accounts: Vec<u64> = limits.kept().iter().map(|kept| kept.spent.0).collect();
        assert_eq!(accounts, [spent; 3], "each limit knows exactly what was spent");
    }
}

#[test]
fn money_is_of_a_day_and_of_the_route_key_or_tenant() {
    let (clock, limits) = limits(&[a_day(Per::Route, 1.0)]);
    let (a, b) = (caller("a", "t"), caller("b", "u"));
    let mut held = limits.spend(&a, 0.75).unwrap();
    let denied = limits.spend(&b, 0.5).unwrap_err();
    assert_eq!(
        (denied.why, denied.quantity, denied.limit.as_str()),
        (Why::Reached, Quantity::Cost, "1 USD a day (UTC) for this route")
    );
    assert_eq!(denied.retry_after, Duration::from_secs(86_400));
    let other = Demand { caller: &b, route: &route("other"), amounts: of_usd(1.0) };
    assert!(limits.reserve(&other).is_ok(), "another route has its own");
    held.note_used(of_usd(0.25));
    drop(held);
    assert!(limits.spend(&b, 0.75).is_ok());
    let late = limits.spend(&b, 0.75).unwrap();
    clock.advance(Duration::from_secs(86_400));
    let today = limits.spend(&a, 1.0).unwrap();
    drop(late);
    assert!(limits.spend(&a, 0.1).is_err(), "what yesterday's call gave back is not today's");
    drop(today);
    assert!(limits.spend(&a, 1.0).is_ok());
}

#[test]
fn another_amount_keeps_what_was_spent() {
    let (_, old) = limits(&[a_day(Per::Key, 1.0)]);
    let caller = caller("k", "t");
    let mut spent = old.spend(&caller, 0.75).unwrap();
    let more = old.reconfigured(&[a_day(Per::Key, 2.0)]);
    spent.note_used(of_usd(1.0));
    drop(spent);
    assert!(old.spend(&caller, 0.5).is_err());
    assert!(more.spend(&caller, 1.5).is_err());
    drop(more.spend(&caller, 1.0).unwrap());
    assert!(more.reconfigured(&[a_day(Per::Key, 0.5)]).spend(&caller, 0.0).is_err());
}

#[test]
fn a_restart_goes_on_from_what_was_kept() {
    let specs = [a_day(Per::Key, 1.0), a_day(Per::Tenant, 5.0)];
    let (clock, before) = limits(&specs);
    let caller = caller("k", "t");
    let mut ended = before.spend(&caller, 0.5).unwrap();
    ended.note_used(of_usd(0.25));
    drop(ended);
    let under_way = before.spend(&caller, 0.5).unwrap();
    let kept = before.kept();
    drop(under_way);
    let after = MemoryLimits::new(&specs, Arc::clone(&clock) as Arc<dyn Clock>);
    after.restore(&kept);
    assert_eq!(after.kept(), kept);
    assert!(after.spend(&caller, 0.3).is_err(), "a call that was under way counts as what it might have cost");
    assert!(after.spend(&caller, 0.25).is_ok());
    clock.advance(Duration::from_secs(86_400));
    let tomorrow = MemoryLimits::new(&specs, clock);
    tomorrow.restore(&kept);
    assert_eq!((tomorrow.accounts(), tomorrow.kept()), (0, vec![]));
}

proptest! {
    #[test]
    fn any_calls_leave_what_their_use_explains(
        calls in prop::collection::vec((0..3usize, 0..400u64, 0..600u64), 1..60),
    ) {
        let (_, limits) = limits(&[limit(Per::Key, Some(20), Some(1000)), limit(Per::Tenant, Some(30), Some(1500))]);
        let callers: Vec<Caller> = (0..3).map(|i| caller(&format!("k{i}"), "t")).collect();
        // The clock stands, so what is left is what was there less what was admitted.
        let (mut requests, mut tokens) = ([20i64; 3], [1000i64; 3]);
        let (mut tenant_requests, mut tenant_tokens) = (30i64, 1500i64);
        for (who, reserved, used) in calls {
            let (r, u) = (i64::try_from(reserved).unwrap(), i64::try_from(used).unwrap());
            let fits = requests[who] >= 1 && tenant_requests >= 1 && tokens[who] >= r && tenant_tokens >= r;
            let got = limits.reserve_for(&callers[who], reserved);
            prop_assert_eq!(got.is_ok(), fits);
            if let Ok(mut reservation) = got {
                reservation.note_used(of_tokens(used));
                drop(reservation);
                requests[who] -= 1;
                tenant_requests -= 1;
                tokens[who] -= u;
                tenant_tokens -= u;
            }
        }
    }
}
