//! `tidegate plugin`: what authors do with it, on the components that are committed. Building scaffolds needs a compiler for
//! WebAssembly, and is `tests/plugins/scaffolds`.

use crate::harness::Home;
use crate::harness::home::{PROGRAM, Ran, repository};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The drift plugin as it is committed.
fn drift() -> PathBuf {
    repository().join("plugins/dist/drift.wasm")
}

fn plugin(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = home.command(PROGRAM);
    command.arg("plugin").args(arguments);
    Ran::of(command.output().expect("the program runs"))
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// A window in which the amounts have moved, and one in which they have not.
fn window(moved: bool) -> Value {
    let reference: Vec<f64> = (0..200).map(|row| f64::from(row % 20)).collect();
    let current: Vec<f64> = reference.iter().map(|value| if moved { value + 30.0 } else { *value }).collect();
    json!({"reference": {"amount": reference}, "current": {"amount": current}})
}

const CONFIG: &str = r#"{"tests": [{"column": "amount", "test": "psi", "threshold": 0.2, "name": "psi"}]}"#;

#[test]
fn a_scaffold_has_the_contract_and_is_never_written_over() {
    let home = Home::new();
    for world in [
        "drift",
        "fairness",
        "rag",
        "validator",
        "request-filter",
        "response-filter",
        "stream-filter",
        "filter",
        "guardrail",
        "router",
    ] {
        let name = format!("my-{world}");
        let ran = plugin(&home, &["new", "--world", world, &name]);
        assert_eq!(ran.code(), 0, "{world}: {}", ran.err());
        assert!(ran.out().contains("tidegate plugin build"), "{}", ran.out());
        for file in ["types.wit", "host.wit", "worlds.wit"] {
            let ours = std::fs::read_to_string(repository().join("wit").join(file)).unwrap();
            assert_eq!(home.read(&format!("{name}/wit/{file}")), ours, "{world}: {file}");
        }
        let readme = home.read(&format!("{name}/README.md"));
        assert!(readme.starts_with(&format!("# {name}\n")) && !readme.contains("{{"), "{readme}");
        let again = plugin(&home, &["new", "--world", world, &name]);
        assert!(again.code() == 2 && again.err().contains("not empty"), "{}", again.err());
    }
    for bad in [&["new", "--world", "drift", "../up"][..], &["new", "--world", "weather", "mine"], &["new", "mine"]] {
        assert_eq!(plugin(&home, bad).code(), 2, "{bad:?}");
    }
    let elsewhere = plugin(&home, &["new", "--world", "rag", "mine", "--dir", "a/b"]);
    assert_eq!(elsewhere.code(), 0, "{}", elsewhere.err());
    assert!(home.read("a/b/Cargo.toml").contains("name = \"mine\""));
}

#[test]
fn a_component_is_looked_at_and_run() {
    let home = Home::new();
    let inspected = plugin(&home, &["inspect", text(&drift()), "--json"]);
    let about: Value = serde_json::from_str(&inspected.out()).expect("JSON");
    assert_eq!((inspected.code(), &about["world"], &about["name"]), (0, &json!("drift-plugin"), &json!("drift")));
    let sums = std::fs::read_to_string(repository().join("plugins/dist/SHA256SUMS")).unwrap();
    assert!(sums.contains(about["sha256"].as_str().unwrap()), "{about}");

    home.write("window.json", &window(true).to_string());
    home.write("config.json", CONFIG);
    let ran = plugin(&home, &["run", text(&drift()), "--input", "window.json", "--config", "config.json", "--json"]);
    let done: Value = serde_json::from_str(&ran.out()).expect("JSON");
    let measurement = &done["report"]["measurements"][0];
    assert_eq!((ran.code(), &measurement["name"], &measurement["breached"]), (0, &json!("psi"), &json!(true)));
    assert!(done["took_us"].is_u64());

    home.write("window.json", "{\"reference\": {}}");
    let ran = plugin(&home, &["run", text(&drift()), "--input", "window.json"]);
    assert!(ran.code() == 2 && ran.err().contains("`current`"), "{}", ran.err());
}

/// The drift plugin with a section of 5 MiB behind it that means nothing.
fn large() -> Vec<u8> {
    const LENGTH: usize = 5 << 20;
    let leb = [0x80, 0x80, 0xc0, 0x02];
    let mut bytes = std::fs::read(drift()).expect("the component is committed");
    bytes.extend([&[0][..], &leb, &[1, b'x']].concat());
    bytes.resize(bytes.len() + LENGTH - 2, 0);
    bytes
}

#[test]
fn a_component_that_is_larger_than_most_is_compiled_once_where_that_is_said() {
    let home = Home::new();
    std::fs::write(home.path().join("large.wasm"), large()).unwrap();
    home.write("window.json", &window(true).to_string());
    home.write("config.json", CONFIG);
    let tried = |arguments: &[&str]| {
        let mut command = home.command(PROGRAM);
        command.env("XDG_CACHE_HOME", home.path().join("cache")).arg("plugin").args(arguments);
        Ran::of(command.output().expect("the program runs"))
    };
    let refused = tried(&["inspect", "large.wasm"]);
    assert!(refused.code() == 2 && refused.err().contains("raise its limit `size`"), "{}", refused.err());
    let run = ["run", "large.wasm", "--input", "window.json", "--config", "config.json", "--json"];
    let limits = ["--size", "6MiB", "--modules", "64", "--table", "65536", "--memory", "256MiB", "--wasi", "minimal"];
    let kept = || {
        let files = std::fs::read_dir(home.path().join("cache/tidegate/plugins")).expect("a cache is there");
        let modified = files.filter_map(|file| {
            let file = file.expect("it can be listed");
            let is_code = file.path().extension().is_some_and(|extension| extension == "code");
            is_code.then(|| file.metadata().expect("it is there").modified().expect("a time"))
        });
        modified.collect::<Vec<_>>()
    };
    let (mut said, mut compiled) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let ran = tried(&[&run[..], &limits].concat());
        assert_eq!(ran.code(), 0, "{}", ran.err());
        said.push(serde_json::from_str::<Value>(&ran.out()).expect("JSON")["report"].clone());
        compiled.push(kept());
    }
    assert_eq!(said[0], said[1]);
    assert!(compiled[0].len() == 1 && compiled[0] == compiled[1], "{compiled:?}");
    for bad in [["--size", "6MB"], ["--size", "0MiB"], ["--modules", "129"], ["--wasi", "full"], ["--deadline", "5"]] {
        assert_eq!(tried(&[&["inspect", "large.wasm"][..], &bad].concat()).code(), 2, "{bad:?}");
    }
}

