//! What follows from what monitors find: alerts told, rollouts ordered, variants closed, evaluations written. Owns that each of
//! it happens beside the thread that looks at calls, and that a failure of one hinders none of the others.

use super::basis::Baseline;
use super::valves::Valves;
use crate::rollouts::Rollouts;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tidegate_core::model_ref::ModelRef;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::alerts::{Alarm, Alerts};
use tidegate_core::spec::MonitorAction;
use tidegate_core::{AlertName, FaultKind, MonitorName};
use tidegate_route::rollout::stage::Order;

/// What of a registry monitors need.
pub(crate) trait Book: Send + Sync + std::fmt::Debug {
    /// The baseline of the version that a reference means now.
    ///
    /// # Errors
    /// There is none, or the registry cannot be asked; in words.
    fn baseline<'a>(&'a self, of: &'a ModelRef) -> BoxFuture<'a, Result<Baseline, String>>;

    /// Writes down what a monitor found of a version.
    ///
    /// # Errors
    /// It cannot be written; in words.
    fn evaluated(&self, evaluation: Evaluation) -> BoxFuture<'_, Result<(), String>>;
}

/// What a monitor found of a version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluation {
    /// The version of a registered model.
    pub(crate) of: ModelRef,
    /// The monitor.
    pub(crate) monitor: MonitorName,
    /// Whether there is no alarm.
    pub(crate) passed: bool,
    /// The numbers of the newest window; an object.
    pub(crate) details: Value,
}

/// Something that follows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// These are told.
    Tell(Vec<AlertName>, Arc<Alarm>),
    /// Another replica tells these of the alarms of these names from now on.
    Leave(Vec<AlertName>, Vec<String>),
    /// An alarm began, or is over.
    Act(MonitorAction, Arc<Alarm>),
    /// An evaluation is written.
    Evaluate(Evaluation),
}

/// Whom deeds are done to.
#[derive(Debug)]
pub(super) struct Hands {
    pub(super) rollouts: Arc<Rollouts>,
    pub(super) valves: Arc<Valves>,
    /// They come with the alerts of a configuration.
    pub(super) alerts: OnceLock<Arc<dyn Alerts>>,
    pub(super) book: Option<Arc<dyn Book>>,
}

impl Hands {
    /// Does it. What cannot be done stands in the log.
    pub(super) async fn act(&self, deed: Deed) {
        match deed {
            Deed::Tell(whom, alarm) => {
                let Some(alerts) = self.alerts.get() else { return };
                whom.iter().for_each(|alert| alerts.tell(alert, Arc::clone(&alarm)));
            }
            Deed::Leave(whom, alarms) => {
                let Some(alerts) = self.alerts.get() else { return };
                for alert in &whom {
                    alarms.iter().for_each(|alarm| alerts.leave(alert, alarm));
                }
            }
            Deed::Act(action, alarm) => self.follow(action, &alarm).await,
            Deed::Evaluate(evaluation) => {
                let Some(book) = &self.book else { return };
                let (monitor, of) = (evaluation.monitor.clone(), evaluation.of.clone());
                if let Err(why) = book.evaluated(evaluation).await {
                    tracing::warn!(%monitor, %of, why, "the evaluation of a version cannot be written");
                }
            }
        }
    }

    async fn follow(&self, action: MonitorAction, alarm: &Alarm) {
        let order = match action {
            MonitorAction::None => return,
            MonitorAction::DisableVariant(variant) => {
                if self.valves.set(&alarm.route, &variant, &alarm.monitor, alarm.firing) {
                    let (monitor, route) = (&alarm.monitor, &alarm.route);
                    let now = if alarm.firing { "gets no more calls" } else { "gets calls again" };
                    tracing::warn!(%monitor, %route, %variant, now, "a monitor acts on a variant");
                }
                return;
            }
            // An alarm that is over brings no rollout back.
            MonitorAction::Rollback | MonitorAction::PauseRollout if !alarm.firing => return,
            MonitorAction::Rollback => Order::Abort,
            MonitorAction::PauseRollout => Order::Pause,
        };
        let (route, by) = (alarm.route.as_str(), format!("monitor {}", alarm.monitor));
        match self.rollouts.order(route, order, &by, &alarm.summary).await {
            Ok(_) => {}
            // It is over already, or paused: that is what was wanted.
            Err(fault) if fault.kind == FaultKind::Conflict => {
                tracing::info!(monitor = %alarm.monitor, route, %fault, "a rollout needs no order");
            }
            Err(fault) => tracing::error!(monitor = %alarm.monitor, route, %fault, "a rollout cannot be ordered"),
        }
    }
}
