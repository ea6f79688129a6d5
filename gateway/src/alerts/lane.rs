//! One alert at work: a task that tells what its backlog says, one after the other. Owns the log of what could not be told,
//! and the counts.

use super::backlog::{Backlog, Delivery, Next, Settled};
use super::counts::{Counts, Outcome};
use super::messenger::Messenger;
use super::{alertmanager, verdict::Verdict};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_core::port::alerts::Alarm;
use tidegate_core::spec::{AlertSpec, AlertTo};
use tidegate_core::{AlertName, Clock, Dice, InferenceId};
use tokio::sync::Notify;

/// One alert.
#[derive(Debug)]
pub(super) struct Lane {
    spec: ArcSwap<AlertSpec>,
    backlog: Mutex<Backlog>,
    counts: Arc<Counts>,
    messenger: Arc<Messenger>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    /// Something came, or it is to leave.
    woken: Notify,
    /// Nothing waits any more.
    emptied: Notify,
    /// It ends when nothing waits.
    leaves: AtomicBool,
}

impl Lane {
    /// One that has nothing to tell yet.
    pub(super) fn new(
        spec: AlertSpec,
        counts: Arc<Counts>,
        messenger: Arc<Messenger>,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> Self {
        Self {
            backlog: Mutex::new(Backlog::new(every(&spec))),
            spec: ArcSwap::from_pointee(spec),
            counts,
            messenger,
            clock,
            dice,
            woken: Notify::new(),
            emptied: Notify::new(),
            leaves: AtomicBool::new(false),
        }
    }

    /// Tells by this from now on, also what waits already: nothing is told out of order.
    pub(super) fn tell_by(&self, spec: &AlertSpec) {
        if **self.spec.load() != *spec {
            self.backlog().tell_again(every(spec));
            self.spec.store(Arc::new(spec.clone()));
        }
    }

    /// Takes one more to tell.
    pub(super) fn take(&self, alarm: Arc<Alarm>) {
        let spec = self.spec.load_full();
        if matches!(spec.to, AlertTo::Run(_)) && !alarm.firing {
            return;
        }
        let id = InferenceId::new(&*self.clock, &*self.dice).to_string();
        let monitor = alarm.monitor.clone();
        if self.backlog().take(id, alarm, self.clock.now()) {
            self.woken.notify_one();
        } else {
            self.counts.add(Outcome::Dropped);
            tracing::error!(alert = %spec.name, %monitor, "an alarm is not told: too many wait already");
        }
    }

    /// Others tell of this alarm from now on.
    pub(super) fn leave_to_others(&self, dedup_key: &str) {
        self.backlog().forget(dedup_key);
    }

    /// Tells until there is nothing left and it is to leave.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let next = self.backlog().next(self.clock.now());
            match next {
                Next::Send(delivery) => self.tell(delivery).await,
                Next::Wait(until) if !self.has_left() => {
                    let wait = until.saturating_duration_since(self.clock.now());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.woken.notified() => {}
                    }
                }
                Next::Idle if !self.has_left() => self.woken.notified().await,
                Next::Wait(_) | Next::Idle => return,
            }
        }
    }

    /// Whether it is to leave and has nothing to tell.
    fn has_left(&self) -> bool {
        self.leaves.load(Ordering::Acquire) && self.backlog().is_empty()
    }

    async fn tell(&self, delivery: Delivery) {
        let alarm = Arc::clone(&delivery.alarm);
        let spec = self.spec.load_full();
        let verdict = self.messenger.tell(&spec, &alarm, &delivery.id).await;
        let verdict = verdict.unwrap_or_else(|| Verdict::Told("there is nothing to tell".to_owned()));
        let settled = self.backlog().settle(delivery, &verdict, self.clock.now(), self.dice.unit());
        self.note(&spec.name, &settled, &verdict, &alarm);
        if self.backlog().is_empty() {
            self.emptied.notify_waiters();
        }
    }

    fn note(&self, alert: &AlertName, settled: &Settled, verdict: &Verdict, alarm: &Alarm) {
        let (monitor, firing, said) = (&alarm.monitor, alarm.firing, verdict.says());
        match settled {
            Settled::Delivered => {
                self.counts.add(Outcome::Delivered);
                tracing::info!(%alert, %monitor, firing, "told of an alarm");
            }
            Settled::Again(wait) => {
                self.counts.retried();
                let seconds = wait.as_secs_f64();
                tracing::warn!(%alert, %monitor, firing, said, again_in_s = seconds, "an alarm could not be told yet");
            }
            Settled::Refused => {
                self.counts.add(Outcome::Refused);
                tracing::error!(%alert, %monitor, firing, said, "an alarm was refused");
            }
            Settled::Expired => {
                self.counts.add(Outcome::Expired);
                tracing::error!(%alert, %monitor, firing, said, "an alarm could not be told for an hour and is given up");
            }
            Settled::Beat if !matches!(verdict, Verdict::Told(_)) => {
                tracing::warn!(%alert, %monitor, said, "an alarm that lasts could not be told again");
            }
            Settled::Beat => tracing::debug!(%alert, %monitor, "told again of an alarm that lasts"),
        }
    }

    /// Ends when nothing waits; alarms that last are not told again.
    pub(super) fn leave(&self) {
        self.leaves.store(true, Ordering::Release);
        self.backlog().tell_again(None);
        self.woken.notify_one();
    }

    /// Waits until nothing waits, no longer than `patience`.
    pub(super) async fn emptied(&self, patience: Duration) {
        let empty = async {
            loop {
                let emptied = self.emptied.notified();
                if self.backlog().is_empty() {
                    return;
                }
                emptied.await;
            }
        };
        // What is not told by then is counted by `drop_rest`.
        tokio::time::timeout(patience, empty).await.unwrap_or_default();
    }

    /// Counts what was not told: nobody tells it any more.
    pub(super) fn drop_rest(&self) {
        let count = self.backlog().count();
        if count > 0 {
            self.counts.add_many(Outcome::Dropped, u64::try_from(count).unwrap_or(u64::MAX));
            tracing::error!(alert = %self.spec.load().name, count, "alarms are not told: the program stops");
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often an alarm that lasts is told again.
fn every(spec: &AlertSpec) -> Option<Duration> {
    matches!(spec.to, AlertTo::Alertmanager { .. }).then_some(alertmanager::HEARTBEAT)
}
