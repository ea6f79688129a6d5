//! `tidegate rollout`: how the rollouts of a running gateway stand, and what people want of them.

use crate::cli::admin::Door;
use crate::cli::print;
use crate::terminal::{Style, harmless};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The commands below `rollout`.
#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Show how rollouts stand: all of them, or that of a route with all that is known of it
    Status(Status),
    /// Stay at this step; what becomes worse is rolled back all the same
    Pause(Ordered),
    /// Go on after a pause
    Resume(Ordered),
    /// Give all calls to the old variant
    Abort(Ordered),
    /// Take the next step now
    Promote(Promoted),
    /// Begin a rollout anew that is over
    Restart(Ordered),
}

/// The arguments of `rollout status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The route
    route: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// The arguments of an order.
#[derive(Debug, Args)]
pub(super) struct Ordered {
    /// The route
    route: String,
    /// Why, for the audit log
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    door: Door,
}

/// The arguments of `rollout promote`.
#[derive(Debug, Args)]
pub(super) struct Promoted {
    /// All the way: the new variant gets all calls now
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    ordered: Ordered,
}

impl Rollout {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Status(status) => status.run().await,
            Self::Pause(ordered) => ordered.run("pause").await,
            Self::Resume(ordered) => ordered.run("resume").await,
            Self::Abort(ordered) => ordered.run("abort").await,
            Self::Promote(Promoted { full, ordered }) => {
                ordered.run(if full { "promote_fully" } else { "promote" }).await
            }
            Self::Restart(ordered) => ordered.run("restart").await,
        }
    }
}

impl Status {
    async fn run(self) -> anyhow::Result<()> {
        let admin = self.door.open();
        let path: Vec<&str> = ["rollouts"].into_iter().chain(self.route.as_deref()).collect();
        let found = admin.at("GET", &path, None).await?;
        if self.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&found)?));
        }
        let style = Style::stdout();
        match found["data"].as_array() {
            Some(all) if all.is_empty() => print("no route has a rollout\n"),
            Some(all) => print(&all.iter().map(|one| line(one, style)).collect::<String>()),
            None => print(&page(&found, style)),
        }
    }
}

impl Ordered {
    async fn run(self, order: &str) -> anyhow::Result<()> {
        let body = json!({"why": self.why});
        let now = self.door.open().at("POST", &["rollouts", &self.route, order], Some(&body)).await?;
        print(&line(&now, Style::stdout()))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> std::borrow::Cow<'a, str> {
    harmless(value[name].as_str().unwrap_or_default())
}

/// A rollout in a line.
fn line(one: &Value, style: Style) -> String {
    let stage = text(one, "stage");
    let stage = match &*stage {
        "done" => style.good(&stage),
        "rolled back" | "aborted" => style.bad(&stage),
        _ => style.bold(&stage),
    };
    let share = one["share"].as_f64().unwrap_or_default() * 100.0;
    let mut out = format!("{}: {stage}, {share:.0} % to {}", text(one, "route"), text(one, "to"));
    if let Some(waits) = one["waits_for"].as_str() {
        // Writing into a string cannot fail.
        write!(out, "; waits for: {}", harmless(waits)).unwrap_or_default();
    } else if let Some(last) = one["turns"].as_array().and_then(|turns| turns.last()) {
        write!(out, "; {}", text(last, "why")).unwrap_or_default();
    }
    out + "\n"
}

/// All that is known of a rollout.
fn page(one: &Value, style: Style) -> String {
    let mut out = line(one, style);
    let mut add = |text: String| out.push_str(&text);
    for (arm, name) in [("from", text(one, "from")), ("to", text(one, "to"))] {
        let seen = &one["seen"][arm];
        let p95 = seen["latency_p95"].as_f64().map_or_else(|| "-".to_owned(), |s| format!("{:.0} ms", s * 1e3));
        add(format!("  {name:<16} {:>8} calls  {:>6} failed  p95 {p95}\n", seen["calls"], seen["failed"]));
    }
    for finding in one["findings"].as_array().into_iter().flatten() {
        let judgement = text(finding, "judgement");
        let shown = match &*judgement {
            "within" => style.good(&judgement),
            "worse" => style.bad(&judgement),
            _ => style.warn(&judgement),
        };
        add(format!("  {shown} {}: {}\n", text(finding, "measure"), text(finding, "says")));
    }
    for turn in one["turns"].as_array().into_iter().flatten() {
        let at = crate::cli::when::utc(turn["at_ms"].as_u64().unwrap_or_default());
        let (from, to) = (text(turn, "from"), text(turn, "to"));
        let way = if from == to { from.into_owned() } else { format!("{from} -> {to}") };
        add(format!("  {} {way} by {}: {}\n", style.dim(&at), text(turn, "by"), text(turn, "why")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_shown_with_its_reasons() {
        let one = json!({
            "route": "support", "stage": "rolled back", "share": 0.0, "from": "a", "to": "b", "waits_for": null,
            "seen": {"from": {"calls": 950, "failed": 1, "latency_p95": 0.12}, "to": {"calls": 50, "failed": 11, "latency_p95": null}},
            "findings": [{"measure": "error_rate", "judgement": "worse", "says": "22.0 % against 0.1 %"}],
            "turns": [{"at_ms": 0, "from": "step 1", "to": "rolled back", "by": "tidegate", "why": "error_rate: \u{1b}[31m22 %"}],
        });
        let shown = page(&one, Style::plain());
        assert!(shown.starts_with("support: rolled back, 0 % to b; error_rate: "), "{shown}");
        assert!(shown.contains("p95 120 ms") && shown.contains("worse error_rate: 22.0 % against 0.1 %"), "{shown}");
        assert!(shown.contains("1970-01-01 00:00:00.000 step 1 -> rolled back by tidegate"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        let waits = json!({"route": "r", "stage": "step 1", "share": 0.05, "to": "b", "waits_for": "7 of 100 calls"});
        assert_eq!(line(&waits, Style::plain()), "r: step 1, 5 % to b; waits for: 7 of 100 calls\n");
    }
}
