//! `tidegate monitor`: what the monitors of a running gateway see, and a page of it for people.

mod chart;
mod report;

use crate::cli::admin::Door;
use crate::cli::print;
use crate::terminal::{Style, harmless};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::borrow::Cow;
use std::path::PathBuf;

/// The commands below `monitor`.
#[derive(Debug, Subcommand)]
pub(super) enum Monitor {
    /// List the monitors and what they say now
    List(List),
    /// Show all that is known of a monitor
    Show(Named),
    /// Write a page about a monitor, with its pictures in it, to a file
    Report(Reported),
    /// Forget what a monitor has seen, its alarm, and what followed from that
    Reset(Named),
}

/// The arguments of `monitor list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// The arguments of what is about one monitor.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The monitor
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// The arguments of `monitor report`.
#[derive(Debug, Args)]
pub(super) struct Reported {
    /// The monitor
    name: String,
    /// The file
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    #[command(flatten)]
    door: Door,
}

impl Monitor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(List { json, door }) => {
                let all = door.open().at("GET", &["monitors"], None).await?;
                let lines = || all["data"].as_array().into_iter().flatten().map(|one| line(one, Style::stdout()));
                print(&if json { format!("{all:#}\n") } else { lines().collect() })
            }
            Self::Show(Named { name, json, door }) => {
                let one = door.open().at("GET", &["monitors", &name], None).await?;
                print(&if json { format!("{one:#}\n") } else { page(&one, Style::stdout()) })
            }
            Self::Reset(Named { name, json, door }) => {
                let one = door.open().at("POST", &["monitors", &name, "reset"], None).await?;
                print(&if json { format!("{one:#}\n") } else { line(&one, Style::stdout()) })
            }
            Self::Report(Reported { name, html, door }) => {
                let one = door.open().at("GET", &["monitors", &name], None).await?;
                std::fs::write(&html, report::page(&one))
                    .with_context(|| format!("{} cannot be written", html.display()))?;
                print(&format!("{}: {}\n", html.display(), line(&one, Style::stdout()).trim_end()))
            }
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Cow<'a, str> {
    harmless(value[name].as_str().unwrap_or_default())
}

fn state(one: &Value, style: Style) -> String {
    let state = text(one, "state");
    match &*state {
        "well" => style.good(&state),
        "alarm" => style.bad(&state),
        _ => style.warn(&state),
    }
}

/// A monitor in a line.
fn line(one: &Value, style: Style) -> String {
    let counts = &one["counts"];
    let mut out = format!(
        "{}: {}, {} of {} windows breached, {} calls of {}",
        style.bold(&text(one, "name")),
        state(one, style),
        counts["breached"],
        counts["windows"],
        counts["rows"],
        text(one, "route")
    );
    for says in [one["says"].as_str(), one["reference"]["waits_for"].as_str()].into_iter().flatten() {
        out.push_str("; ");
        out.push_str(&harmless(says));
    }
    out + "\n"
}

/// All that is known of it.
fn page(one: &Value, style: Style) -> String {
    let mut out = line(one, style);
    let mut add = |text: String| {
        out.push_str("  ");
        out.push_str(&text);
        out.push('\n');
    };
    for (reason, count) in one["counts"]["left_out"].as_object().into_iter().flatten() {
        if count.as_u64().unwrap_or_default() > 0 {
            add(style.warn(&format!("{count} calls were left out: {reason}")));
        }
    }
    for watched in one["watched"].as_array().into_iter().flatten() {
        let version = watched["version"].as_u64().map(|version| format!(" version {version}")).unwrap_or_default();
        add(format!(
            "{}{version}: {} {}",
            style.bold(&text(watched, "model")),
            state(watched, style),
            text(watched, "says")
        ));
        let windows: Vec<&Value> = watched["windows"].as_array().into_iter().flatten().collect();
        for window in windows.iter().rev().take(10) {
            let at = crate::cli::when::utc(window["end_ms"].as_u64().unwrap_or_default());
            let is = match (window["fault"].as_str(), window["breached"].as_bool()) {
                (Some(why), _) => style.warn(&harmless(why)),
                (None, Some(true)) => style.bad("breached"),
                _ => style.good("well"),
            };
            add(format!("  {} {:>6} calls  {is}", style.dim(&at), window["rows"]));
        }
        let newest = windows.iter().rev().find(|window| window["fault"].is_null());
        for number in newest.into_iter().flat_map(|window| window["measurements"].as_array().into_iter().flatten()) {
            add(format!("    {}", measured(number, style)));
        }
    }
    out
}

