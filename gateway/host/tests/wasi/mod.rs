//! Components that import WASI: refused where it is not granted, and where it is, answered with as little as there is: no
//! variables, files or sockets, a log to write to, clocks that nobody waits for.

use super::is;
use super::made::{self, Core, host, small, still_works, window};
use std::time::{Duration, Instant};
use tidegate_host::{Bounds, Done, Fault, Host, Kind, Output, Outside, Wasi};

/// Of WASI what is called here, as far as types go.
const WORDS: &str = "
    package tidegate:tested;
    package wasi:io@0.2.9 {
        interface error { resource error; }
        interface poll { resource pollable { block: func(); } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; }
            resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
        }
    }
    package wasi:cli@0.2.9 {
        interface environment { get-environment: func() -> list<tuple<string, string>>; initial-cwd: func() -> option<string>; }
        interface exit { exit: func(status: result); }
        interface stdin { use wasi:io/streams@0.2.9.{input-stream}; get-stdin: func() -> input-stream; }
        interface stdout { use wasi:io/streams@0.2.9.{output-stream}; get-stdout: func() -> output-stream; }
        interface stderr { use wasi:io/streams@0.2.9.{output-stream}; get-stderr: func() -> output-stream; }
    }
    package wasi:clocks@0.2.9 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.9.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
        interface timezone { offset: func(at: u64) -> s32; }
    }
    package wasi:random@0.2.9 { interface random { get-random-bytes: func(len: u64) -> list<u8>; } }
    package wasi:filesystem@0.2.9 {
        interface types { resource descriptor; }
        interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
    }
    package wasi:sockets@0.2.9 {
        interface network { enum error-code { unknown, access-denied, not-supported } }
        interface tcp { resource tcp-socket; }
        interface tcp-create-socket {
            use network.{error-code};
            use tcp.{tcp-socket};
            create-tcp-socket: func(ipv6: bool) -> result<tcp-socket, error-code>;
        }
    }
    world tested {
        include tidegate:plugin/drift-plugin@0.1.0;
        import wasi:io/poll@0.2.9;
        import wasi:io/streams@0.2.9;
        import wasi:cli/environment@0.2.9;
        import wasi:cli/exit@0.2.9;
        import wasi:cli/stdin@0.2.9;
        import wasi:cli/stdout@0.2.9;
        import wasi:cli/stderr@0.2.9;
        import wasi:clocks/monotonic-clock@0.2.9;
        import wasi:clocks/timezone@0.2.9;
        import wasi:random/random@0.2.9;
        import wasi:filesystem/preopens@0.2.9;
        import wasi:sockets/tcp-create-socket@0.2.9;
    }";

const GRANTED: Bounds = Bounds {
    memory: None,
    deadline: None,
    component_bytes: None,
    modules: None,
    table_elements: None,
    wasi: Wasi::Minimal,
};

/// What a function takes that leaves its answer in memory.
const RETPTR: &str = "(param i32)";

/// A component that calls such imports of WASI; `does` leaves the number that it reports.
fn calling(imports: &'static [(&'static str, &'static str, &'static str)], does: &str) -> Vec<u8> {
    let import = |(interface, function, kind): &(&str, &str, &str)| {
        let name = function.rsplit(['.', ']']).next().unwrap_or_default();
        format!("(import \"wasi:{interface}@0.2.9\" \"{function}\" (func ${name} {kind}))")
    };
    let imports: String = imports.iter().map(import).collect();
    let evaluate = format!("(f64.store (i32.const 264) (f64.convert_i32_u {does})) (i32.const 128)");
    let more = "(data (i32.const 600) \"ValueError: made\\0a\")";
    let core = Core { imports: imports.leak(), more, evaluate: evaluate.leak(), ..Core::default() };
    made::with_words(WORDS, "tested", &core.text())
}

/// What it answers with the grant; without it is refused.
fn asked(component: &[u8]) -> Result<Done, Fault> {
    let host = host();
    let fault = host.load(component, Bounds::default()).unwrap_err();
    is(&fault, Kind::Import, "WASI is not granted");
    let good = host.load(&Core::default().component(), GRANTED).unwrap();
    let done = host.load(component, GRANTED).unwrap().call("{}", &window(3));
    still_works(&good);
    done
}

#[track_caller]
fn reports(component: &[u8], number: f64) -> Done {
    let done = asked(component).unwrap();
    let Output::Report(report) = &done.output else { panic!("no report") };
    assert_eq!(report.measurements[0].value, Some(number));
    done
}

/// The second word of what a function leaves at 704, after it was another.
fn length(call: &str) -> String {
    format!("(block (result i32) (i32.store (i32.const 708) (i32.const 9)) {call} (i32.load (i32.const 708)))")
}

