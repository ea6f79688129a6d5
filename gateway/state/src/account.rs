//! What one caller has used of one limit. Owns the lock around it; the arithmetic is the bucket's, the purse's and
//! governor's.

use crate::bucket::{Quota, TokenBucket};
use crate::purse::Purse;
use crate::ticks::Now;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::port::limits::Amounts;
use tidegate_core::spec::limit::Budget;

/// The counters of one caller in one limit.
#[derive(Debug)]
pub(crate) struct Account {
    counters: Mutex<Counters>,
    tokens: Option<Quota>,
}

/// Small enough to be copied before a change and put back when another limit refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// When the requests are all there again, see `requests`.
    pub(crate) full_at: u64,
    /// The level of the tokens; unused where the limit counts none.
    pub(crate) bucket: TokenBucket,
    /// What was spent; unused where the limit counts no money.
    pub(crate) purse: Purse,
}

impl Account {
    /// A fresh account at `now`.
    pub(crate) fn new(tokens: Option<Quota>, now: Now) -> Self {
        let bucket = TokenBucket::full(tokens.unwrap_or(Quota::NONE), now.ns);
        let counters = Counters { full_at: now.ns, bucket, purse: Purse::default() };
        Self { counters: Mutex::new(counters), tokens }
    }

    /// Holds it. A panic while it was held left whole numbers behind, so poison does not matter.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what a call did not use of what it reserved in the span that began at `from`, or takes what it used
    /// beyond.
    pub(crate) fn settle(&self, from: u64, reserved: Amounts, used: Amounts, now: Now) {
        let mut counters = self.lock();
        if let Some(quota) = self.tokens {
            counters.bucket.settle(quota, reserved.tokens, used.tokens, now.ns);
        }
        counters.purse.settle(from, reserved.cost, used.cost);
    }

    /// Whether it is as a fresh one.
    pub(crate) fn is_idle(&self, budget: Option<Budget>, now: Now) -> bool {
        let counters = *self.lock();
        counters.full_at <= now.ns
            && self.tokens.is_none_or(|quota| counters.bucket.is_full(quota, now.ns))
            && budget.is_none_or(|budget| counters.purse.spent(budget, now.unix_ms).0 == 0)
    }
}
