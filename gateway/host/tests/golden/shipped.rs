//! What golden vectors do not ask of the components that ship: that a validator finds, that models which are denied are said to
//! be, and that small groups stay unseen. Owns these windows.

use serde_json::json;
use std::path::Path;
use tidegate_host::{Bounds, Host, Input, Limits, Output, Outside, Plugin, World};

/// A component of `plugins/dist`; these are committed.
fn shipped(name: &str) -> Plugin {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist").join(name).with_extension("wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let host = Host::new(Limits::default(), Outside::default()).expect("plugins can be run here");
    host.load(&bytes, Bounds::default()).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

#[test]
fn a_suite_is_held_against_a_table() {
    let plugin = shipped("schema-guard");
    let suite = json!({"expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "max_value": 2}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "x"}},
    ]});
    let input = |schema| Input::read(World::Validator, json!({"schema": schema, "data": {"x": [1, null, 3]}}));
    let done = plugin.call("{}", &input(suite).expect("a window")).expect("findings");
    let Output::Findings(findings) = done.output else { panic!("no findings") };
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].column.as_deref(), findings[0].sample_rows.as_slice()), (Some("x"), &[2][..]));
    let unknown = json!({"expectations": [{"type": "expect_column_to_shine", "kwargs": {"column": "x"}}]});
    let fault = plugin.call("{}", &input(unknown).expect("a window")).expect_err("it is not known");
    assert!(fault.says.contains("expect_column_to_shine is not known"), "{fault}");
}

#[test]
fn denied_models_are_said_to_be() {
    let sample =
        json!({"question": "q", "answer": "A cat.", "passages": [{"id": "p", "text": "a cat"}], "relevant_ids": ["p"]});
    let input = Input::read(World::Rag, json!({"samples": [sample]})).expect("a window");
    let done = shipped("rag-eval").call(r#"{"judge": {"model": "m"}}"#, &input).expect("reports");
    let Output::Reports(reports) = done.output else { panic!("no reports") };
    let detail = reports[0].detail.as_ref().expect("a detail");
    assert_eq!(detail["left_out"][0]["measure"], "faithfulness");
    assert!(reports[0].measurements.iter().any(|one| one.name == "id_recall" && one.value == Some(1.0)));
    assert_eq!((done.heard.host_calls, done.heard.lines.len()), (2, 1), "asked once, and said so once");
    let line = &done.heard.lines[0];
    assert!(line.level == "warn" && line.text.starts_with("left out: faithfulness, hallucination,"), "{line:?}");
}

#[test]
fn a_small_group_is_not_seen() {
    let (groups, predictions): (Vec<&str>, Vec<bool>) =
        (0..45).map(|row| (if row < 40 { ["f", "m"][row % 2] } else { "x" }, row % 3 == 0)).unzip();
    let roles = json!({"prediction": "p", "protected": ["g"], "positive": "true", "min_group_size": 10});
    let input = Input::read(World::Fairness, json!({"data": {"g": groups, "p": predictions}, "roles": roles}));
    let done = shipped("fairness").call("{}", &input.expect("a window")).expect("a report");
    let Output::Report(report) = done.output else { panic!("no report") };
    assert_eq!((report.measurements[0].name.as_str(), report.measurements[0].value), ("suppressed_groups", Some(1.0)));
    assert!(report.measurements.iter().all(|one| !one.name.ends_with(":x")));
}
