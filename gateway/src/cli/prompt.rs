//! `tidegate prompt`: the prompts of a configuration's repository, read and moved without a gateway, and tried at the route
//! of one. Owns what is printed; what is done is the store's, and trying is `trial`'s.

mod trial;

use super::{QUICKSTART, Wrong, load, print};
use crate::wire::prompts::deed::deed;
use crate::wire::prompts::offline;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::prompts::Reach;
use tidegate_prompts::{Asked, Author, PromptStore};
use tidegate_registry::Registry;

/// The commands on prompts.
#[derive(Debug, Subcommand)]
pub(super) enum Prompt {
    /// List the prompts with their newest versions and labels
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show a version: its commit, templates, variables and parameters
    Show {
        /// NAME, NAME@LABEL, NAME/3 or NAME@COMMIT
        reference: String,
        #[command(flatten)]
        place: Place,
    },
    /// Render a version
    #[command(after_help = "Example:\n  tidegate prompt render support@production --var question='Where is my order?'")]
    Render {
        /// NAME, NAME@LABEL, NAME/3, NAME@COMMIT or NAME@dev
        reference: String,
        /// A variable as NAME=VALUE: JSON where the value is such, else a text
        #[arg(long = "var", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Compare two versions
    Diff {
        /// The prompt
        name: String,
        /// A number, label or commit
        from: String,
        /// A number, label or commit; the newest where none is given
        to: Option<String>,
        /// Compare what they render to with these variables too: NAME=VALUE, JSON where the value is such, else a text
        #[arg(long = "var", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Point a label to a version
    Label {
        /// The prompt
        name: String,
        /// The label
        label: String,
        /// A number, another label or a commit
        version: String,
        /// The version that the label must point to now (0: none), or nothing is moved
        #[arg(long, value_name = "VERSION")]
        expect: Option<u32>,
        /// Why, for the label's log
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        place: Place,
    },
    /// Point a label to where it was before
    Rollback {
        /// The prompt
        name: String,
        /// The label
        label: String,
        /// Why, for the label's log
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        place: Place,
    },
    /// Run the test cases of a version at a route of a running gateway; ends with code 1 where one fails
    Test(trial::Trial),
}

/// Where the prompts are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The configuration that names the repository
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
}

impl Place {
    fn open(&self) -> anyhow::Result<PromptStore> {
        let none = || Wrong(format!("{} has no prompts: set `prompts.repository` in it", self.config.display()));
        offline(&load(&self.config)?.spec.prompts.ok_or_else(none)?)
    }
}

impl Prompt {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List { place } => print(&listed(&ask(&place, "GET", &[], &[], &Value::Null)?)),
            Self::Show { reference, place } => shown(&ask(&place, "GET", &[&reference], &[], &Value::Null)?),
            Self::Render { reference, variables, place } => {
                let body = json!({"variables": read_variables(&variables)?});
                shown(&ask(&place, "POST", &[&reference, "render"], &[], &body)?)
            }
            Self::Diff { name, from, to, variables, place } => {
                let given = Value::Object(read_variables(&variables)?).to_string();
                let mut query = vec![("from", from.as_str()), ("to", to.as_deref().unwrap_or("latest"))];
                query.push(("variables", &given));
                let compared = ask(&place, "GET", &[&name, "diff"], &query, &Value::Null)?;
                print(&differences(&compared, !variables.is_empty()))
            }
            Self::Label { name, label, version, expect, why, place } => {
                let body = json!({"version": version, "why": why, "expected": expect});
                moved(&place, "PUT", &[&name, "labels", &label], &body).await
            }
            Self::Rollback { name, label, why, place } => {
                moved(&place, "POST", &[&name, "rollback"], &json!({"label": label, "why": why})).await
            }
            Self::Test(trial) => trial.run().await,
        }
    }
}

