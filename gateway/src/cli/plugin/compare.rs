//! What came back held against what was wanted: which values differ, and where. Owns the rules: of an object the fields that
//! are wanted count, of an array all, numbers are equal as numbers, and `{"$near": [VALUE, TOLERANCE]}` takes what is no
//! farther away.

use serde_json::Value;
use std::fmt::Write as _;

/// The key of a tolerance.
const NEAR: &str = "$near";

/// The longest value that is shown whole, in characters.
const SHOWN: usize = 120;

/// What differs, each with its place as a JSON pointer.
pub(super) fn differences(wanted: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(wanted, got, &mut String::new(), &mut found);
    found
}

/// What is wrong with something that is wanted, before anything came back.
pub(super) fn check(wanted: &Value) -> Result<(), String> {
    match wanted {
        Value::Array(values) => values.iter().try_for_each(check),
        Value::Object(fields) => match fields.keys().find(|key| key.starts_with('$')) {
            None => fields.values().try_for_each(check),
            Some(_) => near(wanted).map(|_| ()).ok_or_else(|| {
                format!("`{}` is nothing that can be wanted: only {{\"{NEAR}\": [VALUE, TOLERANCE]}} is", short(wanted))
            }),
        },
        _ => Ok(()),
    }
}

/// The value and the tolerance of a tolerance.
fn near(wanted: &Value) -> Option<(f64, f64)> {
    let fields = wanted.as_object().filter(|fields| fields.len() == 1)?;
    match fields.get(NEAR)?.as_array()?.as_slice() {
        [value, tolerance] => Some((value.as_f64()?, tolerance.as_f64().filter(|tolerance| *tolerance >= 0.0)?)),
        _ => None,
    }
}

fn compare(wanted: &Value, got: &Value, place: &mut String, found: &mut Vec<String>) {
    if let Some((value, tolerance)) = near(wanted) {
        if !got.as_f64().is_some_and(|got| (got - value).abs() <= tolerance) {
            found.push(format!("{}: wanted {value} ± {tolerance}, got {}", shown(place), short(got)));
        }
        return;
    }
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(fields)) => {
            for (name, wanted) in wanted {
                let whole = place.len();
                place.push('/');
                place.push_str(&name.replace('~', "~0").replace('/', "~1"));
                match fields.get(name) {
                    Some(got) => compare(wanted, got, place, found),
                    None => found.push(format!("{}: wanted {}, and it is not there", shown(place), short(wanted))),
                }
                place.truncate(whole);
            }
        }
        (Value::Array(wanted), Value::Array(values)) => {
            if wanted.len() != values.len() {
                found.push(format!("{}: wanted {} entries, got {}", shown(place), wanted.len(), values.len()));
            }
            for (at, (wanted, got)) in wanted.iter().zip(values).enumerate() {
                let whole = place.len();
                write!(place, "/{at}").unwrap_or_default();
                compare(wanted, got, place, found);
                place.truncate(whole);
            }
        }
        _ if is_equal(wanted, got) => {}
        _ => found.push(format!("{}: wanted {}, got {}", shown(place), short(wanted), short(got))),
    }
}

fn is_equal(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Number(a), Value::Number(b)) => a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()),
        _ => wanted == got,
    }
}

fn shown(place: &str) -> &str {
    if place.is_empty() { "the output" } else { place }
}

/// A value in a line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wanted_is_there() {
        for (wanted, got) in [
            (json!({"a": 1}), json!({"a": 1.0, "b": "more"})),
            (json!({"a": {"$near": [2, 0.1]}}), json!({"a": 2.05})),
            (json!([{"a": null}, {}]), json!([{"a": null}, {"x": 1}])),
            (json!(18_446_744_073_709_551_615u64), json!(18_446_744_073_709_551_615u64)),
        ] {
            assert_eq!(differences(&wanted, &got), [""; 0], "{wanted} {got}");
        }
    }

    #[test]
    fn differences_have_their_place() {
        for (wanted, got, says) in [
            (json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]}), "/a/0/b: wanted 1, got 2"),
            (json!({"a/b": 1}), json!({}), "/a~1b: wanted 1, and it is not there"),
            (json!([1]), json!([1, 2]), "the output: wanted 1 entries, got 2"),
            (json!([{"$near": [1, 0.5]}]), json!([1.6]), "/0: wanted 1 ± 0.5, got 1.6"),
            (json!({"$near": [1, 0.5]}), json!(null), "the output: wanted 1 ± 0.5, got null"),
            (json!("pass"), json!({"pass": 1}), "the output: wanted \"pass\", got {\"pass\":1}"),
            (
                json!(18_446_744_073_709_551_615u64),
                json!(18_446_744_073_709_551_614u64),
                "the output: wanted 18446744073709551615, got 18446744073709551614",
            ),
        ] {
            assert_eq!(differences(&wanted, &got), [says]);
        }
        let long = differences(&json!("ä"), &json!("ä".repeat(500))).remove(0);
        assert!(long.ends_with('…') && long.chars().count() < 200, "{long}");
    }

    #[test]
    fn only_what_can_be_wanted_is_taken() {
        assert!(check(&json!({"a": [{"$near": [1, 0]}]})).is_ok());
        for bad in [
            json!({"$naer": [1, 0]}),
            json!([{"$near": [1]}]),
            json!({"$near": [1, -1]}),
            json!({"$near": ["1", 0]}),
            json!({"$near": [1, 0], "a": 1}),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
