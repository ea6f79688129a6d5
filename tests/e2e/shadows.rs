//! Shadows, from outside: copies are answered and compared, and whatever becomes of them, no caller notices.

use crate::harness::events::Counts;
use crate::harness::{Client, Gateway, Home, Upstream, chat, chat_stream, eventually, home, upstream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A gateway with a route `mock` that has a shadow.
struct Watched {
    home: Home,
    gateway: Gateway,
    client: Client,
    primary: Upstream,
    shadow: Upstream,
}

impl Watched {
    async fn with(shadow_fields: &str) -> Self {
        let (primary, shadow) = (Upstream::start().await, Upstream::start().await);
        let text = format!(
            "{}providers: {{p: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, s: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{main: {{provider: p, model: m}}, next: {{provider: s, model: n, price: {{input: 1000000, output: 1000000}}}}}}\nroutes: {{mock: {{model: main, shadow: [{{variant: {{model: next}}{shadow_fields}}}]}}, plain: {{model: main}}}}\n",
            home::BASE,
            primary.url(),
            shadow.url()
        );
        let home = Home::new();
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client, primary, shadow }
    }

    /// The copies with this outcome.
    async fn copies(&self, outcome: &str) -> f64 {
        let page = Counts::read(&self.gateway.admin()).await;
        let label = format!("outcome=\"{outcome}\"");
        let lines = page.text().lines().filter(|line| line.starts_with("tidegate_shadow_copies_total"));
        lines.filter(|line| line.contains(&label)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn until(&self, outcome: &str, count: f64) {
        eventually(outcome, async || (self.copies(outcome).await >= count).then_some(())).await;
    }

    /// What was written down.
    fn entries(&self) -> Vec<Value> {
        let folder = self.home.path().join("events").join("shadows");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts
            .flat_map(|text| {
                text.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect::<Vec<_>>()
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_compared_whole_and_streamed_and_nobody_gets_the_shadows() {
    let watched = Watched::with(", compare: {numeric_tolerance: 1%}").await;
    watched.primary.always(upstream::completion(r#"{"total": 100, "city": "Bern"}"#, 3, 2));
    watched.shadow.always(upstream::completion(r#"{"total": 100.5, "city": "Basel"}"#, 3, 2));
    let answer = watched.client.chat(&chat("mock")).await;
    assert!(answer.text().contains("Bern") && !answer.text().contains("Basel"), "{}", answer.text());
    watched.until("compared", 1.0).await;
    watched.primary.always(upstream::stream(&["Hello", " there"], true));
    watched.shadow.always(upstream::stream(&["hello there", "!"], true));
    let mut streamed = watched.client.stream(&chat_stream("mock")).await;
    assert_eq!(streamed.events().await.last().map(String::as_str), Some("[DONE]"));
    watched.until("compared", 2.0).await;
    watched.shadow.always(upstream::failure(500));
    watched.primary.always(upstream::completion("x", 3, 2));
    assert_eq!(watched.client.chat(&chat("mock")).await.status(), 200);
    watched.until("failed", 1.0).await;
    // One that is not asked to is not copied.
    watched.client.chat(&chat("plain")).await;

    let entries = watched.entries();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["id"], answer.request_id());
    assert_eq!(entries[0]["compared"], json!({"exact": false, "normalised": false, "fields": ["/city"]}));
    assert_eq!((&entries[0]["shadow"], &entries[0]["usd"][0]), (&json!("next"), &json!(5.0)));
    assert_eq!(entries[1]["compared"], json!({"exact": false, "normalised": true}));
    assert_eq!((&entries[2]["fault"], &entries[2]["compared"]), (&json!("upstream_failed"), &Value::Null));
    assert!(entries.iter().all(|entry| entry["seconds"][0].as_f64().is_some_and(|s| s > 0.0)));
    // The shadow was asked what the caller asked, under its own name.
    let asked = watched.shadow.seen()[0].json();
    assert_eq!((&asked["model"], &asked["messages"]), (&json!("n"), &chat("mock")["messages"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_kept_also_across_a_restart() {
    let mut watched = Watched::with(", budget: {usd: 12, every: calendar_day}").await;
    for from in [&watched.primary, &watched.shadow] {
        from.always(upstream::completion("x", 3, 2));
    }
    // Each copy costs 5 USD.
    for nth in 1..=3 {
        watched.client.chat(&chat("mock")).await;
        watched.until("compared", f64::from(nth)).await;
    }
    watched.client.chat(&chat("mock")).await;
    watched.until("over_budget", 1.0).await;
    watched.gateway.signal("TERM");
    watched.gateway.ended().await;
    watched.gateway = watched.home.serve().await;
    let client = watched.gateway.client().with_key(&watched.home.key(&["infer"]));
    eventually("the key", async || (client.chat(&chat("mock")).await.status() == 200).then_some(())).await;
    watched.until("over_budget", 1.0).await;
    assert_eq!(watched.shadow.count(), 3);
}

/// The 99th percentile and the middle of so many calls, one after the other.
async fn latencies(client: &Client, model: &str, calls: usize) -> (Duration, Duration) {
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        assert_eq!(client.chat(&chat(model)).await.status(), 200);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    (took[calls * 99 / 100], took[calls / 2])
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    // More than there is, so that whoever compares fails.
    kib.unwrap_or(u64::MAX / 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_that_stalls_costs_callers_nothing() {
    let watched = Watched::with("").await;
    watched.primary.always(upstream::completion("x", 3, 2));
    let gate = Arc::new(Semaphore::new(0));
    watched.shadow.always(upstream::Act::Stream(vec![upstream::Step::Hold(Arc::clone(&gate))]));
    latencies(&watched.client, "plain", 200).await;
    latencies(&watched.client, "mock", 200).await;
    assert!(watched.copies("no_place").await >= 100.0);
    let before = resident_kib(watched.gateway.pid());
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        off.push(latencies(&watched.client, "plain", 500).await);
        on.push(latencies(&watched.client, "mock", 500).await);
    }
    let after = resident_kib(watched.gateway.pid());
    let middle = |of: &mut Vec<(Duration, Duration)>| {
        of.sort_unstable();
        (of[of.len() / 2].0, of[of.len() / 2].1)
    };
    let (on, off) = (middle(&mut on), middle(&mut off));
    println!(
        "figure: shadow at 100 % stalled: p99 {:?} against {:?} without ({:.3}), p50 {:?} against {:?}; memory {before} to {after} KiB",
        on.0,
        off.0,
        on.0.as_secs_f64() / off.0.as_secs_f64(),
        on.1,
        off.1
    );
    // Timing on a shared machine is for benches; here it must not be of another kind.
    assert!(on.1 < off.1 * 2, "{on:?} {off:?}");
    assert!(after < u64::MAX / 2 && after < before + 4 * 1024, "{before} to {after} KiB");
    assert_eq!(watched.shadow.count(), 4, "as many as may be under way");
    gate.add_permits(1000);
}
