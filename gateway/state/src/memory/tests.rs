//! Limits as callers meet them: all or none, exact under threads, kept over reloads, forgotten when idle.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tidegate_core::KeyRecord;
use tidegate_core::clock::ManualClock;
use tidegate_core::digest::Digest;
use tidegate_core::port::limits::Quantity;
use tidegate_core::spec::limit::{OnFailure, Per, Rate};

fn limit(per: Per, requests: Option<u64>, tokens: Option<u64>) -> LimitSpec {
    let minute = |count| Rate { count, every: Duration::from_secs(60) };
    LimitSpec { per, requests: requests.map(minute), tokens: tokens.map(minute), failure: OnFailure::Open }
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
    let reservation = limits.reserve(&caller("k", "t"), u64::MAX).unwrap();
    assert_eq!(reservation.standings, Standings::default());
    assert_eq!(limits.accounts(), 0);
}

#[test]
fn the_one_above_the_limit_is_told_which_and_when() {
    let (clock, limits) = limits(&[limit(Per::Key, Some(600), None)]);
    let caller = caller("k", "t");
    (0..600).for_each(|_| drop(limits.reserve(&caller, 0).unwrap()));
    let denied = limits.reserve(&caller, 0).unwrap_err();
    assert_eq!(denied.quantity, Quantity::Requests);
    assert_eq!(denied.limit, "600 requests per minute for this key");
    assert_eq!(denied.retry_after, Duration::from_millis(100));
    assert_eq!(denied.standings.requests.unwrap().remaining, 0);
    clock.advance(denied.retry_after);
    assert!(limits.reserve(&caller, 0).is_ok());
    assert!(limits.reserve(&caller, 0).is_err());
}

#[test]
fn keys_count_apart_and_a_tenant_counts_over_its_keys() {
    let (_, limits) = limits(&[limit(Per::Key, Some(2), None), limit(Per::Tenant, Some(3), None)]);
    let (a, b, other) = (caller("a", "t"), caller("b", "t"), caller("c", "u"));
    let passes = |caller: &Caller| limits.reserve(caller, 0).is_ok();
    assert_eq!([passes(&a), passes(&a), passes(&a)], [true, true, false]);
    assert_eq!([passes(&b), passes(&b)], [true, false]);
    assert!(passes(&other));
}

#[test]
fn tokens_are_held_and_settle_when_dropped() {
    let (_, limits) = limits(&[limit(Per::Key, None, Some(1000))]);
    let caller = caller("k", "t");
    let mut first = limits.reserve(&caller, 900).unwrap();
    assert_eq!(remaining(&first), (None, Some(100)));
    assert_eq!(limits.reserve(&caller, 200).unwrap_err().retry_after, Duration::from_secs(6));
    first.note_used(300);
    drop(first);
    let second = limits.reserve(&caller, 700).unwrap();
    assert_eq!(remaining(&second), (None, Some(0)));
    drop(second);
    assert_eq!(remaining(&limits.reserve(&caller, 0).unwrap()), (None, Some(700)), "dropped unused, all comes back");
}

#[test]
fn a_refused_call_leaves_no_trace_in_any_limit() {
    let specs = [limit(Per::Key, Some(10), Some(500)), limit(Per::Tenant, Some(100), Some(100))];
    for specs in [specs.clone(), [specs[1].clone(), specs[0].clone()]] {
        let (_, limits) = limits(&specs);
        let caller = caller("k", "t");
        let mut spent = limits.reserve(&caller, 90).unwrap();
        spent.note_used(90);
        drop(spent);
        let denied = limits.reserve(&caller, 50).unwrap_err();
        assert_eq!(denied.limit, "100 tokens per minute for this tenant");
        assert_eq!(denied.standings.requests.unwrap().remaining, 9);
        assert_eq!(remaining(&limits.reserve(&caller, 0).unwrap()), (Some(8), Some(10)));
    }
}

#[test]
fn of_several_refusals_the_longest_is_told() {
    let (_, limits) = limits(&[limit(Per::Key, Some(60), Some(60)), limit(Per::Tenant, Some(1), None)]);
    let caller = caller("k", "t");
    let mut spent = limits.reserve(&caller, 60).unwrap();
    spent.note_used(60);
    drop(spent);
    let denied = limits.reserve(&caller, 30).unwrap_err();
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
                    if let Ok(mut reservation) = limits.reserve(&caller, 10) {
                        reservation.note_used(10);
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
        let run = |caller| (0..40).filter(|_| limits.reserve(caller, 1).is_ok()).count();
        let threads: Vec<_> = callers.iter().map(|caller| scope.spawn(move || run(caller))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 25);
    let left: u64 = callers.iter().map(|c| limits.limits[0].account(c, 0).lock().full_at).sum();
    assert_eq!(left, 25 * 6_000_000_000, "keys were charged for the admitted calls alone");
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let (key, tenant) = (limit(Per::Key, Some(2), None), limit(Per::Tenant, Some(5), None));
    let (_, old) = limits(&[key.clone(), tenant.clone()]);
    let caller = caller("k", "t");
    (0..2).for_each(|_| drop(old.reserve(&caller, 0).unwrap()));
    let reordered = old.reconfigured(&[LimitSpec { failure: OnFailure::Closed, ..tenant.clone() }, key]);
    assert!(reordered.reserve(&caller, 0).is_err());
    let widened = reordered.reconfigured(&[limit(Per::Key, Some(9), None), tenant]);
    let standings = widened.reserve(&caller, 0).unwrap().standings;
    assert_eq!(standings.requests.unwrap(), Standing { limit: 5, remaining: 2, reset: Duration::from_secs(36) });
    assert_eq!(old.reconfigured(&[]).reserve(&caller, 0).unwrap().standings, Standings::default());
}

#[test]
fn a_limit_given_twice_is_not_counted_twice_in_one_account() {
    let spec = limit(Per::Key, Some(2), None);
    let (_, limits) = limits(&[spec.clone(), spec.clone()]);
    let reloaded = limits.reconfigured(&[spec.clone(), spec]);
    assert_eq!(remaining(&reloaded.reserve(&caller("k", "t"), 0).unwrap()), (Some(1), None));
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
            scope.spawn(|| (0..20_000).for_each(|_| drop(limits.reserve(&caller, 0))));
        }
    });
}

#[test]
fn idle_callers_are_forgotten_and_busy_ones_are_not() {
    let (clock, limits) = limits(&[limit(Per::Key, Some(60), Some(60))]);
    let (busy, idle) = (caller("busy", "t"), caller("idle", "t"));
    let held = limits.reserve(&busy, 10).unwrap();
    drop(limits.reserve(&idle, 10).unwrap());
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
        drop(limits.reserve(&caller(&format!("k{i}"), "t"), 0).unwrap());
        clock.advance(Duration::from_millis(10));
        most = most.max(limits.accounts());
    }
    // A request is forgotten after a second, so 100 callers are worth remembering at any time.
    assert!((100..=1025).contains(&most), "{most} accounts");
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
            let got = limits.reserve(&callers[who], reserved);
            prop_assert_eq!(got.is_ok(), fits);
            if let Ok(mut reservation) = got {
                reservation.note_used(used);
                drop(reservation);
                requests[who] -= 1;
                tenant_requests -= 1;
                tokens[who] -= u;
                tenant_tokens -= u;
            }
        }
    }
}
