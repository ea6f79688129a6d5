//! The host as a whole on components made for it: good ones do their work, and whatever hostile ones do is contained, has a
//! kind and says what it was, after which the host goes on.

#[cfg(test)]
mod made;
#[cfg(test)]
mod room;
#[cfg(test)]
mod wasi;

use made::{Core, component, ends, foreign_component, host, module, refused, resident, small, still_works, window};
use std::time::{Duration, Instant};
use tidegate_host::{Bounds, Fault, Host, Kind, Output, Outside, Refusal, World};

#[track_caller]
fn is(fault: &Fault, kind: Kind, part: &str) {
    assert!(fault.kind == kind && fault.says.contains(part), "{}: {}", fault.kind, fault.says);
}

#[test]
fn a_good_one_says_what_it_is_and_answers() {
    let bytes = Core::default().component();
    let plugin = host().load(&bytes, Bounds::default()).unwrap();
    let about = plugin.about();
    assert_eq!((about.name.as_str(), about.version.as_str(), about.world), ("made", "1.2.3", World::Drift));
    assert_eq!((about.bytes, about.sha256), (bytes.len(), tidegate_core::digest::Digest::of(&bytes)));
    assert!(about.config_schema.is_object());
    for rows in [0, 1, 100_000] {
        let Output::Report(report) = plugin.call("{}", &window(rows)).unwrap().output else { panic!("no report") };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let rows = rows as f64;
        assert_eq!(report.measurements[0].value, Some(rows));
        assert_eq!(report.measurements[0].name, "rows");
    }
    assert_eq!(plugin.calls(), 3);
}

#[test]
fn a_window_of_another_world_is_refused() {
    let plugin = host().load(&Core::default().component(), Bounds::default()).unwrap();
    let fault = plugin.call("{}", &tidegate_host::Input::Rag { samples: vec![] }).unwrap_err();
    is(&fault, Kind::BadInput, "`drift-plugin`");
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let began = Instant::now();
    is(&ends(Core { evaluate: "(loop (br 0)) (unreachable)", ..Core::default() }), Kind::Deadline, "300 ms");
    assert!(began.elapsed() < Duration::from_secs(10));
    is(&ends(Core { configure: "(loop (br 0)) (unreachable)", ..Core::default() }), Kind::Deadline, "its call");
}

#[test]
fn memory_has_an_end() {
    let grows = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    is(&ends(Core { evaluate: grows, ..Core::default() }), Kind::Memory, "bytes of memory");
}

#[test]
fn who_is_refused_memory_may_go_on() {
    let asks = "(drop (memory.grow (i32.const 1000))) (f64.store (i32.const 264) (f64.const 7)) (i32.const 128)";
    let host = host();
    still_works(&host.load(&Core { evaluate: asks, ..Core::default() }.component(), Bounds::default()).unwrap());
}

#[test]
fn a_memory_that_begins_too_large_is_refused() {
    let fault = refused(&Core { memory: "(memory (export \"memory\") 1000)", ..Core::default() }.component());
    assert!(matches!(fault.kind, Kind::Memory | Kind::Damaged), "{}: {}", fault.kind, fault.says);
}

#[test]
fn a_table_that_is_too_large_is_refused() {
    let fault = refused(&Core { more: "(table 1000000 funcref)", ..Core::default() }.component());
    assert!(matches!(fault.kind, Kind::Memory | Kind::Damaged), "{}: {}", fault.kind, fault.says);
}

#[test]
fn traps_are_told_apart() {
    is(&ends(Core { evaluate: "(unreachable)", ..Core::default() }), Kind::Trap, "unreachable");
    let divides = "(i32.div_u (i32.const 1) (i32.const 0))";
    is(&ends(Core { evaluate: divides, ..Core::default() }), Kind::Trap, "divide by zero");
    let beyond = "(i32.load (i32.const 0x7fffffff))";
    is(&ends(Core { evaluate: beyond, ..Core::default() }), Kind::Trap, "out of bounds");
    let deep = Core {
        more: "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))",
        evaluate: "(call $deep (i32.const 1))",
        ..Core::default()
    };
    is(&ends(deep), Kind::Stack, "of stack");
}

