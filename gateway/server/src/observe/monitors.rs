//! The series of what monitors found. Owns their names; values of labels are names of the configuration and, of numbers, the
//! bounded ones that their plugins give them.

use super::exposition::Exposition;
use std::fmt;
use tidegate_core::MonitorName;

/// Who knows what monitors found.
pub trait MonitorCounts: Send + Sync + fmt::Debug {
    /// The figures of each.
    fn figures(&self) -> Vec<MonitorFigures>;
}

/// What one monitor found.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorFigures {
    /// Its name.
    pub name: MonitorName,
    /// Windows that were judged.
    pub windows: u64,
    /// Those of them that had a number out of its bounds.
    pub breached: u64,
    /// Windows that could not be judged.
    pub failed: u64,
    /// Whether there is an alarm now.
    pub is_alarm: bool,
    /// Calls that it took.
    pub rows: u64,
    /// Calls that it left out, by reason.
    pub left: Vec<(&'static str, u64)>,
    /// The numbers of the newest window.
    pub values: Vec<(String, f64)>,
}

/// Writes them.
pub(super) fn write(counts: &dyn MonitorCounts, page: &mut Exposition) {
    let all = counts.figures();
    // A gateway without monitors has no series of them.
    if all.is_empty() {
        return;
    }
    let each = |page: &mut Exposition, of: fn(&MonitorFigures) -> u64| {
        for one in &all {
            page.series(&[("monitor", one.name.as_str())], of(one));
        }
    };
    page.counter("tidegate_monitor_windows_total", "Windows that were judged.");
    each(page, |one| one.windows);
    page.counter("tidegate_monitor_breached_windows_total", "Windows that had a number out of its bounds.");
    each(page, |one| one.breached);
    page.counter("tidegate_monitor_failed_windows_total", "Windows that their plugin could not judge.");
    each(page, |one| one.failed);
    page.gauge("tidegate_monitor_alarm", "Whether the monitor raises an alarm.");
    each(page, |one| u64::from(one.is_alarm));
    page.counter("tidegate_monitor_rows_total", "Calls that were taken into windows.");
    each(page, |one| one.rows);
    page.counter("tidegate_monitor_dropped_total", "Calls that were to be looked at and were left out, by reason.");
    for one in &all {
        for (reason, count) in &one.left {
            page.series(&[("monitor", one.name.as_str()), ("reason", reason)], count);
        }
    }
    page.gauge("tidegate_monitor_value", "The numbers of the newest window.");
    for one in &all {
        for (name, value) in &one.values {
            page.series(&[("monitor", one.name.as_str()), ("measurement", name)], value);
        }
    }
}