#[test]
fn there_are_no_variables_files_or_sockets() {
    let variables =
        calling(&[("cli/environment", "get-environment", RETPTR)], &length("(call $get-environment (i32.const 704))"));
    reports(&variables, 0.0);
    let folder = "(block (result i32) (i32.store8 (i32.const 704) (i32.const 9)) (call $initial-cwd (i32.const 704))
        (i32.load8_u (i32.const 704)))";
    reports(&calling(&[("cli/environment", "initial-cwd", RETPTR)], folder), 0.0);
    let folders = calling(
        &[("filesystem/preopens", "get-directories", RETPTR)],
        &length("(call $get-directories (i32.const 704))"),
    );
    reports(&folders, 0.0);
    // An error, and the one that says that it is not allowed.
    let socket = "(block (result i32) (call $create-tcp-socket (i32.const 0) (i32.const 704))
        (i32.add (i32.mul (i32.const 100) (i32.load8_u (i32.const 704))) (i32.load8_u (i32.const 708))))";
    reports(&calling(&[("sockets/tcp-create-socket", "create-tcp-socket", "(param i32 i32)")], socket), 101.0);
    // An input that is at its end: the case `closed`.
    let input = "(block (result i32) (call $read (call $get-stdin) (i64.const 8) (i32.const 704))
        (i32.add (i32.mul (i32.const 100) (i32.load8_u (i32.const 704))) (i32.load8_u (i32.const 708))))";
    let imports = &[
        ("cli/stdin", "get-stdin", "(result i32)"),
        ("io/streams", "[method]input-stream.read", "(param i32 i64 i32)"),
    ];
    reports(&calling(imports, input), 101.0);
}

#[test]
fn what_is_written_stands_in_the_log() {
    let writes = "(block (result i32)
        (call $blocking-write-and-flush (call $get-stdout) (i32.const 0) (i32.const 4) (i32.const 704))
        (i32.load8_u (i32.const 704)))";
    let imports = &[
        ("cli/stdout", "get-stdout", "(result i32)"),
        ("io/streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)"),
    ];
    let heard = reports(&calling(imports, writes), 0.0).heard;
    assert_eq!(heard.lines.iter().map(|line| (line.level, line.text.as_str())).collect::<Vec<_>>(), [("info", "made")]);
    assert_eq!(heard.host_calls, 2);
}

#[test]
fn who_traps_has_said_why() {
    let ends = "(block (result i32)
        (call $blocking-write-and-flush (call $get-stderr) (i32.const 600) (i32.const 17) (i32.const 704)) (unreachable))";
    let imports = &[
        ("cli/stderr", "get-stderr", "(result i32)"),
        ("io/streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)"),
    ];
    is(&asked(&calling(imports, ends)).unwrap_err(), Kind::Trap, "its last words were `ValueError: made`");
}

#[test]
fn nobody_waits_for_a_clock() {
    let waits = "(block (result i32) (call $block (call $subscribe-duration (i64.const 3600000000000)))
        (i64.le_u (call $now) (i64.const 3600000000000)))";
    let imports = &[
        ("clocks/monotonic-clock", "now", "(result i64)"),
        ("clocks/monotonic-clock", "subscribe-duration", "(param i64) (result i32)"),
        ("io/poll", "[method]pollable.block", "(param i32)"),
    ];
    let began = Instant::now();
    reports(&calling(imports, waits), 1.0);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn chance_is_the_hosts_and_has_an_end() {
    let random = |bytes: &str| {
        let call = format!("(call $get-random-bytes (i64.const {bytes}) (i32.const 704))");
        calling(&[("random/random", "get-random-bytes", "(param i64 i32)")], &length(&call))
    };
    reports(&random("10"), 10.0);
    is(&asked(&random("1000000000000")).unwrap_err(), Kind::Trap, "random bytes at once");
}

#[test]
fn who_leaves_or_asks_for_more_has_ended_his_call() {
    let exit = calling(
        &[("cli/exit", "exit", "(param i32)")],
        "(block (result i32) (call $exit (i32.const 1)) (i32.const 0))",
    );
    is(&asked(&exit).unwrap_err(), Kind::Trap, "ended itself with a failure by `wasi:cli/exit`");
    let zone = calling(&[("clocks/timezone", "offset", "(param i64) (result i32)")], "(call $offset (i64.const 0))");
    is(&asked(&zone).unwrap_err(), Kind::Trap, "called `wasi:clocks/timezone#offset`, which nobody granted");
}

#[test]
fn calls_of_wasi_count_as_calls_of_the_host() {
    let floods = "(block (result i32) (loop (drop (call $now)) (br 0)) (unreachable))";
    let flood = calling(&[("clocks/monotonic-clock", "now", "(result i64)")], floods);
    is(&asked(&flood).unwrap_err(), Kind::HostCalls, "more than 1000 times");
}

#[test]
fn other_interfaces_are_not_there_and_other_types_do_not_fit() {
    let wanting = |import: &str, inside: &str| {
        let text = format!(
            r#"(component (import "{import}" (instance {inside})) (instance $empty)
              (export "tidegate:plugin/lifecycle@0.1.0" (instance $empty))
              (export "tidegate:plugin/drift@0.1.0" (instance $empty)))"#
        );
        Host::new(small(), Outside::default()).unwrap().load(&wat::parse_str(text).unwrap(), GRANTED).unwrap_err()
    };
    for import in ["wasi:http/outgoing-handler@0.2.9", "wasi:keyvalue/store@0.2.0", "wasi:cli/environment@0.3.0"] {
        is(&wanting(import, r#"(export "f" (func))"#), Kind::Import, "`wasi: minimal` has");
    }
    let other = r#"(export "get-random-u64" (func (result string)))"#;
    is(&wanting("wasi:random/random@0.2.9", other), Kind::WrongWorld, "does not fit");
}
