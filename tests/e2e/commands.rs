//! The commands beside `serve`: what they print, where, and how they end.

use crate::harness::home::repository;
use crate::harness::{Home, Stage};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    files
}

fn is_configuration(path: &std::path::Path) -> bool {
    // Keys lie beside the configurations that name them.
    !path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("keys"))
}

fn check(home: &Home, file: &std::path::Path, format: &[&str]) -> crate::harness::home::Ran {
    let mut command = home.command(crate::harness::home::PROGRAM);
    // The examples name these; the addresses are only read, not called.
    for (name, value) in [
        ("MOCK_UPSTREAM", "http://127.0.0.1:9/v1"),
        ("PORT", "8090"),
        ("UPSTREAM", "9100"),
        ("KEY", "k"),
        ("PD_KEY", "k"),
        ("OPENAI_API_KEY", "k"),
        ("AZURE_KEY", "k"),
    ] {
        command.env(name, value);
    }
    command.current_dir(repository()).arg("check").arg(file).args(format);
    crate::harness::home::Ran::of(command.output().expect("the program runs"))
}

#[test]
fn every_example_is_right() {
    let home = Home::new();
    let files: Vec<PathBuf> = yaml_files("configs").into_iter().filter(|path| is_configuration(path)).collect();
    let names: BTreeSet<String> =
        files.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for wanted in ["quickstart", "acceptance", "bench", "reference"] {
        assert!(names.contains(wanted), "configs/{wanted}.yaml is not there");
    }
    for file in files {
        let ran = check(&home, &file, &[]);
        assert_eq!(ran.code(), 0, "{}:\n{}{}", file.display(), ran.out(), ran.err());
    }
}

#[test]
fn every_bad_example_is_refused_with_its_place() {
    let home = Home::new();
    let files = yaml_files("configs/bad");
    assert!(files.len() >= 21, "20 files with one fault each and one with 12 are wanted; there are {}", files.len());
    for file in files {
        let ran = check(&home, &file, &[]);
        let told = format!("{}{}", ran.out(), ran.err());
        assert_eq!(ran.code(), 2, "{}:\n{told}", file.display());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(told.lines().any(|line| line.contains(&format!("{name}:"))), "no place in {name}:\n{told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[test]
fn the_schema_is_one() {
    let ran = Home::new().run(&["schema"]);
    let schema: Value = serde_json::from_str(&ran.out()).expect("JSON");
    assert_eq!(ran.code(), 0);
    assert!(schema["$schema"].is_string() && schema["properties"]["routes"].is_object(), "{schema}");
}

#[test]
fn wrong_arguments_and_configurations_end_with_two() {
    let home = Home::new();
    home.write("bad.yaml", "routes: {x: {modle: y}}\n");
    for arguments in [
        &["check", "bad.yaml"][..],
        &["check", "no-such-file.yaml"],
        &["serve", "--config", "bad.yaml"],
        &["sreve"],
        &["key", "new"],
        &["events", "show", "no-id"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code(), 2, "{arguments:?}: {}{}", ran.out(), ran.err());
        assert!(!ran.err().is_empty() || !ran.out().is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn help_and_version_are_there_and_without_colours() {
    let home = Home::new();
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["pull", "--help"],
        &["key", "new", "--help"],
        &["events", "tail", "--help"],
        &["chat", "--help"],
        &["models"],
        &["version"],
        &["--version"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code(), 0, "{arguments:?}: {}", ran.err());
        assert!(ran.out().len() > 8 && !ran.out().contains('\u{1b}'), "{arguments:?}: {}", ran.out());
    }
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let home = Home::new();
    let secret = home.key(&["infer", "read"]);
    assert!(secret.starts_with("sk-") && secret.len() == 67, "{} characters", secret.len());
    let listed = home.run(&["key", "list", "--keys-file", "keys.yaml", "--json"]);
    let keys: Value = serde_json::from_str(&listed.out()).unwrap();
    let id = keys[0]["id"].as_str().unwrap().to_owned();
    assert!(!listed.out().contains(&secret) && !home.read("keys.yaml").contains(&secret));
    assert_eq!(home.run(&["key", "revoke", &id, "--keys-file", "keys.yaml"]).code(), 0);
    assert_eq!(home.run(&["key", "revoke", &id, "--keys-file", "keys.yaml"]).code(), 1);
    assert!(!home.run(&["key", "list", "--keys-file", "keys.yaml"]).out().contains(&id));
}

#[test]
fn a_model_that_is_not_known_is_refused_at_once() {
    let ran = Home::new().run(&["pull", "no-such-model"]);
    assert!(matches!(ran.code(), 1 | 2) && ran.err().contains("no-such-model"), "{} {}", ran.code(), ran.err());
}

#[tokio::test]
async fn a_chat_without_a_terminal_answers_once() {
    let stage = Stage::new().await;
    let key = stage.home.key(&["infer"]);
    let url = format!("http://{}", stage.gateway.address("public"));
    crate::harness::eventually("the key to be known", async || {
        (stage.client.with_key(&key).get("/v1/models").await.status() == 200).then_some(())
    })
    .await;
    let mut command = stage.home.command(crate::harness::home::PROGRAM);
    command
        .args(["chat", "mock", "--url", &url, "--key", &key])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let told = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"hello\n").unwrap();
        child.wait_with_output().unwrap()
    });
    let told = crate::harness::soon("the chat to end", told).await.unwrap();
    let out = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && out.contains("Hello"), "{out}{}", String::from_utf8_lossy(&told.stderr));
}
