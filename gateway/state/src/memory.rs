//! Limits in the memory of this process. Owns the counting in all limits or in none, and the change of the
//! configuration.
//!
//! A call locks its account in each limit, in one fixed order, takes what it needs everywhere and puts it all back if
//! one refuses; nobody sees the state between. What is settled later is settled account by account.

use crate::account::Account;
use crate::kept::Kept;
use crate::limit::{Limit, Refusal, longer};
use crate::purse::Purse;
use crate::ticks::{Now, Ticks};
use std::sync::Arc;
use tidegate_core::Clock;
use tidegate_core::port::limits::{Amounts, Demand, Denied, Limits, Reservation, Settle, Standing, Standings, Why};
use tidegate_core::spec::limit::LimitSpec;

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
        let counted =
            specs.iter().filter(|spec| spec.requests.is_some() || spec.tokens.is_some() || spec.cost.is_some());
        let mut limits: Vec<Arc<Limit>> = counted
            .map(|spec| match kept(&old, spec) {
                Some(kept) if old[kept].budget() == spec.cost => old.swap_remove(kept),
                Some(kept) => Arc::new(old.swap_remove(kept).amended(spec)),
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

    /// What was spent of budgets in the spans that run, calls under way at what they may cost: what a restart must
    /// know.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        let now = self.ticks.now();
        let budgets = self.limits.iter().filter_map(|limit| Some((limit, limit.budget()?)));
        let kept = budgets.flat_map(|(limit, budget)| {
            let (per, every) = (limit.per().word(), budget.every.word());
            limit.spent(budget, now).into_iter().map(move |(account, from, spent)| Kept {
                per: per.into(),
                every: every.into(),
                account,
                from,
                spent,
            })
        });
        kept.collect()
    }

    /// Goes on from what another run kept. It is for limits that nobody used yet.
    pub fn restore(&self, kept: &[Kept]) {
        let now = self.ticks.now();
        for limit in &self.limits {
            let Some(budget) = limit.budget() else { continue };
            let (per, every) = (limit.per().word(), budget.every.word());
            for kept in kept.iter().filter(|kept| *kept.per == *per && *kept.every == *every) {
                let purse = Purse::of(kept.from, kept.spent);
                if purse.spent(budget, now.unix_ms).0 > 0 {
                    limit.account_of(&kept.account, now).lock().purse = purse;
                }
            }
        }
    }

    /// How many callers are remembered, summed over limits.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.limits.iter().map(|limit| limit.accounts()).sum()
    }
}

/// Which of `old` goes on as `spec`: the same, or else one that has another budget.
fn kept(old: &[Arc<Limit>], spec: &LimitSpec) -> Option<usize> {
    let same = |limit: &Arc<Limit>| limit.counts_as(spec) && limit.budget() == spec.cost;
    old.iter().position(same).or_else(|| old.iter().position(|limit| limit.counts_as(spec)))
}

impl Limits for MemoryLimits {
    fn reserve(&self, call: &Demand<'_>) -> Result<Reservation, Denied> {
        let now = self.ticks.now();
        let mut accounts: Vec<(Arc<Account>, u64)> =
            self.limits.iter().map(|limit| (limit.account(call, now), 0)).collect();
        let mut taking = Taking { amounts: call.amounts, now, refusal: None, standings: Standings::default() };
        taking.take(&self.limits, &mut accounts);
        if let Some(Refusal { quantity, words, wait }) = taking.refusal {
            let (limit, standings) = (words.to_owned(), taking.standings);
            return Err(Denied { why: Why::Reached, quantity, limit, retry_after: wait, standings });
        }
        let is_settled = self.limits.iter().any(|limit| limit.is_settled());
        let settle = is_settled.then(|| Box::new(Held { ticks: Arc::clone(&self.ticks), accounts }) as Box<dyn Settle>);
        Ok(Reservation::new(taking.standings, call.amounts, settle))
    }
}

/// One call on its way through its accounts.
struct Taking<'l> {
    amounts: Amounts,
    now: Now,
    refusal: Option<Refusal<'l>>,
    standings: Standings,
}

impl<'l> Taking<'l> {
    /// Takes from the first account, then, with its lock held, from the rest; where any of them refused, all put back
    /// what they had. Beside each account it notes where the span began in which money was taken. Recursion holds the
    /// locks without allocating; it is as deep as the configuration has limits.
    fn take(&mut self, limits: &'l [Arc<Limit>], accounts: &mut [(Arc<Account>, u64)]) {
        let (Some((limit, limits)), Some(((account, from), accounts))) =
            (limits.split_first(), accounts.split_first_mut())
        else {
            return;
        };
        let mut counters = account.lock();
        let before = *counters;
        let refusal = limit.take(&mut counters, self.amounts, self.now).err();
        *from = counters.purse.from();
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
pub(crate) fn tighter(a: Option<Standing>, b: Option<Standing>) -> Option<Standing> {
    let rank = |s: &Standing| (s.remaining, std::cmp::Reverse(s.reset));
    a.into_iter().chain(b).min_by_key(rank)
}

/// The accounts that hold something for a running call, each with the beginning of its span.
struct Held {
    ticks: Arc<Ticks>,
    accounts: Vec<(Arc<Account>, u64)>,
}

impl Settle for Held {
    fn settle(&self, reserved: Amounts, used: Amounts) {
        let now = self.ticks.now();
        for (account, from) in &self.accounts {
            account.settle(*from, reserved, used, now);
        }
    }
}

#[cfg(test)]
mod tests;
