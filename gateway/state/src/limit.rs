//! One configured limit: its rates, its words and the accounts of all callers under it. Owns one take and its
//! refusal; that a call is counted in all limits or in none is the memory's.

use crate::account::{Account, Counters};
use crate::bucket::Quota;
use crate::requests::Requests;
use crate::ticks::Now;
use crate::words::Words;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_core::NanoUsd;
use tidegate_core::port::limits::{Amounts, Demand, Quantity, Standings};
use tidegate_core::spec::limit::{Budget, LimitSpec, Per, Rate};

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
    requests: Option<Requests>,
    tokens: Option<Quota>,
    cost: Option<Budget>,
    words: Words,
    /// Shared with the limit of an older configuration that differs in the budget's amount alone.
    accounts: Arc<Accounts>,
}

/// The accounts of one limit.
#[derive(Debug)]
struct Accounts {
    all: DashMap<Box<str>, Arc<Account>>,
    /// About how many there are: `DashMap::len` would lock every shard.
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
        let (opened, sweep_at) = (AtomicUsize::new(0), AtomicUsize::new(SWEEP_FROM));
        Self {
            rank,
            per: spec.per,
            rates: (spec.requests, spec.tokens),
            requests: spec.requests.map(Requests::new),
            tokens: spec.tokens.map(Quota::new),
            cost: spec.cost,
            words: Words::of(spec),
            accounts: Arc::new(Accounts { all: DashMap::new(), opened, sweep_at }),
        }
    }

    /// Whether it counts as `spec` says, but for the amount of its budget: then its counters may be kept.
    pub(crate) fn counts_as(&self, spec: &LimitSpec) -> bool {
        let span = |cost: Option<Budget>| cost.map(|budget| budget.every);
        self.per == spec.per && self.rates == (spec.requests, spec.tokens) && span(self.cost) == span(spec.cost)
    }

    /// The same with the budget of `spec`, which it [counts as](Self::counts_as): what was spent stays spent.
    pub(crate) fn amended(&self, spec: &LimitSpec) -> Self {
        Self { accounts: Arc::clone(&self.accounts), ..Self::new(spec, self.rank) }
    }

    /// Its budget, where it has one.
    pub(crate) const fn budget(&self) -> Option<Budget> {
        self.cost
    }

    /// For whom it counts.
    pub(crate) const fn per(&self) -> Per {
        self.per
    }

    /// Whether something of a reservation is settled.
    pub(crate) const fn is_settled(&self) -> bool {
        self.tokens.is_some() || self.cost.is_some()
    }

    /// The account of who makes `call`, opened if it has none.
    pub(crate) fn account(&self, call: &Demand<'_>, now: Now) -> Arc<Account> {
        self.account_of(name_of(self.per, call), now)
    }

    /// The account of this name.
    pub(crate) fn account_of(&self, name: &str, now: Now) -> Arc<Account> {
        if let Some(account) = self.accounts.all.get(name) {
            return Arc::clone(&account);
        }
        let fresh = || Arc::new(Account::new(self.tokens, now));
        let account = Arc::clone(&self.accounts.all.entry(name.into()).or_insert_with(fresh));
        self.accounts.opened.fetch_add(1, Ordering::Relaxed);
        self.sweep_if_grown(now);
        account
    }

    /// Each account in which money was spent in the span that runs: its name, where the span began, and how much.
    pub(crate) fn spent(&self, budget: Budget, now: Now) -> Vec<(Box<str>, u64, NanoUsd)> {
        let accounts = self.accounts.all.iter().filter_map(|entry| {
            let purse = entry.value().lock().purse;
            let spent = purse.spent(budget, now.unix_ms);
            (spent.0 > 0).then(|| (entry.key().clone(), purse.from(), spent))
        });
        accounts.collect()
    }

    /// Takes one request and `amounts`. What it took of one quantity stays taken when another is refused: the caller
    /// puts the counters back.
    ///
    /// # Errors
    /// With the refusal that lasts longest.
    pub(crate) fn take(&self, counters: &mut Counters, amounts: Amounts, now: Now) -> Result<(), Refusal<'_>> {
        let words = &self.words;
        let tokens = self.tokens.and_then(|quota| {
            let wait = counters.bucket.take(quota, amounts.tokens, now.ns).err()?;
            Some(Refusal { quantity: Quantity::Tokens, words: &words.tokens, wait })
        });
        let requests = self.requests.as_ref().and_then(|requests| {
            let wait = requests.take(&mut counters.full_at, now.ns).err()?;
            Some(Refusal { quantity: Quantity::Requests, words: &words.requests, wait })
        });
        let cost = self.cost.and_then(|budget| {
            let wait = counters.purse.take(budget, amounts.cost, now.unix_ms).err()?;
            Some(Refusal { quantity: Quantity::Cost, words: &words.cost, wait })
        });
        longer(longer(requests, tokens), cost).map_or(Ok(()), Err)
    }

    /// How an account stands.
    pub(crate) fn standings(&self, counters: &Counters, now: Now) -> Standings {
        Standings {
            requests: self.requests.as_ref().map(|requests| requests.standing(counters.full_at, now.ns)),
            tokens: self.tokens.map(|quota| counters.bucket.standing(quota, now.ns)),
        }
    }

    /// Closes the accounts that are as fresh ones and that no running call holds; says how many it closed.
    pub(crate) fn sweep(&self, now: Now) -> usize {
        let before = self.accounts.all.len();
        // Under the shard's lock nobody can come by a further handle, so one handle is the map's own.
        self.accounts.all.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(self.cost, now));
        let after = self.accounts.all.len();
        self.accounts.opened.store(after, Ordering::Relaxed);
        self.accounts.sweep_at.store(after.saturating_mul(2).max(SWEEP_FROM), Ordering::Relaxed);
        before.saturating_sub(after)
    }

    /// How many accounts are open.
    pub(crate) fn accounts(&self) -> usize {
        self.accounts.all.len()
    }

    /// Sweeps each time the accounts have doubled, so that sweeping costs each opened account a constant.
    fn sweep_if_grown(&self, now: Now) {
        let due = self.accounts.sweep_at.load(Ordering::Relaxed);
        if self.accounts.opened.load(Ordering::Relaxed) > due {
            // Only one of the threads that see it shall sweep.
            let won =
                self.accounts.sweep_at.compare_exchange(due, usize::MAX, Ordering::Relaxed, Ordering::Relaxed).is_ok();
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

/// The name of the account that `call` has in a limit per `per`.
pub(crate) fn name_of<'a>(per: Per, call: &Demand<'a>) -> &'a str {
    match per {
        Per::Key => call.caller.0.id.as_str(),
        Per::Tenant => call.caller.0.tenant.as_str(),
        Per::Route => call.route.as_str(),
    }
}