#[test]
fn what_it_does_when_it_is_started_is_contained_too() {
    let traps = Core { more: "(func $start (unreachable)) (start $start)", ..Core::default() };
    is(&refused(&traps.component()), Kind::Trap, "its start");
    let loops = Core { more: "(func $start (loop (br 0))) (start $start)", ..Core::default() };
    is(&refused(&loops.component()), Kind::Deadline, "its start");
    is(&refused(&Core { describe: "(unreachable)", ..Core::default() }.component()), Kind::Trap, "its start");
    is(
        &refused(&Core { describe: "(loop (br 0)) (unreachable)", ..Core::default() }.component()),
        Kind::Deadline,
        "300 ms",
    );
}

#[test]
fn a_result_that_is_too_large_is_not_copied() {
    // A list of 2^24 measurements, of which memory has none.
    let giant = "(i32.store (i32.const 136) (i32.const 0x1000000)) (i32.const 128)";
    is(&ends(Core { evaluate: giant, ..Core::default() }), Kind::BadOutput, "");
    // A text of 128 KiB - 64, all of it there: more than may be handed over at once.
    let long = "(i32.store (i32.const 140) (i32.const 1)) (i32.store (i32.const 144) (i32.const 64))
                (i32.store (i32.const 148) (i32.const 131000)) (i32.const 128)";
    is(&ends(Core { evaluate: long, ..Core::default() }), Kind::BadOutput, "handed more than 65536 bytes");
}

#[test]
fn what_is_no_value_of_the_contract_is_refused() {
    // A case that the result has not, a text outside of memory, and one that is no UTF-8.
    let case = "(i32.store8 (i32.const 128) (i32.const 9)) (i32.const 128)";
    is(&ends(Core { evaluate: case, ..Core::default() }), Kind::BadOutput, "");
    let outside = "(i32.store (i32.const 256) (i32.const -16)) (i32.const 128)";
    is(&ends(Core { evaluate: outside, ..Core::default() }), Kind::BadOutput, "");
    let mangled = "(i32.store8 (i32.const 24) (i32.const 0xff)) (i32.const 128)";
    is(&ends(Core { evaluate: mangled, ..Core::default() }), Kind::BadOutput, "no value of the contract");
}

#[test]
fn a_number_that_is_none_is_refused() {
    for number in ["nan", "inf", "-inf"] {
        let text = format!("(f64.store (i32.const 264) (f64.const {number})) (i32.const 128)");
        is(&ends(Core { evaluate: text.leak(), ..Core::default() }), Kind::BadOutput, "`undefined`");
    }
}

#[test]
fn what_it_refuses_itself_has_its_reason() {
    let case = |case: u32| {
        let text = format!(
            "(i32.store8 (i32.const 128) (i32.const 1)) (i32.store8 (i32.const 132) (i32.const {case}))
             (i32.store (i32.const 136) (i32.const 0)) (i32.store (i32.const 140) (i32.const 4)) (i32.const 128)"
        );
        ends(Core { evaluate: text.leak(), ..Core::default() })
    };
    is(&case(0), Kind::Refused(Refusal::Config), "configuration: made");
    is(&case(1), Kind::Refused(Refusal::Input), "input: made");
    is(&case(3), Kind::Refused(Refusal::RetryAfter(0)), "0 ms");
    is(&case(4), Kind::Refused(Refusal::Internal), "failed: made");
    let configures = "(i32.store8 (i32.const 96) (i32.const 1)) (i32.store (i32.const 104) (i32.const 0))
                      (i32.store (i32.const 108) (i32.const 4)) (i32.const 96)";
    is(&ends(Core { configure: configures, ..Core::default() }), Kind::Refused(Refusal::Config), "made");
}

/// Imports the log, and logs `made` so many times; then does well.
const LOGS: &str = r#"(import "tidegate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

