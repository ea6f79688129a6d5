//! Hostile filters at requests: a route each where their failure is open, and one where it is closed.

use super::guest::{Guest, when_two};
use super::{BUSY, DEADLINE, OVER, Shelf, call, configuration, failures, is_logged, is_well, resident, timed};
use crate::harness::events::Counts;
use crate::harness::{Stage, Upstream, eventually};
use serde_json::json;
use std::time::Duration;

/// What a filter does with a call of two messages; it passes others.
struct Family {
    name: &'static str,
    /// What its failure is called.
    kind: &'static str,
    does: String,
    guest: Guest,
}

fn family(name: &'static str, kind: &'static str, does: &str) -> Family {
    Family { name, kind, does: does.to_owned(), guest: Guest::default() }
}

fn with(guest: Guest, name: &'static str, kind: &'static str, does: &str) -> Family {
    Family { guest, ..family(name, kind, does) }
}

/// More calls of the host than a call may make.
fn flood(name: &'static str, imports: &'static str, call: &str) -> Family {
    let does = format!(
        "(loop {call} (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))"
    );
    with(Guest { imports, ..Guest::default() }, name, "host_calls", &does)
}

/// Takes all that it can get, of time, memory, stack and calls of the host.
fn greedy() -> Vec<Family> {
    const CLOCK: &str = r#"(import "tidegate:plugin/clock@0.1.0" "wall-ms" (func $now (result i64)))"#;
    const LOG: &str = r#"(import "tidegate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    const KV: &str = r#"(import "tidegate:plugin/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))"#;
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))";
    let large = "(memory (export \"memory\") 100)";
    vec![
        family("loop", "deadline", "(loop (br 0))"),
        // It takes its time by halves: no single step of it is long.
        family(
            "slow_loop",
            "deadline",
            "(loop (local.set $i (i32.const 0))
               (loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))
               (br 0))",
        ),
        family(
            "bomb",
            "memory",
            "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
        ),
        with(
            Guest { more: "(table 1 funcref)", ..Guest::default() },
            "table_bomb",
            "memory",
            "(loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable)",
        ),
        with(Guest { more: deep, ..Guest::default() }, "deep", "stack", "(drop (call $deep (i32.const 1)))"),
        // A text of 5 MB, all of it there.
        with(
            Guest { memory: large, ..Guest::default() },
            "giant",
            "bad_output",
            "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store (i32.const 136) (i32.const 0))
             (i32.store (i32.const 140) (i32.const 5000000))",
        ),
        // A list of 2^27 edits, none of them there.
        family(
            "giant_list",
            "bad_output",
            "(i32.store8 (i32.const 132) (i32.const 1)) (i32.store (i32.const 136) (i32.const 512))
             (i32.store (i32.const 140) (i32.const 0x8000000))",
        ),
        flood("clock_flood", CLOCK, "(drop (call $now))"),
        flood("log_flood", LOG, "(call $log (i32.const 3) (i32.const 0) (i32.const 4))"),
        flood(
            "kv_flood",
            KV,
            "(i32.store (i32.const 720) (local.get $i))
             (call $set (i32.const 720) (i32.const 4) (i32.const 4096) (i32.const 20000) (i32.const 0) (i64.const 0)
               (i32.const 704))",
        ),
    ]
}

