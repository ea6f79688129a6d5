//! How two texts differ, without asking anybody: to the byte, but for how they are written, and field by field where both
//! are JSON.

use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_storage::shadows::Compared;

/// The most paths that are named.
const MOST: usize = 20;

/// Compares the shadow's text with the caller's. Numbers in JSON are the same where they differ by at most `tolerance` of
/// the larger one.
pub(super) fn compare(shadow: &str, primary: &str, tolerance: f64) -> Compared {
    let fields = match (serde_json::from_str::<Value>(shadow), serde_json::from_str::<Value>(primary)) {
        (Ok(a), Ok(b)) => {
            let mut paths = Vec::new();
            differ(&a, &b, tolerance, "", &mut paths);
            Some(paths)
        }
        _ => None,
    };
    Compared {
        exact: shadow == primary,
        normalised: normalised(shadow) == normalised(primary),
        fields,
        similarity: None,
        judged: None,
    }
}

/// The outputs of the answers of two classic models, as JSON that tells them by their names: what the caller got, and the
/// same of the shadow. What a shadow answers beside that says nothing, since a graph may answer less than its models do;
/// outputs without a name in common stand for each other by their places.
pub(super) fn outputs(shadow: &[Bytes], primary: &[Bytes]) -> (String, String) {
    let (shadow, primary) = (named(shadow), named(primary));
    let has_any = shadow.iter().any(|(name, _)| primary.iter().any(|(other, _)| other == name));
    let by_place = !has_any && shadow.len() == primary.len();
    if primary.is_empty() {
        // Nothing to agree with: a shadow that has outputs says something else.
        return (Value::Object(shadow.into_iter().collect()).to_string(), Value::Object(Map::new()).to_string());
    }
    let own = primary.iter().enumerate().filter_map(|(place, (name, _))| {
        let found =
            shadow.iter().enumerate().find(|(at, (other, _))| if by_place { *at == place } else { other == name });
        found.map(|(_, (_, output))| (name.clone(), output.clone()))
    });
    let own: Map<String, Value> = own.collect();
    (Value::Object(own).to_string(), Value::Object(primary.into_iter().collect()).to_string())
}

/// The outputs of an answer, each with its name.
fn named(parts: &[Bytes]) -> Vec<(String, Value)> {
    let answer: Value = serde_json::from_slice(&parts.concat()).unwrap_or_default();
    let Some(Value::Array(outputs)) = answer.get("outputs") else { return Vec::new() };
    let one = |output: &Value| {
        let name = output.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let told =
            ["datatype", "shape", "data"].map(|part| (part.to_owned(), output.get(part).cloned().unwrap_or_default()));
        (name, Value::Object(told.into_iter().collect()))
    };
    outputs.iter().map(one).collect()
}

/// In lower case, words with one space between, without punctuation around them.
fn normalised(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The JSON pointers at which two values differ.
fn differ(a: &Value, b: &Value, tolerance: f64, path: &str, paths: &mut Vec<Arc<str>>) {
    if paths.len() >= MOST {
        return;
    }
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let below = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                match (left.get(name), right.get(name)) {
                    (Some(a), Some(b)) => differ(a, b, tolerance, &below, paths),
                    _ => add(paths, &below),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (a, b)) in left.iter().zip(right).enumerate() {
                differ(a, b, tolerance, &format!("{path}/{at}"), paths);
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap_or(f64::NAN), right.as_f64().unwrap_or(f64::NAN));
            let is_same = (left - right).abs() <= tolerance * left.abs().max(right.abs());
            if !is_same {
                add(paths, path);
            }
        }
        _ if a == b => {}
        _ => add(paths, path),
    }
}

fn add(paths: &mut Vec<Arc<str>>, path: &str) {
    if paths.len() < MOST {
        paths.push(path.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_to_the_byte_or_but_for_their_writing() {
        let is = |a, b| {
            let compared = compare(a, b, 0.0);
            (compared.exact, compared.normalised)
        };
        assert_eq!(is("Yes.", "Yes."), (true, true));
        assert_eq!(is("Yes, it  is.", "yes it is"), (false, true));
        assert_eq!(is("yes", "no"), (false, false));
        assert_eq!(is("C++", "C"), (false, true), "punctuation around words counts for nothing");
        assert!(compare("yes", "no", 0.0).fields.is_none());
    }

    #[test]
    fn outputs_are_told_by_their_names_and_what_nobody_got_says_nothing() {
        let answer = |outputs: &[(&str, &str)]| {
            let one = |(name, data): &(&str, &str)| {
                format!(r#"{{"name": "{name}", "datatype": "FP32", "shape": [1], "data": [{data}]}}"#)
            };
            let outputs: Vec<String> = outputs.iter().map(one).collect();
            vec![Bytes::from(format!(r#"{{"outputs": [{}]}}"#, outputs.join(",")))]
        };
        let differ = |shadow: &[(&str, &str)], primary: &[(&str, &str)]| {
            let (own, theirs) = outputs(&answer(shadow), &answer(primary));
            let paths = compare(&own, &theirs, 0.01).fields.unwrap();
            paths.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let all = [("label", "1"), ("p", "0.5")];
        assert!(differ(&all, &[("p", "0.501")]).is_empty());
        assert_eq!(differ(&all, &[("p", "0.6"), ("label", "1")]), ["/p/data/0"]);
        assert_eq!(differ(&[("p", "0.5")], &all), ["/label"]);
        assert!(differ(&[("y", "2")], &[("p", "2")]).is_empty());
        assert_eq!(differ(&[("y", "2")], &[("p", "3")]), ["/p/data/0"]);
        assert_eq!(differ(&[("y", "2")], &all), ["/label", "/p"]);
        // What has no outputs agrees with nothing that has some.
        assert_eq!(differ(&all, &[]), ["/label", "/p"]);
    }

    #[test]
    fn json_is_compared_field_by_field_with_a_tolerance() {
        let fields = |a, b, tolerance| compare(a, b, tolerance).fields.unwrap();
        assert!(fields(r#"{"a": 1, "b": [1, 2]}"#, r#"{"b": [1, 2.0], "a": 1.0}"#, 0.0).is_empty());
        let paths = fields(r#"{"a": 1, "b": [1, 2], "c/d": 1}"#, r#"{"a": 2, "b": [1, 3], "e": 1}"#, 0.0);
        assert_eq!(paths.iter().map(|path| &**path).collect::<Vec<_>>(), ["/a", "/b/1", "/c~1d", "/e"]);
        assert!(fields(r#"{"a": 100}"#, r#"{"a": 101}"#, 0.01).is_empty());
        assert_eq!(fields(r#"{"a": 100}"#, r#"{"a": 102}"#, 0.01).len(), 1);
        assert_eq!(fields("[1, 2]", "[1]", 0.5), [Arc::from("")]);
        let many = format!("[{}]", vec!["1"; 50].join(","));
        assert_eq!(fields(&many, &many.replace('1', "2"), 0.0).len(), MOST);
    }
}
