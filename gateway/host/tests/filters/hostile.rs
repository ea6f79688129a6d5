//! What hostile and broken filters do: each is contained within its time, has its kind, and costs one instance.

use crate::made::{Guest, host, part, said, seen, small, when_two};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::RouteName;
use tidegate_core::port::filter::{Failed, Filter as _, Message, Opinion, PartKind};
use tidegate_host::{Kind, Limits, WarmFilter};

fn route() -> RouteName {
    "r".parse().unwrap()
}

fn passes(filter: &WarmFilter) {
    assert_eq!(filter.request(&seen(&route()), &[said("fine")]), Ok(Opinion::default()));
}

fn fails(filter: &WarmFilter) -> Failed {
    filter.request(&seen(&route()), &[said("fine"), said("evil")]).unwrap_err()
}

/// What a filter that does this on a call with two messages ends it with; the calls around it pass.
#[track_caller]
fn ends(does: &str, guest: Guest) -> Failed {
    let filter = Guest { request: when_two(does), ..guest }.filter();
    passes(&filter);
    let failed = fails(&filter);
    passes(&filter);
    let counts = filter.counts();
    assert_eq!((counts.calls, counts.made, counts.alive, counts.idle), (3, 2, 1, 1), "{failed}");
    assert_eq!(counts.failures, [(failed.kind, 1)]);
    assert_eq!(failed.plugin.as_str(), "made");
    failed
}

#[track_caller]
fn is(failed: &Failed, kind: &str, part: &str) {
    assert!(failed.kind == kind && failed.says.contains(part), "{failed}");
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let began = Instant::now();
    is(&ends("(loop (br 0))", Guest::default()), "deadline", "100 ms");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn traps_are_told_apart() {
    is(&ends("(unreachable)", Guest::default()), "trap", "unreachable");
    is(&ends("(drop (i32.div_u (i32.const 1) (i32.const 0)))", Guest::default()), "trap", "divide by zero");
    is(&ends("(drop (i32.load (i32.const 0x7fffffff)))", Guest::default()), "trap", "out of bounds");
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))";
    is(&ends("(drop (call $deep (i32.const 1)))", Guest { more: deep, ..Guest::default() }), "stack", "of stack");
}

#[test]
fn memory_has_an_end() {
    let bomb = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    is(&ends(bomb, Guest::default()), "memory", "bytes of memory");
    let table = Guest { more: "(table 1 funcref)", ..Guest::default() };
    let bomb = "(loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable)";
    is(&ends(bomb, table), "memory", "a table of");
}

#[test]
fn more_than_may_be_handed_over_is_not_copied() {
    let giant = "(i32.store8 (i32.const 132) (i32.const 1)) (i32.store (i32.const 136) (i32.const 512))
        (i32.store (i32.const 140) (i32.const 0x1000000))";
    is(&ends(giant, Guest::default()), "bad_output", "");
    let long = "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store (i32.const 136) (i32.const 0))
        (i32.store (i32.const 140) (i32.const 131000))";
    is(&ends(long, Guest::default()), "bad_output", "65536 bytes");
}

#[test]
fn what_is_no_value_of_the_contract_is_refused() {
    let case = "(i32.store8 (i32.const 132) (i32.const 9))";
    is(&ends(case, Guest::default()), "bad_output", "");
    let outside = "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store (i32.const 136) (i32.const -16))
        (i32.store (i32.const 140) (i32.const 4))";
    is(&ends(outside, Guest::default()), "bad_output", "");
    let mangled = "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store8 (i32.const 0) (i32.const 0xff))
        (i32.store (i32.const 136) (i32.const 0)) (i32.store (i32.const 140) (i32.const 4))";
    is(&ends(mangled, Guest::default()), "bad_output", "no value of the contract");
    is(&ends("(return (i32.const -64))", Guest::default()), "bad_output", "");
    is(&ends("(return (i32.const 130))", Guest::default()), "bad_output", "");
}

/// Edits of these places, each to `pii`.
fn edits(places: &[(u32, u32)]) -> String {
    let mut does = format!(
        "(i32.store8 (i32.const 132) (i32.const 1)) (i32.store (i32.const 136) (i32.const 512))
         (i32.store (i32.const 140) (i32.const {}))",
        places.len()
    );
    for (at, (message, part)) in (512..).step_by(16).zip(places) {
        for (offset, value) in [(0, *message), (4, *part), (8, 400), (12, 3)] {
            does += &format!("(i32.store (i32.const {}) (i32.const {value}))", at + offset);
        }
    }
    does
}

