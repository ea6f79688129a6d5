//! The series of alerts: what became of the alarms that were to be told. Owns their names; telling is the program's.

use super::exposition::Exposition;
use std::fmt;
use tidegate_core::AlertName;

/// Who knows what became of alarms.
pub trait AlertCounts: Send + Sync + fmt::Debug {
    /// For each alert.
    fn told(&self) -> Vec<Told>;
}

/// What became of the alarms of one alert, and of their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The alert.
    pub alert: AlertName,
    /// How many ended how.
    pub outcomes: [(&'static str, u64); 4],
    /// How many tries were to be repeated.
    pub retries: u64,
}

/// Writes them.
pub(super) fn write(counts: &dyn AlertCounts, page: &mut Exposition) {
    let all = counts.told();
    if all.is_empty() {
        return;
    }
    page.counter("tidegate_alerts_total", "Alarms and their ends that were to be told, by what became of them.");
    for told in &all {
        for (outcome, count) in told.outcomes {
            page.series(&[("alert", told.alert.as_str()), ("outcome", outcome)], count);
        }
    }
    page.counter("tidegate_alert_retries_total", "Tries to tell of an alarm that were to be repeated.");
    for told in &all {
        page.series(&[("alert", told.alert.as_str())], told.retries);
    }
}
