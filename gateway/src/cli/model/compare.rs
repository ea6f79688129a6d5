//! Two versions compared, field by field.

use crate::cli::admin::Admin;
use crate::cli::print;
use crate::terminal::harmless;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidegate_registry::facts::VersionId;

/// Fields that differ between any two versions and say nothing.
const OWN: [&str; 3] = ["version", "created", "updated"];

/// Prints what differs.
pub(super) async fn run(admin: &Admin, from: &VersionId, to: &VersionId) -> anyhow::Result<()> {
    let (from, to) = (whole(admin, from).await?, whole(admin, to).await?);
    print(&harmless(&compared(&from, &to)))
}

/// A version with its card and its newest evaluation by each monitor.
async fn whole(admin: &Admin, version: &VersionId) -> anyhow::Result<Value> {
    let number = version.version.to_string();
    let path = [version.name.as_str(), "versions", &number];
    let mut found = admin.ask("GET", &path, None).await?;
    let evaluations = admin.ask("GET", &[&path[..], &["evaluations"]].concat(), None).await?;
    let mut newest = serde_json::Map::new();
    for evaluation in evaluations["data"].as_array().into_iter().flatten() {
        let monitor = evaluation["monitor"].as_str().unwrap_or_default();
        newest.entry(monitor).or_insert_with(|| evaluation.clone());
    }
    found["evaluation"] = newest.into();
    // A version without a card has none to compare.
    if let Ok(mut card) = admin.ask("GET", &[&path[..], &["card"]].concat(), None).await {
        found["card"] = card["card"].take();
    }
    for field in OWN {
        found[field] = Value::Null;
    }
    Ok(found)
}

/// A line for each field that differs.
fn compared(from: &Value, to: &Value) -> String {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten(from, "", &mut old);
    flatten(to, "", &mut new);
    let fields: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut text = String::new();
    for field in fields {
        let (was, is) = (old.get(field), new.get(field));
        if was != is {
            let shown = |value: Option<&String>| value.map_or("(none)", String::as_str).to_owned();
            // Nothing can be done about a text that cannot grow.
            writeln!(text, "{field}: {} -> {}", shown(was), shown(is)).unwrap_or_default();
        }
    }
    text
}

/// Every leaf by its path; nothing where nobody said.
fn flatten(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(parts) => {
            for (key, part) in parts {
                flatten(part, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, into);
            }
        }
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone());
        }
        other => {
            into.insert(path.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_told() {
        let from = json!({"format": "gguf", "tags": {"a": "1"}, "lineage": {}, "card": {"summary": "x"}, "n": null});
        let to = json!({"format": "gguf", "tags": {"a": "2"}, "lineage": {"parent": "b/1"}, "n": null});
        assert_eq!(compared(&from, &to), "card.summary: x -> (none)\nlineage.parent: (none) -> b/1\ntags.a: 1 -> 2\n");
        assert_eq!(compared(&from, &from), "");
    }
}