#[test]
fn edits_name_what_is_there_once_and_is_the_callers() {
    is(&ends(&edits(&[(2, 0)]), Guest::default()), "bad_output", "not there");
    is(&ends(&edits(&[(1, 1)]), Guest::default()), "bad_output", "not there");
    is(&ends(&edits(&[(u32::MAX, u32::MAX)]), Guest::default()), "bad_output", "not there");
    is(&ends(&edits(&[(1, 0), (1, 0)]), Guest::default()), "bad_output", "twice");
    let filter = Guest { request: when_two(&edits(&[(0, 0)])), ..Guest::default() }.filter();
    let prompt = Message { role: "system".into(), parts: vec![part(PartKind::Text, "be kind", false)] };
    let failed = filter.request(&seen(&route()), &[prompt, said("hello")]).unwrap_err();
    is(&failed, "bad_output", "own prompt");
}

#[test]
fn refusals_are_a_callers_and_harmless() {
    let refuses = |status: u16, code: (u32, u32), message: (u32, u32)| {
        format!(
            "(i32.store8 (i32.const 132) (i32.const 3)) (i32.store16 (i32.const 136) (i32.const {status}))
             (i32.store (i32.const 140) (i32.const {})) (i32.store (i32.const 144) (i32.const {}))
             (i32.store (i32.const 148) (i32.const {})) (i32.store (i32.const 152) (i32.const {}))",
            code.0, code.1, message.0, message.1
        )
    };
    let (code, message) = ((400, 3), (408, 13));
    is(&ends(&refuses(200, code, message), Guest::default()), "bad_output", "status 200");
    is(&ends(&refuses(500, code, message), Guest::default()), "bad_output", "status 500");
    is(&ends(&refuses(400, message, message), Guest::default()), "bad_output", "no word");
    is(&ends(&refuses(400, code, (408, 0)), Guest::default()), "bad_output", "without a word");
    // Zeros lie there.
    is(&ends(&refuses(400, code, (512, 4)), Guest::default()), "bad_output", "control characters");
    is(&ends(&refuses(400, code, (1024, 2000)), Guest::default()), "bad_output", "are the most");
    let many = "(i32.store (i32.const 156) (i32.const 512)) (i32.store (i32.const 160) (i32.const 17))";
    is(&ends(many, Guest::default()), "bad_output", "17 annotations");
    let nameless = "(i32.store (i32.const 156) (i32.const 512)) (i32.store (i32.const 160) (i32.const 1))";
    is(&ends(nameless, Guest::default()), "bad_output", "no name");
}

#[test]
fn a_flood_of_calls_of_the_host_is_ended() {
    let flood = |call: &str| {
        let does = format!(
            "(local.set $i (i32.const 0)) (loop {call} (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if 0 (i32.lt_u (local.get $i) (i32.const 65))))"
        );
        when_two(&does)
    };
    for (import, call) in [
        (
            r#"(import "tidegate:plugin/log@0.1.0" "log" (func $call (param i32 i32 i32)))"#,
            "(call $call (i32.const 2) (i32.const 0) (i32.const 4))",
        ),
        (r#"(import "tidegate:plugin/random@0.1.0" "next-u64" (func $call (result i64)))"#, "(drop (call $call))"),
        (
            r#"(import "tidegate:plugin/kv@0.1.0" "set" (func $call (param i32 i32 i32 i32 i32 i64 i32)))"#,
            "(call $call (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 0) (i32.const 704))",
        ),
    ] {
        let filter = Guest { imports: import, request: flood(call), ..Guest::default() }.filter();
        passes(&filter);
        is(&fails(&filter), "host_calls", "more than 64 times");
        passes(&filter);
    }
}

#[test]
fn keys_and_values_have_an_end() {
    // 40 values of 60 KB under 40 keys, of which no more are kept than fit; the last are refused by `quota`, which is 2.
    let guest = Guest {
        imports: r#"(import "tidegate:plugin/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))"#,
        request: "(loop (i32.store (i32.const 720) (local.get $i))
              (call $set (i32.const 720) (i32.const 4) (i32.const 4096) (i32.const 60000) (i32.const 0) (i64.const 0)
                (i32.const 704))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get $i) (i32.const 40))))
            (if (i32.ne (i32.load8_u (i32.const 704)) (i32.const 1)) (then (unreachable)))
            (if (i32.ne (i32.load8_u (i32.const 708)) (i32.const 2)) (then (unreachable)))
            (i32.const 128)",
        ..Guest::default()
    };
    let filter = guest.filter();
    (0..3).for_each(|_| passes(&filter));
    let long = Guest {
        imports: guest.imports,
        request: "(call $set (i32.const 0) (i32.const 4) (i32.const 4096) (i32.const 66000) (i32.const 0) (i64.const 0)
            (i32.const 704)) (i32.const 128)",
        ..Guest::default()
    };
    let failed = long.filter().request(&seen(&route()), &[]).unwrap_err();
    is(&failed, "bad_output", "handed more than 65536 bytes");
}

