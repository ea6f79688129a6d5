//! Monitors as JSON, as they are written, with their defaults.

use super::seconds;
use crate::section::monitor::field::{shown, word};
use serde_json::{Map, Value, json};
use tidegate_core::spec::{FieldSpec, MonitorAction, MonitorSpec, ReferenceSpec, RolesSpec, WindowSpec};

pub(super) fn monitor(spec: &MonitorSpec) -> Value {
    let MonitorSpec {
        name: _,
        plugin,
        route,
        variant,
        share,
        fields,
        roles,
        window,
        reference,
        evaluates,
        config: _,
        shown,
        alarm,
        alert,
        action,
    } = spec;
    let WindowSpec { size, every, min, wait } = window;
    json!({
        "plugin": plugin,
        "route": route,
        "variant": variant,
        "share": share,
        "fields": fields.iter().map(field).collect::<Map<_, _>>(),
        "roles": self::roles(roles),
        "window": {"size": size, "every": every.map(seconds), "min": min, "wait": seconds(*wait)},
        "baseline": match reference {
            ReferenceSpec::None => Value::Null,
            ReferenceSpec::Registry(reference) => json!(reference.to_string()),
            ReferenceSpec::First(first) => json!({"first": first}),
        },
        "evaluates": evaluates.as_ref().map(ToString::to_string),
        "config": shown.as_ref().and_then(|shown| serde_json::from_str::<Value>(shown).ok()),
        "alarm": {"breaches": alarm.breaches, "of": alarm.of},
        "alert": alert,
        "action": match action {
            MonitorAction::None => json!("none"),
            MonitorAction::Rollback => json!("rollback"),
            MonitorAction::PauseRollout => json!("pause_rollout"),
            MonitorAction::DisableVariant(variant) => json!({"disable_variant": variant}),
        },
    })
}

fn field(FieldSpec { name, from, kind }: &FieldSpec) -> (String, Value) {
    (name.clone(), json!({"from": shown(from), "kind": kind.map(word)}))
}

/// Only those that are given, as the two families of them have nothing in common.
fn roles(spec: &RolesSpec) -> Value {
    let RolesSpec {
        prediction,
        score,
        label,
        protected,
        positive,
        min_group_size,
        question,
        passages,
        answer,
        reference,
        relevant_ids,
    } = spec;
    let named = [
        ("prediction", prediction),
        ("score", score),
        ("label", label),
        ("positive", positive),
        ("question", question),
        ("passages", passages),
        ("answer", answer),
        ("reference", reference),
        ("relevant_ids", relevant_ids),
    ];
    let mut all: Map<String, Value> =
        named.into_iter().filter_map(|(name, field)| Some((name.to_owned(), json!(field.as_ref()?)))).collect();
    if !protected.is_empty() {
        all.insert("protected".to_owned(), json!(protected));
        all.insert("min_group_size".to_owned(), json!(min_group_size));
    }
    Value::Object(all)
}
