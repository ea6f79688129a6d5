//! What the instances of a filter share: the budget of log lines, the metrics added up, and the keys and values of
//! its plugin. Owns the bound of the metrics; locks are held for the length of an addition, never while a guest runs.

use crate::cell::{Metric, MetricKind};
use crate::counts::Series;
use crate::kv::Kv;
use crate::lines::Lines;
use crate::reach::Outside;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What instances share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kv: Arc<Kv>,
    plugin: Arc<str>,
    lines: Lines,
    series: Mutex<HashMap<Key, (f64, u64)>>,
    most_series: usize,
    dropped_lines: AtomicU64,
    dropped_metrics: AtomicU64,
}

type Key = (MetricKind, String, Vec<(String, String)>);

impl Shared {
    pub(crate) fn new(plugin: Arc<str>, kv: Arc<Kv>, lines: usize, series: usize) -> Self {
        Self {
            kv,
            plugin,
            lines: Lines::new(lines),
            series: Mutex::default(),
            most_series: series,
            dropped_lines: AtomicU64::new(0),
            dropped_metrics: AtomicU64::new(0),
        }
    }

    /// Whether another line may go to the log in this minute.
    pub(crate) fn admits_line(&self, outside: &Outside) -> bool {
        let (is_admitted, dropped) = self.lines.admit(outside.clock.now());
        if dropped > 0 {
            tracing::warn!(plugin = &*self.plugin, dropped, "log lines of the plugin were dropped: it may log less");
        }
        if !is_admitted {
            self.dropped_lines.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Adds a metric to its series, if there is room for it.
    pub(crate) fn add(&self, metric: Metric) {
        let Metric { kind, name, value, mut labels } = metric;
        labels.sort_unstable();
        let key = (kind, name, labels);
        let mut series = self.lock();
        let has_room = series.len() < self.most_series;
        match series.get_mut(&key) {
            Some((stands, times)) => {
                *stands = if kind == MetricKind::Gauge { value } else { *stands + value };
                *times += 1;
            }
            None if has_room => {
                series.insert(key, (value, 1));
            }
            None => {
                drop(series);
                self.drop_metric();
            }
        }
    }

    pub(crate) fn drop_metric(&self) {
        self.dropped_metrics.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines and metrics that were dropped.
    pub(crate) fn dropped(&self) -> (u64, u64) {
        (self.dropped_lines.load(Ordering::Relaxed), self.dropped_metrics.load(Ordering::Relaxed))
    }

    /// All series, sorted by name and labels.
    pub(crate) fn series(&self) -> Vec<Series> {
        let series = self.lock();
        let all = series.iter().map(|((kind, name, labels), (value, times))| Series {
            kind: *kind,
            name: name.clone(),
            labels: labels.clone(),
            value: *value,
            times: *times,
        });
        let mut all: Vec<Series> = all.collect();
        drop(series);
        all.sort_by(|a, b| (&a.name, &a.labels, a.kind).cmp(&(&b.name, &b.labels, b.kind)));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (f64, u64)>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::clock::SystemClock;

    #[test]
    fn metrics_add_up_and_have_an_end() {
        let kv = Arc::new(Kv::new(Arc::new(SystemClock), 0));
        let shared = Shared::new("x".into(), kv, 0, 3);
        let say = |kind, name: &str, value, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            shared.add(Metric { kind, name: name.to_owned(), value, labels });
        };
        for value in [1.0, 2.0] {
            say(MetricKind::Count, "a", value, &[("x", "1"), ("b", "2")]);
            say(MetricKind::Count, "a", value, &[("b", "2"), ("x", "1")]);
            say(MetricKind::Gauge, "b", value, &[]);
            say(MetricKind::Observation, "c", value, &[]);
            say(MetricKind::Observation, "one_too_many", value, &[]);
        }
        let series = shared.series();
        let told: Vec<_> = series.iter().map(|one| (one.name.as_str(), one.value, one.times)).collect();
        assert_eq!(told, [("a", 6.0, 4), ("b", 2.0, 2), ("c", 3.0, 2)]);
        assert_eq!(shared.dropped(), (0, 2));
    }
}
