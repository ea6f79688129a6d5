//! Parts of a configuration that are somebody else's: any YAML as JSON. Owns which scalar is what in it, and that what comes
//! from references is not shown; what it means is for whom it is.

use crate::report::Notes;
use crate::shape::{Read, mismatch};
use crate::tree::{Kind, Node, Scalar};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// What stands for a text that comes from a reference.
const HIDDEN: &str = "***";

/// A map of whatever its reader takes.
#[derive(Debug)]
pub(crate) struct Json {
    /// It.
    pub(crate) value: Value,
    /// It with stars in the place of what comes from references.
    pub(crate) shown: Value,
}

impl Json {
    /// A map without entries.
    pub(crate) fn nothing() -> Self {
        let nothing = || Value::Object(Map::new());
        Self { value: nothing(), shown: nothing() }
    }
}

impl Read for Json {
    const TAKES_NOTHING: bool = true;

    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        match &node.kind {
            Kind::Null => Some(Self::nothing()),
            Kind::Map(_) => of(node, notes).map(|(value, shown)| Self { value, shown }),
            _ => {
                mismatch(node, "a map", notes);
                None
            }
        }
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}

/// The value, and as it is shown; every fault of it is noted.
fn of(node: &Node, notes: &mut Notes) -> Option<(Value, Value)> {
    match &node.kind {
        Kind::Null => Some((Value::Null, Value::Null)),
        Kind::Scalar(scalar) => {
            let Some(value) = scalar_of(scalar) else {
                notes
                    .fault(&node.at, format!("{} is no number of JSON", node.what()))
                    .remedy("write a finite number, or quote it if it is a text");
                return None;
            };
            let shown = if scalar.is_referred { Value::from(HIDDEN) } else { value.clone() };
            Some((value, shown))
        }
        Kind::List(nodes) => {
            let both: Vec<_> = nodes.iter().map(|node| of(node, notes)).collect();
            let (values, shown): (Vec<_>, Vec<_>) = both.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
            Some((Value::Array(values), Value::Array(shown)))
        }
        Kind::Map(entries) => {
            let both: Vec<_> = entries.iter().map(|entry| Some((&entry.key, of(&entry.node, notes)?))).collect();
            let (mut values, mut shown) = (Map::new(), Map::new());
            for (key, (value, face)) in both.into_iter().collect::<Option<Vec<_>>>()? {
                values.insert(key.clone(), value);
                shown.insert(key.clone(), face);
            }
            Some((Value::Object(values), Value::Object(shown)))
        }
        Kind::Faulty => None,
    }
}

/// By YAML's core schema: a plain scalar may be a number or a boolean, a quoted one is a text. `None` is a number that JSON
/// does not have.
fn scalar_of(scalar: &Scalar) -> Option<Value> {
    let text = scalar.value.as_str();
    if !scalar.is_plain {
        return Some(Value::from(text));
    }
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return None,
        text if matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF") => return None,
        text if is_number(text) => number(text)?,
        text => by_radix(text).map_or_else(|| Value::from(text), Value::from),
    })
}

/// A whole number of base 16 or 8.
fn by_radix(text: &str) -> Option<i64> {
    let (digits, radix) = text
        .strip_prefix("0x")
        .map(|digits| (digits, 16))
        .or_else(|| text.strip_prefix("0o").map(|digits| (digits, 8)))?;
    digits.chars().all(|digit| digit.is_digit(radix)).then(|| i64::from_str_radix(digits, radix).ok())?
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.parse::<f64>().is_ok()
}

fn number(text: &str) -> Option<Value> {
    let whole = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = whole.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = whole.parse::<u64>() {
        return Some(number.into());
    }
    Number::from_f64(whole.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;
    use crate::tree::parse;
    use serde_json::json;

    fn read(text: &str) -> Result<Json, String> {
        let mut notes = Notes::default();
        let node = parse(0, text, &mut notes);
        let json = Json::read(&node, &mut notes);
        match json.filter(|_| !notes.has_faults()) {
            Some(json) => Ok(json),
            None => Err(notes.settle(&Sources::of("x.yaml", text)).0.to_string()),
        }
    }

    #[test]
    fn scalars_are_what_yaml_says() {
        let text = "a: [1, -2, +3, 1.5, 1e3, .5, 18446744073709551615, 99999999999999999999, 0x1F, 0o17]\nb: ['1', \"true\", 1.2.3, 1x, 0y, v1]\n\
                    c: [true, False, ~, null, ]\nd: {e: {f: no}}\ng:\n";
        let expected = json!({
            "a": [1, -2, 3, 1.5, 1000.0, 0.5, u64::MAX, 1e20, 31, 15], "b": ["1", "true", "1.2.3", "1x", "0y", "v1"],
            "c": [true, false, null, null], "d": {"e": {"f": "no"}}, "g": null,
        });
        assert_eq!(read(text).unwrap().value, expected);
        assert_eq!(read("").unwrap().value, json!({}));
    }

    #[test]
    fn what_json_has_not_is_a_fault_at_its_place() {
        for (text, place) in [("a: .inf", "1:4"), ("a:\n  - -.Inf", "2:5"), ("a: .nan", "1:4"), ("a: 1e999", "1:4")] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(place) && fault.contains("no number of JSON"), "{text}: {fault}");
        }
        assert!(read("[1]").unwrap_err().contains("expected a map"));
        assert!(read("a: {b: 1, b: 2}").unwrap_err().contains("twice"));
    }
}
