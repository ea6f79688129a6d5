//! The JSON object that a call sends: fields are taken by name, and one that nobody took is a fault.

use crate::fault::RegistryFault;
use crate::kind::short;
use serde_json::{Map, Value};

/// A JSON object whose fields are taken one by one.
#[derive(Debug)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads a body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RegistryFault> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(RegistryFault::invalid("the body is no JSON object")),
            Err(error) => Err(RegistryFault::invalid(format!("the body is no JSON: {error}"))),
        }
    }

    /// All of it.
    pub(super) fn whole(self) -> Value {
        Value::Object(self.0)
    }

    /// A field; null counts as not given.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    /// A text, where it is given.
    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, RegistryFault> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RegistryFault::invalid(format!("{field}: it is no text"))),
        }
    }

    /// A whole number, where it is given.
    pub(super) fn number(&mut self, field: &str) -> Result<Option<i64>, RegistryFault> {
        let Some(value) = self.take(field) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| RegistryFault::invalid(format!("{field}: it is no whole number")))
    }

    /// What must be given.
    pub(super) fn needed<T>(field: &str, given: Option<T>) -> Result<T, RegistryFault> {
        given.ok_or_else(|| RegistryFault::invalid(format!("{field}: it is missing")))
    }

    /// Nothing is left.
    pub(super) fn end(self) -> Result<(), RegistryFault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let fields: Vec<String> = self.0.keys().map(|field| format!("`{}`", short(field))).collect();
        Err(RegistryFault::invalid(format!("there is no field {}", fields.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_took_is_named() {
        let mut body = Body::read(br#"{"a": "x", "b": 3, "c": null, "d": 1, "e": 2}"#).unwrap();
        assert_eq!(body.text("a").unwrap().as_deref(), Some("x"));
        assert_eq!(body.number("b").unwrap(), Some(3));
        assert_eq!(body.text("c").unwrap(), None);
        assert!(Body::needed::<i64>("f", None).is_err());
        assert_eq!(body.end().unwrap_err().says, "there is no field `d`, `e`");
        assert!(Body::read(b"[]").is_err() && Body::read(b"{").is_err());
        assert!(Body::read(br#"{"a": 1}"#).unwrap().text("a").is_err());
    }
}
