//! What each shadow did and spent, across reloads. Owns the budget of a day, and that it is known again after a restart.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::{Clock, RouteName, VariantName};
use tidegate_server::observe::shadows::{ShadowCounts, ShadowOutcome};
use tidegate_storage::shadows::{ShadowEntry, ShadowLog, log_at};

const DAY_MS: u64 = 86_400_000;

/// The accounts of all shadows, and their log.
#[derive(Debug)]
pub(crate) struct Accounts {
    all: Mutex<HashMap<(RouteName, VariantName), Arc<Account>>>,
    log: Option<Mutex<ShadowLog>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// One shadow's.
#[derive(Debug, Default)]
pub(super) struct Account {
    counts: [AtomicU64; ShadowOutcome::ALL.len()],
    spent: Mutex<Spent>,
}

/// USD of a day.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    day: u64,
    usd: f64,
}

impl Accounts {
    /// Accounts that go on where the log in this folder of an event store ends today.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open(events: Option<&Path>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let accounts = Self { all: Mutex::default(), log: events.map(|folder| Mutex::new(log_at(folder))), clock };
        let now = accounts.clock.unix_ms();
        if let Some(log) = &accounts.log {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.read_since(now, |entry| {
                let account = accounts.of(&entry.route, &entry.shadow);
                account.spend(entry.usd[0].unwrap_or_default(), entry.at);
            })?;
        }
        Ok(accounts)
    }

    pub(super) fn of(&self, route: &RouteName, shadow: &VariantName) -> Arc<Account> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((route.clone(), shadow.clone())).or_default())
    }

    /// Writes down what a copy came to.
    pub(super) fn note(&self, entry: &ShadowEntry) {
        let Some(log) = &self.log else { return };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(fault) = log.append(self.clock.unix_ms(), std::slice::from_ref(entry), false) {
            tracing::error!(%fault, "what a shadow answered cannot be written down");
        }
    }
}

impl Account {
    pub(super) fn count(&self, outcome: ShadowOutcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> ShadowCounts {
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }

    /// Whether less than `budget` was spent today.
    pub(super) fn has_left(&self, budget: f64, now_ms: u64) -> bool {
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.day != now_ms / DAY_MS || spent.usd < budget
    }

    pub(super) fn spend(&self, usd: f64, now_ms: u64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now_ms / DAY_MS;
        if spent.day != day {
            *spent = Spent { day, usd: 0.0 };
        }
        spent.usd += usd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_of_a_day() {
        let account = Account::default();
        assert!(account.has_left(1.0, 5 * DAY_MS));
        account.spend(1.5, 5 * DAY_MS);
        assert!(!account.has_left(1.0, 5 * DAY_MS + 7) && account.has_left(2.0, 5 * DAY_MS));
        assert!(account.has_left(1.0, 6 * DAY_MS));
        account.spend(0.5, 6 * DAY_MS);
        assert!(account.has_left(1.0, 6 * DAY_MS));
    }
}
