//! Calls in a time, counted by governor. Owns the adapter to it: governor decides, the state stays with the account.
//!
//! Governor keeps state by itself and cannot give a request back, but a call is to be counted in every limit or in
//! none. So it is given a store that keeps the state in the key that is asked for, and a clock that stands still at
//! zero: what it sees is how far the account is ahead of now, and what it answers is written back by whoever holds
//! the account.

use crate::ticks;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_core::port::limits::Standing;
use tidegate_core::spec::limit::Rate;

/// A limit on calls. Its state is the time in nanoseconds at which an account would be full again (the theoretical
/// arrival time of the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct Requests {
    limiter: RateLimiter<Ahead, InKey, Still, NoOpMiddleware<Nanos>>,
    burst: u32,
    each_ns: u64,
}

impl Requests {
    /// The limit of `rate`. Governor counts to 2^32: above it the rate holds, but fewer fit at once.
    pub(crate) fn new(rate: Rate) -> Self {
        let count = rate.count.max(1);
        let burst = u32::try_from(count).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        let each_ns = (ticks::nanos(rate.every) / count).max(1);
        let quota = Quota::with_period(Duration::from_nanos(each_ns))
            .unwrap_or_else(|| Quota::per_second(burst))
            .allow_burst(burst);
        Self { limiter: RateLimiter::new(quota, InKey, Still), burst: burst.get(), each_ns }
    }

    /// Takes one request of the account that is full again at `full_at`.
    ///
    /// # Errors
    /// With the time after which one will fit, if nobody else takes any.
    pub(crate) fn take(&self, full_at: &mut u64, now: u64) -> Result<(), Duration> {
        let ahead = Ahead(Cell::new(full_at.saturating_sub(now)));
        self.limiter.check_key(&ahead).map_err(|until| until.wait_time_from(Nanos::new(0)))?;
        *full_at = now.saturating_add(ahead.0.get());
        Ok(())
    }

    /// How an account stands.
    pub(crate) fn standing(&self, full_at: u64, now: u64) -> Standing {
        let ahead = full_at.saturating_sub(now);
        let remaining = u64::from(self.burst).saturating_sub(ahead.div_ceil(self.each_ns));
        Standing { limit: u64::from(self.burst), remaining, reset: Duration::from_nanos(ahead) }
    }
}

/// How far an account is ahead of now, in nanoseconds. Governor asks keys to be hashable, though this store never
/// looks one up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ahead(Cell<u64>);

impl std::hash::Hash for Ahead {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

#[derive(Debug)]
struct InKey;

impl StateStore for InKey {
    type Key = Ahead;

    fn measure_and_replace<T, F, E>(&self, key: &Ahead, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, ahead) = decide(Some(Nanos::new(key.0.get())))?;
        key.0.set(ahead.as_u64());
        Ok(outcome)
    }
}

#[derive(Debug, Clone)]
struct Still;

impl Clock for Still {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn all_fit_at_once_and_then_one_by_one() {
        let requests = Requests::new(Rate { count: 60, every: Duration::from_secs(60) });
        let mut full_at = 0;
        assert!((0..60).all(|_| requests.take(&mut full_at, 5 * SECOND).is_ok()));
        assert_eq!(requests.take(&mut full_at, 5 * SECOND), Err(Duration::from_secs(1)));
        let standing = requests.standing(full_at, 5 * SECOND);
        assert_eq!(standing, Standing { limit: 60, remaining: 0, reset: Duration::from_secs(60) });
        assert_eq!(requests.take(&mut full_at, 6 * SECOND), Ok(()));
        assert_eq!(requests.standing(full_at, 3600 * SECOND).remaining, 60);
    }

    #[test]
    fn extreme_rates_neither_panic_nor_admit_nothing() {
        for (count, every) in [(u64::MAX, Duration::MAX), (1, Duration::MAX), (u64::MAX, Duration::from_nanos(1))] {
            let requests = Requests::new(Rate { count, every });
            let mut full_at = 0;
            assert_eq!(requests.take(&mut full_at, ticks::LONGEST_NS), Ok(()), "{count} in {every:?}");
        }
    }

    proptest! {
        #[test]
        fn governor_admits_what_an_exact_bucket_admits(
            // Times that divide evenly: governor rounds the time of one request down to the nanosecond.
            count in 1..100u64, each_ns in 1..SECOND, waits in prop::collection::vec(0..SECOND, 1..300),
        ) {
            let rate = Rate { count, every: Duration::from_nanos(each_ns * count) };
            let (requests, quota) = (Requests::new(rate), crate::Quota::new(rate));
            let (mut full_at, mut bucket, mut now) = (0, crate::TokenBucket::full(quota, 0), 0);
            for wait in waits {
                now += wait;
                prop_assert_eq!(requests.take(&mut full_at, now), bucket.take(quota, 1, now));
                prop_assert_eq!(requests.standing(full_at, now), bucket.standing(quota, now));
            }
        }
    }
}
