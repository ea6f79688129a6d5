//! The parameters of a call: from the query of a GET, else from a JSON body. Owns how MLflow's server reads them and
//! what it says of wrong ones.

use super::schema::{Kind, Parameter};
use crate::fault::RegistryFault;
use crate::model::RegisteredName;
use crate::tag::{Tags, resolved};
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};
use tidegate_core::percent;

const HINT: &str = "See the API docs for more information about request parameters.";

const NUL: &str = "a text has a NUL character, which the registry does not keep";

/// The parameters of a call.
#[derive(Debug, Clone)]
pub(super) struct Params {
    values: Map<String, Value>,
    /// Of a query every value is a list of texts.
    is_query: bool,
}

impl Params {
    /// Reads them.
    ///
    /// # Errors
    /// The body is not taken as JSON, or is none.
    pub(super) fn read(
        method: &Method,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Self, RegistryFault> {
        let is_get = matches!(*method, Method::GET | Method::HEAD);
        if is_get && query.is_some_and(|query| !query.is_empty()) {
            return Self::of_query(query.unwrap_or_default());
        }
        if matches!(*method, Method::POST | Method::PUT) {
            json_type(headers)?;
        }
        let map = object(body);
        if body_has_nul(&map) {
            return Err(RegistryFault::invalid(NUL));
        }
        Ok(Self { values: map, is_query: false })
    }

    fn of_query(query: &str) -> Result<Self, RegistryFault> {
        let mut map = Map::new();
        for (key, value) in percent::pairs(query) {
            if key.contains('\0') || value.contains('\0') {
                return Err(RegistryFault::invalid(NUL));
            }
            match map.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(values) => values.push(Value::String(value)),
                _ => return Err(RegistryFault::internal("a parameter that is no list of its values")),
            }
        }
        Ok(Self { values: map, is_query: true })
    }

    /// Checks them against the parameters of their call, in order.
    ///
    /// # Errors
    /// The first that is missing or wrong.
    pub(super) fn check(&self, parameters: &[Parameter]) -> Result<(), RegistryFault> {
        for parameter in parameters {
            let other = camel(parameter.name);
            if other != parameter.name && self.values.contains_key(parameter.name) && self.values.contains_key(&other) {
                return Err(RegistryFault::invalid(format!(
                    "Request specifies both '{}' and '{other}'; provide only one of them.",
                    parameter.name
                )));
            }
            let value = self.one(parameter.name, parameter.kind);
            // What is required is asked for by this name alone, though the other is read too.
            let value = value.filter(|_| !parameter.required || self.values.contains_key(parameter.name));
            // An empty text is no number, not a missing one.
            let is_empty = value == Some(&Value::String(String::new())) && !matches!(parameter.kind, Kind::Number(_));
            let is_missing = matches!(value, None | Some(Value::Null)) || is_empty;
            if is_missing {
                if parameter.required {
                    return Err(missing(parameter.name));
                }
                continue;
            }
            let Some(value) = value else { continue };
            let fits = match parameter.kind {
                Kind::Text => value.is_string(),
                Kind::Flag => flag(value).is_some(),
                Kind::List => value.is_array(),
                Kind::Number(most) => number(value).is_some_and(|number| number <= most),
            };
            if !fits {
                return Err(wrong(parameter.name, value));
            }
        }
        Ok(())
    }

    /// The value of a parameter: of one that a query repeats, the first, unless it is a list.
    fn one(&self, name: &str, kind: Kind) -> Option<&Value> {
        match self.value(name)? {
            Value::Array(values) if self.is_query && kind != Kind::List => values.first(),
            value => Some(value),
        }
    }

    /// A text; empty where it is not given.
    pub(super) fn text(&self, name: &str) -> &str {
        self.one(name, Kind::Text).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text, if it is given.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.one(name, Kind::Text).and_then(Value::as_str)
    }

    /// A value of whatever kind, if it is given.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let value = self.values.get(name).or_else(|| self.values.get(&camel(name)));
        value.filter(|value| !value.is_null())
    }

    /// A flag; false where it is not given.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.one(name, Kind::Flag).and_then(flag).unwrap_or(false)
    }

    /// A number, if it is given; what a call makes of one below zero is its own.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.one(name, Kind::Number(i64::MAX)).and_then(number)
    }

    /// The texts of a list.
    ///
    /// # Errors
    /// One of them is no text.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, RegistryFault> {
        let Some(Value::Array(values)) = self.value(name) else { return Ok(Vec::new()) };
        values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(name, value))).collect()
    }

    /// The tags, as a list of `{key, value}`.
    ///
    /// # Errors
    /// One of them is wrong.
    pub(super) fn tags(&self) -> Result<Tags, RegistryFault> {
        let mut tags = Tags::default();
        let Some(Value::Array(values)) = self.value("tags") else { return Ok(tags) };
        for value in values {
            // What is no text counts as none, and no key is one.
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
            tags.add(text("key"), text("value"))?;
        }
        Ok(tags)
    }

    /// The name of a registered model.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn name(&self, parameter: &str) -> Result<RegisteredName, RegistryFault> {
        let text = self.text(parameter);
        if text.trim().is_empty() {
            return Err(RegistryFault::invalid(format!("Missing value for required parameter '{parameter}'.")));
        }
        if !text.contains(['/', ':']) && (resolved(text) != text || text == "." || text.starts_with("..")) {
            return Err(RegistryFault::invalid(format!(
                "Invalid value \"{text}\" for parameter 'name' supplied: Names may be treated as files in certain \
                 cases, and must not resolve to other names when treated as such. This name would resolve to '{}'",
                resolved(text)
            )));
        }
        RegisteredName::new(text)
    }

    /// The number of a version.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn version(&self) -> Result<i64, RegistryFault> {
        let text = self.text("version");
        text.trim()
            .parse()
            .map_err(|_| RegistryFault::invalid(format!("Parameter 'version' must be an integer, got '{text}'.")))
    }
}

