//! What a plugin may use up of models' tokens, and what it has used. Pure but for its lock. A call is let through while
//! anything is left and paid for when it is known what it took, so that the last one may take more than there was; the next
//! one waits until that is made up for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::spec::Rate;

/// What a plugin may use up, and what it has used.
#[derive(Debug)]
pub(crate) struct Purse {
    /// How much in which time; `None` where nothing bounds it.
    rate: Option<Rate>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    left: f64,
    at: Instant,
    used: Used,
}

/// What was asked of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// Calls that were sent.
    pub(crate) calls: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
    /// The tokens that they took.
    pub(crate) tokens: u64,
}

impl Purse {
    /// A full one.
    pub(crate) fn new(rate: Option<Rate>, now: Instant) -> Self {
        let left = rate.map_or(0.0, |rate| whole(rate.count));
        Self { rate, held: Mutex::new(Held { left, at: now, used: Used::default() }) }
    }

    /// How much is let in which time.
    pub(crate) const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// What was used.
    pub(crate) fn used(&self) -> Used {
        self.held().used
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// Nothing is left; when there is again.
    pub(crate) fn open(&self, now: Instant) -> Result<(), String> {
        let Some(rate) = self.rate else { return Ok(()) };
        let left = self.refilled(rate, now);
        if left > 0.0 {
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - left) / whole(rate.count) * rate.every.as_secs_f64());
        let (count, every) = (rate.count, rate.every.as_secs());
        Err(format!("the {count} tokens of {every} s are used up, and there are more in {} s", wait.as_secs() + 1))
    }

    /// Pays for a call.
    pub(crate) fn pay(&self, tokens: u64, has_failed: bool, now: Instant) {
        if let Some(rate) = self.rate {
            self.refilled(rate, now);
        }
        let mut held = self.held();
        held.left -= whole(tokens);
        held.used.calls += 1;
        held.used.failed += u64::from(has_failed);
        held.used.tokens = held.used.tokens.saturating_add(tokens);
    }

    /// What is left now.
    fn refilled(&self, rate: Rate, now: Instant) -> f64 {
        let mut held = self.held();
        let since = now.saturating_duration_since(held.at).as_secs_f64();
        let most = whole(rate.count);
        held.left = most.min(held.left + since / rate.every.as_secs_f64() * most);
        held.at = held.at.max(now);
        held.left
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
const fn whole(tokens: u64) -> f64 {
    tokens as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_with_time() {
        let begin = Instant::now();
        let after = |secs| begin + Duration::from_secs(secs);
        let purse = Purse::new(Some(Rate { count: 100, every: Duration::from_secs(100) }), begin);
        assert_eq!(purse.open(begin), Ok(()));
        purse.pay(150, false, begin);
        let says = purse.open(after(40)).unwrap_err();
        assert_eq!(says, "the 100 tokens of 100 s are used up, and there are more in 12 s");
        assert!(purse.open(after(50)).is_err() && purse.open(after(51)).is_ok());
        // It does not fill beyond its size, and time does not run back.
        assert!(purse.open(after(10_000)).is_ok() && purse.open(begin).is_ok());
        purse.pay(100, true, after(10_000));
        assert!(purse.open(after(10_000)).is_err());
        assert_eq!(purse.used(), Used { calls: 2, failed: 1, tokens: 250 });
    }

    #[test]
    fn without_a_bound_all_is_counted_and_nothing_refused() {
        let now = Instant::now();
        let purse = Purse::new(None, now);
        purse.pay(u64::MAX, false, now);
        purse.pay(1, false, now);
        assert_eq!((purse.open(now), purse.used().tokens), (Ok(()), u64::MAX));
    }
}
