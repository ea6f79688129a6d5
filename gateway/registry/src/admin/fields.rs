//! The fields of a body: each read by itself, so that one answer names all that is wrong.

use crate::fault::RegistryFault;
use crate::kind::short;
use serde_json::{Map, Value};

/// The longest that is said of one field.
const LONGEST: usize = 400;
/// The most unknown fields that are named.
const MOST: usize = 10;

/// The fields of a body that are not read yet, and what was wrong with the others.
#[derive(Debug)]
pub(super) struct Fields {
    members: Map<String, Value>,
    faults: Vec<String>,
}

impl Fields {
    /// Reads an object that may have these fields alone.
    ///
    /// # Errors
    /// It is no object.
    pub(super) fn read(body: &[u8], known: &[&str]) -> Result<Self, RegistryFault> {
        let members: Map<String, Value> = serde_json::from_slice(body).map_err(|e| {
            RegistryFault::invalid(format!("the body is no JSON object with the fields {}: {e}", known.join(", ")))
        })?;
        let unknown: Vec<String> =
            members.keys().filter(|key| !known.contains(&key.as_str())).take(MOST).map(|key| short(key)).collect();
        let faults = if unknown.is_empty() {
            Vec::new()
        } else {
            vec![format!("there is no field `{}`; there are {}", unknown.join("`, `"), known.join(", "))]
        };
        Ok(Self { members, faults })
    }

    /// A field that must be there.
    pub(super) fn need<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, RegistryFault>) -> Option<T> {
        if !self.members.contains_key(key) {
            self.faults.push(format!("{key}: it is missing"));
        }
        self.take(key, read)
    }

    /// A field that may be left out.
    pub(super) fn take<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, RegistryFault>) -> Option<T> {
        let value = self.members.remove(key)?;
        match read(&value) {
            Ok(read) => Some(read),
            Err(fault) => {
                let says: String = fault.says.chars().take(LONGEST).collect();
                self.faults.push(if says.starts_with(key) { says } else { format!("{key}: {says}") });
                None
            }
        }
    }

    /// Tells all that was wrong.
    ///
    /// # Errors
    /// Something was.
    pub(super) fn done(self) -> Result<(), RegistryFault> {
        if self.faults.is_empty() { Ok(()) } else { Err(RegistryFault::invalid(self.faults.join("; "))) }
    }

    /// What must be there was there, and nothing was wrong.
    ///
    /// # Errors
    /// Something was.
    pub(super) fn given<T>(self, needed: Option<T>) -> Result<T, RegistryFault> {
        self.done()?;
        needed.ok_or_else(|| RegistryFault::internal("a field that must be there was read, and is not"))
    }
}

/// A body that is read as a whole.
pub(super) fn object(body: &[u8]) -> Result<Value, RegistryFault> {
    serde_json::from_slice::<Map<String, Value>>(body)
        .map(Value::Object)
        .map_err(|e| RegistryFault::invalid(format!("the body is no JSON object: {e}")))
}

/// A field that is a whole number.
pub(super) fn number(value: &Value) -> Result<i64, RegistryFault> {
    value.as_i64().ok_or_else(|| RegistryFault::invalid("it is no whole number"))
}

/// A field that is a text.
pub(super) fn text(value: &Value) -> Result<&str, RegistryFault> {
    value.as_str().ok_or_else(|| RegistryFault::invalid("it is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let body = br#"{"a": 1, "b": "x", "odd": 1, "even": 2}"#;
        let mut fields = Fields::read(body, &["a", "b", "c", "d"]).unwrap();
        assert_eq!(fields.need("a", |value| text(value).map(str::to_owned)), None);
        assert_eq!(fields.need("b", |value| text(value).map(str::to_owned)), Some("x".to_owned()));
        assert_eq!(fields.need("c", |value| text(value).map(str::to_owned)), None);
        assert_eq!(fields.take("d", |value| text(value).map(str::to_owned)), None);
        assert_eq!(
            fields.done().unwrap_err().says,
            "there is no field `odd`, `even`; there are a, b, c, d; a: it is no text; c: it is missing"
        );
        for bad in [&b"[]"[..], b"", b"{", b"\"x\"", b"\xff"] {
            assert!(Fields::read(bad, &["a"]).unwrap_err().says.starts_with("the body is no JSON object"));
        }
    }
}
