//! How the engines of local models stand, as metrics. Owns their names there; the figures are the engines' own, asked
//! when somebody looks. Only models that a route leads to are shown.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use tidegate_core::ModelName;
use tidegate_core::port::backend::EngineReport;

/// One family without other labels than the model.
type Plain = (&'static str, &'static str, fn(&EngineReport) -> u64);

const GAUGES: [Plain; 3] = [
    ("tidegate_engine_running", "Answers that a local model generates.", |r| r.running as u64),
    ("tidegate_engine_waiting", "Calls that wait for a local model.", |r| r.waiting as u64),
    ("tidegate_engine_asleep", "Whether a local model sleeps: its weights and its cache are given back.", |r| {
        u64::from(r.asleep)
    }),
];

const COUNTERS: [Plain; 6] = [
    ("tidegate_engine_steps_total", "Steps that a local model computed.", |r| r.steps),
    ("tidegate_engine_generated_tokens_total", "Tokens that a local model generated.", |r| r.generated_tokens),
    ("tidegate_engine_preemptions_total", "Answers that lost their part of the cache and began again.", |r| {
        r.preemptions
    }),
    ("tidegate_engine_refused_total", "Calls refused since the queue of a local model was full.", |r| r.refused),
    ("tidegate_engine_late_total", "Calls whose deadline passed in the queue of a local model.", |r| r.late),
    ("tidegate_engine_wakes_total", "Times that a local model woke.", |r| r.wakes),
];

/// The families of metrics about engines; nothing where there is none.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let all = reports(snapshot);
    if all.is_empty() {
        return String::new();
    }
    let mut page = Exposition::new();
    for (name, help, value) in GAUGES {
        page.gauge(name, help);
        for (model, report) in &all {
            page.series(&[("model", model.as_str())], value(report));
        }
    }
    for (name, help, value) in COUNTERS {
        page.counter(name, help);
        for (model, report) in &all {
            page.series(&[("model", model.as_str())], value(report));
        }
    }
    parted(&mut page, &all);
    page.finish()
}

/// Families with another label, or in seconds.
fn parted(page: &mut Exposition, all: &BTreeMap<&ModelName, EngineReport>) {
    page.gauge("tidegate_engine_kv_blocks", "Blocks of the cache of keys and values, 32 tokens each, by their state.");
    series(page, all, "state", |r| {
        let free = r.blocks.saturating_sub(r.blocks_held + r.blocks_kept);
        [("held", r.blocks_held as u64), ("cached", r.blocks_kept as u64), ("free", free as u64)]
    });
    page.gauge(
        "tidegate_engine_memory_bytes",
        "What a local model takes for its weights, and may take for keys and values.",
    );
    series(page, all, "part", |r| [("weights", r.weight_bytes as u64), ("cache", r.cache_bytes as u64)]);
    page.counter("tidegate_engine_prompt_tokens_total", "Tokens of prompts, by whether they had to be computed.");
    series(page, all, "source", |r| {
        [("computed", r.prompt_tokens.saturating_sub(r.cached_tokens)), ("cached", r.cached_tokens)]
    });
    page.counter("tidegate_engine_drafted_tokens_total", "Tokens guessed ahead, by whether they were right.");
    series(page, all, "result", |r| [("accepted", r.accepted), ("refused", r.drafted.saturating_sub(r.accepted))]);
    page.counter("tidegate_engine_step_seconds_total", "Time of the steps: in the model, and around it.");
    series(page, all, "part", |r| {
        let around = r.step_time.saturating_sub(r.model_time);
        [("model", r.model_time.as_secs_f64()), ("around", around.as_secs_f64())]
    });
    page.counter("tidegate_engine_wake_seconds_total", "Time that waking took.");
    for (model, report) in all {
        page.series(&[("model", model.as_str())], report.wake_time.as_secs_f64());
    }
}

fn series<T: std::fmt::Display, const N: usize>(
    page: &mut Exposition,
    all: &BTreeMap<&ModelName, EngineReport>,
    label: &'static str,
    parts: impl Fn(&EngineReport) -> [(&'static str, T); N],
) {
    for (model, report) in all {
        for (part, value) in parts(report) {
            page.series(&[("model", model.as_str()), (label, part)], value);
        }
    }
}

fn reports(snapshot: &Snapshot) -> BTreeMap<&ModelName, EngineReport> {
    let arms = snapshot.routes.values().flat_map(|route| &route.arms);
    arms.filter_map(|arm| Some((&arm.model, arm.backend.engine()?))).collect()
}
