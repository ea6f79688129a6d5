//! `tidegate events`: the records of calls, read from the event store beside the gateway that writes it.

mod asof;
mod export;

use super::said::{Saying, said_of};
use super::{QUICKSTART, Wrong, load, print, when};
use crate::terminal::{Style, harmless};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::{Event, InferenceId, Outcome, RouteName};
use tidegate_storage::configurations::Configurations;
use tidegate_storage::{EventReader, Filter, OutcomeClass, Tail};

/// The commands on records.
#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Show the newest records, oldest first
    #[command(after_help = "\
Examples:
  tidegate events tail
  tidegate events tail --follow --route smollm2
  tidegate events tail -n 1000 --outcome fault --json | jq .attempts")]
    Tail(TailArguments),
    /// Show all that is known of one call, and what callers said of it
    Show {
        /// The call's id: `x-request-id` of its answer
        id: InferenceId,
        #[command(flatten)]
        store: Store,
    },
    /// Write labels with the features that were looked up for their calls, as a table to train on
    #[command(after_help = "\
Examples:
  tidegate events export --with-features --as-of label --out training.parquet
  tidegate events export --with-features --route fraud --out training.csv")]
    Export(export::ExportArguments),
    /// Show the configuration that a record names, as it was in force then, without its secrets
    Configuration {
        /// Its hash: `config` in a record
        hash: String,
        #[command(flatten)]
        store: Store,
    },
}

/// The arguments of `events tail`.
#[derive(Debug, Args)]
pub(super) struct TailArguments {
    /// Go on with records as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest to begin with
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// Of this route alone
    #[arg(long)]
    route: Option<RouteName>,
    /// That ended so: ok, fault, cancelled or panic
    #[arg(long)]
    outcome: Option<OutcomeClass>,
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Store,
}

/// Where records are kept.
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The configuration that names the event store
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
    /// The event store's folder, without a configuration
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    store: Option<PathBuf>,
}

impl Store {
    fn open(&self) -> anyhow::Result<EventReader> {
        Ok(EventReader::open(&self.folder()?)?)
    }

    pub(super) fn config(&self) -> &std::path::Path {
        &self.config
    }

    pub(super) fn folder(&self) -> anyhow::Result<PathBuf> {
        Ok(match &self.store {
            Some(folder) => folder.clone(),
            None => {
                let none = || Wrong(format!("{} keeps no events: set `store.events` in it", self.config.display()));
                load(&self.config)?.spec.events.folder.ok_or_else(none)?
            }
        })
    }
}

/// All that is known of a call.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    event: Event,
    /// What callers said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    feedback: Vec<Value>,
}

/// How often `--follow` looks for more.
const LOOK: Duration = Duration::from_millis(200);

impl Events {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Tail(arguments) => arguments.run(),
            Self::Export(arguments) => arguments.run(),
            Self::Show { id, store } => {
                let event = store.open()?.get(id)?;
                let event = event
                    .ok_or_else(|| anyhow::anyhow!("there is no record of {id}; it may be older than the retention"))?;
                let feedback = said_of(&store.folder()?, &event)?.iter().map(Saying::json).collect();
                let shown = Shown { event, feedback };
                print(&format!("{}\n", serde_json::to_string_pretty(&shown)?))
            }
            Self::Configuration { hash, store } => {
                let kept = Configurations::at(&store.folder()?).get(&hash)?;
                print(&kept.ok_or_else(|| anyhow::anyhow!("no configuration {hash} is kept beside the records"))?)
            }
        }
    }
}

impl TailArguments {
    fn run(self) -> anyhow::Result<()> {
        let reader = self.store.open()?;
        let filter = Filter { route: self.route, outcome: self.outcome, ..Filter::default() };
        let style = Style::stdout();
        let show = |events: Vec<Event>| print(&lines(&events, self.json, style)?);
        if !self.follow {
            return show(reader.newest(&filter, self.limit)?);
        }
        let (newest, tail) = reader.tail(filter, self.limit)?;
        show(newest)?;
        follow(tail, show, || {
            std::thread::sleep(LOOK);
            true
        })
    }
}

fn follow(
    mut tail: Tail,
    mut show: impl FnMut(Vec<Event>) -> anyhow::Result<()>,
    mut again: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    while again() {
        let events = tail.poll()?;
        if !events.is_empty() {
            show(events)?;
        }
    }
    Ok(())
}

