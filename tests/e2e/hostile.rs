//! Hostile plugins in a gateway that runs: what each of them does costs its own route what that route says of failures, and
//! nobody else anything. Here is what the tests stand on: a folder of components, a configuration of them, and how a call is
//! timed. What a component can do to the host is tested there, one by one; here are the kinds of it, end to end.

#[path = "../../gateway/host/tests/guests/evaluator.rs"]
pub(crate) mod evaluator;
#[path = "../../gateway/host/tests/guests/filter.rs"]
pub(crate) mod guest;

mod answers;
mod beside;
mod evaluators;
mod filters;
mod refused;

use crate::harness::events::Counts;
use crate::harness::{ROUTES, Stage, Upstream, chat, eventually, home, provider};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a call of a plugin may take here.
const DEADLINE: Duration = Duration::from_millis(50);
/// What the end of one may take longer than that.
const OVER: Duration = Duration::from_millis(10);
/// What a machine may take longer on which all cores are busy with other tests.
const BUSY: Duration = Duration::from_millis(400);

/// A folder of components, beside the home of the gateway that loads them.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(TempDir::with_prefix("tidegate-e2e-hostile-").expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.wasm"))
    }

    /// Puts a component there, or another one in its place, as a careful deployment does it.
    fn put(&self, name: &str, bytes: &[u8]) {
        let beside = self.0.path().join(format!(".{name}.new"));
        std::fs::write(&beside, bytes).expect("it can be written");
        std::fs::rename(beside, self.path(name)).expect("it can be renamed");
    }

    /// The entry of a component, with these further fields.
    fn plugin(&self, name: &str, fields: &str) -> String {
        format!("{name}: {{component: \"{}\"{fields}}}", self.path(name).display())
    }
}

/// A configuration of these plugins and routes, and `mock` beside them.
fn configuration(upstream: &Upstream, plugins: &[String], routes: &[String], more: &str) -> String {
    let models = ROUTES.lines().next().unwrap_or_default();
    format!(
        "{}{}{models}\nroutes: {{mock: {{model: up}}, {}}}\nplugins: {{{}}}\n{more}",
        home::BASE,
        provider("pool", &[upstream]),
        routes.join(", "),
        plugins.join(", ")
    )
}

/// A call of so many messages.
fn call(route: &str, messages: usize) -> Value {
    let mut body = chat(route);
    body["messages"] = vec![json!({"role": "user", "content": "hello"}); messages].into();
    body
}

/// What something took.
async fn timed<T>(does: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = does.await;
    (done, began.elapsed())
}

/// That the log names the plugin and the kind of what it did; it comes by a pipe.
async fn is_logged(stage: &Stage, plugin: &str, kind: &str) {
    let told = async || {
        let lines = stage.gateway.log();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| line["plugin"] == plugin && line["kind"] == kind && line["level"] == "WARN").then_some(())
    };
    eventually(&format!("a line of the log that names `{plugin}` and `{kind}`"), told).await;
}

/// How often a plugin failed by this kind, as it is counted.
fn failures(counts: &Counts, plugin: &str, kind: &str) -> Option<f64> {
    let series = format!("tidegate_plugin_failures_total{{plugin=\"{plugin}\",kind=\"{kind}\"}} ");
    counts.text().lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}

/// The memory of the gateway, in bytes.
fn resident(stage: &Stage) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", stage.gateway.pid())).expect("it lives");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4096
}

/// That the gateway lives, and that who has nothing to do with hostile plugins is served.
async fn is_well(stage: &Stage) {
    let answer = stage.client.chat(&chat("mock")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}