#[test]
fn a_flood_of_log_lines_is_counted_and_at_last_ended() {
    let logs = |times: u32| {
        Core {
        imports: LOGS,
        evaluate: format!(
            "(local $i i32) (loop (call $log (i32.const 2) (i32.const 0) (i32.const 4))
               (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const {times}))))
             {}",
            made::GOOD
        )
        .leak(),
        ..Core::default()
    }
    };
    let plugin = host().load(&logs(100).component(), Bounds::default()).unwrap();
    assert!(plugin.about().imports.iter().any(|import| import == "tidegate:plugin/log@0.1.0"));
    let heard = plugin.call("{}", &window(7)).unwrap().heard;
    assert_eq!((heard.lines.len(), heard.dropped_lines, heard.host_calls), (64, 36, 100));
    assert_eq!((heard.lines[0].level, heard.lines[0].text.as_str()), ("info", "made"));
    is(&ends(logs(1001)), Kind::HostCalls, "more than 1000 times");
}

#[test]
fn a_text_that_is_too_long_is_not_logged_but_ends_the_call() {
    let long = Core {
        imports: LOGS,
        evaluate: "(call $log (i32.const 2) (i32.const 0) (i32.const 131000)) (i32.const 128)",
        ..Core::default()
    };
    is(&ends(long), Kind::BadOutput, "handed more than 65536 bytes");
}

#[test]
fn what_is_no_component_is_said() {
    let good = Core::default().component();
    is(&refused(&wat::parse_str(Core::default().text()).unwrap()), Kind::NotAComponent, "tidegate plugin pack");
    is(&refused(&module("drift-plugin", &Core::default().text())), Kind::NotAComponent, "core module");
    is(&refused(b"(component)"), Kind::NotAComponent, "no WebAssembly component");
    is(&refused(b""), Kind::NotAComponent, "");
    for length in [8, 9, 100, good.len() / 2, good.len() - 1] {
        let fault = refused(&good[..length]);
        assert!(matches!(fault.kind, Kind::Damaged | Kind::WrongWorld), "{length}: {}", fault.says);
    }
    let mut damaged = good.clone();
    for byte in damaged.iter_mut().skip(8).step_by(97) {
        *byte ^= 0xff;
    }
    assert!(host().load(&damaged, Bounds::default()).is_err());
    let small = Host::new(tidegate_host::Limits { component_bytes: good.len() - 1, ..small() }, Outside::default());
    is(&small.unwrap().load(&good, Bounds::default()).unwrap_err(), Kind::TooLarge, "the most that is compiled");
}

#[test]
fn worlds_and_imports_that_are_not_ours_are_named() {
    let run = "package a:b@1.0.0; interface c { run: func(); } world w { export c; }";
    let text = r#"(module (func (export "a:b/c@1.0.0#run")))"#;
    is(&refused(&foreign_component(run, "w", text)), Kind::WrongWorld, "`a:b/c@1.0.0`");
    let empty = wat::parse_str("(component)").unwrap();
    is(&refused(&empty), Kind::WrongWorld, "exports nothing");
    // Our names, and other types.
    let other = "package tidegate:plugin@0.1.0;
        interface lifecycle { describe: func() -> string; configure: func(); }
        interface drift { evaluate: func() -> u32; }
        world w { export lifecycle; export drift; }";
    let text = r#"(module (memory (export "memory") 1)
        (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 0))
        (func (export "tidegate:plugin/lifecycle@0.1.0#configure"))
        (func (export "tidegate:plugin/drift@0.1.0#evaluate") (result i32) (i32.const 0)))"#;
    is(&refused(&foreign_component(other, "w", text)), Kind::WrongWorld, "does not fit");
    // The same of a router, whose functions are looked at as those of filters are.
    let router = "package tidegate:plugin@0.1.0;
        interface lifecycle { describe: func(); }
        interface router { choose: func(); }
        world w { export lifecycle; export router; }";
    let text = r#"(module (func (export "tidegate:plugin/lifecycle@0.1.0#describe"))
        (func (export "tidegate:plugin/router@0.1.0#choose")))"#;
    is(&refused(&foreign_component(router, "w", text)), Kind::WrongWorld, "does not fit");
}