fn lines(events: &[Event], as_json: bool, style: Style) -> anyhow::Result<String> {
    let mut text = String::new();
    for event in events {
        if as_json {
            text.push_str(&serde_json::to_string(event)?);
        } else {
            text.push_str(&line(event, style));
        }
        text.push('\n');
    }
    Ok(text)
}

/// One call in one line: when, how it ended, where it went, what it took, its id.
fn line(event: &Event, style: Style) -> String {
    let (outcome, paint): (String, fn(Style, &str) -> String) = match event.outcome {
        Outcome::Ok => ("ok".to_owned(), Style::good),
        Outcome::Fault(kind) => (word(&kind), Style::bad),
        Outcome::Cancelled => ("cancelled".to_owned(), Style::warn),
        Outcome::Panic => ("panic".to_owned(), Style::bad),
    };
    let mut text = format!(
        "{} {} ",
        style.dim(&when::utc(event.unix_ms)),
        paint(style, &format!("{:<3} {outcome:<10}", event.status))
    );
    let mut add = |part: std::fmt::Arguments<'_>| text.write_fmt(part).unwrap_or_default();
    add(format_args!("{}", word(&event.api)));
    if let Some(route) = &event.route {
        add(format_args!(" {route}"));
    }
    if let Some(variant) = event
        .variant
        .as_ref()
        .filter(|variant| event.route.as_ref().is_none_or(|route| route.as_str() != variant.as_str()))
    {
        add(format_args!("/{variant}"));
    }
    // Of two that were under way at once, the one that did not lose.
    let last = event.attempts.iter().rfind(|attempt| attempt.fault.is_none() && !attempt.lost);
    if let Some(endpoint) = last.or(event.attempts.last()).and_then(|attempt| attempt.endpoint.as_ref()) {
        add(format_args!(" at {endpoint}"));
    }
    if event.attempts.len() > 1 {
        add(format_args!(" after {} tries", event.attempts.len()));
    }
    if event.attempts.iter().any(|attempt| attempt.hedge) {
        add(format_args!(", hedged,"));
    }
    if let Some(usage) = &event.usage {
        add(format_args!(" {}+{} tokens", usage.prompt, usage.completion));
    }
    if let Some(cost) = event.cost_usd {
        add(format_args!(" ${cost:.6}"));
    }
    add(format_args!(" {} ms", event.total_us / 1000));
    if let Some(principal) = &event.principal {
        add(format_args!(" by {principal}"));
    }
    if let Some(episode) = &event.episode {
        add(format_args!(" episode {}", harmless(episode).replace(['\n', '\t'], " ")));
    }
    add(format_args!(" {}", style.dim(&event.id.to_string())));
    text
}

/// The name that a closed set's value has in JSON.
fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let json = serde_json::json!({
            "id": "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "unix_ms": 1_795_394_170_123_u64, "api": "chat_completions", "config": "c",
            "route": "support", "variant": "small", "principal": "ann", "episode": "e\u{1b}[2J\nforged",
            "attempts": [{"variant": "big", "us": 5, "fault": "unreachable"}, {"variant": "small", "endpoint": "a:1", "us": 9}],
            "stream": true, "outcome": "ok", "status": 200, "request_bytes": 1, "answer_bytes": 2,
            "usage": {"prompt": 12, "completion": 34}, "cost_usd": 0.0012, "total_us": 210_000
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_call_is_one_line_whatever_its_caller_sent() {
        let text = lines(&[event()], false, Style::plain()).unwrap();
        assert_eq!(
            text,
            "2026-11-23 00:36:10.123 200 ok         chat_completions support/small at a:1 after 2 tries 12+34 tokens $0.001200 210 ms by ann \
             episode e\\u{1b}[2J forged 01931c2e-8f10-7cc3-98c4-dc0c0c07398f\n"
        );
    }

    #[test]
    fn a_call_that_was_sent_twice_says_so_and_who_answered() {
        let mut event = event();
        event.attempts[0].fault = None;
        (event.attempts[0].lost, event.attempts[1].hedge) = (true, true);
        let text = lines(&[event], false, Style::plain()).unwrap();
        assert!(text.contains("support/small at a:1 after 2 tries, hedged, 12+34 tokens"), "{text}");
    }

    #[test]
    fn json_lines_can_be_read_back() {
        let text = lines(&[event(), event()], true, Style::plain()).unwrap();
        let back: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, [event(), event()]);
    }
}
