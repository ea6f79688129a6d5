//! Limits in the memory of this process. Owns the counting in all limits or in none, and the change of the
//! configuration.
//!
//! A call locks its account in each limit, in one fixed order, takes what it needs everywhere and puts it all back if
//! one refuses; nobody sees the state between. What is settled later is settled account by account.

use crate::account::Account;
use crate::limit::{Limit, Refusal, longer};
use crate::ticks::Ticks;
use std::sync::Arc;
use tidegate_core::port::limits::{Denied, Limits, Reservation, Settle, Standing, Standings};
use tidegate_core::spec::limit::LimitSpec;
use tidegate_core::{Caller, Clock};

/// Holds callers to limits by counters of this process alone. They can always be asked, so what a limit says about
/// failure does not matter here.
#[derive(Debug)]
pub struct MemoryLimits {
    ticks: Arc<Ticks>,
    /// By rank, see [`Limit::rank`].
    limits: Vec<Arc<Limit>>,
    next_rank: usize,
}

impl MemoryLimits {
    /// Fresh counters for `specs`.
    #[must_use]
    pub fn new(specs: &[LimitSpec], clock: Arc<dyn Clock>) -> Self {
        Self { ticks: Arc::new(Ticks::new(clock)), limits: Vec::new(), next_rank: 0 }.reconfigured(specs)
    }

    /// The limits of a new configuration. One that counts as before keeps its counters, and shares them with `self`
    /// while calls still run under the old configuration; a changed one starts afresh.
    #[must_use]
    pub fn reconfigured(&self, specs: &[LimitSpec]) -> Self {
        let (mut old, mut next_rank) = (self.limits.clone(), self.next_rank);
        let counted = specs.iter().filter(|spec| spec.requests.is_some() || spec.tokens.is_some());
        let mut limits: Vec<Arc<Limit>> = counted
            .map(|spec| match old.iter().position(|limit| limit.counts_as(spec)) {
                Some(kept) => old.swap_remove(kept),
                None => {
                    next_rank += 1;
                    Arc::new(Limit::new(spec, next_rank))
                }
            })
            .collect();
        limits.sort_by_key(|limit| limit.rank);
        Self { ticks: Arc::clone(&self.ticks), limits, next_rank }
    }

    /// Forgets callers whose counters are as those of a caller never seen; says how many. Also done as accounts grow,
    /// so memory is bounded by the callers of the longest time of a limit; worth calling each minute to give memory
    /// back sooner.
    pub fn sweep(&self) -> usize {
        let now = self.ticks.now();
        self.limits.iter().map(|limit| limit.sweep(now)).sum()
    }

    /// How many callers are remembered, summed over limits.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.limits.iter().map(|limit| limit.accounts()).sum()
    }
}

impl Limits for MemoryLimits {
    fn reserve(&self, caller: &Caller, tokens: u64) -> Result<Reservation, Denied> {
        let now = self.ticks.now();
        let accounts: Vec<Arc<Account>> = self.limits.iter().map(|limit| limit.account(caller, now)).collect();
        let mut call = Call { tokens, now, refusal: None, standings: Standings::default() };
        call.take(&self.limits, &accounts);
        if let Some(Refusal { quantity, words, wait }) = call.refusal {
            let limit = words.to_owned();
            return Err(Denied { quantity, limit, retry_after: wait, standings: call.standings });
        }
        let counts_tokens = self.limits.iter().any(|limit| limit.has_tokens());
        let settle =
            counts_tokens.then(|| Box::new(Held { ticks: Arc::clone(&self.ticks), accounts }) as Box<dyn Settle>);
        Ok(Reservation::new(call.standings, tokens, settle))
    }
}

/// One call on its way through its accounts.
struct Call<'l> {
    tokens: u64,
    now: u64,
    refusal: Option<Refusal<'l>>,
    standings: Standings,
}

impl<'l> Call<'l> {
    /// Takes from the first account, then, with its lock held, from the rest; where any of them refused, all put back
    /// what they had. Recursion holds the locks without allocating; it is as deep as the configuration has limits.
    fn take(&mut self, limits: &'l [Arc<Limit>], accounts: &[Arc<Account>]) {
        let (Some((limit, limits)), Some((account, accounts))) = (limits.split_first(), accounts.split_first()) else {
            return;
        };
        let mut counters = account.lock();
        let before = *counters;
        let refusal = limit.take(&mut counters, self.tokens, self.now).err();
        self.refusal = longer(self.refusal.take(), refusal);
        self.take(limits, accounts);
        if self.refusal.is_some() {
            *counters = before;
        }
        let standings = limit.standings(&counters, self.now);
        self.standings.requests = tighter(self.standings.requests, standings.requests);
        self.standings.tokens = tighter(self.standings.tokens, standings.tokens);
    }
}

/// The standing with less remaining; of two alike the one that lasts longer.
fn tighter(a: Option<Standing>, b: Option<Standing>) -> Option<Standing> {
    let rank = |s: &Standing| (s.remaining, std::cmp::Reverse(s.reset));
    a.into_iter().chain(b).min_by_key(rank)
}

/// The accounts that hold tokens for a running call.
struct Held {
    ticks: Arc<Ticks>,
    accounts: Vec<Arc<Account>>,
}

impl Settle for Held {
    fn settle(&self, reserved: u64, used: u64) {
        let now = self.ticks.now();
        for account in &self.accounts {
            account.settle(reserved, used, now);
        }
    }
}

#[cfg(test)]
mod tests;