#[test]
fn fixtures_are_held_against_what_comes_back() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("mine/fixtures")).unwrap();
    std::fs::copy(drift(), home.path().join("mine/mine.wasm")).unwrap();
    let config: Value = serde_json::from_str(CONFIG).unwrap();
    let fixture = |name: &str, moved: bool, rest: Value| {
        let mut fixture = json!({"config": config, "input": window(moved)});
        fixture.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        home.write(&format!("mine/fixtures/{name}.json"), &fixture.to_string());
    };
    let measured = |rest: Value| json!({"output": {"measurements": [rest, {"name": "drifted_share"}]}});
    fixture("moved", true, measured(json!({"name": "psi", "breached": true, "severity": "alert"})));
    fixture("same", false, measured(json!({"value": {"$near": [0, 1e-6]}, "breached": false})));
    fixture("refused", true, json!({"config": {"test": []}, "refused": "unknown field"}));
    let ran = plugin(&home, &["test", "mine"]);
    assert_eq!(ran.code(), 0, "{}{}", ran.out(), ran.err());
    let out = ran.out();
    assert!(out.contains("3 passed, 0 failed") && out.contains("µs") && out.contains("fuel"), "{out}");

    // The same number twice: what is counted does not depend on the machine's mood.
    let fuel = |out: &str| {
        let line = out.lines().find(|line| line.contains(" same ")).expect("a line of the fixture").to_owned();
        line.split_whitespace().rev().nth(1).expect("a number").to_owned()
    };
    assert_eq!(fuel(&out), fuel(&plugin(&home, &["test", "mine/mine.wasm"]).out()));

    fixture("wrong", true, measured(json!({"name": "psi", "breached": false, "value": {"$near": [0, 1e-6]}})));
    fixture("late", true, json!({"refused": "nothing of the kind"}));
    let ran = plugin(&home, &["test", "mine"]);
    let out = ran.out();
    assert_eq!(ran.code(), 1, "{out}");
    assert!(out.contains("/measurements/0/breached: wanted false, got true"), "{out}");
    assert!(out.contains("/measurements/0/value: wanted 0 ± 0.000001, got"), "{out}");
    assert!(out.contains("3 passed, 2 failed"), "{out}");

    home.write("mine/fixtures/broken.json", "{\"input\": {}}");
    let ran = plugin(&home, &["test", "mine"]);
    assert!(ran.code() == 2 && ran.err().contains("broken.json"), "{}", ran.err());
    std::fs::create_dir(home.path().join("none")).unwrap();
    assert_eq!(plugin(&home, &["test", "none"]).code(), 2);
    assert_eq!(plugin(&home, &["test", text(&drift()), "--fixtures", "none"]).code(), 2);
}

