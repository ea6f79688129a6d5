//! The variables of a prompt: which there are, their schemas and defaults. Owns the check of what a caller gives.

use crate::fault::RenderFault;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most bytes of all variables of a call.
pub(crate) const VARIABLE_BYTES: usize = 1 << 20;

/// The variables, each with its schema compiled.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    by_name: BTreeMap<String, Variable>,
}

#[derive(Debug)]
struct Variable {
    schema: Value,
    validator: Option<Validator>,
    default: Option<Value>,
}

/// Compiles a schema: nothing is fetched for it, and its patterns run in linear time.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    if schema.to_string().len() > 64 << 10 {
        return Err("the schema is larger than 64 KiB".into());
    }
    let patterns = PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|e| format!("no JSON Schema: {e}"))
}

impl Variables {
    /// Takes a variable in.
    pub(crate) fn declare(&mut self, name: &str, schema: Value) -> Result<(), String> {
        let validator = match &schema {
            Value::Bool(true) => None,
            Value::Object(keys) if keys.keys().all(|key| key == "description" || key == "default") => None,
            _ => Some(compile(&schema)?),
        };
        let default = schema.get("default").cloned();
        if let (Some(validator), Some(default)) = (&validator, &default) {
            validator.validate(default).map_err(|e| format!("its own default is not what the schema says: {e}"))?;
        }
        self.by_name.insert(name.to_owned(), Variable { schema, validator, default });
        Ok(())
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The variables and their schemas.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.by_name.iter().map(|(name, variable)| (name.as_str(), &variable.schema))
    }

    /// Checks what a caller gives and fills the defaults in.
    pub(crate) fn fill<'a>(
        &'a self,
        given: &'a Map<String, Value>,
    ) -> Result<BTreeMap<&'a str, &'a Value>, RenderFault> {
        if let Some(name) = given.keys().find(|name| !self.knows(name)) {
            let known = self.by_name.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(RenderFault::Unknown { name: shortened(name), known });
        }
        if weight(given) > VARIABLE_BYTES {
            return Err(RenderFault::Large(VARIABLE_BYTES));
        }
        let mut filled = BTreeMap::new();
        for (name, variable) in &self.by_name {
            let value = match (given.get(name), &variable.default) {
                (Some(value), _) => {
                    variable.check(value).map_err(|why| RenderFault::Wrong { name: name.clone(), why })?;
                    value
                }
                (None, Some(default)) => default,
                (None, None) => return Err(RenderFault::Missing(name.clone())),
            };
            filled.insert(name.as_str(), value);
        }
        Ok(filled)
    }
}

impl Variable {
    fn check(&self, value: &Value) -> Result<(), String> {
        let Some(validator) = &self.validator else { return Ok(()) };
        validator.validate(value).map_err(|e| {
            let place = e.instance_path().to_string();
            let place = if place.is_empty() { String::new() } else { format!(" at {}", shortened(&place)) };
            format!("{}{place}", shortened(&e.masked().to_string()))
        })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// About how many bytes the values are.
fn weight(values: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len() + 8,
            Value::Array(items) => items.iter().map(of).sum::<usize>() + 8,
            Value::Object(fields) => weight(fields) + 8,
            _ => 8,
        }
    }
    values.iter().map(|(key, value)| key.len() + of(value)).sum()
}
