//! A caller's JSON schema made ready for the compiler: bounded, with objects closed where that is safe, and with our
//! own choice of white space. Whatever is valid against the result is valid against the original.

use super::bounds;
use serde_json::{Map, Value, json};

/// Members and items in all.
const MOST_PARTS: usize = 20_000;
/// How deep it may nest.
const DEEPEST: usize = 128;
/// Where the compiler looks for its options; a caller's own are not wanted.
const OPTIONS: &str = "x-guidance";
/// Between the parts of an answer: nothing, a blank, or a line break with an indent. Never a run without end.
const WHITE_SPACE: &str = r" |\r?\n {0,32}|\r?\n\t{0,8}";

/// Characters enough for any duration that is meant: a small model writes digits without end.
const LONGEST_DURATION: usize = 40;
/// A time of day, with an end to its fraction and without the second that is added to a few evenings, which no grammar
/// knows.
const TIME: &str =
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
/// A day of any year, so without the one of leap years.
const DAY: &str = "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";

/// Keywords whose value is a schema.
const ONE: [&str; 5] = ["items", "additionalProperties", "additionalItems", "unevaluatedProperties", "contains"];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["anyOf", "oneOf", "allOf", "prefixItems", "items"];
/// Keywords whose value holds schemas by name.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// The schema as the compiler shall see it.
pub(super) fn prepared(schema: &Value) -> Result<Value, String> {
    if !schema.is_object() {
        return Err("the schema must be a JSON object".into());
    }
    let mut left = MOST_PARTS;
    measure(schema, 0, &mut left)?;
    let mut schema = schema.clone();
    let closes = !combines(&schema);
    if !closes && schema.to_string().matches("\"multipleOf\":").count() > 1 {
        return Err(
            "multipleOf: it may stand but once in a schema with allOf, oneOf or `$ref` beside properties".into()
        );
    }
    narrow(&mut schema, closes);
    if let Some(root) = schema.as_object_mut() {
        root.insert(OPTIONS.into(), json!({"whitespace_pattern": WHITE_SPACE}));
    }
    Ok(schema)
}

/// Bounds size, depth, and the cost of patterns.
fn measure(value: &Value, depth: usize, left: &mut usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("the schema nests more than {DEEPEST} levels"));
    }
    let spend = |left: &mut usize, count: usize| {
        *left = left.checked_sub(count).ok_or_else(|| format!("the schema has more than {MOST_PARTS} parts"))?;
        Ok::<_, String>(())
    };
    match value {
        Value::Object(members) => {
            spend(left, members.len())?;
            for (key, value) in members {
                if let ("pattern", Value::String(pattern)) = (key.as_str(), value) {
                    bounds::regex(pattern).map_err(|problem| format!("pattern: {problem}"))?;
                }
                if let ("multipleOf", Value::Number(number)) = (key.as_str(), value) {
                    multiple(&number.to_string())?;
                }
                if let ("patternProperties", Value::Object(patterns)) = (key.as_str(), value) {
                    for pattern in patterns.keys() {
                        bounds::regex(pattern).map_err(|problem| format!("patternProperties: {problem}"))?;
                    }
                }
                measure(value, depth + 1, left)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            spend(left, items.len())?;
            items.iter().try_for_each(|item| measure(item, depth + 1, left))
        }
        _ => Ok(()),
    }
}

/// The compiler's automaton has a state for each remainder: too many for a number of many digits.
fn multiple(number: &str) -> Result<(), String> {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if digits.trim_matches('0').len() > 4 {
        return Err(format!("multipleOf: {number} has more than four digits that count"));
    }
    Ok(())
}

/// Whether schemas are laid over one another somewhere: an object that is closed alone would then shut out what the
/// other one wants, or tell apart what `oneOf` must not.
fn combines(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return false };
    let has = |key: &str| members.contains_key(key);
    let here = has("allOf") || has("oneOf") || has("properties") && (has("anyOf") || has("$ref"));
    here || parts(members).any(combines)
}

fn parts(members: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = ONE.iter().filter_map(|key| members.get(*key));
    let listed = LIST.iter().filter_map(|key| members.get(*key)?.as_array()).flatten();
    let named = NAMED.iter().filter_map(|key| members.get(*key)?.as_object()).flat_map(|named| named.values());
    one.chain(listed).chain(named)
}

