//! What is tried next when a try fails: the same variant again, another one, or nothing. Owns the order of tries of one
//! call; sending, waiting and the deadline itself are the server's.
//!
//! After a fault, in this order:
//! 1. Nothing more, if no variant can help (the caller's mistakes, ours) or the time in all is used up.
//! 2. The same variant again, if the fault allows it (it was not sent, or refused before any part of an answer; not by
//!    a full queue of ours that says when to come again), tries are left at this variant, the wait ends before the
//!    deadline and the budget has a retry. The wait is the backoff with full jitter, after what `Retry-After` asks for.
//!    Where a fallback stands ready and `Retry-After` asks for longer than the backoff would wait at most, the fallback
//!    goes first: another variant serves now.
//! 3. The first fallback that names the fault and leads to a variant not tried yet. It has its own tries, costs
//!    nothing of the budget (the number of variants bounds it) and needs no wait.
//! 4. In a cascade, the next variant of its order, as if the answer had been too poor.

use crate::budget::RetryBudget;
use crate::{backoff, condition};
use std::ops::Deref;
use std::time::Duration;
use tidegate_core::fault::Retry;
use tidegate_core::spec::{CascadeSpec, PolicySpec, RouteSpec};
use tidegate_core::{Dice, Fault, FaultKind};

/// What to do after a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try the same variant again after a wait.
    Again {
        /// Its index.
        variant: usize,
        /// How long to wait first.
        wait: Duration,
    },
    /// Try another variant at once.
    Fallback {
        /// Its index.
        variant: usize,
    },
    /// Tell the caller.
    GiveUp,
}

/// The tries of one call. `R` is a `RouteSpec` by reference or in an `Arc`.
#[derive(Debug, Clone)]
pub struct Plan<R> {
    route: R,
    variant: usize,
    /// Tries at `variant`, the running one included.
    tries: u32,
    /// The variants given up before it.
    left: Vec<usize>,
}

impl<R: Deref<Target = RouteSpec>> Plan<R> {
    /// A plan that starts at `arm`, for a call that pays into `budget`.
    #[must_use]
    pub fn new(route: R, arm: usize, budget: &RetryBudget) -> Self {
        budget.deposit();
        Self { route, variant: arm, tries: 1, left: Vec::new() }
    }

    /// The index of the variant to try now.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.variant
    }

    /// What follows when the running try failed by `fault`, `elapsed` after the call began. Not to be asked once a
    /// part of an answer has gone to the caller.
    pub fn after(&mut self, fault: &Fault, budget: &RetryBudget, dice: &dyn Dice, elapsed: Duration) -> Next {
        let remaining = self.route.timeouts.total.saturating_sub(elapsed);
        if remaining.is_zero() || condition::is_final(fault.kind) {
            return Next::GiveUp;
        }
        let fallback = self.fallback(fault);
        if self.may_retry(fault, fallback.is_some()) {
            let wait = self.wait(fault, dice);
            if wait < remaining && budget.withdraw() {
                self.tries += 1;
                return Next::Again { variant: self.variant, wait };
            }
        }
        let Some(variant) = fallback.or_else(|| self.further()) else { return Next::GiveUp };
        self.go_on(variant);
        Next::Fallback { variant }
    }

    /// The index of the variant that answers next where the answer of the current one is too poor, `elapsed` after the call
    /// began: in a cascade the next one of its order that was not tried yet, while there is time.
    #[must_use]
    pub fn escalates_to(&self, elapsed: Duration) -> Option<usize> {
        self.further().filter(|_| elapsed < self.route.timeouts.total)
    }

    /// The answer of the current variant is too poor: the next one is `variant`, from [`Plan::escalates_to`].
    pub fn escalate(&mut self, variant: usize) {
        self.go_on(variant);
    }

    fn go_on(&mut self, variant: usize) {
        self.left.push(std::mem::replace(&mut self.variant, variant));
        self.tries = 1;
    }

    fn further(&self) -> Option<usize> {
        let PolicySpec::Cascade(CascadeSpec { order, .. }) = &self.route.policy else { return None };
        let at = order.iter().position(|variant| *variant == self.variant)?;
        order[at + 1..].iter().copied().find(|variant| !self.left.contains(variant))
    }

    /// Whether a call that `fault` failed, `elapsed` after it began, has another variant to go to.
    #[must_use]
    pub fn has_fallback(&self, fault: &Fault, elapsed: Duration) -> bool {
        elapsed < self.route.timeouts.total && !condition::is_final(fault.kind) && self.fallback(fault).is_some()
    }

    fn may_retry(&self, fault: &Fault, other_ready: bool) -> bool {
        let asked = fault.retry_after.unwrap_or_default();
        // A queue that is full and says when to come again is not relieved by callers who wait here.
        let is_full = fault.kind == FaultKind::Overloaded && fault.retry_after.is_some();
        fault.kind.retry() != Retry::Never
            && !is_full
            && self.tries < self.route.retry.attempts
            && (!other_ready || asked <= self.longest_backoff())
    }

    /// At least what the provider asks for; the jitter comes on top, for it may have asked many calls for the same.
    fn wait(&self, fault: &Fault, dice: &dyn Dice) -> Duration {
        let jitter = backoff::jittered(self.longest_backoff(), dice.unit());
        fault.retry_after.unwrap_or_default().saturating_add(jitter)
    }

    fn longest_backoff(&self) -> Duration {
        backoff::longest(self.route.retry.backoff, self.tries)
    }

    fn fallback(&self, fault: &Fault) -> Option<usize> {
        let tried = |variant| variant == self.variant || self.left.contains(&variant);
        let fits = self.route.fallback.iter().find(|fallback| {
            !tried(fallback.to) && fallback.when.iter().any(|condition| condition::matches(*condition, fault))
        });
        fits.map(|fallback| fallback.to)
    }
}

#[cfg(test)]
pub(crate) mod tests;
