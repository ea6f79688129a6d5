//! One configured limit whose accounts are leased. Owns its terms, its words and the accounts of all callers under it.

use super::account::{Account, Held, QUANTITIES};
use super::lease::{Fill, Lease, Terms};
use crate::limit::name_of;
use crate::ticks::Now;
use crate::words::Words;
use dashmap::DashMap;
use std::sync::Arc;
use tidegate_core::port::limits::{Demand, Quantity, Standing, Standings};
use tidegate_core::spec::limit::{LimitSpec, OnFailure, Rate};

/// A rate above this is none: Redis's scripts reckon in doubles, which are exact up to here. Money is counted up to less.
const COUNTED: u64 = 1 << 52;

/// One limit.
#[derive(Debug)]
pub(super) struct Limit {
    /// Its place in the order in which accounts are locked, fixed for life.
    pub(super) rank: usize,
    pub(super) spec: LimitSpec,
    /// How much there is of each quantity. The leases take it over from the limit by which they are asked, so that a
    /// configuration that never came into force changes none.
    pub(super) terms: [Option<Terms>; QUANTITIES.len()],
    keys: [String; QUANTITIES.len()],
    words: Words,
    /// Shared with the limit of an older configuration that differs in the budget's amount alone.
    accounts: Arc<DashMap<Box<str>, Arc<Account>>>,
}

impl Limit {
    /// `twin` numbers the limits that one configuration has of the same kind.
    pub(super) fn new(spec: LimitSpec, rank: usize, twin: usize) -> Self {
        let (keys, words, terms) = (keys(&spec, twin), Words::of(&spec), terms(&spec));
        Self { rank, keys, words, terms, spec, accounts: Arc::default() }
    }

    /// Whether it counts as `spec` says, but for the amount of its budget and what holds when the store is away.
    pub(super) fn counts_as(&self, spec: &LimitSpec) -> bool {
        let counted = |spec: &LimitSpec| (spec.per, spec.requests, spec.tokens, spec.cost.map(|cost| cost.every));
        counted(&self.spec) == counted(spec)
    }

    /// The same as `spec`, which it [counts as](Self::counts_as): what is held stays held.
    pub(super) fn amended(&self, spec: LimitSpec) -> Self {
        let (words, terms) = (Words::of(&spec), terms(&spec));
        let (keys, accounts) = (self.keys.clone(), Arc::clone(&self.accounts));
        Self { rank: self.rank, spec, terms, keys, words, accounts }
    }

    /// Whether calls are let through when the store cannot be asked.
    pub(super) fn is_open(&self) -> bool {
        self.spec.failure == OnFailure::Open
    }

    /// The account of who makes `call`, opened if it has none.
    pub(super) fn account(&self, call: &Demand<'_>, life: impl FnMut() -> u64) -> Arc<Account> {
        let name = name_of(self.spec.per, call);
        if let Some(account) = self.accounts.get(name) {
            return Arc::clone(&account);
        }
        let fresh = || {
            let keys = self.keys.each_ref().map(|key| format!("{key}:{name}"));
            Arc::new(Account::new(keys, self.terms, life))
        };
        Arc::clone(&self.accounts.entry(name.into()).or_insert_with(fresh))
    }

    /// What its quantity is called.
    pub(super) fn words(&self, quantity: Quantity) -> &str {
        match quantity {
            Quantity::Requests => &self.words.requests,
            Quantity::Tokens => &self.words.tokens,
            Quantity::Cost => &self.words.cost,
        }
    }

    /// How an account stands, as far as is known here.
    pub(super) fn standings(held: &Held, now: Now) -> Standings {
        let standing = |lease: &Option<Lease>| {
            lease.map(|lease| Standing { limit: lease.most(), remaining: lease.remaining(), reset: lease.reset(now) })
        };
        Standings { requests: standing(&held.leases[0]), tokens: standing(&held.leases[1]) }
    }

    /// Closes the accounts of which nothing need be known; says how many.
    pub(super) fn sweep(&self, now: Now) -> usize {
        let before = self.accounts.len();
        // Under the shard's lock nobody can come by a further handle, so one handle is the map's own.
        self.accounts.retain(|_, account| {
            Arc::strong_count(account) > 1 || !account.lock().leases.iter().flatten().all(|lease| lease.is_idle(now))
        });
        before.saturating_sub(self.accounts.len())
    }

    /// How many accounts are open.
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }
}

fn terms(spec: &LimitSpec) -> [Option<Terms>; QUANTITIES.len()] {
    let rate = |rate: Option<Rate>| {
        rate.map(|rate| {
            let us = u64::try_from(rate.every.as_micros()).unwrap_or(u64::MAX).max(1);
            Terms { most: rate.count.min(COUNTED), fill: Fill::Steady(us) }
        })
    };
    let cost = spec.cost.map(|budget| Terms { most: budget.most.0, fill: Fill::Span(budget.every) });
    [rate(spec.requests), rate(spec.tokens), cost]
}

/// What its accounts are called in the store, all but whose they are. What a limit was spent of stays spent where its
/// amount changes.
fn keys(spec: &LimitSpec, twin: usize) -> [String; QUANTITIES.len()] {
    let rate = |rate: Option<Rate>| rate.map_or_else(String::new, |rate| format!("{:?}", rate.every));
    let spans = [rate(spec.requests), rate(spec.tokens), spec.cost.map_or("", |cost| cost.every.word()).to_owned()];
    let named = ["requests", "tokens", "cost"].into_iter().zip(spans);
    let mut keys = named.map(|(quantity, span)| {
        let twin = if twin == 0 { String::new() } else { format!("#{twin}") };
        format!("tidegate:limit:{}:{quantity}:{span}{twin}", spec.per.word())
    });
    std::array::from_fn(|_| keys.next().unwrap_or_default())
}
