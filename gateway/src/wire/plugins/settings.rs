//! The configuration of a plugin against its own JSON Schema, before the plugin hears of it. Pure. Nothing is fetched for a
//! schema, and its patterns run in linear time; what it does not say is the plugin's own to refuse.

use jsonschema::PatternOptions;
use serde_json::Value;

/// The longest schema: it is compiled.
const SCHEMA_BYTES: usize = 256 << 10;
/// How many faults are told, and how long each may be.
const FAULTS: usize = 8;
const FAULT_CHARACTERS: usize = 300;

/// Whether `config` is what the schema says. Values may be secrets and are not shown.
pub(super) fn check(schema: &Value, config: &str) -> Result<(), String> {
    if schema.to_string().len() > SCHEMA_BYTES {
        return Err("the schema of its configuration is larger than 256 KiB".to_owned());
    }
    let patterns = PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    let validator = jsonschema::options().offline().with_pattern_options(patterns).build(schema).map_err(|fault| {
        format!("the schema of its configuration is no JSON Schema: {}", shortened(&fault.to_string()))
    })?;
    let config: Value =
        serde_json::from_str(config).map_err(|fault| format!("its configuration is no JSON: {fault}"))?;
    let faults: Vec<String> = validator
        .iter_errors(&config)
        .take(FAULTS)
        .map(|fault| {
            let place = fault.instance_path().to_string();
            let place = if place.is_empty() { String::new() } else { format!(" at {}", shortened(&place)) };
            format!("{}{place}", shortened(&fault.masked().to_string()))
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!(
        "its `config` is not what it takes: {} (`tidegate plugin inspect` shows what it takes)",
        faults.join("; ")
    ))
}

fn shortened(text: &str) -> String {
    text.chars().take(FAULT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_told_with_their_places_and_without_values() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["mode"],
            "properties": {"mode": {"enum": ["redact", "refuse"]}, "least": {"type": "integer", "minimum": 1}},
        });
        assert_eq!(check(&schema, r#"{"mode":"redact","least":2}"#), Ok(()));
        let says = check(&schema, r#"{"mode":"s3cret","least":0,"more":1}"#).unwrap_err();
        assert!(says.contains("/mode") && says.contains("/least") && says.contains("more"), "{says}");
        assert!(!says.contains("s3cret"), "{says}");
        assert!(check(&schema, "{}").unwrap_err().contains("mode"));
        assert_eq!(check(&json!(true), "{}"), Ok(()));
        assert!(check(&json!(false), "{}").is_err());
    }

    #[test]
    fn a_schema_that_is_none_or_turns_in_circles_harms_nobody() {
        assert!(check(&json!({"type": 3}), "{}").unwrap_err().contains("no JSON Schema"));
        assert!(check(&json!({"pattern": "("}), "{}").unwrap_err().contains("no JSON Schema"));
        assert!(check(&json!({"$ref": "https://example.com/x.json"}), "{}").is_err());
        assert!(check(&json!({"description": "x".repeat(SCHEMA_BYTES)}), "{}").unwrap_err().contains("larger"));
        // Whatever it says of these, it says it.
        drop(check(&json!({"$ref": "#"}), r#"{"a":{"a":{}}}"#));
        let circle = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"});
        drop(check(&circle, "{}"));
        drop(check(&json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), "{}"));
    }
}
