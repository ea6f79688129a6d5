//! The port to limits whose accounts are leased. Owns the taking in all limits or in none, the few milliseconds in which
//! the store is asked, and what holds when it does not answer.

use super::account::{Account, Held, Lack, Tickets, Wants, wants, worse};
use super::counts::{SharedCounts, Way};
use super::feeder::Feed;
use super::lease::Room;
use super::limit::Limit;
use crate::memory::tighter;
use crate::ticks::Now;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::limits::{Amounts, Demand, Denied, Limits, Reservation, Settle, Standings, Why};
use tidegate_core::spec::limit::LimitSpec;

/// How long a call waits for the store at most.
const PATIENCE: Duration = Duration::from_millis(3);
/// When a caller may come again whose limit cannot be asked.
const AGAIN: Duration = Duration::from_secs(1);

/// Holds callers to limits that replicas share.
#[derive(Debug)]
pub struct SharedLimits {
    feed: Arc<Feed>,
    /// By rank, see [`Limit::rank`].
    limits: Vec<Arc<Limit>>,
    next_rank: usize,
}

impl SharedLimits {
    /// Limits as `specs` say, fed by the other end of `feed`.
    pub(super) fn new(specs: &[LimitSpec], feed: Arc<Feed>) -> Self {
        Self { feed, limits: Vec::new(), next_rank: 0 }.reconfigured(specs)
    }

    /// The limits of a new configuration. One that counts as before keeps what it holds.
    #[must_use]
    pub fn reconfigured(&self, specs: &[LimitSpec]) -> Self {
        let (mut old, mut next_rank) = (self.limits.clone(), self.next_rank);
        let mut limits: Vec<Arc<Limit>> = Vec::with_capacity(specs.len());
        let counted =
            specs.iter().filter(|spec| spec.requests.is_some() || spec.tokens.is_some() || spec.cost.is_some());
        for spec in counted {
            let limit = match old.iter().position(|limit| limit.counts_as(spec)) {
                Some(kept) => old.remove(kept).amended(spec.clone()),
                None => {
                    next_rank += 1;
                    let twin = limits.iter().filter(|limit| limit.counts_as(spec)).count();
                    Limit::new(spec.clone(), next_rank, twin)
                }
            };
            limits.push(Arc::new(limit));
        }
        limits.sort_by_key(|limit| limit.rank);
        Self { feed: Arc::clone(&self.feed), limits, next_rank }
    }

    /// Forgets callers of whom nothing need be known; says how many.
    pub fn sweep(&self) -> usize {
        let now = self.feed.now();
        self.limits.iter().map(|limit| limit.sweep(now)).sum()
    }

    /// How many callers are remembered, summed over limits.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.limits.iter().map(|limit| limit.accounts()).sum()
    }

    /// What happened to them.
    #[must_use]
    pub fn counts(&self) -> Arc<SharedCounts> {
        Arc::clone(&self.feed.counts)
    }

    fn taking<'l>(&'l self, call: &Demand<'_>) -> Taking<'l> {
        let accounts = self.limits.iter().map(|limit| limit.account(call, || self.feed.life())).collect();
        Taking { limits: self, accounts, amounts: call.amounts, wants: wants(call.amounts) }
    }
}

impl Limits for SharedLimits {
    fn reserve(&self, call: &Demand<'_>) -> Result<Reservation, Denied> {
        let taking = self.taking(call);
        let mut held = taking.lock();
        let known = taking.fitting(&mut held);
        if !known.as_ref().is_err_and(|denied| denied.why == Why::Short) {
            self.feed.counts.count(Way::Local);
        }
        known
    }

    fn ask<'a>(&'a self, call: &'a Demand<'a>) -> BoxFuture<'a, Result<Reservation, Denied>> {
        Box::pin(async move {
            let taking = self.taking(call);
            let mut tickets = vec![Tickets::default(); taking.accounts.len()];
            let patience = tokio::time::sleep(PATIENCE);
            tokio::pin!(patience);
            loop {
                // Before the store is asked, so that no answer is missed.
                let answered = self.feed.answered.notified();
                tokio::pin!(answered);
                answered.as_mut().enable();
                match taking.waiting(&mut tickets) {
                    Err(denied) if denied.why == Why::Short => {}
                    known => {
                        self.feed.counts.count(Way::Asked);
                        return known;
                    }
                }
                if !self.feed.counts.is_up() {
                    break;
                }
                tokio::select! {
                    () = answered => {}
                    () = &mut patience => break,
                }
            }
            taking.unanswered()
        })
    }
}

/// One call and its accounts.
struct Taking<'l> {
    limits: &'l SharedLimits,
    accounts: Vec<Arc<Account>>,
    amounts: Amounts,
    wants: Wants,
}

/// The accounts of a call, locked in the order of their ranks.
type Locked<'t> = Vec<MutexGuard<'t, Held>>;

