//! What one caller has used of one limit. Owns the lock around it; the arithmetic is the bucket's and governor's.

use crate::bucket::{Quota, TokenBucket};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

impl Account {
    /// A fresh account at `now`.
    pub(crate) fn new(tokens: Option<Quota>, now: u64) -> Self {
        let bucket = TokenBucket::full(tokens.unwrap_or(Quota::NONE), now);
        Self { counters: Mutex::new(Counters { full_at: now, bucket }), tokens }
    }

    /// Holds it. A panic while it was held left whole numbers behind, so poison does not matter.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what a call did not use of its tokens, or takes what it used beyond.
    pub(crate) fn settle(&self, reserved: u64, used: u64, now: u64) {
        if let Some(quota) = self.tokens {
            self.lock().bucket.settle(quota, reserved, used, now);
        }
    }

    /// Whether it is as a fresh one.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        let counters = *self.lock();
        counters.full_at <= now && self.tokens.is_none_or(|quota| counters.bucket.is_full(quota, now))
    }
}
