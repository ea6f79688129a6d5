//! The loader answers whatever it is given: any text, and good configurations with pieces changed. And what the schema
//! says of a file is what the loader says of its shape.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_config::{load_str, schema};
use tidegate_core::Clock as _;
use tidegate_core::clock::SystemClock;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn env(name: &str) -> Option<String> {
    matches!(name, "PORT" | "UPSTREAM").then(|| "8080".to_owned())
}

fn good() -> Vec<(PathBuf, String)> {
    let names = ["quickstart", "acceptance", "bench", "reference"];
    names
        .map(|name| configs().join(format!("{name}.yaml")))
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// A report is sorted, has places within the text, and can be shown.
fn answers(text: &str) {
    match load_str(text, &configs().join("x.yaml"), &env) {
        Ok(loaded) => drop(tidegate_config::describe(&loaded.spec)),
        Err(report) => {
            assert!(!report.findings.is_empty());
            assert!(report.findings.iter().all(|finding| finding.line >= 1 && finding.column >= 1));
            drop((report.to_string(), serde_json::to_value(&report)));
        }
    }
}

/// Pieces that stand where they should not.
const PIECES: [&str; 16] =
    ["{", "}", "[", "]", ": ", "- ", "\n", "\t", "&a ", "*a", "!t ", "${env:", "\u{0}", "é", "---\n", "~"];

fn changed() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0usize..40, prop::option::of(prop::sample::select(&PIECES[..])));
    (prop::sample::select(good()), prop::collection::vec(change, 1..5)).prop_map(|((_, text), changes)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, cut, piece) in changes {
            let at = at.index(chars.len().max(1)).min(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, piece.unwrap_or("").chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_answered(text in "(\\PC|\n|\t|: |- ){0,200}") {
        answers(&text);
    }

    #[test]
    fn changed_configurations_are_answered(text in changed()) {
        answers(&text);
    }
}

#[test]
fn every_beginning_of_a_good_file_is_answered_and_none_leaves_the_gateway_open() {
    for (path, text) in good() {
        let whole = load_str(&text, &path, &env).unwrap().spec;
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).step_by(7) {
            if let Ok(part) = load_str(&text[..end], &path, &env) {
                assert_eq!(part.spec.keys.is_some(), whole.keys.is_some(), "{} cut at {end}", path.display());
            }
        }
    }
}

#[test]
fn large_and_twisted_files_are_answered_in_time() {
    let clock = SystemClock.wall();
    let many = |line: &dyn Fn(usize) -> String| {
        (0..)
            .map(line)
            .take_while({
                let mut size = 0;
                move |line: &String| {
                    size += line.len();
                    size < 200_000
                }
            })
            .collect::<String>()
    };
    answers(&format!("routes:\n{}", many(&|i| format!("  r{i}: {{model: m{i}, x: 1}}\n"))));
    answers(&format!("models:\n{}", many(&|i| format!("  m{i}: {{provider: p, price: {{input: x}}}}\n"))));
    answers(&many(&|i| format!("k{i}: 1\n")));
    answers(&"[".repeat(1 << 18));
    answers(&format!("a: {}", "{a: ".repeat(50_000)));
    answers(&"a: &a [x]\nb: *a\n".repeat(10_000));
    answers(&format!("listeners: {{a: {{address: \"{}\"}}}}", "x".repeat(900_000)));
    let took = clock.elapsed().unwrap();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Whether a value has the shape of a schema: types, fields, choices; not patterns and formats.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).ok_or(reference)?;
        return fits(value, target, root);
    }
    for choices in ["anyOf", "oneOf"].iter().filter_map(|name| schema[name].as_array()) {
        let misfits: Vec<String> = choices.iter().filter_map(|choice| fits(value, choice, root).err()).collect();
        if misfits.len() == choices.len() {
            return Err(misfits.join("; "));
        }
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        return Err(format!("{value} is not {constant}"));
    }
    if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        return Err(format!("{value} is not of {}", schema["enum"]));
    }
    // Of patterns, only the one that marks a reference decides between choices.
    if schema["pattern"] == "^\\$\\{" && value.as_str().is_some_and(|text| !text.starts_with("${")) {
        return Err(format!("{value} is no reference"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.is_empty() || types.contains(&is) || (is == "integer" && types.contains(&"number"));
    if !fits {
        return Err(format!("{value} is not of {types:?}"));
    }
    parts_fit(value, schema, root)
}

fn parts_fit(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    for (i, part) in value.as_array().into_iter().flatten().enumerate() {
        fits(part, &schema["items"], root).map_err(|fault| format!("[{i}]: {fault}"))?;
    }
    let Some(fields) =
        value.as_object().filter(|_| schema.get("properties").or(schema.get("additionalProperties")).is_some())
    else {
        return Ok(());
    };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            return Err(format!("{required} is missing"));
        }
    }
    for (name, part) in fields {
        let of_field = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
        if of_field == &Value::Bool(false) {
            return Err(format!("{name} is unknown"));
        }
        fits(part, of_field, root).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}

#[test]
fn good_files_have_the_shape_of_the_schema() {
    let schema = schema();
    for (path, text) in good() {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(fits(&value, &schema, &schema), Ok(()), "{}", path.display());
    }
}

#[test]
fn the_schema_finds_faults_of_shape() {
    let schema = schema();
    for name in ["type-number", "type-list", "unknown-field", "missing-field", "enum", "not-available"] {
        let text = fs::read_to_string(configs().join(format!("bad/{name}.yaml"))).unwrap();
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert!(fits(&value, &schema, &schema).is_err(), "{name}");
    }
}