/// The text of a comparison, and what was rendered where that was asked for or goes without variables.
fn differences(compared: &Value, is_asked: bool) -> String {
    let text = compared["text"].as_str().unwrap_or_default();
    match (compared["rendered"].as_str(), compared["rendered_fault"].as_str()) {
        (Some(""), _) if text.is_empty() => String::new(),
        (Some(rendered), _) => format!("{text}\nrendered:\n{rendered}"),
        (None, Some(fault)) if is_asked => format!("{text}\nnot rendered: {fault}\n"),
        _ => text.to_owned(),
    }
}

/// Asks the store as the interface does.
fn ask(place: &Place, method: &str, path: &[&str], query: &[(&str, &str)], body: &Value) -> anyhow::Result<Value> {
    let who = std::env::var("USER").unwrap_or_default();
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let asked = Asked {
        method: &method.parse()?,
        segments: path,
        query,
        body: &body,
        reach: Reach::Loopback,
        by: &Author::new(&who, &format!("{who}@localhost")),
    };
    let answered = place.open()?.answer(&asked).map_err(|fault| anyhow::anyhow!("{}", fault.says))?;
    Ok(answered.1)
}

/// The same for what moves a label: a registry's audit log has it too, where the configuration has one.
async fn moved(place: &Place, method: &str, path: &[&str], body: &Value) -> anyhow::Result<()> {
    let answered = ask(place, method, path, &[], body)?;
    let who = std::env::var("USER").unwrap_or_default();
    let done = deed(&who, &method.parse()?, path, body, &answered);
    if let (Some(registry), Some(done)) = (load(&place.config)?.spec.registry, done) {
        let log = Registry::open(&registry.database, Arc::new(SystemClock), Arc::new(SplitMix::seeded(0)), None);
        let log = log.await.context("the label was moved, and the registry's audit log cannot be opened")?;
        log.enter(done).await.context("the label was moved, and the audit log cannot say so")?;
        log.close().await;
    }
    shown(&answered)
}

fn shown(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A line a prompt: its name, newest version and labels.
fn listed(answer: &Value) -> String {
    let mut text = String::new();
    for prompt in answer["data"].as_array().into_iter().flatten() {
        let labels = prompt["labels"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels.map(|(label, n)| format!("{label}={n}")).collect();
        let name = prompt["name"].as_str().unwrap_or_default();
        // Nothing can be done about a text that cannot grow.
        writeln!(text, "{name:<32} {:>5}  {}", prompt["n"], labels.join(" ")).unwrap_or_default();
    }
    text
}

/// Variables as they are typed.
fn read_variables(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut variables = Map::new();
    for text in given {
        let wrong = || Wrong(format!("`{text}` is no variable: it has the form NAME=VALUE"));
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_json_or_a_text() {
        let given = ["a=1", "b=x y", "c=[1]", "d="].map(str::to_owned);
        assert_eq!(Value::Object(read_variables(&given).unwrap()), json!({"a": 1, "b": "x y", "c": [1], "d": ""}));
        assert!(read_variables(&["x".to_owned()]).is_err());
    }

    #[test]
    fn a_comparison_has_the_text_and_what_was_rendered() {
        let both = json!({"text": "-a\n+b\n", "rendered": "-A\n+B\n"});
        assert_eq!(differences(&both, false), "-a\n+b\n\nrendered:\n-A\n+B\n");
        let fault = json!({"text": "-a\n", "rendered_fault": "`x` is missing"});
        assert_eq!(
            (differences(&fault, false), differences(&fault, true)),
            ("-a\n".into(), "-a\n\nnot rendered: `x` is missing\n".into())
        );
    }

    #[test]
    fn a_line_has_a_prompt_and_its_labels() {
        let answer = json!({"data": [{"name": "a", "n": 3, "labels": {"production": 2}}]});
        assert_eq!(listed(&answer).split_whitespace().collect::<Vec<_>>(), ["a", "3", "production=2"]);
    }
}
