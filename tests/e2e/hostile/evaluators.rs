//! Hostile evaluators: monitors of a route that is served on and on, whatever they do with its windows.

use super::evaluator::{Core, GOOD};
use super::{BUSY, OVER, Shelf, configuration, failures, is_logged, is_well};
use crate::harness::events::Counts;
use crate::harness::{Stage, Upstream, chat, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// What a window may take here.
const WINDOW: Duration = Duration::from_millis(200);

const LOG: &str = r#"(import "tidegate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

fn does(evaluate: &'static str) -> Core {
    Core { evaluate, ..Core::default() }
}

fn hostile() -> [(&'static str, &'static str, Core); 10] {
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))";
    let flood = "(local $i i32) (loop (call $log (i32.const 2) (i32.const 0) (i32.const 4))
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 20000))))
         (i32.const 128)";
    [
        ("loop", "deadline", does("(loop (br 0)) (unreachable)")),
        ("late_start", "deadline", Core { configure: "(loop (br 0)) (unreachable)", ..Core::default() }),
        ("bomb", "memory", does("(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (unreachable)")),
        ("deep", "stack", Core { more: deep, evaluate: "(call $deep (i32.const 1))", ..Core::default() }),
        ("traps", "trap", does("(unreachable)")),
        ("flood", "host_calls", Core { imports: LOG, evaluate: flood, ..Core::default() }),
        ("giant", "bad_output", does("(i32.store (i32.const 136) (i32.const 0x1000000)) (i32.const 128)")),
        ("nan", "bad_output", does("(f64.store (i32.const 264) (f64.const nan)) (i32.const 128)")),
        ("no_utf8", "bad_output", does("(i32.store8 (i32.const 24) (i32.const 0xff)) (i32.const 128)")),
        ("wild", "bad_output", does("(i32.const -16)")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluators_are_contained_and_the_route_never_knew() {
    let shelf = Shelf::new();
    let limits = format!(", limits: {{deadline: {}ms, memory: 16MiB}}", WINDOW.as_millis());
    let (mut plugins, mut monitors) = (Vec::new(), Vec::new());
    let well = ("well", "", does(GOOD));
    let all: Vec<_> = hostile().into_iter().chain([well]).collect();
    for (name, _, core) in &all {
        shelf.put(name, &core.component());
        plugins.push(shelf.plugin(name, &limits));
        monitors.push(format!(
            "{name}: {{plugin: {name}, route: watched, fields: {{x: /x}}, baseline: {{first: 10}}, window: {{size: 10, min: 5}}}}"
        ));
    }
    let upstream = Upstream::start().await;
    let more = format!("monitors: {{{}}}\n", monitors.join(", "));
    let text = configuration(&upstream, &plugins, &["watched: {model: up}".to_owned()], &more);
    let stage = Stage::of(upstream, &text).await;
    let monitor = async |name: &str| stage.admin.get(&format!("/admin/v1/monitors/{name}")).await.json();
    let calls = async |n: u32| {
        for x in 0..n {
            let mut body = chat("watched");
            body["x"] = json!(f64::from(x % 10));
            let answer = stage.client.chat(&body).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    };
    calls(10).await;
    for (name, ..) in &all {
        let is_ready = async || (monitor(name).await["reference"]["is_ready"] == true).then_some(());
        eventually(&format!("the reference of {name}"), is_ready).await;
    }
    calls(20).await;
    for (name, kind, _) in hostile() {
        let counted = async || {
            let counts = Counts::read(&stage.admin).await;
            failures(&counts, name, kind).filter(|failed| *failed >= 2.0)
        };
        eventually(&format!("two windows of {name} that failed by {kind}"), counted).await;
        is_logged(&stage, name, kind).await;
        let judged = async || {
            let shown = monitor(name).await;
            let windows = shown["watched"][0]["windows"].as_array().filter(|windows| windows.len() >= 2)?.clone();
            Some(windows)
        };
        let windows = eventually(&format!("the windows of {name}"), judged).await;
        let took = windows.iter().filter_map(|window| window["took_us"].as_u64()).map(Duration::from_micros);
        let took: Vec<Duration> = took.collect();
        let faults = windows.iter().all(|window| window["fault"].as_str().is_some_and(|fault| fault.contains(kind)));
        assert!(took.len() >= 2 && faults, "{name}: {windows:#?}");
        let longest = *took.iter().max().expect("two windows");
        println!("figure: evaluator {name}: {kind}, its windows took {longest:.1?} at most, {WINDOW:?} are allowed");
        assert!(longest <= WINDOW + OVER + BUSY, "{name}: {took:?}");
    }
    let counts = Counts::read(&stage.admin).await;
    let series = |name: &str| counts.series(&format!("tidegate_monitor_failed_windows_total{{monitor=\"{name}\"}}"));
    assert!(hostile().iter().all(|(name, ..)| series(name) >= 2.0), "{}", counts.text());
    // The one that means well was judged beside them.
    let rows = async || {
        let shown: Value = monitor("well").await;
        let windows = shown["watched"][0]["windows"].as_array()?.clone();
        (windows.len() >= 2).then_some(windows)
    };
    let windows = eventually("the windows of the good one", rows).await;
    assert!(windows.iter().all(|window| window["fault"].is_null()), "{windows:#?}");
    assert_eq!(failures(&counts, "well", "deadline"), None);
    is_well(&stage).await;
}