#[test]
fn what_a_world_does_not_grant_is_refused_by_name() {
    let wanting = |import: &str| {
        format!(
            r#"(component (import "{import}" (instance (export "f" (func))))
              (instance $empty)
              (export "tidegate:plugin/lifecycle@0.1.0" (instance $empty))
              (export "tidegate:plugin/drift@0.1.0" (instance $empty)))"#
        )
    };
    for (import, part) in [
        ("wasi:cli/environment@0.2.0", "WASI is not granted"),
        ("wasi:sockets/tcp@0.2.3", "WASI is not granted"),
        ("tidegate:plugin/kv@0.1.0", "does not grant"),
        ("tidegate:plugin/models@0.1.0", "does not grant"),
        ("tidegate:plugin/log@0.2.0", "another version"),
        ("some:thing/else@1.0.0", "nothing that this host offers"),
    ] {
        let fault = refused(&wat::parse_str(wanting(import)).unwrap());
        is(&fault, Kind::Import, part);
        assert!(fault.says.contains(import), "{}", fault.says);
    }
}

#[test]
fn more_instances_than_places_are_told_to_wait_and_places_come_back() {
    let host = host();
    let slow = host
        .load(&Core { evaluate: "(loop (br 0)) (unreachable)", ..Core::default() }.component(), Bounds::default())
        .unwrap();
    let good = host.load(&Core::default().component(), Bounds::default()).unwrap();
    // Many more than there are places, a few at a time: no place is lost.
    for _ in 0..20 {
        still_works(&good);
    }
    let kinds: Vec<Kind> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| slow.call("{}", &window(1)).unwrap_err().kind)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(kinds.iter().all(|kind| matches!(kind, Kind::Busy | Kind::Deadline)), "{kinds:?}");
    assert!(kinds.contains(&Kind::Deadline), "{kinds:?}");
    still_works(&good);
}

/// How many traps; `./verify full` asks for 100,000.
fn traps() -> usize {
    std::env::var("TIDEGATE_TRAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

#[test]
fn many_traps_leave_nothing_behind() {
    let host = host();
    let plugin =
        host.load(&Core { evaluate: "(unreachable)", ..Core::default() }.component(), Bounds::default()).unwrap();
    let good = host.load(&Core::default().component(), Bounds::default()).unwrap();
    let mut after_some = 0;
    for round in 0..traps() {
        assert_eq!(plugin.call("{}", &window(1)).unwrap_err().kind, Kind::Trap);
        if round == traps() / 10 {
            after_some = resident();
        }
    }
    let grown = resident().saturating_sub(after_some);
    println!("figure: {} traps of evaluators, {grown} bytes more after the last than after a tenth", traps());
    // A kilobyte left by each of ninety thousand would be 90 MB; other tests of this process take some.
    assert!(grown < 32 << 20, "{grown} bytes more");
    assert_eq!(plugin.failures(), [("trap", traps() as u64)]);
    still_works(&good);
}

#[test]
fn a_validator_is_a_world_of_its_own() {
    // An `ok` with no findings.
    let text = r#"(module (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 1024))
        (data (i32.const 0) "made") (data (i32.const 64) "\00\00\00\00\04\00\00\00\00\00\00\00\04\00\00\00\10\00\00\00\02\00\00\00")
        (data (i32.const 16) "{}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
          (global.set $next (i32.add (local.get $at) (local.get 3))) (local.get $at))
        (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
        (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 96))
        (func (export "tidegate:plugin/validator@0.1.0#validate") (param i32 i32 i32 i32 i32) (result i32) (i32.const 96)))"#;
    let plugin = host().load(&component("validator-plugin", text), Bounds::default()).unwrap();
    assert_eq!(plugin.about().world, World::Validator);
    let input = tidegate_host::Input::read(World::Validator, serde_json::json!({"schema": {}, "data": {"x": [1]}}));
    assert_eq!(plugin.call("{}", &input.unwrap()).unwrap().output, Output::Findings(vec![]));
}