#[test]
fn a_bench_says_how_long_calls_take() {
    let home = Home::new();
    home.write("fixture.json", &json!({"config": {"alpha": 0.01}, "input": window(true), "output": {}}).to_string());
    let file = drift();
    let arguments = ["bench", text(&file), "--input", "fixture.json", "--calls", "20", "--warm-up", "2"];
    let ran = plugin(&home, &arguments);
    let out = ran.out();
    assert_eq!(ran.code(), 0, "{}", ran.err());
    for part in ["drift-plugin, 20 calls", "min ", "median ", "p99 ", "of memory"] {
        assert!(out.contains(part), "no `{part}` in {out}");
    }
    home.write("fixture.json", "{\"messages\": []}");
    assert_eq!(plugin(&home, &arguments).code(), 2);
}

#[test]
fn signatures_hold_as_long_as_the_component_does() {
    let home = Home::new();
    std::fs::copy(drift(), home.path().join("mine.wasm")).unwrap();
    let made = plugin(&home, &["keygen", "key.pem"]);
    let said = made.out();
    let key = said.trim().strip_prefix("signed_by: \"").and_then(|rest| rest.strip_suffix('"')).expect("a public key");
    assert_eq!((made.code(), key.len()), (0, 44));
    assert_eq!(plugin(&home, &["keygen", "key.pem"]).code(), 2, "a key was written over");
    let signed = plugin(&home, &["sign", "mine.wasm", "--key", "key.pem"]);
    assert!(signed.code() == 0 && signed.out().contains(key), "{}{}", signed.out(), signed.err());
    assert_eq!(home.read("mine.wasm.sig").trim().len(), 88);
    assert_eq!(plugin(&home, &["verify", "mine.wasm", "--key", key]).code(), 0);
    let other = plugin(&home, &["keygen", "other.pem"]).out();
    let other = other.trim().trim_start_matches("signed_by: ").trim_matches('"');
    assert_eq!(plugin(&home, &["verify", "mine.wasm", "--key", other]).code(), 1);
    let mut bytes = std::fs::read(drift()).unwrap();
    bytes.push(0);
    std::fs::write(home.path().join("mine.wasm"), bytes).unwrap();
    assert_eq!(plugin(&home, &["verify", "mine.wasm", "--key", key]).code(), 1);
    assert_eq!(plugin(&home, &["verify", "none.wasm", "--key", key]).code(), 2);
    assert_eq!(plugin(&home, &["sign", "mine.wasm", "--key", "mine.wasm"]).code(), 2);
}

#[test]
fn what_cannot_be_packed_or_built_says_how_to_go_on() {
    let home = Home::new();
    let ran = plugin(&home, &["pack", text(&drift()), "-o", "out.wasm"]);
    assert!(ran.code() == 2 && ran.err().contains("component already"), "{}", ran.err());
    assert!(!home.path().join("out.wasm").exists());
    home.write("empty.wasm", "hello");
    assert_eq!(plugin(&home, &["pack", "empty.wasm", "-o", "out.wasm"]).code(), 2);
    assert!(plugin(&home, &["build", "."]).err().contains("no Cargo.toml"));
    // A compiler without the target, and no other one.
    assert_eq!(plugin(&home, &["new", "--world", "drift", "mine"]).code(), 0);
    let mut command = home.command(PROGRAM);
    command.env("RUSTC", "/bin/false").env("TIDEGATE_CACHE", home.path()).args(["plugin", "build", "mine"]);
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code(), 2, "{}", ran.out());
    for part in ["rustup target add wasm32-unknown-unknown", "apt-get download rustc-web", "--rustc PATH"] {
        assert!(ran.err().contains(part), "no `{part}` in {}", ran.err());
    }
}
