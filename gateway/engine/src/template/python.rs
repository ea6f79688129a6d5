//! The methods of Python strings and mappings that chat templates call, since they were written for Jinja on Python.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::io;

/// Called for a method that the template engine does not know.
pub(super) fn method(state: &State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return string(text, name, args);
    }
    match (value.kind(), name, args) {
        (ValueKind::Map, "items", []) => state.apply_filter("items", std::slice::from_ref(value)),
        (ValueKind::Map, "keys", []) => Ok(value.try_iter()?.collect()),
        (ValueKind::Map, "values", []) => {
            value.try_iter()?.map(|key| value.get_item(&key)).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        (ValueKind::Map, "get", [key, rest @ ..]) if rest.len() < 2 => {
            let found = value.get_item(key)?;
            let default = rest.first().cloned().unwrap_or(Value::from(()));
            Ok(if found.is_undefined() { default } else { found })
        }
        _ => Err(unknown(name)),
    }
}

/// JSON as Python writes it, which is what models were trained on: blanks behind `,` and `:`, nothing escaped that need
/// not be.
#[expect(clippy::needless_pass_by_value, reason = "templates call it so")]
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let indent: Option<usize> = options.get("indent")?;
    // What else Python takes (`ensure_ascii`, `sort_keys`) is taken and has no effect.
    let Some(indent) = indent else { return json_text(value).map_err(failed) };
    let (mut out, blanks) = (Vec::new(), " ".repeat(indent.min(8)));
    let mut writer = serde_json::Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(blanks.as_bytes()));
    value.serialize(&mut writer).map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The same for what is no template's value.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A blank behind every comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn string(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let words = |i: usize| args.get(i).and_then(Value::as_str);
    let set: Vec<char> = words(0).unwrap_or_default().chars().collect();
    let strips = |c: char| if set.is_empty() { c.is_whitespace() } else { set.contains(&c) };
    let answer = match (name, args.len()) {
        ("strip", 0 | 1) => text.trim_matches(strips).into(),
        ("lstrip", 0 | 1) => text.trim_start_matches(strips).into(),
        ("rstrip", 0 | 1) => text.trim_end_matches(strips).into(),
        ("upper", 0) => text.to_uppercase().into(),
        ("lower", 0) => text.to_lowercase().into(),
        ("capitalize", 0) => capitalize(text).into(),
        ("title", 0) => text.split_inclusive(' ').map(capitalize).collect::<String>().into(),
        ("splitlines", 0) => text.lines().map(Value::from).collect(),
        ("startswith", 1) => affixes(&args[0])?.iter().any(|a| text.starts_with(a.as_str())).into(),
        ("endswith", 1) => affixes(&args[0])?.iter().any(|a| text.ends_with(a.as_str())).into(),
        ("find", 1) => {
            let at = words(0).ok_or_else(|| wants_text(name))?;
            text.find(at).map_or(-1, |i| text[..i].chars().count() as i64).into()
        }
        ("count", 1) => text.matches(words(0).ok_or_else(|| wants_text(name))?).count().into(),
        ("replace", 2) => replace(text, words(0), words(1)).ok_or_else(|| wants_text(name))?.into(),
        ("split", 0) => text.split_whitespace().map(Value::from).collect(),
        ("split", 1) => match words(0) {
            Some(at) if !at.is_empty() => text.split(at).map(Value::from).collect(),
            _ => return Err(wants_text(name)),
        },
        ("join", 1) => {
            let parts = args[0].try_iter()?.map(|v| v.to_string()).collect::<Vec<_>>();
            parts.join(text).into()
        }
        _ => return Err(unknown(name)),
    };
    Ok(answer)
}

/// Refuses what would multiply the text: an empty pattern matches everywhere.
fn replace(text: &str, from: Option<&str>, to: Option<&str>) -> Option<String> {
    let (from, to) = (from?, to?);
    (!from.is_empty()).then(|| text.replace(from, to))
}

fn affixes(value: &Value) -> Result<Vec<String>, Error> {
    match value.as_str() {
        Some(text) => Ok(vec![text.to_owned()]),
        None => Ok(value.try_iter()?.filter_map(|v| v.as_str().map(str::to_owned)).collect()),
    }
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect())
}

fn wants_text(name: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the method {name} wants a text that is not empty"))
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::UnknownMethod, format!("there is no method {name}"))
}
