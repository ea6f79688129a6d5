//! What this replica tells the others of the models that it serves: noted in the registry when it changes, and again
//! every few seconds, so that one which is gone is known by its silence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_core::port::models::{Models, Serving};
use tidegate_core::{Dice, ReplicaId};
use tokio::sync::Mutex;

/// How often it is noted again.
const AGAIN: Duration = Duration::from_secs(10);

/// Tells what this replica serves.
#[derive(Debug)]
pub(crate) struct Announcer {
    models: Arc<dyn Models>,
    replica: ReplicaId,
    /// By reference; held while it is told, so that the newest is told last.
    all: Mutex<BTreeMap<String, Serving>>,
    /// The log says once that it could not be told.
    was_lost: AtomicBool,
}

impl Announcer {
    /// An announcer that has told nothing yet.
    ///
    /// # Errors
    /// The name of this machine is none.
    pub(crate) fn new(models: Arc<dyn Models>, dice: &dyn Dice) -> anyhow::Result<Self> {
        let replica = replica_id(&host(), dice.next_u64()).parse()?;
        Ok(Self { models, replica, all: Mutex::default(), was_lost: AtomicBool::new(false) })
    }

    /// Notes what is done with one reference.
    pub(crate) async fn note(&self, one: Serving) {
        let mut all = self.all.lock().await;
        all.insert(one.reference.to_string(), one);
        self.tell(&all).await;
    }

    /// Notes what is done with all references; others are not had any more.
    pub(crate) async fn replace(&self, servings: Vec<Serving>) {
        let mut all = self.all.lock().await;
        let before = std::mem::replace(&mut *all, by_reference(servings));
        // A gateway that never served a model of the registry has nothing to tell.
        if !(before.is_empty() && all.is_empty()) {
            self.tell(&all).await;
        }
    }

    /// Notes it again and again, until aborted.
    pub(crate) async fn keep_telling(&self) {
        loop {
            {
                let all = self.all.lock().await;
                if !all.is_empty() {
                    self.tell(&all).await;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn tell(&self, all: &BTreeMap<String, Serving>) {
        let all: Vec<Serving> = all.values().cloned().collect();
        match self.models.announce(&self.replica, &all).await {
            Ok(()) => self.was_lost.store(false, Ordering::Relaxed),
            Err(fault) => {
                if !self.was_lost.swap(true, Ordering::Relaxed) {
                    tracing::error!(%fault, "the registry is not told what serves here");
                }
            }
        }
    }
}

/// Several models may have one reference: the one that is least far counts.
fn by_reference(servings: Vec<Serving>) -> BTreeMap<String, Serving> {
    let mut all: BTreeMap<String, Serving> = BTreeMap::new();
    for one in servings {
        let known = all.get(&one.reference.to_string());
        if known.is_none_or(|known| known.state < one.state) {
            all.insert(one.reference.to_string(), one);
        }
    }
    all
}

/// The name of this machine; with the random number beside it nothing depends on it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let kept: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    kept.trim_start_matches(['-', '.']).chars().take(64).collect()
}

fn replica_id(host: &str, number: u64) -> String {
    if host.is_empty() { format!("replica-{number:016x}") } else { format!("{host}-{number:016x}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::models::ServingState;

    #[test]
    fn whatever_the_machine_is_called_the_replica_has_a_name() {
        for host in ["", "a.b-c", "web-1"] {
            assert!(replica_id(host, 7).parse::<ReplicaId>().is_ok(), "{host}");
        }
        assert!(replica_id(&host(), 7).parse::<ReplicaId>().is_ok());
    }

    #[test]
    fn of_two_models_with_one_reference_the_one_that_is_least_far_counts() {
        let one =
            |state| Serving { reference: "models:/m@x".parse().unwrap(), version: 1, state, reason: String::new() };
        let all = by_reference(vec![one(ServingState::Refused), one(ServingState::Serves)]);
        assert_eq!(all["models:/m@x"].state, ServingState::Refused);
    }
}
