//! Models and versions shown.

use crate::cli::admin::Admin;
use crate::cli::print;
use crate::terminal::harmless;
use serde_json::Value;
use std::fmt::Write as _;
use tidegate_registry::facts::VersionId;

/// A line a model.
pub(super) async fn list(admin: &Admin) -> anyhow::Result<()> {
    let mut after = String::new();
    loop {
        let page = admin.ask_at(&[], &after).await?;
        print(&listed(&page))?;
        match page["next_page_token"].as_str() {
            Some(token) => after = format!("?page_token={token}"),
            None => return Ok(()),
        }
    }
}

/// A model, or one of its versions with its governance.
pub(super) async fn show(admin: &Admin, reference: &str) -> anyhow::Result<()> {
    let Ok(VersionId { name, version }) = VersionId::read(reference) else {
        let mut model = admin.ask("GET", &[reference], None).await?;
        model["versions"] = admin.ask("GET", &[reference, "versions"], None).await?["data"].take();
        return shown(&model);
    };
    let number = version.to_string();
    let path = [name.as_str(), "versions", &number];
    let mut shown_version = admin.ask("GET", &path, None).await?;
    for part in ["evaluations", "approvals"] {
        let path = [&path[..], &[part]].concat();
        shown_version[part] = admin.ask("GET", &path, None).await?["data"].take();
    }
    shown(&shown_version)
}

pub(super) fn shown(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", harmless(&serde_json::to_string_pretty(value)?)))
}

/// A line a model: its name, kind, newest version and aliases.
fn listed(page: &Value) -> String {
    let mut text = String::new();
    for model in page["data"].as_array().into_iter().flatten() {
        let aliases = model["aliases"].as_object().into_iter().flatten();
        let aliases: Vec<String> = aliases.map(|(alias, version)| format!("{alias}={version}")).collect();
        let name = harmless(model["name"].as_str().unwrap_or_default());
        let kind = model["kind"].as_str().unwrap_or("-");
        let newest = model["newest"].as_i64().map_or_else(|| "-".to_owned(), |newest| newest.to_string());
        // Nothing can be done about a text that cannot grow.
        writeln!(text, "{name:<32} {kind:<13} {newest:>5}  {}", aliases.join(" ")).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_has_a_model_and_its_aliases() {
        let page = json!({"data": [
            {"name": "a\u{1b}[2J", "kind": "llm", "newest": 3, "aliases": {"production": 2, "champion": 3}},
            {"name": "b", "kind": null, "newest": null, "aliases": {}},
        ]});
        let lines: Vec<String> = listed(&page).lines().map(str::to_owned).collect();
        let words: Vec<&str> = lines[0].split_whitespace().skip(1).collect();
        assert_eq!(words[..2], ["llm", "3"]);
        assert!(words[2..].contains(&"production=2") && words[2..].contains(&"champion=3"), "{words:?}");
        assert!(!lines[0].contains('\u{1b}'));
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["b", "-", "-"]);
    }
}