/// Says what it may not, or nothing.
fn poisoned() -> Vec<Family> {
    let words = |at: &[(u32, u32)]| {
        let words = at.iter().map(|(at, value)| format!("(i32.store (i32.const {at}) (i32.const {value}))"));
        words.collect::<String>()
    };
    let edit = |message: u32, part: u32| {
        let fields = words(&[(136, 512), (140, 1), (512, message), (516, part), (520, 400), (524, 3)]);
        format!("(i32.store8 (i32.const 132) (i32.const 1)) {fields}")
    };
    let refuses = |status: u32, code: (u32, u32)| {
        let fields = words(&[(140, code.0), (144, code.1), (148, 408), (152, 13)]);
        format!(
            "(i32.store8 (i32.const 132) (i32.const 3)) (i32.store16 (i32.const 136) (i32.const {status})) {fields}"
        )
    };
    let crlf = Guest { more: r#"(data (i32.const 600) "pii\0d\0aset-cookie: a=b")"#, ..Guest::default() };
    vec![
        family("traps", "trap", "(unreachable)"),
        family("divides", "trap", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
        family("beyond", "trap", "(drop (i32.load (i32.const 0x7fffffff)))"),
        family("wild", "bad_output", "(return (i32.const -64))"),
        family("no_case", "bad_output", "(i32.store8 (i32.const 132) (i32.const 9))"),
        family(
            "no_utf8",
            "bad_output",
            "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store8 (i32.const 0) (i32.const 0xff))
             (i32.store (i32.const 136) (i32.const 0)) (i32.store (i32.const 140) (i32.const 4))",
        ),
        family("edits_nothing", "bad_output", &edit(7, 0)),
        family("edits_beyond", "bad_output", &edit(u32::MAX, u32::MAX)),
        family("refuses_well", "bad_output", &refuses(200, (400, 3))),
        family("refuses_down", "bad_output", &refuses(500, (400, 3))),
        with(crlf, "splits_heads", "bad_output", &refuses(400, (600, 20))),
        family("annotates", "bad_output", &words(&[(156, 512), (160, 100_000)])),
    ]
}

/// Has each of them look at two calls of a route that is open and two of one that is closed.
async fn are_contained(families: &[Family]) {
    let shelf = Shelf::new();
    let (mut plugins, mut routes) = (Vec::new(), Vec::new());
    let limits = format!(", limits: {{deadline: {}ms}}", DEADLINE.as_millis());
    for Family { name, does, guest, .. } in families {
        shelf.put(name, &Guest { request: when_two(does), ..*guest }.component());
        plugins.push(shelf.plugin(name, &limits));
        for failure in ["open", "closed"] {
            routes.push(format!(
                "{failure}_{name}: {{model: up, filters: [{{plugin: {name}, at: [request], failure: {failure}}}]}}"
            ));
        }
    }
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &plugins, &routes, "");
    let stage = Stage::of(upstream, &text).await;
    let pid = stage.gateway.pid();
    is_well(&stage).await;
    let before = resident(&stage);
    let mut worst = ("none", Duration::ZERO);
    for Family { name, kind, .. } in families {
        let mut took = Vec::new();
        for _ in 0..2 {
            let asked = stage.upstream.count();
            let (answer, open) = timed(stage.client.chat(&call(&format!("open_{name}"), 2))).await;
            assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
            assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello", "{name}");
            assert_eq!(
                stage.upstream.last().json()["messages"],
                call(name, 2)["messages"],
                "{name}: nothing is changed"
            );
            let (answer, closed) = timed(stage.client.chat(&call(&format!("closed_{name}"), 2))).await;
            assert_eq!(answer.status(), 503, "{name}: {}", answer.text());
            assert_eq!(answer.error()["code"], json!("filter_failed"), "{name}");
            assert_eq!(answer.header("set-cookie"), None, "{name}");
            assert_eq!(stage.upstream.count(), asked + 1, "{name}: a closed failure asks nobody");
            took.extend([open, closed]);
        }
        // It goes on in a new instance, and who does not use it never knew.
        let answer = stage.client.chat(&call(&format!("closed_{name}"), 1)).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        is_well(&stage).await;
        is_logged(&stage, name, kind).await;
        let best = *took.iter().min().expect("four calls");
        let longest = *took.iter().max().expect("four calls");
        println!("figure: {name}: {kind}, its calls took {best:.1?} to {longest:.1?}, {DEADLINE:?} are allowed");
        assert!(longest <= DEADLINE + OVER + BUSY && best <= DEADLINE + OVER + BUSY / 4, "{name}: {took:?}");
        if best > worst.1 {
            worst = (name, best);
        }
    }
    let counts = Counts::read(&stage.admin).await;
    for Family { name, kind, .. } in families {
        assert_eq!(failures(&counts, name, kind), Some(4.0), "{name}: {kind} is not what was counted");
    }
    let grown = resident(&stage).saturating_sub(before);
    println!("figure: the gateway has {} KiB more than before", grown >> 10);
    assert!(grown < 128 << 20, "{grown} bytes more");
    assert_eq!(stage.gateway.pid(), pid);
    is_well(&stage).await;
    println!(
        "figure: {} hostile filters; the best of four calls took at most {:.1?} ({})",
        families.len(),
        worst.1,
        worst.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_take_all_they_can_get_are_contained() {
    are_contained(&greedy()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_say_what_they_may_not_are_contained() {
    are_contained(&poisoned()).await;
}

#[tokio::test]
async fn one_that_always_fails_is_left_alone_and_its_log_has_an_end() {
    let shelf = Shelf::new();
    const LOG: &str = r#"(import "tidegate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let does = "(loop (call $log (i32.const 3) (i32.const 0) (i32.const 4))
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 60))))";
    shelf.put("talks", &Guest { imports: LOG, request: when_two(does), ..Guest::default() }.component());
    shelf.put("traps", &Guest { request: when_two("(unreachable)"), ..Guest::default() }.component());
    let limits = format!(", limits: {{deadline: {}ms}}", DEADLINE.as_millis());
    let plugins = [shelf.plugin("talks", &limits), shelf.plugin("traps", &limits)];
    let route =
        |name: &str| format!("{name}: {{model: up, filters: [{{plugin: {name}, at: [request], failure: open}}]}}");
    let upstream = Upstream::start().await;
    let text = configuration(&upstream, &plugins, &[route("talks"), route("traps")], "");
    let stage = Stage::of(upstream, &text).await;
    for _ in 0..30 {
        assert_eq!(stage.client.chat(&call("talks", 2)).await.status(), 200);
        assert_eq!(stage.client.chat(&call("traps", 2)).await.status(), 200);
    }
    let shown = stage.admin.get("/admin/v1/plugins/talks").await.json();
    let dropped = shown["dropped"]["log_lines"].as_u64().expect("a number");
    // A minute may have ended meanwhile, never two.
    assert!((1800 - 128..=1800 - 64).contains(&dropped), "{dropped} dropped");
    let said = || stage.gateway.log().iter().filter(|line| line.contains("tidegate_host::plugin")).count() as u64;
    eventually("the lines that were not dropped", async || (said() + dropped == 1800).then_some(())).await;
    let counts = Counts::read(&stage.admin).await;
    let (trapped, tripped) = (failures(&counts, "traps", "trap"), failures(&counts, "traps", "tripped"));
    // Five in a row open its breaker; one call tries now and then.
    assert!(trapped >= Some(5.0) && tripped >= Some(1.0), "{trapped:?} traps, {tripped:?} calls that were spared");
    assert_eq!(trapped.unwrap_or_default() + tripped.unwrap_or_default(), 30.0);
    let told = stage.gateway.log_of("ended by a trap").len();
    assert!(told <= 32, "a failure a call is told {told} times");
}