/// Gives formats that have parts of any length an end.
fn end_format(members: &mut Map<String, Value>) {
    let pattern = match members.get("format").and_then(Value::as_str) {
        Some("time") => format!("^{TIME}$"),
        Some("date-time") => format!("^{DAY}[Tt]{TIME}$"),
        Some("duration") => {
            members.entry("maxLength").or_insert_with(|| LONGEST_DURATION.into());
            return;
        }
        _ => return,
    };
    // What else the caller asks of such a text can be more than the compiler can tell to be possible.
    if !members.contains_key("pattern") {
        members.remove("format");
        members.insert("pattern".into(), pattern.into());
    }
}

/// Where that is safe, objects that list their properties and are silent about others have no others, and formats have
/// an end: so a small model comes to one, and the answer holds what was asked for.
fn narrow(schema: &mut Value, closes: bool) {
    let Some(members) = schema.as_object_mut() else { return };
    if closes {
        end_format(members);
    }
    let silent = !["additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties"]
        .iter()
        .any(|key| members.contains_key(*key));
    if closes && silent && wants_only_listed(members) {
        members.insert("additionalProperties".into(), Value::Bool(false));
    }
    for key in ONE {
        members.get_mut(key).into_iter().for_each(|part| narrow(part, closes));
    }
    for key in LIST {
        members.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().for_each(|part| narrow(part, closes));
    }
    for key in NAMED {
        let named = members.get_mut(key).and_then(Value::as_object_mut);
        named.into_iter().flat_map(|named| named.values_mut()).for_each(|part| narrow(part, closes));
    }
}

fn wants_only_listed(members: &Map<String, Value>) -> bool {
    let Some(listed) = members.get("properties").and_then(Value::as_object) else { return false };
    let required = members.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    required.iter().all(|name| name.as_str().is_some_and(|name| listed.contains_key(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(schema: &Value) -> Value {
        let mut schema = prepared(schema).unwrap();
        schema.as_object_mut().unwrap().remove(OPTIONS);
        schema
    }

    #[test]
    fn objects_are_closed_where_that_is_safe() {
        let open =
            json!({"type": "object", "properties": {"a": {"items": {"properties": {"b": {}}}}}, "required": ["a"]});
        let shut = json!({"type": "object", "properties": {"a": {"items": {"properties": {"b": {}}, "additionalProperties": false}}},
            "required": ["a"], "additionalProperties": false});
        assert_eq!(closed(&open), shut);
        for left in [
            json!({"properties": {"a": {}}, "additionalProperties": true}),
            json!({"properties": {"a": {}}, "required": ["b"]}),
            json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
            json!({"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
            json!({"properties": {"a": {}}, "$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": {}}}}}),
            json!({"type": "object"}),
        ] {
            assert_eq!(closed(&left), left);
        }
    }

    #[test]
    fn formats_have_an_end() {
        let open = json!({"anyOf": [{"format": "time", "pattern": "^1"}, {"format": "duration"}, {"format": "email"}]});
        let shut = json!({"anyOf": [{"format": "time", "pattern": "^1"}, {"format": "duration", "maxLength": 40}, {"format": "email"}]});
        assert_eq!(closed(&open), shut);
        let moment = closed(&json!({"format": "date-time", "maxLength": 20}));
        assert!(moment.get("format").is_none() && moment["maxLength"] == 20);
        assert!(moment["pattern"].as_str().unwrap().contains(TIME));
    }

    #[test]
    fn a_callers_options_are_not_taken() {
        let schema = prepared(&json!({"type": "object", "x-guidance": {"lenient": true}})).unwrap();
        assert_eq!(schema[OPTIONS], json!({"whitespace_pattern": WHITE_SPACE}));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let mut deep = json!({});
        for _ in 0..70 {
            deep = json!({"items": {"properties": {"a": deep}}});
        }
        assert!(prepared(&deep).unwrap_err().contains("levels"));
        assert!(prepared(&json!({"enum": vec![1; MOST_PARTS]})).unwrap_err().contains("parts"));
        assert!(prepared(&json!({"pattern": "((a{100}){100}){100}"})).unwrap_err().contains("pattern"));
        assert!(prepared(&json!({"patternProperties": {"((a{100}){100}){100}": {}}})).is_err());
        assert!(prepared(&json!([])).is_err());
        assert!(prepared(&json!({"multipleOf": 99_999_989})).unwrap_err().contains("multipleOf"));
        assert!(
            prepared(&json!({"multipleOf": 0.00025})).is_ok() && prepared(&json!({"multipleOf": 7_000_000})).is_ok()
        );
        assert!(prepared(&json!({"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]})).is_err());
    }
}
