//! One configured limit: its rates, its words and the accounts of all callers under it. Owns one take and its
//! refusal; that a call is counted in all limits or in none is the memory's.

use crate::account::{Account, Counters};
use crate::bucket::Quota;
use crate::requests::Requests;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_core::Caller;
use tidegate_core::port::limits::{Quantity, Standings};
use tidegate_core::spec::limit::{LimitSpec, Per, Rate};

/// As many accounts may lie about before idle ones are looked for.
const SWEEP_FROM: usize = 1024;

/// One limit and what callers have used of it.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Its place in the order in which accounts are locked; fixed for life, so that an old and a new configuration,
    /// which share limits, cannot wait for each other.
    pub(crate) rank: usize,
    per: Per,
    rates: (Option<Rate>, Option<Rate>),
    requests: Option<(Requests, String)>,
    tokens: Option<(Quota, String)>,
    accounts: DashMap<Box<str>, Arc<Account>>,
    /// About how many accounts there are: `DashMap::len` would lock every shard.
    opened: AtomicUsize,
    sweep_at: AtomicUsize,
}

/// A limit does not cover a call.
pub(crate) struct Refusal<'l> {
    pub(crate) quantity: Quantity,
    pub(crate) words: &'l str,
    pub(crate) wait: Duration,
}

impl Limit {
    pub(crate) fn new(spec: &LimitSpec, rank: usize) -> Self {
        let words = |rate, noun| words(spec.per, rate, noun);
        Self {
            rank,
            per: spec.per,
            rates: (spec.requests, spec.tokens),
            requests: spec.requests.map(|rate| (Requests::new(rate), words(rate, "request"))),
            tokens: spec.tokens.map(|rate| (Quota::new(rate), words(rate, "token"))),
            accounts: DashMap::new(),
            opened: AtomicUsize::new(0),
            sweep_at: AtomicUsize::new(SWEEP_FROM),
        }
    }

    /// Whether it counts as `spec` says, so that its counters may be kept.
    pub(crate) fn counts_as(&self, spec: &LimitSpec) -> bool {
        self.per == spec.per && self.rates == (spec.requests, spec.tokens)
    }

    /// Whether it counts tokens.
    pub(crate) const fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// The account of `caller`, opened if it has none.
    pub(crate) fn account(&self, caller: &Caller, now: u64) -> Arc<Account> {
        let name = match self.per {
            Per::Key => caller.0.id.as_str(),
            Per::Tenant => caller.0.tenant.as_str(),
        };
        if let Some(account) = self.accounts.get(name) {
            return Arc::clone(&account);
        }
        let fresh = || Arc::new(Account::new(self.tokens.as_ref().map(|(quota, _)| *quota), now));
        let account = Arc::clone(&self.accounts.entry(name.into()).or_insert_with(fresh));
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.sweep_if_grown(now);
        account
    }

    /// Takes one request and `tokens` tokens. What it took of one quantity stays taken when the other is refused: the
    /// caller puts the counters back.
    ///
    /// # Errors
    /// With the refusal that lasts longer.
    pub(crate) fn take(&self, counters: &mut Counters, tokens: u64, now: u64) -> Result<(), Refusal<'_>> {
        let tokens = self.tokens.as_ref().and_then(|(quota, words)| {
            let wait = counters.bucket.take(*quota, tokens, now).err()?;
            Some(Refusal { quantity: Quantity::Tokens, words, wait })
        });
        let requests = self.requests.as_ref().and_then(|(requests, words)| {
            let wait = requests.take(&mut counters.full_at, now).err()?;
            Some(Refusal { quantity: Quantity::Requests, words, wait })
        });
        longer(requests, tokens).map_or(Ok(()), Err)
    }

    /// How an account stands.
    pub(crate) fn standings(&self, counters: &Counters, now: u64) -> Standings {
        Standings {
            requests: self.requests.as_ref().map(|(requests, _)| requests.standing(counters.full_at, now)),
            tokens: self.tokens.as_ref().map(|(quota, _)| counters.bucket.standing(*quota, now)),
        }
    }

    /// Closes the accounts that are as fresh ones and that no running call holds; says how many it closed.
    pub(crate) fn sweep(&self, now: u64) -> usize {
        let before = self.accounts.len();
        // Under the shard's lock nobody can come by a further handle, so one handle is the map's own.
        self.accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(now));
        let after = self.accounts.len();
        self.opened.store(after, Ordering::Relaxed);
        self.sweep_at.store(after.saturating_mul(2).max(SWEEP_FROM), Ordering::Relaxed);
        before.saturating_sub(after)
    }

    /// How many accounts are open.
    pub(crate) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Sweeps each time the accounts have doubled, so that sweeping costs each opened account a constant.
    fn sweep_if_grown(&self, now: u64) {
        let due = self.sweep_at.load(Ordering::Relaxed);
        if self.opened.load(Ordering::Relaxed) > due {
            // Only one of the threads that see it shall sweep.
            let won = self.sweep_at.compare_exchange(due, usize::MAX, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if won {
                self.sweep(now);
            }
        }
    }
}

/// The refusal that lasts longer: whoever waits as long is not refused again by the other.
pub(crate) fn longer<'l>(a: Option<Refusal<'l>>, b: Option<Refusal<'l>>) -> Option<Refusal<'l>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.wait > a.wait { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn words(per: Per, rate: Rate, noun: &str) -> String {
    let whom = match per {
        Per::Key => "key",
        Per::Tenant => "tenant",
    };
    let plural = if rate.count == 1 { "" } else { "s" };
    let time = match (rate.every.as_secs(), rate.every.subsec_nanos()) {
        (1, 0) => "per second".to_owned(),
        (60, 0) => "per minute".to_owned(),
        (3600, 0) => "per hour".to_owned(),
        (86_400, 0) => "per day".to_owned(),
        _ => format!("in {:?}", rate.every),
    };
    format!("{} {noun}{plural} {time} for this {whom}", rate.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_as_people_say_it() {
        let rate = |count, secs| Rate { count, every: Duration::from_secs(secs) };
        assert_eq!(words(Per::Key, rate(600, 60), "request"), "600 requests per minute for this key");
        assert_eq!(words(Per::Tenant, rate(1, 86_400), "token"), "1 token per day for this tenant");
        assert_eq!(words(Per::Key, rate(5, 90), "request"), "5 requests in 90s for this key");
    }
}
