//! What is refused when it is loaded: by `check`, and by a gateway that runs, which goes on with what it has.

use super::evaluator::{Core, module};
use super::guest::Guest;
use super::{Shelf, configuration, is_well, timed};
use crate::harness::{Client, Stage, Upstream, chat};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A component of the world of requests that wants this, too.
fn wanting(import: &str) -> Vec<u8> {
    let text = format!(
        r#"(component (import "{import}" (instance (export "f" (func))))
          (instance $empty)
          (export "tidegate:plugin/lifecycle@0.1.0" (instance $empty))
          (export "tidegate:plugin/request-filter@0.1.0" (instance $empty)))"#
    );
    wat::parse_str(text).expect("a component")
}

/// One that exports this beside what every plugin does.
fn exporting(export: &str) -> Vec<u8> {
    let text = format!(
        r#"(component (instance $empty)
          (export "tidegate:plugin/lifecycle@0.1.0" (instance $empty)) (export "{export}" (instance $empty)))"#
    );
    wat::parse_str(text).expect("a component")
}

/// What is no plugin of requests, and what is said of it.
fn bad() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = Guest::default().component();
    let starts = |more| Guest { more, ..Guest::default() }.component();
    let configures = |configure| Guest { configure, ..Guest::default() }.component();
    let huge = [good.as_slice(), &vec![0; 5 << 20]].concat();
    let mut flipped = good.clone();
    flipped.iter_mut().skip(8).step_by(97).for_each(|byte| *byte ^= 0xff);
    vec![
        ("half of one", good[..good.len() / 2].to_vec(), "damaged"),
        ("its first bytes", good[..8].to_vec(), "fills no world"),
        ("flipped bytes", flipped, "damaged"),
        ("nothing", Vec::new(), "no WebAssembly component"),
        ("a text", b"#!/bin/sh\nexit 0\n".to_vec(), "no WebAssembly component"),
        ("an archive", b"PK\x03\x04".to_vec(), "no WebAssembly component"),
        ("compiled code", b"\x7fELF\x02\x01\x01".to_vec(), "compiled code, which is never taken"),
        ("a core module", module("drift-plugin", &Core::default().text()), "tidegate plugin pack"),
        ("a huge one", huge, "the most that is compiled"),
        ("an evaluator", Core::default().component(), "is not one of filters"),
        ("a router", exporting("tidegate:plugin/router@0.1.0"), "does not fit the world `router-plugin`"),
        ("of another contract", exporting("tidegate:plugin/request-filter@0.2.0"), "another version"),
        ("of no contract", exporting("some:thing/else@1.0.0"), "fills no world"),
        ("of other types", exporting("tidegate:plugin/request-filter@0.1.0"), "does not fit"),
        ("a probe of the environment", wanting("wasi:cli/environment@0.2.0"), "WASI is not granted"),
        ("a probe of files", wanting("wasi:filesystem/preopens@0.2.0"), "WASI is not granted"),
        ("a probe of sockets", wanting("wasi:sockets/tcp@0.2.3"), "WASI is not granted"),
        ("a probe of ours", wanting("tidegate:plugin/secrets@0.1.0"), "does not grant"),
        ("a trap in its start", starts("(func $start (unreachable)) (start $start)"), "its start ended by a trap"),
        ("a loop in its start", starts("(func $start (loop (br 0))) (start $start)"), "its start did not end within"),
        (
            "a bomb in its start",
            starts(
                "(func $start (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)) (start $start)",
            ),
            "its start wanted",
        ),
        ("a trap in its configuration", configures("(unreachable)"), "ended by a trap"),
        ("a loop in its configuration", configures("(loop (br 0)) (unreachable)"), "did not end within"),
        ("a huge memory", Guest { memory: "(memory (export \"memory\") 60000)", ..Guest::default() }.component(), ""),
        ("a huge table", Guest { more: "(table 10000000 funcref)", ..Guest::default() }.component(), ""),
    ]
}

/// A caller of the route `mock` who goes on until told otherwise; how often it was answered, and what that took at most.
fn serving(client: &Client, is_over: &Arc<AtomicBool>) -> tokio::task::JoinHandle<(usize, Duration)> {
    let (client, is_over) = (client.clone(), Arc::clone(is_over));
    tokio::spawn(async move {
        let (mut served, mut longest) = (0, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) {
            let (answer, took) = timed(client.chat(&chat("mock"))).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            (served, longest) = (served + 1, longest.max(took));
        }
        (served, longest)
    })
}