impl Taking<'_> {
    fn lock(&self) -> Locked<'_> {
        self.accounts.iter().map(|account| account.lock()).collect()
    }

    /// Takes where it fits everywhere.
    fn fitting(&self, held: &mut Locked<'_>) -> Result<Reservation, Denied> {
        let now = self.limits.feed.now();
        match self.lack(held, now) {
            None => Ok(self.take(held, now)),
            Some((at, lack)) => {
                if lack.room != Room::Short {
                    self.refuse(held, now);
                }
                Err(self.denied(at, lack, held, now))
            }
        }
    }

    /// Takes where it fits everywhere; where the store may have more, the feeder is called.
    fn waiting(&self, tickets: &mut [Tickets]) -> Result<Reservation, Denied> {
        let mut held = self.lock();
        let known = self.fitting(&mut held);
        if known.as_ref().is_err_and(|denied| denied.why == Why::Short) {
            let now = self.limits.feed.now();
            for ((account, held), tickets) in self.accounts.iter().zip(&mut held).zip(tickets) {
                held.miss(&self.wants, tickets, now);
                self.limits.feed.watch(account, held);
            }
        }
        known
    }

    /// The store did not answer: each limit that lacks says what holds then.
    fn unanswered(&self) -> Result<Reservation, Denied> {
        let mut held = self.lock();
        let now = self.limits.feed.now();
        let is_closed = |at: &usize| !self.limits.limits[*at].is_open();
        let (known, way) = match self.lack(&mut held, now) {
            None => (Ok(self.take(&mut held, now)), Way::Asked),
            Some((at, lack)) if lack.room != Room::Short => {
                self.refuse(&mut held, now);
                (Err(self.denied(at, lack, &held, now)), Way::Asked)
            }
            Some(_) => {
                let lacks = self.lacks(&mut held, now);
                self.refuse(&mut held, now);
                match lacks.into_iter().find(|(at, _)| is_closed(at)) {
                    None => (Ok(self.take(&mut held, now)), Way::Open),
                    Some((at, lack)) => {
                        let denied = self.denied(at, lack, &held, now);
                        (Err(Denied { why: Why::Unknown, retry_after: AGAIN, ..denied }), Way::Closed)
                    }
                }
            }
        };
        self.limits.feed.counts.count(way);
        known
    }

    fn lacks(&self, held: &mut Locked<'_>, now: Now) -> Vec<(usize, Lack)> {
        let feed = &self.limits.feed;
        let lacks = held.iter_mut().enumerate();
        let limits = &self.limits.limits;
        lacks
            .filter_map(|(at, held)| Some((at, held.lack(&self.wants, &limits[at].terms, now, || feed.life())?)))
            .collect()
    }

    fn lack(&self, held: &mut Locked<'_>, now: Now) -> Option<(usize, Lack)> {
        self.lacks(held, now).into_iter().fold(None, |worst, (at, lack)| match worst {
            Some((_, old)) if worse(Some(old), Some(lack)) != Some(lack) => worst,
            _ => Some((at, lack)),
        })
    }

    /// Takes, fitting or not.
    fn take(&self, held: &mut Locked<'_>, now: Now) -> Reservation {
        let mut lives = Vec::with_capacity(held.len());
        for (account, held) in self.accounts.iter().zip(held.iter_mut()) {
            lives.push((Arc::clone(account), held.take(&self.wants)));
            self.limits.feed.watch(account, held);
        }
        let settle = Box::new(Taken { feed: Arc::clone(&self.limits.feed), lives });
        Reservation::new(standings(held, now), self.amounts, Some(settle))
    }

    /// Notes that it was refused, so that what lacks is drawn beside the calls.
    fn refuse(&self, held: &mut Locked<'_>, now: Now) {
        for (account, held) in self.accounts.iter().zip(held.iter_mut()) {
            held.refuse(&self.wants, now);
            self.limits.feed.watch(account, held);
        }
    }

    fn denied(&self, at: usize, lack: Lack, held: &Locked<'_>, now: Now) -> Denied {
        let (why, retry_after) = match lack.room {
            Room::None(wait) => (Why::Reached, wait),
            Room::Short | Room::Fits => (Why::Short, Duration::ZERO),
        };
        let limit = self.limits.limits[at].words(lack.quantity).to_owned();
        Denied { why, quantity: lack.quantity, limit, retry_after, standings: standings(held, now) }
    }
}

fn standings(held: &Locked<'_>, now: Now) -> Standings {
    held.iter().fold(Standings::default(), |all, held| {
        let one = Limit::standings(held, now);
        Standings { requests: tighter(all.requests, one.requests), tokens: tighter(all.tokens, one.tokens) }
    })
}

/// What a running call holds of each account, and in which lives of its leases.
struct Taken {
    feed: Arc<Feed>,
    lives: Vec<(Arc<Account>, Wants)>,
}

impl Settle for Taken {
    fn settle(&self, reserved: Amounts, used: Amounts) {
        for (account, lives) in &self.lives {
            let mut held = account.lock();
            held.settle(lives, &wants(reserved), &wants(used));
            self.feed.watch(account, &mut held);
        }
    }
}

#[cfg(test)]
mod tests;
