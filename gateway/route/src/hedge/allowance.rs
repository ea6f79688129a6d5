//! How many second requests a route may still send: a share of its calls, so that hedging cannot multiply the load on a
//! provider that is slow for all. Owns the balance.
//!
//! A token bucket that calls fill: each gives the share, a second request takes 1. It starts empty, so that at no time
//! there were more second requests than the share of the calls; and it holds little, so that a quiet night does not pay
//! for a burst.

use std::sync::atomic::{AtomicU64, Ordering};

/// The parts of one second request.
const ONE: u64 = 1_000_000;
/// The most second requests that are saved up.
const MOST: u64 = 10;

/// How many second requests a route may still send.
#[derive(Debug)]
pub struct Allowance {
    /// What each call gives, in parts.
    share: u64,
    /// In parts.
    balance: AtomicU64,
}

impl Allowance {
    /// An empty allowance, to which each call gives `share`, in `[0, 1]`.
    #[must_use]
    pub fn new(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share in [0, 1] in millionths"
        )]
        let share = (share.clamp(0.0, 1.0) * ONE as f64).round() as u64;
        Self { share, balance: AtomicU64::new(0) }
    }

    /// Notes one call.
    pub fn deposit(&self) {
        self.change(|balance| Some((balance + self.share).min(MOST * ONE)));
    }

    /// Takes one second request, if there is one.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.change(|balance| balance.checked_sub(ONE))
    }

    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> bool {
        self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, to).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_calls_save_up_for_the_first_second_request() {
        let allowance = Allowance::new(0.05);
        assert!(!allowance.withdraw(), "it starts empty");
        let nth = (1..=40).filter(|_| {
            allowance.deposit();
            allowance.withdraw()
        });
        assert_eq!(nth.collect::<Vec<_>>(), [20, 40]);
    }

    #[test]
    fn a_quiet_night_pays_for_ten() {
        let allowance = Allowance::new(0.5);
        (0..10_000).for_each(|_| allowance.deposit());
        assert_eq!((0..100).filter(|_| allowance.withdraw()).count(), 10);
    }

    #[test]
    fn threads_take_what_is_there_and_no_more() {
        let allowance = Allowance::new(0.1);
        let taken: usize = std::thread::scope(|scope| {
            let work = || {
                (0..1_000)
                    .filter(|_| {
                        allowance.deposit();
                        allowance.withdraw()
                    })
                    .count()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // What is left is less than one, since each thread takes what it sees.
        assert_eq!(taken, 800);
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_the_share(
            percent in 1u32..=100, steps in prop::collection::vec((0u64..40, 0u64..20), 1..60),
        ) {
            let allowance = Allowance::new(f64::from(percent) / 100.0);
            let (mut calls, mut hedges) = (0u64, 0u64);
            for (more, asked) in steps {
                (0..more).for_each(|_| allowance.deposit());
                calls += more;
                hedges += (0..asked).filter(|_| allowance.withdraw()).count() as u64;
                prop_assert!(hedges * 100 <= calls * u64::from(percent), "{} of {} calls", hedges, calls);
            }
        }
    }
}
