//! The token bucket that gives back. Owns its arithmetic, exact in integers; locks and callers are others'.
//!
//! A bucket holds at most its capacity and refills continuously. A reservation takes an estimate at once, settling
//! gives back what was not used or takes what was used beyond; the latter may leave a debt, which refilling pays off
//! before anything is admitted. An estimate above the capacity counts as the capacity, so a huge call passes when the
//! bucket is full and its debt holds back the next ones.
//!
//! Levels are counted in tokens × nanoseconds of the quota's time: one token is `every` units and each nanosecond
//! refills `count` units, so no rate is ever rounded.

use crate::ticks;
use std::time::Duration;
use tidegate_core::port::limits::Standing;
use tidegate_core::spec::limit::Rate;

/// So many in a time, in the units of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    count: u64,
    every_ns: u64,
}

impl Quota {
    /// A placeholder where nothing is counted.
    pub(crate) const NONE: Self = Self { count: 1, every_ns: 1 };

    /// The quota of `rate`.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { count: rate.count.max(1), every_ns: ticks::nanos(rate.every).max(1) }
    }

    /// The most that fits.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        self.count
    }

    fn units(self, tokens: u64) -> i128 {
        // At most 2^64 · 2^62: fits.
        i128::from(tokens) * i128::from(self.every_ns)
    }

    fn full(self) -> i128 {
        self.units(self.count)
    }

    /// The time in which `units` flow in, rounded up to the nanosecond.
    fn time_for(self, units: i128) -> Duration {
        let count = u128::from(self.count);
        let ns = u128::try_from(units).unwrap_or(0).div_ceil(count);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// The level of one bucket at one time. Its quota is handed in, so that a thousand buckets of one limit need not each
/// hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    level: i128,
    at: u64,
}

impl TokenBucket {
    /// A full bucket at `now`, in nanoseconds of any fixed origin.
    #[must_use]
    pub fn full(quota: Quota, now: u64) -> Self {
        Self { level: quota.full(), at: now }
    }

    /// Takes `tokens`, at most the capacity, or nothing.
    ///
    /// # Errors
    /// With the time after which they will be there, if nobody else takes any.
    pub fn take(&mut self, quota: Quota, tokens: u64, now: u64) -> Result<(), Duration> {
        self.refill(quota, now);
        let wanted = quota.units(tokens.min(quota.count));
        if self.level < wanted {
            return Err(quota.time_for(wanted.saturating_sub(self.level)));
        }
        self.level -= wanted;
        Ok(())
    }

    /// Settles a reservation: of `reserved` tokens, which [`take`](Self::take) took, `used` were needed.
    pub fn settle(&mut self, quota: Quota, reserved: u64, used: u64, now: u64) {
        self.refill(quota, now);
        let taken = quota.units(reserved.min(quota.count));
        self.level = self.level.saturating_add(taken).saturating_sub(quota.units(used)).min(quota.full());
    }

    /// How it stands at `now`.
    #[must_use]
    pub fn standing(mut self, quota: Quota, now: u64) -> Standing {
        self.refill(quota, now);
        let remaining = u64::try_from(self.level.max(0) / i128::from(quota.every_ns)).unwrap_or(u64::MAX);
        let reset = quota.time_for(quota.full().saturating_sub(self.level));
        Standing { limit: quota.count, remaining, reset }
    }

    /// Whether it is as a new one at `now`.
    #[must_use]
    pub fn is_full(mut self, quota: Quota, now: u64) -> bool {
        self.refill(quota, now);
        self.level == quota.full()
    }

    /// A time before the last one refills nothing: threads may come with readings of the clock out of order.
    fn refill(&mut self, quota: Quota, now: u64) {
        let passed = now.saturating_sub(self.at);
        let flown = i128::from(quota.count).saturating_mul(i128::from(passed));
        self.level = self.level.saturating_add(flown).min(quota.full());
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests;
