//! Hostile filters at answers: whole ones, deltas of streams, and guardrails.

use super::guest::Guest;
use super::{BUSY, DEADLINE, OVER, Shelf, call, configuration, failures, is_logged, is_well, timed};
use crate::harness::events::Counts;
use crate::harness::{Stage, Upstream, chat_stream};
use serde_json::{Value, json};

const LOOP: &str = "(loop (br 0)) (unreachable)";

/// Gives a stream.
const OPEN: &str = "(i32.store8 (i32.const 324) (i32.const 1))
    (i32.store (i32.const 328) (call $new (i32.const 7))) (i32.const 320)";

async fn stage(shelf: &Shelf, plugins: &[(&str, Guest)], at: &str) -> Stage {
    let (mut entries, mut routes) = (Vec::new(), Vec::new());
    for (name, guest) in plugins {
        shelf.put(name, &guest.component());
        entries.push(shelf.plugin(name, &format!(", limits: {{deadline: {}ms}}", DEADLINE.as_millis())));
        for failure in ["open", "closed"] {
            routes.push(format!(
                "{failure}_{name}: {{model: up, filters: [{{plugin: {name}, at: [{at}], failure: {failure}}}]}}"
            ));
        }
    }
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &entries, &routes, "");
    Stage::of(upstream, &text).await
}

async fn told(stage: &Stage, plugin: &str, kind: &str, times: f64) {
    is_logged(stage, plugin, kind).await;
    assert_eq!(failures(&Counts::read(&stage.admin).await, plugin, kind), Some(times), "{plugin}: {kind}");
    is_well(stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_of_whole_answers_are_contained() {
    let shelf = Shelf::new();
    let answers = |response| Guest { exports: &["response-filter"], response, ..Guest::default() };
    let checks = |check| Guest { check, ..Guest::guardrail() };
    let plugins = [
        ("loop", answers(LOOP)),
        ("trap", answers("(unreachable)")),
        ("guard_loop", checks(LOOP)),
        ("guard_nan", checks("(f64.store (i32.const 216) (f64.const nan)) (i32.const 192)")),
    ];
    let kinds = ["deadline", "trap", "deadline", "bad_output"];
    let stage = stage(&shelf, &plugins, "answer").await;
    for ((name, _), kind) in plugins.iter().zip(kinds) {
        let (answer, open) = timed(stage.client.chat(&call(&format!("open_{name}"), 1))).await;
        assert_eq!((answer.status(), answer.json()["choices"][0]["message"]["content"].clone()), (200, json!("Hello")));
        let (answer, closed) = timed(stage.client.chat(&call(&format!("closed_{name}"), 1))).await;
        assert_eq!(answer.status(), 503, "{name}: {}", answer.text());
        assert!(!answer.text().contains("Hello"), "{name}: the answer was not seen, and goes out");
        println!(
            "figure: {name} at answers: {kind}, its calls took {open:.1?} and {closed:.1?}, {DEADLINE:?} are allowed"
        );
        assert!(open.max(closed) <= DEADLINE + OVER + BUSY, "{name}: {open:?}, {closed:?}");
        told(&stage, name, kind, 2.0).await;
    }
}

/// What a caller sees of a stream.
fn text_of(events: &[String]) -> String {
    let events = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    events.filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_of_streams_are_contained() {
    let shelf = Shelf::new();
    let plugins = [
        ("opens", Guest { open: LOOP, ..Guest::stream() }),
        ("delta", Guest { open: OPEN, delta: LOOP, ..Guest::stream() }),
        ("end", Guest { open: OPEN, end: LOOP, ..Guest::stream() }),
        ("trap", Guest { open: OPEN, delta: "(unreachable)", ..Guest::stream() }),
    ];
    let stage = stage(&shelf, &plugins, "answer").await;
    for (name, _) in &plugins {
        let kind = if *name == "trap" { "trap" } else { "deadline" };
        let open = async {
            let mut stream = stage.client.stream(&chat_stream(&format!("open_{name}"))).await;
            stream.events().await
        };
        let (events, took) = timed(open).await;
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{name}: {events:?}");
        assert_eq!(text_of(&events), "Hello", "{name}: {events:?}");
        assert!(took <= DEADLINE + OVER + BUSY, "{name}: {took:?}");
        let closed = async {
            let answer = stage.client.stream(&chat_stream(&format!("closed_{name}"))).await;
            answer.whole().await
        };
        let (answer, took) = timed(closed).await;
        let said = answer.text();
        assert!(said.contains("filter_failed") && !said.contains("[DONE]"), "{name}: {said}");
        assert!(answer.status() == 503 || answer.status() == 200, "{name}: {}", answer.status());
        println!("figure: {name} at a stream: {kind}, and its call took {took:.1?}, {DEADLINE:?} are allowed a delta");
        assert!(took <= DEADLINE + OVER + BUSY, "{name}: {took:?}");
        told(&stage, name, kind, 2.0).await;
    }
}
