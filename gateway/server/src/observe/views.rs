//! How views of features fare, as metrics. Owns their names there; the figures are the views' own, asked when somebody looks. Only
//! views that a route looks up are shown.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use tidegate_core::ViewName;
use tidegate_core::port::enrich::ViewReport;

/// The families of metrics about views; nothing where there is none.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let reports = snapshot.routes.values().filter_map(|route| route.features.as_ref()).flat_map(|one| one.reports());
    page(&reports.map(|report| (report.view.clone(), report)).collect())
}

fn page(all: &BTreeMap<ViewName, ViewReport>) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut page = Exposition::new();
    page.counter("tidegate_feature_lookups_total", "Look-ups of features, by what came of them.");
    for (view, report) in all {
        for (result, count) in &report.lookups {
            page.series(&[("view", view.as_str()), ("result", result)], count);
        }
    }
    page.counter("tidegate_feature_lookup_seconds_total", "Time of look-ups of features, all of it.");
    for (view, report) in all {
        page.series(&[("view", view.as_str())], report.time.as_secs_f64());
    }
    page.counter(
        "tidegate_feature_entities_total",
        "Entities whose features were looked up, by where they were found.",
    );
    for (view, report) in all {
        page.series(&[("view", view.as_str()), ("from", "store")], report.asked);
        page.series(&[("view", view.as_str()), ("from", "cache")], report.remembered);
    }
    page.counter("tidegate_feature_values_total", "Values of features, by how they were served.");
    for (view, report) in all {
        for (served, count) in &report.values {
            page.series(&[("view", view.as_str()), ("served", served)], count);
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_view_says_how_it_fares() {
        let view: ViewName = "customer".parse().unwrap();
        let report = ViewReport {
            view: view.clone(),
            lookups: vec![("ok", 5), ("late", 1)],
            time: Duration::from_millis(1500),
            asked: 7,
            remembered: 2,
            values: vec![("fresh", 9), ("missing", 3)],
        };
        let page = page(&BTreeMap::from([(view, report)]));
        for line in [
            "tidegate_feature_lookups_total{view=\"customer\",result=\"late\"} 1",
            "tidegate_feature_lookup_seconds_total{view=\"customer\"} 1.5",
            "tidegate_feature_entities_total{view=\"customer\",from=\"cache\"} 2",
            "tidegate_feature_values_total{view=\"customer\",served=\"missing\"} 3",
        ] {
            assert!(page.lines().any(|said| said == line), "{line} is not in\n{page}");
        }
        assert!(super::page(&BTreeMap::new()).is_empty());
    }
}
