//! Cards, evaluations, approvals and the check of a version.

use super::show::shown;
use super::{read_json, version_id};
use crate::cli::admin::{Admin, Door};
use crate::cli::print;
use crate::terminal::{Style, harmless};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tidegate_registry::facts::VersionId;

/// The arguments of `model classify`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(in crate::cli) struct Classify {
    /// The model
    name: String,
    /// What it is: llm, lora-adapter, embedding, classic or plugin
    #[arg(long, group = "what")]
    kind: Option<String>,
    /// The tier of the EU's AI Act: minimal, limited, high or unacceptable
    #[arg(long, group = "what")]
    risk: Option<String>,
    #[command(flatten)]
    door: Door,
}

impl Classify {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let given = [("kind", self.kind), ("risk", self.risk)];
        let body: Value =
            given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?)))).collect();
        shown(&self.door.open().ask("PATCH", &[&self.name], Some(&body)).await?)
    }
}

/// The arguments of `model evaluate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate model evaluate support/3 --monitor faithfulness --verdict passed --score 0.93"
)]
pub(in crate::cli) struct Evaluate {
    /// NAME/3
    #[arg(value_parser = version_id)]
    version: VersionId,
    /// The monitor that looked: a plugin, a test-suite, a person
    #[arg(long)]
    monitor: String,
    /// Whether what it found is good enough
    #[arg(long)]
    verdict: Verdict,
    /// How good, where it has one number
    #[arg(long)]
    score: Option<f64>,
    /// What else it says, a JSON object
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,
    #[command(flatten)]
    door: Door,
}

/// Good enough or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    Passed,
    Failed,
}

/// The arguments of `model approve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Approve {
    /// NAME/3
    #[arg(value_parser = version_id)]
    version: VersionId,
    /// The governed alias that it is approved for
    alias: String,
    /// Why, for those who look later
    #[arg(long, default_value = "")]
    note: String,
    /// Take the approval back
    #[arg(long)]
    withdraw: bool,
    #[command(flatten)]
    door: Door,
}

impl Evaluate {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({"monitor": self.monitor, "passed": self.verdict == Verdict::Passed});
        if let Some(score) = self.score {
            body["score"] = score.into();
        }
        if let Some(details) = &self.details {
            body["details"] = read_json(details)?;
        }
        shown(&of(&self.door.open(), &self.version, "POST", &["evaluations"], Some(&body)).await?)
    }
}

impl Approve {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let admin = self.door.open();
        if self.withdraw {
            of(&admin, &self.version, "DELETE", &["approvals", &self.alias], None).await?;
            return print("the approval is taken back\n");
        }
        let body = json!({"alias": self.alias, "note": self.note});
        shown(&of(&admin, &self.version, "POST", &["approvals"], Some(&body)).await?)
    }
}

/// Shows the card of a version, or gives it one.
pub(super) async fn card(admin: &Admin, version: &VersionId, set: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = set {
        of(admin, version, "PUT", &["card"], Some(&read_json(file)?)).await?;
    }
    let card = of(admin, version, "GET", &["card"], None).await?;
    print(&harmless(card["markdown"].as_str().unwrap_or_default()))
}

/// Checks the files of a version and what its gates ask.
pub(super) async fn verify(admin: &Admin, version: &VersionId) -> anyhow::Result<()> {
    let found = of(admin, version, "GET", &["verify"], None).await?;
    let (text, is_well) = verified(&found, Style::stdout());
    print(&text)?;
    anyhow::ensure!(is_well, "{version} is not all that it should be");
    Ok(())
}

/// What was found, a line a file and a gate, and whether all is well. A closed gate of an alias that does not stand for
/// the version is told, and no failure.
fn verified(found: &Value, style: Style) -> (String, bool) {
    let (mut text, mut is_well) = (String::new(), true);
    let mut add = |good: bool, counts: bool, what: &str, why: &str| {
        is_well &= good || !counts;
        let mark = if good { style.good("ok") } else { style.bad("NO") };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        text.push_str(&harmless(&format!("{mark} {what}{why}\n")));
    };
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    for file in found["files"].as_array().into_iter().flatten() {
        add(file["ok"] == true, true, &word(file, "path"), &word(file, "why"));
    }
    for gate in found["gates"].as_array().into_iter().flatten() {
        let missing: Vec<&str> = gate["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let is_in_force = gate["in_force"] == true;
        let what = format!("gate of `{}`", word(gate, "alias"));
        add(missing.is_empty(), is_in_force, &what, &missing.join("; "));
    }
    (text, is_well)
}

async fn of(
    admin: &Admin,
    version: &VersionId,
    method: &str,
    part: &[&str],
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let number = version.version.to_string();
    admin.ask(method, &[&[version.name.as_str(), "versions", &number], part].concat(), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_fails_and_a_closed_gate_only_where_its_alias_stands() {
        let found = |ok: bool, in_force: bool| {
            json!({
                "files": [{"path": "m.gguf", "ok": ok, "why": if ok { "" } else { "its digest is another" }}],
                "gates": [{"alias": "production", "in_force": in_force, "missing": ["it has no model card"]}],
            })
        };
        let check = |ok, in_force| verified(&found(ok, in_force), Style::plain());
        assert_eq!(check(true, false), ("ok m.gguf\nNO gate of `production`: it has no model card\n".to_owned(), true));
        assert!(!check(true, true).1);
        assert!(!check(false, false).1);
        assert!(check(false, false).0.starts_with("NO m.gguf: its digest is another\n"));
    }
}
