//! Views of features and what routes look up of them, for people.

use super::{HIDDEN, open_ai, seconds};
use serde_json::{Map, Value, json};
use tidegate_core::port::features::FeatureValue;
use tidegate_core::spec::{ColumnSpec, KeyKind, KeySpec, LookupSpec, OnStale, StoreSpec, ViewSpec};

pub(super) fn view(spec: &ViewSpec) -> Value {
    let ViewSpec { name: _, keys, columns, store, max_age, on_stale, deadline, cache, push } = spec;
    json!({
        "keys": keys.iter().map(key).collect::<Map<_, _>>(),
        "columns": columns.iter().map(column).collect::<Map<_, _>>(),
        "store": self::store(store),
        "max_age": max_age.map(seconds),
        "on_stale": match on_stale {
            OnStale::Default => "default",
            OnStale::Refuse => "refuse",
            OnStale::Flag => "flag",
        },
        "deadline": seconds(*deadline),
        "cache": cache.map(|cache| json!({"ttl": seconds(cache.ttl), "entries": cache.entries})),
        "push": push.as_ref().map(|push| json!({"source": *push.source, "timestamp": *push.timestamp})),
    })
}

fn key(KeySpec { name, kind }: &KeySpec) -> (String, Value) {
    let kind = match kind {
        KeyKind::Int32 => "int32",
        KeyKind::Int64 => "int64",
        KeyKind::Text => "string",
    };
    (name.to_string(), json!(kind))
}

fn column(spec: &ColumnSpec) -> (String, Value) {
    let ColumnSpec { name, feature, datatype, default } = spec;
    let default = default.as_ref().map(|value| match value {
        FeatureValue::Number(number) if number.is_nan() => json!("nan"),
        value => json!(value),
    });
    (name.to_string(), json!({"datatype": datatype.name(), "default": default, "feature": **feature}))
}

fn store(spec: &StoreSpec) -> Value {
    match spec {
        StoreSpec::Redis { url: _, project, view } => {
            json!({"redis": {"url": HIDDEN, "project": **project, "view": **view}})
        }
        StoreSpec::Feast { server, view } => json!({"feast": {"server": open_ai(server), "view": **view}}),
        StoreSpec::Tecton { server, workspace, service } => {
            json!({"tecton": {"server": open_ai(server), "workspace": **workspace, "service": **service}})
        }
        StoreSpec::Parquet { file, sha256, timestamp } => {
            json!({"parquet": {"file": file, "sha256": sha256, "timestamp": timestamp.as_deref()}})
        }
    }
}

pub(super) fn lookup(spec: &LookupSpec) -> Value {
    let LookupSpec { views, by, inputs, join } = spec;
    json!({
        "views": views,
        "by": by.iter().map(|(key, name)| (key.to_string(), json!(**name))).collect::<Map<_, _>>(),
        "inputs": inputs.iter().map(|name| json!(**name)).collect::<Vec<_>>(),
        "join": join.as_deref(),
    })
}