/// A number and its bound.
fn measured(one: &Value, style: Style) -> String {
    let number = |name: &str| one[name].as_f64().map(short);
    let value = number("value").unwrap_or_else(|| "undefined".to_owned());
    let bound = match (number("p_value"), number("threshold")) {
        (Some(p), Some(threshold)) => format!("  p {p} (bound {threshold})"),
        (None, Some(threshold)) => format!("  (bound {threshold})"),
        (Some(p), None) => format!("  p {p}"),
        (None, None) => String::new(),
    };
    let shown = format!("{:<32} {value:>10}{bound}", text(one, "name"));
    if one["breached"] == true { style.bad(&shown) } else { shown }
}

/// A number with the digits that say something.
fn short(x: f64) -> String {
    if x == 0.0 || (1e-4..1e7).contains(&x.abs()) {
        let text = format!("{x:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{x:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn shown() -> Value {
        let number = |name: &str, value: f64, breached: bool| json!({"name": name, "value": value, "threshold": 0.1, "breached": breached, "severity": "alert"});
        let window = |end: u64, value: f64| {
            json!({
                "id": "w", "start_ms": 0, "end_ms": end, "rows": 1000, "fault": null, "took_us": 5, "breached": value > 0.1,
                "measurements": [number("psi:amount<", value, value > 0.1)],
            })
        };
        let mut newest = window(2000, 0.31);
        newest["detail"] = json!({"bins": {"psi:amount<": {
            "edges": [null, 1.0, 2.0, null], "values": null, "reference": [0.5, 0.3, 0.2], "current": [0.1, 0.3, 0.6],
        }}, "skipped": [{"column": "b", "why": "<script>"}]});
        newest["values"] = json!({"faithfulness": [0.1, 0.5, 0.5, 1.0]});
        newest["worst"] = json!([{"inference_id": "x", "question": "<b>why</b>", "answer": "so", "passages": ["p"], "measurements": []}]);
        let group = |group: &str, value: f64, low: f64, high: f64| {
            json!({"name": format!("selection_rate:{group}"), "value": value, "breached": false, "severity": "info",
                   "labels": {"group": group, "low": low.to_string(), "high": high.to_string()}})
        };
        if let Some(all) = newest["measurements"].as_array_mut() {
            all.extend([group("f", 0.4, 0.3, 0.5), group("m", 0.7, 0.6, 0.8)]);
        }
        json!({
            "object": "monitor", "name": "fraud-drift", "plugin": "drift", "route": "fraud", "state": "alarm",
            "says": "1 of the last 2 windows is breached: \u{1b}[31mpsi", "share": 1.0, "variant": null,
            "reference": {"from": {"first": 1000}, "rows": 1000, "is_ready": true, "waits_for": null},
            "counts": {"rows": 3000, "windows": 2, "breached": 1, "failed": 0, "silent": 0, "left_out": {"no_place": 3, "no_model": 0}},
            "watched": [{"model": "fraud-v1", "version": 2, "state": "alarm", "says": "psi", "since_ms": 2000, "open": null,
                         "windows": [window(1000, 0.01), {"id": "f", "start_ms": 0, "end_ms": 1500, "rows": 3, "fault": "it has 3 calls", "measurements": []}, newest]}],
        })
    }

    #[test]
    fn a_monitor_is_shown_with_its_windows_and_numbers() {
        let page = page(&shown(), Style::plain());
        assert!(
            page.starts_with("fraud-drift: alarm, 1 of 2 windows breached, 3000 calls of fraud; 1 of the last"),
            "{page}"
        );
        assert!(page.contains("3 calls were left out: no_place") && !page.contains("no_model"), "{page}");
        assert!(page.contains("fraud-v1 version 2: alarm psi") && page.contains("it has 3 calls"), "{page}");
        assert!(page.contains("psi:amount<") && page.contains("0.31  (bound 0.1)"), "{page}");
        assert!(!page.contains('\u{1b}'), "{page:?}");
    }

    #[test]
    fn numbers_have_digits_that_say_something() {
        assert_eq!(
            [short(0.0), short(0.25), short(1e-9), short(12_345.678_91)],
            ["0", "0.25", "1.00e-9", "12345.6789"]
        );
    }
}
