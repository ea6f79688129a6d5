//! The bucket's laws: never above its capacity, nothing made or lost, waits exact to the nanosecond.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn per_minute(count: u64) -> Quota {
    Quota::new(Rate { count, every: Duration::from_secs(60) })
}

#[test]
fn it_refills_continuously_up_to_its_capacity() {
    let quota = per_minute(60);
    let mut bucket = TokenBucket::full(quota, 0);
    assert_eq!(bucket.take(quota, 60, 0), Ok(()));
    assert_eq!(bucket.take(quota, 1, 0), Err(Duration::from_secs(1)));
    assert_eq!(bucket.standing(quota, 2 * SECOND).remaining, 2);
    assert_eq!(bucket.standing(quota, 2 * SECOND).reset, Duration::from_secs(58));
    assert_eq!(bucket.standing(quota, 3600 * SECOND).remaining, 60);
}

#[test]
fn what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() {
    let quota = per_minute(100);
    let mut bucket = TokenBucket::full(quota, 0);
    bucket.take(quota, 80, 0).unwrap();
    bucket.settle(quota, 80, 30, 0);
    assert_eq!(bucket.standing(quota, 0).remaining, 70);
    bucket.take(quota, 10, 0).unwrap();
    bucket.settle(quota, 10, 130, 0);
    assert_eq!(bucket.standing(quota, 0), Standing { limit: 100, remaining: 0, reset: Duration::from_secs(96) });
    assert_eq!(bucket.take(quota, 0, 0), Err(Duration::from_secs(36)), "a debt admits nobody");
    assert_eq!(bucket.take(quota, 0, 36 * SECOND), Ok(()));
}

#[test]
fn a_call_above_the_capacity_passes_a_full_bucket_and_leaves_its_debt() {
    let quota = per_minute(100);
    let mut bucket = TokenBucket::full(quota, 0);
    assert_eq!(bucket.take(quota, u64::MAX, 0), Ok(()));
    assert!(bucket.take(quota, 1, 0).is_err());
    bucket.settle(quota, u64::MAX, 300, 0);
    assert_eq!(bucket.standing(quota, 0).reset, Duration::from_secs(180));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let quota = Quota::new(Rate { count: u64::MAX, every: Duration::MAX });
    let mut bucket = TokenBucket::full(quota, 0);
    assert_eq!(bucket.take(quota, u64::MAX, 0), Ok(()));
    for _ in 0..4 {
        bucket.settle(quota, 0, u64::MAX, 0);
    }
    assert!(bucket.take(quota, 1, u64::MAX).is_err());
    assert_eq!(bucket.standing(quota, u64::MAX).remaining, 0);
    bucket.settle(quota, u64::MAX, 0, u64::MAX);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Call { reserved: u64, used: u64, held_ns: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = (0..20 * SECOND).prop_map(Step::Wait);
    let call = (0..200u64, 0..300u64, 0..5 * SECOND).prop_map(|(reserved, used, held_ns)| Step::Call {
        reserved,
        used,
        held_ns,
    });
    prop::collection::vec(prop_oneof![wait, call], 1..60)
}

proptest! {
    #[test]
    fn it_is_never_above_its_capacity_and_loses_only_what_overflows(
        count in 1..150u64, every_ns in 1..100 * SECOND, steps in steps(),
    ) {
        let quota = Quota::new(Rate { count, every: Duration::from_nanos(every_ns) });
        let (mut bucket, mut now) = (TokenBucket::full(quota, 0), 0);
        // The same in wide integers, step by step: level = before + inflow − net use, cut at the capacity.
        let (full, mut level) = (i128::from(count) * i128::from(every_ns), i128::from(count) * i128::from(every_ns));
        let flow = |level: i128, ns: u64| (level + i128::from(count) * i128::from(ns)).min(full);
        for step in steps {
            match step {
                Step::Wait(ns) => (now, level) = (now + ns, flow(level, ns)),
                Step::Call { reserved, used, held_ns } => {
                    let taken = i128::from(reserved.min(count)) * i128::from(every_ns);
                    prop_assert_eq!(bucket.take(quota, reserved, now).is_ok(), level >= taken);
                    if level >= taken {
                        level = flow(level - taken, held_ns);
                        now += held_ns;
                        bucket.settle(quota, reserved, used, now);
                        level = (level + taken - i128::from(used) * i128::from(every_ns)).min(full);
                    }
                }
            }
            let standing = bucket.standing(quota, now);
            prop_assert!(standing.remaining <= count);
            prop_assert_eq!(i128::from(standing.remaining), level.max(0) / i128::from(every_ns));
        }
    }

    #[test]
    fn what_is_admitted_in_a_time_is_at_most_the_capacity_and_the_refill(
        count in 1..150u64, calls in prop::collection::vec((0..200u64, 0..2 * SECOND), 1..100),
    ) {
        let quota = per_minute(count);
        let (mut bucket, mut now, mut admitted) = (TokenBucket::full(quota, 0), 0, 0u128);
        for (tokens, wait) in calls {
            now += wait;
            if bucket.take(quota, tokens, now).is_ok() {
                admitted += u128::from(tokens.min(count));
            }
            let most = u128::from(count) * (60 * u128::from(SECOND) + u128::from(now));
            prop_assert!(admitted * 60 * u128::from(SECOND) <= most);
        }
    }

    #[test]
    fn the_wait_is_enough_and_no_nanosecond_too_long(
        count in 1..1000u64, every_ns in 1..100 * SECOND, first in 0..1000u64, owed in 0..3000u64, wanted in 1..1000u64,
    ) {
        let quota = Quota::new(Rate { count, every: Duration::from_nanos(every_ns) });
        let mut bucket = TokenBucket::full(quota, 0);
        bucket.take(quota, first, 0).unwrap();
        bucket.settle(quota, first, owed, 0);
        if let Err(wait) = bucket.take(quota, wanted, 0) {
            let wait = u64::try_from(wait.as_nanos()).unwrap();
            let mut early = bucket;
            prop_assert!(early.take(quota, wanted, wait - 1).is_err());
            prop_assert!(bucket.take(quota, wanted, wait).is_ok());
        }
    }
}
