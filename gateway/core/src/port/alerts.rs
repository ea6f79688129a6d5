//! The port to those who tell people, and start things, when a monitor raises an alarm.

use crate::{AlertName, ModelName, MonitorName, RouteName, VariantName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells of alarms.
pub trait Alerts: Send + Sync + std::fmt::Debug {
    /// Tells this one. Never blocks: what cannot be told now is tried again, and counted where it is given up.
    fn tell(&self, alert: &AlertName, alarm: Arc<Alarm>);

    /// Another replica tells of this alarm from now on: it is not told again here that it lasts.
    fn leave(&self, alert: &AlertName, dedup_key: &str);
}

/// What a monitor says of a change: an alarm, or its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// Which monitor.
    pub monitor: MonitorName,
    /// Whether something is wrong now; else it is over.
    pub firing: bool,
    /// Whose calls.
    pub route: RouteName,
    /// The variant that is watched, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Its version in the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<u32>,
    /// What is wrong, in a sentence.
    pub summary: String,
    /// When the alarm began, in milliseconds since 1970.
    pub since_ms: u64,
    /// When this was said.
    pub at_ms: u64,
    /// Names the alarm: the same at its begin and its end.
    pub dedup_key: String,
    /// What was out of bounds.
    pub measurements: Vec<Measured>,
}

/// A number that was out of bounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What it measures.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Of what, such as `{feature: amount}`.
    pub labels: BTreeMap<String, String>,
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

impl Alerts for NoAlerts {
    fn tell(&self, _: &AlertName, _: Arc<Alarm>) {}

    fn leave(&self, _: &AlertName, _: &str) {}
}
