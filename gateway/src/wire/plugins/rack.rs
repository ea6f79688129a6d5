//! The plugins in force, for whoever looks: the metrics and the admin interface. Owns what is shown of one.

use super::load::{Loaded, Totals};
use super::{Plugins, uses};
use crate::granted::Used;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tidegate_core::PluginName;
use tidegate_core::spec::{FilterSpec, OnFailure};
use tidegate_host::MetricKind;
use tidegate_server::observe::plugins::{PluginAsked, PluginCount, PluginCounts, Reported, ReportedKind};

/// The plugins in force.
#[derive(Debug, Default)]
pub(crate) struct Rack(ArcSwap<Plugins>);

impl Rack {
    /// Shows these from here on.
    pub(crate) fn replace(&self, plugins: &Plugins) {
        self.0.store(std::sync::Arc::new(plugins.clone()));
    }

    /// All of them, in the order of their names.
    pub(super) fn all(&self) -> Value {
        let plugins = self.0.load();
        json!({"object": "list", "data": plugins.by_name.values().map(shown).collect::<Vec<_>>()})
    }

    /// One, with its settings and what it says of them.
    pub(super) fn one(&self, name: &PluginName) -> Option<Value> {
        let plugins = self.0.load();
        let loaded = plugins.by_name.get(name)?;
        let mut all = shown(loaded);
        all["config"] = serde_json::from_str(&loaded.spec.shown).unwrap_or_default();
        all["config_schema"] = loaded.plugin.about().config_schema.clone();
        all["judges_windows"] = json!(plugins.evaluator(name).is_some());
        all["imports"] = json!(loaded.plugin.about().imports);
        Some(all)
    }
}

fn shown(loaded: &Loaded) -> Value {
    let Loaded { spec, sha256, uses, plugin, filter, purse, before: _ } = loaded;
    let about = plugin.about();
    let Totals { calls, failures } = loaded.totals();
    let routes: Vec<Value> = uses.routes.iter().map(|(route, filter)| used(route.as_str(), filter)).collect();
    let mut shown = json!({
        "object": "plugin",
        "name": spec.name,
        "component": spec.component.to_string(),
        "sha256": sha256,
        "bytes": about.bytes,
        "pinned": spec.sha256.is_some(),
        "signed": spec.signed_by.is_some(),
        "plugin": about.name,
        "version": about.version,
        "world": about.world,
        "looks_at": uses::names(about.looks_at),
        "limits": {
            "memory": spec.limits.memory,
            "deadline_ms": spec.limits.deadline.map(|deadline| deadline.as_secs_f64() * 1000.0),
            "size": spec.limits.size,
            "modules": spec.limits.modules,
            "table": spec.limits.table,
        },
        "wasi": spec.wasi.as_str(),
        "used_by": {"routes": routes, "routers": uses.routers, "cascades": uses.cascades, "monitors": uses.monitors},
        "calls": calls,
        "failures": failures,
    });
    if !spec.models.is_empty() {
        let Used { calls, failed, tokens } = purse.used();
        let most = purse.rate().map(|rate| json!({"tokens": rate.count, "every_seconds": rate.every.as_secs()}));
        shown["models"] =
            json!({"granted": spec.models, "calls": calls, "failed": failed, "tokens": tokens, "most": most});
    }
    if let Some(filter) = filter {
        let counts = filter.counts();
        shown["instances"] = json!({"alive": counts.alive, "idle": counts.idle, "made": counts.made});
        shown["breaker"] = json!(if counts.is_tripped { "open" } else { "closed" });
        shown["dropped"] = json!({"log_lines": counts.dropped_lines, "metrics": counts.dropped_metrics});
    }
    shown
}

fn used(route: &str, filter: &FilterSpec) -> Value {
    let at = [(filter.at_request, "request"), (filter.at_answer, "answer")];
    let at: Vec<&str> = at.into_iter().filter_map(|(is_one, name)| is_one.then_some(name)).collect();
    let failure = match filter.failure {
        OnFailure::Open => "open",
        OnFailure::Closed => "closed",
    };
    json!({"route": route, "at": at, "failure": failure})
}

impl PluginCounts for Rack {
    fn plugins(&self) -> Vec<PluginCount> {
        self.0.load().by_name.values().map(counted).collect()
    }
}

fn counted(loaded: &Loaded) -> PluginCount {
    let Totals { calls, failures } = loaded.totals();
    let (mut instances, mut is_tripped, mut reported) = ((0, 0), false, Vec::new());
    if let Some(filter) = &loaded.filter {
        let counts = filter.counts();
        let idle = u64::from(counts.idle);
        instances = (idle, u64::from(counts.alive).saturating_sub(idle));
        is_tripped = counts.is_tripped;
        reported = filter.series().into_iter().map(report).collect();
    }
    PluginCount {
        name: loaded.spec.name.clone(),
        calls,
        failures: failures.into_iter().collect(),
        idle: instances.0,
        busy: instances.1,
        is_tripped,
        asked: (!loaded.spec.models.is_empty()).then(|| asked(loaded.purse.used())),
        reported,
    }
}

const fn asked(used: Used) -> PluginAsked {
    PluginAsked { calls: used.calls, failed: used.failed, tokens: used.tokens }
}

fn report(series: tidegate_host::Series) -> Reported {
    let kind = match series.kind {
        MetricKind::Count => ReportedKind::Count,
        MetricKind::Gauge => ReportedKind::Gauge,
        MetricKind::Observation => ReportedKind::Observation,
    };
    Reported { kind, name: series.name, labels: series.labels, value: series.value, times: series.times }
}
