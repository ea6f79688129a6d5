//! The port `Alerts`: a lane for each alert, so that one that is down delays no other. Owns that a reload keeps what waits,
//! and that a stop gives it a moment.

use super::counts::{Counts, Outcome};
use super::lane::Lane;
use super::messenger::Messenger;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_core::port::alerts::{Alarm, Alerts};
use tidegate_core::spec::AlertSpec;
use tidegate_core::{AlertName, Clock, Dice};
use tidegate_server::observe::alerts::{AlertCounts, Told};
use tokio::task::JoinHandle;

/// How long a stop waits for what is still to be told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells of alarms.
#[derive(Debug)]
pub(crate) struct Teller {
    messenger: Arc<Messenger>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<AlertName, Running>,
    /// Those of a former configuration that still have something to tell.
    leaving: Vec<Running>,
    counts: BTreeMap<AlertName, Arc<Counts>>,
}

#[derive(Debug)]
struct Running {
    lane: Arc<Lane>,
    task: JoinHandle<()>,
}

impl Teller {
    /// A teller of nobody yet.
    #[must_use]
    pub(crate) fn new(messenger: Messenger, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { messenger: Arc::new(messenger), clock, dice, state: Mutex::default() }
    }

    /// Tells by these alerts from now on. What waits is told by them too; one that is gone still tells what was handed to it.
    pub(crate) fn in_force(&self, specs: &BTreeMap<AlertName, AlertSpec>) {
        let mut state = self.state();
        state.leaving.retain(|running| !running.task.is_finished());
        let gone = state.lanes.extract_if(.., |name, _| !specs.contains_key(name));
        let gone: Vec<Running> = gone.map(|(_, running)| running).collect();
        gone.iter().for_each(|running| running.lane.leave());
        state.leaving.extend(gone);
        state.counts.retain(|name, _| specs.contains_key(name));
        for (name, spec) in specs {
            if let Some(running) = state.lanes.get(name) {
                running.lane.tell_by(spec);
                continue;
            }
            let counts = Arc::clone(state.counts.entry(name.clone()).or_default());
            let (clock, dice) = (Arc::clone(&self.clock), Arc::clone(&self.dice));
            let lane = Arc::new(Lane::new(spec.clone(), counts, Arc::clone(&self.messenger), clock, dice));
            let task = tokio::spawn(Arc::clone(&lane).run());
            state.lanes.insert(name.clone(), Running { lane, task });
        }
    }

    /// Gives what waits a moment to be told, then ends.
    pub(crate) async fn close(&self) {
        let State { lanes, leaving, .. } = std::mem::take(&mut *self.state());
        let all: Vec<Running> = lanes.into_values().chain(leaving).collect();
        join_all(all.iter().map(|running| running.lane.emptied(PATIENCE))).await;
        for Running { lane, task } in all {
            task.abort();
            lane.drop_rest();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alerts for Teller {
    fn tell(&self, alert: &AlertName, alarm: Arc<Alarm>) {
        match self.state().lanes.get(alert) {
            Some(running) => running.lane.take(alarm),
            None => tracing::error!(%alert, monitor = %alarm.monitor, "an alarm is not told: there is no such alert"),
        }
    }

    fn leave(&self, alert: &AlertName, dedup_key: &str) {
        if let Some(running) = self.state().lanes.get(alert) {
            running.lane.leave_to_others(dedup_key);
        }
    }
}

impl AlertCounts for Teller {
    fn told(&self) -> Vec<Told> {
        let state = self.state();
        let told = |(name, counts): (&AlertName, &Arc<Counts>)| Told {
            alert: name.clone(),
            outcomes: Outcome::ALL.map(|outcome| (outcome.label(), counts.ended(outcome))),
            retries: counts.retries(),
        };
        state.counts.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests;
