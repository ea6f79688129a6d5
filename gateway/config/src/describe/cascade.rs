//! Cascades, as JSON. Owns how weaknesses are shown: as they are written.

use super::seconds;
use serde_json::{Value, json};
use tidegate_core::spec::{CascadeSpec, JudgeSpec, RouteSpec, Weakness};

pub(super) fn cascade(cascade: &CascadeSpec, spec: &RouteSpec) -> Value {
    let CascadeSpec { order, shares, escalate, monitors, plugins, judge } = cascade;
    let named = order.iter().filter_map(|arm| spec.variants.get(*arm)).map(|variant| variant.name.as_str());
    // What the others have of the calls is what is spread evenly.
    let others = order.iter().skip(1).filter_map(|arm| shares.get(*arm)).copied();
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let explore = others.fold(0.0, f64::max) * order.len() as f64;
    let judged = judge.as_ref().map(|JudgeSpec { model, below, timeout }| {
        json!({"judge": {"model": model.as_str(), "below": below, "timeout": seconds(*timeout)}})
    });
    let monitors = monitors.iter().map(|name| json!({"monitor": name.as_str()}));
    let plugins = plugins.iter().map(|name| json!({"plugin": name.as_str()}));
    json!({"cascade": {
        "order": named.collect::<Vec<_>>(),
        "escalate": escalate.iter().map(weakness).chain(monitors).chain(plugins).chain(judged).collect::<Vec<_>>(),
        "explore": explore,
    }})
}

fn weakness(weakness: &Weakness) -> Value {
    match weakness {
        Weakness::Length => json!("length"),
        Weakness::ContentFilter => json!("content_filter"),
        Weakness::Refusal => json!("refusal"),
        Weakness::Empty => json!("empty"),
        Weakness::InvalidJson => json!("invalid_json"),
        Weakness::InvalidToolCall => json!("invalid_tool_call"),
        Weakness::ShorterThan(least) => json!({"shorter_than": least}),
        Weakness::Contains(texts) => json!({"contains": texts}),
        Weakness::ConfidenceBelow(least) => json!({"confidence_below": least}),
        Weakness::EntropyAbove(most) => json!({"entropy_above": most}),
    }
}
