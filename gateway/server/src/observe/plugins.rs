//! The series of plugins: how often they were called, what of it failed, and what they report themselves. Owns their names;
//! what is counted is the host's.

use super::exposition::Exposition;
use std::fmt;
use tidegate_core::PluginName;

/// Who knows how plugins fare.
pub trait PluginCounts: Send + Sync + fmt::Debug {
    /// Those in force, in the order of their names.
    fn plugins(&self) -> Vec<PluginCount>;
}

/// What was counted of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginCount {
    /// Its name in the configuration.
    pub name: PluginName,
    /// Calls.
    pub calls: u64,
    /// Those that failed, by kind, of a closed set.
    pub failures: Vec<(&'static str, u64)>,
    /// Instances that wait for a call.
    pub idle: u64,
    /// Instances in a call.
    pub busy: u64,
    /// Whether its breaker is open.
    pub is_tripped: bool,
    /// What it asked of models, if any is granted to it.
    pub asked: Option<PluginAsked>,
    /// What it says of itself. The host bounds how many there are.
    pub reported: Vec<Reported>,
}

/// What a plugin asked of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginAsked {
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// The tokens that they took.
    pub tokens: u64,
}

/// A series of a plugin's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// How it adds up.
    pub kind: ReportedKind,
    /// Its name there.
    pub name: String,
    /// Its labels, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Its value: a sum, or where it stands.
    pub value: f64,
    /// How often it was said.
    pub times: u64,
}

/// How a series of a plugin's own adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedKind {
    /// It counts.
    Count,
    /// It stands.
    Gauge,
    /// It is one of many.
    Observation,
}

/// Writes them.
pub(super) fn write(plugins: &[PluginCount], page: &mut Exposition) {
    page.counter("tidegate_plugin_calls_total", "Calls of plugins.");
    for plugin in plugins {
        page.series(&[("plugin", plugin.name.as_str())], plugin.calls);
    }
    page.counter("tidegate_plugin_failures_total", "Calls of plugins that failed, by kind.");
    for plugin in plugins {
        for (kind, count) in &plugin.failures {
            page.series(&[("plugin", plugin.name.as_str()), ("kind", *kind)], count);
        }
    }
    page.gauge("tidegate_plugin_instances", "Instances of plugins that live.");
    for plugin in plugins {
        for (state, count) in [("idle", plugin.idle), ("busy", plugin.busy)] {
            page.series(&[("plugin", plugin.name.as_str()), ("state", state)], count);
        }
    }
    page.gauge("tidegate_plugin_breaker_open", "Whether a plugin failed so often that it is left alone: 1 it is.");
    for plugin in plugins {
        page.series(&[("plugin", plugin.name.as_str())], u64::from(plugin.is_tripped));
    }
    write_asked(plugins, page);
    write_reported(plugins, page);
}

/// What plugins asked of models.
fn write_asked(plugins: &[PluginCount], page: &mut Exposition) {
    let asked = || plugins.iter().filter_map(|plugin| Some((plugin.name.as_str(), plugin.asked?)));
    page.counter("tidegate_plugin_model_calls_total", "Calls of models by plugins, by how they ended.");
    for (plugin, asked) in asked() {
        let answered = asked.calls.saturating_sub(asked.failed);
        for (outcome, count) in [("answered", answered), ("failed", asked.failed)] {
            page.series(&[("plugin", plugin), ("outcome", outcome)], count);
        }
    }
    page.counter("tidegate_plugin_model_tokens_total", "Tokens of models that plugins used up.");
    for (plugin, asked) in asked() {
        page.series(&[("plugin", plugin)], asked.tokens);
    }
}

/// What plugins say of themselves, under names of ours: their own are labels.
fn write_reported(plugins: &[PluginCount], page: &mut Exposition) {
    let of = |kind: ReportedKind| {
        plugins.iter().flat_map(move |plugin| {
            plugin.reported.iter().filter(move |one| one.kind == kind).map(move |one| (plugin.name.as_str(), one))
        })
    };
    page.counter("tidegate_plugin_reported_total", "What plugins count, by their own names for it.");
    for (plugin, one) in of(ReportedKind::Count) {
        series(plugin, one, one.value, page);
    }
    page.gauge("tidegate_plugin_reported", "What plugins say stands so, by their own names for it.");
    for (plugin, one) in of(ReportedKind::Gauge) {
        series(plugin, one, one.value, page);
    }
    page.counter(
        "tidegate_plugin_observations_total",
        "How often plugins observed something, by their own names for it.",
    );
    for (plugin, one) in of(ReportedKind::Observation) {
        series(plugin, one, one.times, page);
    }
    page.gauge("tidegate_plugin_observed_sum", "The sum of what plugins observed, by their own names for it.");
    for (plugin, one) in of(ReportedKind::Observation) {
        series(plugin, one, one.value, page);
    }
}

/// A label of a plugin's own that is called like one of ours has a line before it, and one that stands there twice is shown
/// once, so that the page can be read.
fn series(plugin: &str, one: &Reported, value: impl fmt::Display, page: &mut Exposition) {
    let own: Vec<(String, &str)> = one
        .labels
        .iter()
        .map(|(name, value)| {
            let is_ours = matches!(name.trim_start_matches('_'), "plugin" | "metric");
            (if is_ours { format!("_{name}") } else { name.clone() }, value.as_str())
        })
        .collect();
    let mut labels = vec![("plugin", plugin), ("metric", one.name.as_str())];
    for (name, value) in &own {
        if labels.iter().all(|(known, _)| known != name) {
            labels.push((name.as_str(), *value));
        }
    }
    page.series(&labels, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_shown_with_what_they_report() {
        let reported = Reported {
            kind: ReportedKind::Count,
            name: "found".to_owned(),
            labels: vec![("kind".to_owned(), "e\"mail".to_owned()), ("plugin".to_owned(), "x".to_owned())],
            value: 3.0,
            times: 2,
        };
        let observed = Reported { kind: ReportedKind::Observation, labels: Vec::new(), value: 1.5, ..reported.clone() };
        let plugin = PluginCount {
            name: "pii".parse().unwrap(),
            calls: 9,
            failures: vec![("trap", 1)],
            idle: 2,
            busy: 1,
            is_tripped: true,
            asked: Some(PluginAsked { calls: 5, failed: 2, tokens: 300 }),
            reported: vec![reported, observed],
        };
        let mut page = Exposition::new();
        write(&[plugin], &mut page);
        let page = page.finish();
        for line in [
            "tidegate_plugin_calls_total{plugin=\"pii\"} 9",
            "tidegate_plugin_failures_total{plugin=\"pii\",kind=\"trap\"} 1",
            "tidegate_plugin_instances{plugin=\"pii\",state=\"idle\"} 2",
            "tidegate_plugin_instances{plugin=\"pii\",state=\"busy\"} 1",
            "tidegate_plugin_breaker_open{plugin=\"pii\"} 1",
            "tidegate_plugin_model_calls_total{plugin=\"pii\",outcome=\"answered\"} 3",
            "tidegate_plugin_model_calls_total{plugin=\"pii\",outcome=\"failed\"} 2",
            "tidegate_plugin_model_tokens_total{plugin=\"pii\"} 300",
            "tidegate_plugin_reported_total{plugin=\"pii\",metric=\"found\",kind=\"e\\\"mail\",_plugin=\"x\"} 3",
            "tidegate_plugin_observations_total{plugin=\"pii\",metric=\"found\"} 2",
            "tidegate_plugin_observed_sum{plugin=\"pii\",metric=\"found\"} 1.5",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
    }
}
