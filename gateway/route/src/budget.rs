//! The retry budget of a route: retries are a share of calls, so that they cannot multiply the load on a provider that
//! is failing. Owns the balance; whether a call is retried is the plan's.
//!
//! As in Finagle's `RetryBudget` and linkerd: each call deposits the share, each retry withdraws 1, deposits fade
//! after ten seconds, and a small reserve lets a route with few calls retry at all. Instead of expiring deposit by
//! deposit the balance relaxes to the reserve with a time constant of ten seconds, which needs one word instead of a
//! ring of them: a drained budget regains one retry a second, and within `t` seconds of `n` calls there are at most
//! `balance + share · n + t` retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tidegate_core::Clock;
use tidegate_core::spec::route::RetrySpec;

/// After which time, in seconds, all but 1/e of a deposit is gone.
const FADE_S: f32 = 10.0;
/// What an idle budget holds: one retry a second over [`FADE_S`].
const RESERVE: f32 = 10.0;

/// How many retries a route may still make.
#[derive(Debug)]
pub struct RetryBudget {
    share: f32,
    clock: Arc<dyn Clock>,
    start: Instant,
    /// The balance as the bits of an `f32`, above the milliseconds since `start` at which it held. The latter wrap
    /// after 49 days, which only shortens the fading of a budget that was idle so long.
    state: AtomicU64,
}

impl RetryBudget {
    /// A budget of which each call pays in what `retry` says. A share of 0 allows no retry, not even from the reserve.
    #[must_use]
    pub fn new(retry: &RetrySpec, clock: Arc<dyn Clock>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a share in [0, 1] needs no more digits")]
        let share = retry.budget.clamp(0.0, 1.0) as f32;
        let start = clock.now();
        Self { share, clock, start, state: AtomicU64::new(pack(RESERVE, 0)) }
    }

    /// Notes one call.
    pub fn deposit(&self) {
        if self.share > 0.0 {
            self.change(|balance| Some(balance + self.share));
        }
    }

    /// Takes one retry, if there is one.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.share > 0.0 && self.change(|balance| (balance >= 1.0).then_some(balance - 1.0))
    }

    /// What is left.
    #[must_use]
    pub fn balance(&self) -> f32 {
        if self.share > 0.0 { relaxed(self.state.load(Ordering::Relaxed), self.now()) } else { 0.0 }
    }

    fn change(&self, to: impl Fn(f32) -> Option<f32>) -> bool {
        let now = self.now();
        let change = |state| to(relaxed(state, now)).map(|balance| pack(balance, later(state, now)));
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }

    fn now(&self) -> u32 {
        let ms = self.clock.now().saturating_duration_since(self.start).as_millis();
        #[expect(clippy::cast_possible_truncation, reason = "wraps, see `state`")]
        let ms = ms as u32;
        ms
    }
}

/// The balance at `now`.
fn relaxed(state: u64, now: u32) -> f32 {
    let (balance, at) = unpack(state);
    let passed = later(state, now).wrapping_sub(at);
    if passed == 0 {
        return balance;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rounded time in a fading")]
    let kept = (-(passed as f32) / 1000.0 / FADE_S).exp();
    RESERVE + (balance - RESERVE) * kept
}

/// The later of the state's time and `now`, which another thread may have read before the state was written.
fn later(state: u64, now: u32) -> u32 {
    let at = unpack(state).1;
    if now.wrapping_sub(at) < u32::MAX - 60_000 { now } else { at }
}

fn pack(balance: f32, at: u32) -> u64 {
    u64::from(balance.to_bits()) << 32 | u64::from(at)
}

fn unpack(state: u64) -> (f32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the word")]
    let halves = ((state >> 32) as u32, state as u32);
    (f32::from_bits(halves.0), halves.1)
}

#[cfg(test)]
mod tests;