/// The object of a body, or of a text within it; MLflow's server takes what it cannot read for nothing, and then
/// misses what is required.
fn object(body: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => map,
        Ok(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

/// The other way of writing a name: `newName` for `new_name`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

fn json_type(headers: &HeaderMap) -> Result<(), RegistryFault> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(RegistryFault::invalid("Bad Request. Content-Type header is missing."));
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(RegistryFault::invalid("Bad Request. Content-Type must be one of ['application/json']."))
}

fn missing(name: &str) -> RegistryFault {
    RegistryFault::invalid(format!("Missing value for required parameter '{name}'. {HINT}"))
}

pub(super) fn wrong(name: &str, value: &Value) -> RegistryFault {
    let kind = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    RegistryFault::invalid(format!(
        "Invalid value {value} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'. {HINT}"
    ))
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn body_has_nul(map: &Map<String, Value>) -> bool {
    fn has(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(has),
            Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has(value)),
            _ => false,
        }
    }
    map.iter().any(|(key, value)| key.contains('\0') || has(value))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::super::table::Call;
    use super::*;

    fn body(call: Call, text: &'static str) -> Result<Params, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        let params = Params::read(&Method::POST, None, &headers, &Bytes::from_static(text.as_bytes()))
            .map_err(|fault| fault.says.into_owned())?;
        params.check(schema::of(call)).map_err(|fault| fault.says.into_owned())?;
        Ok(params)
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_in_mlflows_words() {
        for (call, text, says) in [
            (Call::CreateModel, "", "Missing value for required parameter 'name'. See the API docs"),
            (Call::CreateModel, "{\"name\": \"\"}", "Missing value for required parameter 'name'. See"),
            (Call::CreateModel, "[]", "Missing value for required parameter 'name'. See"),
            (
                Call::CreateModel,
                "{\"name\": 5}",
                "Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. See the API docs",
            ),
            (Call::CreateModel, "{\"name\": [\"x\"]}", "Invalid value [\"x\"] for parameter 'name' supplied"),
            (Call::CreateModel, "{\"name\": \"m\", \"tags\": 5}", "Invalid value 5 for parameter 'tags' supplied"),
            (
                Call::TransitionStage,
                "{\"name\": \"m\", \"version\": \"1\", \"stage\": \"None\", \"archive_existing_versions\": 3}",
                "Invalid value 3 for parameter 'archive_existing_versions'",
            ),
            (Call::SearchModels, "{\"max_results\": 1001}", "Invalid value 1001 for parameter 'max_results'"),
            (Call::CreateModel, "{\"name\": \"a\\u0000\"}", "NUL"),
        ] {
            let fault = body(call, text).unwrap_err();
            assert!(fault.starts_with(says) || says == "NUL" && fault.contains(says), "{text}: {fault}");
        }
    }

    #[test]
    fn a_query_is_decoded_and_its_repeated_keys_are_a_list() {
        let query = "filter=name%20ILIKE+%27%25m%25%27&order_by=name&order_by=timestamp+DESC&max_results=7";
        let params = Params::read(&Method::GET, Some(query), &HeaderMap::new(), &Bytes::new()).unwrap();
        params.check(schema::of(Call::SearchModels)).unwrap();
        assert_eq!(params.text("filter"), "name ILIKE '%m%'");
        assert_eq!(params.texts("order_by").unwrap(), ["name", "timestamp DESC"]);
        assert_eq!(params.number("max_results"), Some(7));
    }

    #[test]
    fn tags_are_pairs_and_the_last_of_a_key_counts() {
        let params = body(
            Call::CreateModel,
            "{\"name\": \"m\", \"tags\": [{\"key\": \"a\", \"value\": \"1\"}, {\"key\": \"a\", \"value\": \"2\"}]}",
        )
        .unwrap();
        assert_eq!(params.tags().unwrap().iter().collect::<Vec<_>>(), [("a", "2")]);
        let params = body(Call::CreateModel, "{\"name\": \"m\", \"tags\": [5]}").unwrap();
        assert!(params.tags().is_err());
        let params = body(Call::SearchModels, "{\"pageToken\": \"n\"}").unwrap();
        assert_eq!(params.text("page_token"), "n");
        let fault = body(Call::RenameModel, "{\"name\": \"m\", \"newName\": \"n\"}").unwrap_err();
        assert!(fault.starts_with("Missing value for required parameter 'new_name'."), "{fault}");
        let fault = body(Call::RenameModel, "{\"name\": \"m\", \"newName\": \"n\", \"new_name\": \"o\"}").unwrap_err();
        assert_eq!(fault, "Request specifies both 'new_name' and 'newName'; provide only one of them.");
    }
}
