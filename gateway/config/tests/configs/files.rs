//! Every file of `configs/` is a case: the good ones load, each of the bad ones has exactly the report that lies beside
//! it. After a wanted change, `cargo test -p tidegate-config --test configs -- --ignored` writes reports and schema anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tidegate_config::{Loaded, Report, describe, load, schema};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// What `bench.yaml` needs, and nothing else: no other file may depend on the environment.
fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".to_owned()),
        "UPSTREAM" => Some("9000".to_owned()),
        _ => None,
    }
}

/// The good files, without those that are key files.
fn good() -> Vec<PathBuf> {
    files(&configs()).into_iter().filter(|path| !path.to_string_lossy().ends_with(".keys.yaml")).collect()
}

fn loaded(name: &str) -> Loaded {
    load(&configs().join(name), &env).unwrap_or_else(|report| panic!("{report}"))
}

/// The report as `tidegate check configs/bad/NAME` prints it at the root of the repository.
fn shown(report: &Report) -> String {
    report.to_string().replace(&format!("{}/", configs().display()), "configs/")
}

fn report_of(path: &Path) -> Report {
    match load(path, &env) {
        Ok(_) => panic!("{} has no fault", path.display()),
        Err(report) => report,
    }
}

#[test]
fn every_good_file_loads_and_describes_itself() {
    for path in good() {
        let loaded = load(&path, &env).unwrap_or_else(|report| panic!("{report}"));
        let described = describe(&loaded.spec);
        assert!(described["routes"].as_object().is_some_and(|routes| !routes.is_empty()), "{}", path.display());
        assert_eq!(loaded.spec.hash.len(), 16);
        assert!(loaded.files.contains(&path));
    }
}

#[test]
fn only_the_published_token_is_warned_of() {
    for path in good() {
        let loaded = load(&path, &env).unwrap();
        let warnings: Vec<&str> = loaded.warnings.iter().map(|finding| finding.message.as_str()).collect();
        let expected: &[&str] =
            if path.ends_with("acceptance.yaml") { &["the admin token stands in the file itself"] } else { &[] };
        assert_eq!(warnings, expected, "{}", path.display());
    }
}

#[test]
fn acceptance_has_the_key_and_the_routes_that_the_suites_use() {
    let spec = loaded("acceptance.yaml").spec;
    let routes: Vec<&str> = spec.routes.keys().map(tidegate_core::RouteName::as_str).collect();
    assert_eq!(routes, ["iris", "minilm", "mock", "smollm2"]);
    let key = &spec.keys.unwrap().keys[0];
    assert_eq!(key.digest, tidegate_core::digest::Digest::of(b"sk-test"));
    assert_eq!(spec.admin.unwrap().token.unwrap().expose(), "open-sesame");
    assert_ne!(spec.models["mock"].upstream, "mock");
}

#[test]
fn bench_takes_its_addresses_from_the_environment() {
    let spec = loaded("bench.yaml").spec;
    assert_eq!(spec.listeners[0].address.port(), 8080);
    assert!(
        describe(&spec)["providers"]["upstream"]["openai"]["endpoints"][0]["url"].as_str().unwrap().contains(":9000")
    );
    assert_eq!(spec.routes["mock-model"].variants.len(), 2);
    assert!(load(&configs().join("bench.yaml"), &|_| None).is_err());
}

#[test]
fn secrets_are_not_described() {
    let path = configs().join("reference.yaml");
    let spec = load(&path, &|name| (name == "POOL_KEY").then(|| "s3cret".to_owned())).unwrap().spec;
    let text = describe(&spec).to_string();
    assert!(!text.contains("s3cret") && !text.contains("example only") && !text.contains("change-me"), "{text}");
    assert!(text.contains("***") && !format!("{spec:?}").contains("s3cret"));
}

#[test]
fn the_reference_says_what_the_defaults_are() {
    // Lines marked as default can be left out without a change of the effective configuration.
    let text = fs::read_to_string(configs().join("reference.yaml")).unwrap();
    let origin = configs().join("reference.yaml");
    let effective = |text: &str| {
        let mut value = describe(
            &tidegate_config::load_str(text, &origin, &|_| None).unwrap_or_else(|report| panic!("{report}")).spec,
        );
        value["hash"].take();
        value
    };
    let shorter: Vec<&str> = text.lines().filter(|line| !line.contains("# default") || line.contains("otlp")).collect();
    assert!(shorter.len() + 20 < text.lines().count());
    assert_eq!(effective(&shorter.join("\n")), effective(&text));
}

#[test]
fn every_bad_file_has_its_report() {
    let bad = files(&configs().join("bad"));
    assert_eq!(bad.len(), 43);
    for path in bad {
        let report = report_of(&path);
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(shown(&report), expected, "{}", path.display());
        let is_twelve = path.ends_with("twelve.yaml");
        assert_eq!(report.findings.len(), if is_twelve { 12 } else { 1 }, "{}", path.display());
        assert!(report.findings.is_sorted_by_key(|finding| (finding.line, finding.column)));
        assert!(!expected.contains("sk-very-secret"));
    }
}

#[test]
fn twelve_faults_stand_in_six_sections() {
    let report = report_of(&configs().join("bad/twelve.yaml"));
    let mut sections: Vec<&str> =
        report.findings.iter().filter_map(|finding| finding.path.split(['.', '[']).next()).collect();
    sections.dedup();
    assert_eq!(sections, ["listeners", "store", "providers", "models", "routes", "limits"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json[0]["path"], "listeners.public.max_body");
    assert_eq!(json[0]["line"], 6);
}

#[test]
fn the_published_schema_is_up_to_date() {
    let published: Value = serde_json::from_str(&fs::read_to_string(configs().join("schema.json")).unwrap()).unwrap();
    assert_eq!(published, schema());
}

#[test]
#[ignore = "it writes what the other tests compare with"]
fn write_expected() {
    for path in files(&configs().join("bad")) {
        fs::write(path.with_extension("expected"), shown(&report_of(&path))).unwrap();
    }
    fs::write(configs().join("schema.json"), format!("{:#}\n", schema())).unwrap();
}
