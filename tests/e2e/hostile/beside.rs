//! How long others wait while hostile plugins do what they can: quiet and hostile phases take turns, and calls come at a rate
//! that waits for no answer. A measurement, so it is run when it is asked for.

use super::evaluator::Core;
use super::guest::{Guest, when_two};
use super::{Shelf, call, configuration};
use crate::harness::{Client, Stage, Upstream, chat};
use serde_json::json;
use std::time::{Duration, Instant};

/// Calls a second of who is well behaved, and of who is not.
const GOOD: u32 = 100;
const HOSTILE: u32 = 40;
/// How long a phase is, and how many pairs of them there are.
const PHASE: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 8;
/// How many times as long others may wait.
const MOST: f64 = 1.2;

/// What the hostile routes do, each of which gets its share of the hostile calls.
fn hostile() -> Vec<(&'static str, Guest)> {
    let request = |does: &str| Guest { request: when_two(does), ..Guest::default() };
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))";
    vec![
        ("loop", request("(loop (br 0))")),
        ("bomb", request("(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)")),
        ("deep", Guest { more: deep, ..request("(drop (call $deep (i32.const 1)))") }),
        ("traps", request("(unreachable)")),
        (
            "answers",
            Guest { exports: &["response-filter"], response: "(loop (br 0)) (unreachable)", ..Guest::default() },
        ),
    ]
}

/// One that never fails and takes a few milliseconds of a core: so many rounds of a loop.
fn burner(rounds: u32) -> Guest {
    let does = format!(
        "(loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const {rounds}))))"
    );
    Guest { request: when_two(&does), ..Guest::default() }
}

/// Calls at a rate for a while, whatever becomes of them; how long each took from when it was due.
async fn calls(client: &Client, routes: &[String], messages: usize, rate: u32, is_good: bool) -> Vec<Duration> {
    let began = Instant::now();
    let n = rate * u32::try_from(PHASE.as_secs()).expect("seconds");
    let mut all = Vec::new();
    for nth in 0..n {
        let due = began + Duration::from_secs(1) / rate * nth;
        tokio::time::sleep_until(due.into()).await;
        let (client, body) = (client.clone(), call(&routes[nth as usize % routes.len()], messages));
        all.push(tokio::spawn(async move {
            let status = client.chat(&body).await.status();
            assert!(!is_good || status == 200, "{status}");
            due.elapsed()
        }));
    }
    let mut took = Vec::new();
    for call in all {
        took.push(call.await.expect("it was answered"));
    }
    took
}

fn quantile(took: &mut [Duration], q: f64) -> Duration {
    took.sort_unstable();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
    let at = ((took.len() as f64 - 1.0) * q) as usize;
    took[at]
}

/// A quantile of the calls of each phase, and the one in the middle of these: what else the machine does in one phase is not
/// what all are judged by.
fn usual(phases: &mut [Vec<Duration>], q: f64) -> f64 {
    let mut each: Vec<Duration> = phases.iter_mut().map(|took| quantile(took, q)).collect();
    quantile(&mut each, 0.5).as_secs_f64() * 1e3
}

/// The calls of the good route in phases that take turns: alone, beside as many calls of a route without plugins, and beside
/// those of hostile ones.
async fn by_turns(stage: &Stage, hostile: &[String]) -> [Vec<Vec<Duration>>; 3] {
    let good = ["mock".to_owned()];
    let mut phases = [const { Vec::new() }; 3];
    calls(&stage.client, &good, 1, GOOD, true).await;
    for _ in 0..ROUNDS {
        phases[0].push(calls(&stage.client, &good, 1, GOOD, true).await);
        for (phase, beside) in [(1, &good[..]), (2, hostile)] {
            let others = calls(&stage.client, beside, 2, HOSTILE, false);
            let (took, _) = tokio::join!(calls(&stage.client, &good, 1, GOOD, true), others);
            phases[phase].push(took);
        }
    }
    phases
}

/// How many times as long others wait, by the calls that wait longest of a hundred, beside as many calls without plugins:
/// what more calls cost is not what is asked here, but shown.
fn told(what: &str, phases: &mut [Vec<Vec<Duration>>; 3]) -> f64 {
    let [p50, p99] = [0.5, 0.99].map(|q| [0, 1, 2].map(|of| usual(&mut phases[of], q)));
    let (alone, ratio) = (p99[2] / p99[0], p99[2] / p99[1]);
    println!(
        "figure: beside {what}: others' p50 {:.2} ms, alone {:.2}, beside calls without plugins {:.2}; p99 {:.2}, {:.2} and \
         {:.2}: {alone:.2} times of alone, {ratio:.2} of as many calls ({ROUNDS} phases each)",
        p50[2], p50[0], p50[1], p99[2], p99[0], p99[1],
    );
    ratio
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement of minutes, on a machine that does nothing else: run it by its name"]
async fn others_are_served_as_if_nothing_was() {
    let shelf = Shelf::new();
    let (mut plugins, mut routes, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for (name, guest) in hostile().into_iter().chain([("burner", burner(10_000_000))]) {
        shelf.put(name, &guest.component());
        plugins.push(shelf.plugin(name, if name == "burner" { ", limits: {deadline: 1s}" } else { "" }));
        let at = if name == "answers" { "answer" } else { "request" };
        routes.push(format!("h_{name}: {{model: up, filters: [{{plugin: {name}, at: [{at}], failure: open}}]}}"));
        named.push(format!("h_{name}"));
    }
    shelf.put("judge", &Core { evaluate: "(loop (br 0)) (unreachable)", ..Core::default() }.component());
    plugins.push(shelf.plugin("judge", ", limits: {deadline: 50ms}"));
    let monitor =
        "plugin: judge, route: h_traps, fields: {x: /max_tokens}, baseline: {first: 1}, window: {size: 10, min: 1}";
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &plugins, &routes, &format!("monitors: {{judge: {{{monitor}}}}}\n"));
    let stage = Stage::of(upstream, &text).await;
    let burner = named.pop().expect("the burner");
    // How long one of its calls takes here, beside what a call takes at all.
    let one = async |route: &str, n| {
        let began = Instant::now();
        assert_eq!(stage.client.chat(&call(route, n)).await.status(), 200);
        began.elapsed()
    };
    let plain = one("mock", 1).await;
    let burnt = one(&burner, 2).await;
    println!("figure: a call takes {plain:.1?}, one of the burner {burnt:.1?}");
    let ratio = told("hostile filters and a hostile evaluator", &mut by_turns(&stage, &named).await);
    let other = told("a filter that burns its time and never fails", &mut by_turns(&stage, &[burner]).await);
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    let shown = stage.admin.get("/admin/v1/monitors/judge").await.json();
    assert!(shown["watched"][0]["windows"][0]["fault"].as_str().is_some(), "{shown:#}");
    assert_eq!(stage.admin.get("/admin/v1/plugins/loop").await.json()["breaker"], json!("open"));
    assert!(ratio.max(other) <= MOST, "others wait {ratio:.2} and {other:.2} times as long");
}
