//! Compiling in a child process and the cache of its code, as a whole: this test is its own child, so it has a `main`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which brings its own harness")]

use std::path::Path;
use std::time::{Duration, Instant};
use tidegate_core::digest::Digest;
use tidegate_host::{Bounds, Cache, Caps, Compiler, FilterLimits, Host, Kind, Limits, Outside, compile_as_child};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if is("child") {
        compile_as_child(std::io::stdin().lock(), std::io::stdout().lock()).unwrap();
        return;
    }
    if is("stuck") {
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    // What nextest asks of a harness.
    if is("--list") {
        if !is("--ignored") {
            println!("compiler: test");
        }
        return;
    }
    code_is_compiled_once();
    damaged_code_is_compiled_anew();
    what_is_damaged_is_said_by_the_child();
    a_compile_bomb_ends_itself();
    a_child_that_is_stuck_is_ended();
    println!("test compiler ... ok");
}

fn compiler(argument: &str, caps: Caps) -> Compiler {
    Compiler::new(std::env::current_exe().unwrap(), vec![argument.into()], caps)
}

fn host() -> Host {
    let filters = FilterLimits { at_once: 2, ..FilterLimits::default() };
    Host::new(Limits { at_once: 2, filters, ..Limits::default() }, Outside::default()).unwrap()
}

/// A component of a validator, which does nothing.
fn component(more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1)
        (data (i32.const 0) "made") (data (i32.const 16) "{{}}")
        (data (i32.const 64) "\00\00\00\00\04\00\00\00\00\00\00\00\04\00\00\00\10\00\00\00\02\00\00\00")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
        (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 96))
        (func (export "tidegate:plugin/validator@0.1.0#validate") (param i32 i32 i32 i32 i32) (result i32) (i32.const 96))
        {more})"#
    );
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("validator-plugin")).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
    tidegate_host::pack(&module).unwrap()
}

fn code_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "code")).collect()
}

fn code_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, component) = (Cache::open(folder.path()).unwrap(), component(""));
    let host = host();
    let compiled = host.load_cached(
        &component,
        Digest::of(&component),
        Bounds::default(),
        &cache,
        Some(&compiler("child", Caps::default())),
    );
    assert_eq!(compiled.unwrap().about().name, "made");
    assert_eq!(code_files(folder.path()).len(), 1);
    // From now on nobody compiles: this compiler cannot.
    let none = Compiler::new("/nowhere".into(), vec![], Caps::default());
    let began = Instant::now();
    let plugin = host.load_cached(&component, Digest::of(&component), Bounds::default(), &cache, Some(&none)).unwrap();
    println!("from the cache in {} µs", began.elapsed().as_micros());
    assert_eq!(plugin.about().bytes, component.len());
    let other = self::component("(func)");
    let loaded = host.load_cached(&other, Digest::of(&other), Bounds::default(), &cache, Some(&none));
    let fault = loaded.unwrap_err();
    assert_eq!(fault.kind, Kind::Host);
}

fn damaged_code_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, component) = (Cache::open(folder.path()).unwrap(), component(""));
    let host = host();
    let load = |host: &Host| {
        host.load_cached(&component, Digest::of(&component), Bounds::default(), &cache, None).unwrap().about().sha256
    };
    load(&host);
    let path = code_files(folder.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"\x7fELF"] {
        std::fs::write(&path, damaged).unwrap();
        load(&host);
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len(), "it was written again");
    }
    // A cache that cannot be written costs time only.
    drop(folder);
    load(&host);
}

fn what_is_damaged_is_said_by_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, component) = (Cache::open(folder.path()).unwrap(), component(""));
    let compiler = compiler("child", Caps::default());
    let half = &component[..component.len() / 2];
    let fault = host().load_cached(half, Digest::of(half), Bounds::default(), &cache, Some(&compiler)).unwrap_err();
    assert!(fault.kind == Kind::Damaged && fault.says.contains("cannot be compiled"), "{}", fault.says);
    assert!(code_files(folder.path()).is_empty());
}

fn a_compile_bomb_ends_itself() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    // Many functions of many loops: seconds of work in a few hundred kilobytes.
    let body = "(loop (br_if 0 (i32.eqz (i32.load (local.get 0)))))".repeat(400);
    let bomb = component(&format!("(func (param i32) {body})").repeat(600));
    let caps = Caps { cpu: Duration::from_secs(1), ..Caps::default() };
    let began = Instant::now();
    let fault = host()
        .load_cached(&bomb, Digest::of(&bomb), Bounds::default(), &cache, Some(&compiler("child", caps)))
        .unwrap_err();
    assert!(fault.kind == Kind::TooLarge && fault.says.contains("1 s of processor time"), "{}", fault.says);
    assert!(began.elapsed() < Duration::from_secs(30));
    let caps = Caps { memory_bytes: 64 << 20, ..Caps::default() };
    let fault = host()
        .load_cached(&bomb, Digest::of(&bomb), Bounds::default(), &cache, Some(&compiler("child", caps)))
        .unwrap_err();
    assert_eq!(fault.kind, Kind::TooLarge, "{}", fault.says);
}

fn a_child_that_is_stuck_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let caps = Caps { time: Duration::from_millis(200), ..Caps::default() };
    let began = Instant::now();
    let stuck = compiler("stuck", caps);
    let component = component("");
    let loaded = host().load_cached(&component, Digest::of(&component), Bounds::default(), &cache, Some(&stuck));
    let fault = loaded.unwrap_err();
    assert_eq!(fault.kind, Kind::TooLarge, "{}", fault.says);
    assert!(began.elapsed() < Duration::from_secs(20));
}
