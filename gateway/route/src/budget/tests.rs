//! The budget over time, under threads, and its bound.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};
use tidegate_core::clock::ManualClock;

fn budget(share: f64) -> (Arc<ManualClock>, RetryBudget) {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
    let retry = RetrySpec { attempts: 2, backoff: Duration::ZERO, budget: share };
    (Arc::clone(&clock), RetryBudget::new(&retry, clock))
}

fn drain(budget: &RetryBudget) -> usize {
    std::iter::from_fn(|| budget.withdraw().then_some(())).count()
}

#[test]
fn retries_are_a_share_of_calls_beside_the_reserve() {
    let (_, budget) = budget(0.2);
    assert_eq!(drain(&budget), 10);
    (0..1000).for_each(|_| budget.deposit());
    assert!((199..=200).contains(&drain(&budget)));
}

#[test]
fn no_share_means_no_retry() {
    let (_, budget) = budget(0.0);
    budget.deposit();
    assert!(!budget.withdraw());
    assert_eq!(budget.balance(), 0.0);
}

#[test]
fn a_drained_budget_regains_one_retry_a_second_and_old_deposits_fade() {
    let (clock, budget) = budget(0.5);
    drain(&budget);
    let per_second: Vec<usize> = (0..20)
        .map(|_| {
            clock.advance(Duration::from_secs(1));
            drain(&budget)
        })
        .collect();
    assert!((17..=20).contains(&per_second.iter().sum::<usize>()), "{per_second:?}");
    (0..10_000).for_each(|_| budget.deposit());
    clock.advance(Duration::from_secs(120));
    assert!((10..=11).contains(&drain(&budget)));
}

#[test]
fn threads_withdraw_what_is_there_and_no_more() {
    let (_, budget) = budget(1.0);
    (0..90).for_each(|_| budget.deposit());
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| drain(&budget))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 100);
}

#[test]
fn a_time_read_before_the_state_was_written_does_not_count_as_49_days() {
    assert_eq!(relaxed(pack(3.0, 1000), 999), 3.0);
    assert_eq!(later(pack(3.0, 1000), 999), 1000);
    assert_eq!(later(pack(3.0, u32::MAX), 5), 5);
}

proptest! {
    #[test]
    fn retries_never_exceed_the_bound(
        share in 0.01..=1.0f64,
        steps in prop::collection::vec((0..50u32, 0..5000u64), 1..40),
    ) {
        let (clock, budget) = budget(share);
        let (mut calls, mut retries, mut ms) = (0u32, 0usize, 0u64);
        for (deposits, wait) in steps {
            (0..deposits).for_each(|_| budget.deposit());
            clock.advance(Duration::from_millis(wait));
            retries += drain(&budget);
            calls += deposits;
            ms += wait;
            let bound = 10.0 + share * f64::from(calls) + ms as f64 / 1000.0;
            prop_assert!(retries as f64 <= bound + 0.01, "{retries} above {bound}");
        }
    }
}