#[test]
fn log_lines_are_counted_by_the_minute() {
    let logs = Guest {
        imports: r#"(import "tidegate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        request: "(loop (call $log (i32.const 2) (i32.const 0) (i32.const 4))
              (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 60))))
            (i32.const 128)",
        ..Guest::default()
    };
    let (filter, clock) = logs.timed();
    (0..10).for_each(|_| passes(&filter));
    assert_eq!(filter.counts().dropped_lines, 600 - 64);
    clock.advance(Duration::from_secs(60));
    passes(&filter);
    assert_eq!(filter.counts().dropped_lines, 600 - 64);
}

#[test]
fn metrics_have_an_end() {
    // A name is one if it is a letter: two of the three are not.
    let guest = Guest {
        imports: r#"(import "tidegate:plugin/metrics@0.1.0" "gauge" (func $gauge (param i32 i32 f64 i32 i32)))"#,
        request: "(call $gauge (i32.const 400) (i32.const 3) (f64.const 1) (i32.const 0) (i32.const 0))
            (call $gauge (i32.const 400) (i32.const 3) (f64.const nan) (i32.const 0) (i32.const 0))
            (call $gauge (i32.const 408) (i32.const 13) (f64.const 1) (i32.const 0) (i32.const 0)) (i32.const 128)",
        ..Guest::default()
    };
    let filter = guest.filter();
    (0..10).for_each(|_| passes(&filter));
    assert_eq!((filter.series().len(), filter.counts().dropped_metrics), (1, 20));
}

#[test]
fn what_it_says_that_it_cannot_do_costs_no_instance_and_opens_nothing() {
    let refuses = "(i32.store8 (i32.const 128) (i32.const 1)) (i32.store8 (i32.const 132) (i32.const 1))
        (i32.store (i32.const 136) (i32.const 408)) (i32.store (i32.const 140) (i32.const 13))";
    let resets = format!(
        "(i32.store8 (i32.const 128) (i32.const 0)) (i32.store8 (i32.const 132) (i32.const 0)) {}",
        when_two(refuses)
    );
    let filter = Guest { request: resets.leak(), ..Guest::default() }.filter();
    for _ in 0..20 {
        is(&fails(&filter), "refused", "input: Leave it out.");
    }
    passes(&filter);
    let counts = filter.counts();
    assert_eq!((counts.made, counts.is_tripped), (1, false));
}

#[test]
fn what_it_does_when_it_is_started_is_contained_too() {
    let traps = Guest { more: "(func $start (unreachable)) (start $start)", ..Guest::default() };
    let loops = Guest { more: "(func $start (loop (br 0))) (start $start)", ..Guest::default() };
    for (guest, kind) in [(traps, Kind::Trap), (loops, Kind::Deadline)] {
        let fault = guest.load(&host(small(), None)).unwrap_err();
        assert!(fault.kind == kind && fault.says.contains("its start"), "{}", fault.says);
    }
    for (configure, kind) in [
        ("(unreachable)", Kind::Trap),
        ("(loop (br 0)) (unreachable)", Kind::Deadline),
        ("(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)", Kind::Memory),
        ("(i32.const -1)", Kind::BadOutput),
    ] {
        let fault = Guest { configure, ..Guest::default() }.try_filter().unwrap_err();
        assert_eq!(fault.kind, kind, "{}", fault.says);
    }
}

#[test]
fn later_instances_that_do_not_start_are_contained_too() {
    // The first is configured by a counter that stands at 1; later ones do not come to an end.
    let guest = Guest {
        imports: r#"(import "tidegate:plugin/kv@0.1.0" "incr" (func $incr (param i32 i32 i64 i32)))"#,
        configure: "(call $incr (i32.const 400) (i32.const 3) (i64.const 1) (i32.const 704))
            (if (i64.gt_s (i64.load (i32.const 712)) (i64.const 1)) (then (loop (br 0)))) (i32.const 96)",
        request: when_two("(unreachable)"),
        ..Guest::default()
    };
    let (filter, clock) = guest.timed();
    passes(&filter);
    is(&fails(&filter), "trap", "unreachable");
    let began = Instant::now();
    for _ in 0..4 {
        is(&filter.request(&seen(&route()), &[]).unwrap_err(), "deadline", "its start");
    }
    assert!(began.elapsed() < Duration::from_secs(8));
    is(&filter.request(&seen(&route()), &[]).unwrap_err(), "tripped", "1000 ms");
    clock.advance(Duration::from_secs(1));
    is(&filter.request(&seen(&route()), &[]).unwrap_err(), "deadline", "its start");
    is(&filter.request(&seen(&route()), &[]).unwrap_err(), "tripped", "2000 ms");
    assert_eq!((filter.counts().alive, filter.counts().made), (0, 1));
}