async fn stage(shelf: &Shelf) -> Stage {
    shelf.put("x", &Guest::default().component());
    let route = "guarded: {model: up, filters: [{plugin: x, at: [request], failure: closed}]}".to_owned();
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &[shelf.plugin("x", "")], &[route], "");
    Stage::of(upstream, &text).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_plugin_is_refused_with_why_and_the_old_one_stays() {
    let shelf = Shelf::new();
    let stage = stage(&shelf).await;
    let hash = async || stage.admin.get("/admin/v1/plugins/x").await.json()["sha256"].clone();
    let good = hash().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let serving = serving(&stage.client, &is_over);
    let all = bad();
    for (what, bytes, says) in &all {
        shelf.put("x", bytes);
        let (answer, took) = timed(stage.admin.post("/admin/v1/reload", &json!({}))).await;
        assert_eq!(answer.status(), 422, "{what}: {}", answer.text());
        let told = answer.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains("plugin `x`") && told.contains("x.wasm"), "{what}: {told}");
        assert!(told.contains(says) && told.len() < 2000, "{what}: it does not say `{says}`: {told}");
        assert!(took < Duration::from_secs(15), "{what}: {took:?}");
        assert_eq!(hash().await, good, "{what}");
        let answer = stage.client.chat(&chat("guarded")).await;
        assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
        let checked = stage.home.run(&["check", "config.yaml"]);
        let told = format!("{}{}", checked.out(), checked.err());
        assert!((1..=2).contains(&checked.code()), "{what}: {told}");
        assert!(told.contains("plugin `x`") && told.contains(says), "{what}: {told}");
    }
    is_over.store(true, Ordering::Relaxed);
    let (served, longest) = serving.await.expect("no call failed");
    println!("figure: {} components refused under {served} calls, the longest of which took {longest:.1?}", all.len());
    is_well(&stage).await;
}

/// A component that is small and takes for ever to compile, and all memory: in one function, very many variables that live
/// through very many loops.
fn compile_bomb() -> Vec<u8> {
    const VARIABLES: usize = 40_000;
    let locals = format!("(local {})", "i64 ".repeat(VARIABLES));
    let step = |at: usize| {
        format!("(loop (local.set {at} (i64.add (local.get {at}) (i64.const 1))) (br_if 0 (i32.load (local.get 0))))")
    };
    let loops: String = (1..=VARIABLES / 2).map(step).collect();
    let uses: String = (1..=VARIABLES).map(|at| format!("(drop (local.get {at}))")).collect();
    let more: &'static str = format!("(func (param i32) {locals} {loops} {uses})").leak();
    Guest { more, ..Guest::default() }.component()
}

/// Compiling has 30 s of processor time, so this takes as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes half a minute of a core: `./verify full` runs it"]
async fn a_compile_bomb_ends_by_itself_while_others_are_served() {
    let shelf = Shelf::new();
    let stage = stage(&shelf).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let serving = serving(&stage.client, &is_over);
    let bomb = compile_bomb();
    assert!(bomb.len() < 4 << 20, "{} bytes", bomb.len());
    shelf.put("x", &bomb);
    let began = Instant::now();
    // Longer than a client of these tests waits: who asks here is the gateway itself, by its watch over the file.
    let told = loop {
        let refused = stage.gateway.log_of("configuration refused").pop();
        if let Some(report) = refused.and_then(|line| line["report"].as_str().map(str::to_owned)) {
            break report;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "nobody ended it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let took = began.elapsed();
    assert!(told.contains("plugin `x`") && told.contains("to compile it takes more than"), "{told}");
    is_over.store(true, Ordering::Relaxed);
    let (served, longest) = serving.await.expect("no call failed");
    println!("{told}");
    println!(
        "figure: a compile bomb of {} bytes was ended after {took:.1?}, under {served} calls of {longest:.1?} at most",
        bomb.len()
    );
    assert!(served > 100, "{served} calls");
    assert_eq!(stage.client.chat(&chat("guarded")).await.status(), 200);
}