#[test]
fn one_that_fails_often_is_left_alone_for_a_while() {
    let (filter, clock) = Guest { request: when_two("(unreachable)"), ..Guest::default() }.timed();
    (0..5).for_each(|_| is(&fails(&filter), "trap", "unreachable"));
    assert!(filter.counts().is_tripped);
    let made = filter.counts().made;
    for _ in 0..100 {
        is(&fails(&filter), "tripped", "not called for 1000 ms");
    }
    assert_eq!(filter.counts().made, made);
    clock.advance(Duration::from_secs(1));
    is(&fails(&filter), "trap", "unreachable");
    clock.advance(Duration::from_millis(1500));
    is(&fails(&filter), "tripped", "not called for 500 ms");
    clock.advance(Duration::from_millis(500));
    passes(&filter);
    passes(&filter);
    let counts = filter.counts();
    assert!(!counts.is_tripped);
    assert_eq!(counts.failures, [("trap", 6), ("tripped", 101)]);
}

#[test]
fn others_go_on_while_one_loops() {
    let host = host(small(), None);
    let make =
        |name: &str, guest: &Guest| Arc::new(guest.load(&host).unwrap()).filter(name.parse().unwrap(), "{}").unwrap();
    let bad = make("bad", &Guest { request: when_two("(loop (br 0))"), ..Guest::default() });
    let good = make("good", &Guest::default());
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| (0..3).for_each(|_| is(&fails(&bad), "deadline", "100 ms")));
        while !looping.is_finished() {
            passes(&good);
        }
    });
    passes(&good);
    assert!(good.counts().failures.is_empty());
}

#[test]
fn other_types_under_our_names_do_not_fit() {
    let wit = "package tidegate:plugin@0.1.0;
        interface lifecycle { record plugin-info { name: string, version: string, config-schema: string }
            describe: func() -> plugin-info; configure: func(config-json: string) -> result; }
        interface request-filter { on-request: func(all: string) -> u32; }
        world w { export lifecycle; export request-filter; }";
    let text = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 0))
        (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 0))
        (func (export "tidegate:plugin/request-filter@0.1.0#on-request") (param i32 i32) (result i32) (i32.const 0)))"#;
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("other.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
    let component = tidegate_host::pack(&module).unwrap();
    let fault = host(small(), None).load(&component, tidegate_host::Bounds::default()).unwrap_err();
    assert!(fault.kind == Kind::WrongWorld && fault.says.contains("does not fit"), "{}: {}", fault.kind, fault.says);
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// How many traps; `./verify full` asks for 100,000.
fn traps() -> usize {
    std::env::var("TIDEGATE_TRAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

#[test]
fn many_traps_leave_nothing_behind() {
    let host = host(Limits { log_lines: 0, ..small() }, None);
    let component = Guest { request: when_two("(unreachable)"), ..Guest::default() }.component();
    let plugin = Arc::new(host.load(&component, tidegate_host::Bounds::default()).unwrap());
    let rounds = traps() / 4;
    let mut after_some = 0;
    for round in 0..rounds {
        // A filter of its own each time, since its breaker opens after five.
        let filter = plugin.filter("made".parse().unwrap(), "{}").unwrap();
        (0..4).for_each(|_| is(&fails(&filter), "trap", "unreachable"));
        assert!(filter.counts().alive <= 1);
        if round == rounds / 10 {
            after_some = resident();
        }
    }
    let grown = resident().saturating_sub(after_some);
    println!("figure: {} traps of filters, {grown} bytes more after the last than after a tenth", rounds * 4);
    // Nine thousand instances would be 300 MB, and ninety thousand that leave a kilobyte each 90 MB; other tests of this
    // process take some.
    assert!(grown < 32 << 20, "{grown} bytes more");
    let good = plugin.filter("made".parse().unwrap(), "{}").unwrap();
    passes(&good);
    assert_eq!(good.request(&seen(&route()), &[]), Ok(Opinion::default()));
}
