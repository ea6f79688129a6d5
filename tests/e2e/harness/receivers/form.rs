//! The forms of JSON that receivers ask for: members that must be there, may be there, and nothing else.

use serde_json::{Map, Value};

/// A wrong form, in words.
pub(crate) type Wrong = String;

/// An object with these members, all others refused.
pub(crate) fn object<'a>(
    value: &'a Value,
    required: &[&str],
    optional: &[&str],
) -> Result<&'a Map<String, Value>, Wrong> {
    let map = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    if let Some(missing) = required.iter().find(|name| !map.contains_key(**name)) {
        return Err(format!("`{missing}` is missing"));
    }
    match map.keys().find(|name| !required.contains(&name.as_str()) && !optional.contains(&name.as_str())) {
        Some(unknown) => Err(format!("`{unknown}` is not permitted")),
        None => Ok(map),
    }
}

/// A text with so many characters.
pub(crate) fn text(value: &Value, least: usize, most: usize) -> Result<&str, Wrong> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no text"))?;
    let count = text.chars().count();
    if (least..=most).contains(&count) { Ok(text) } else { Err(format!("a text of {least} to {most}, not {count}")) }
}

/// One of these words.
pub(crate) fn word(value: &Value, known: &[&str]) -> Result<(), Wrong> {
    let is_known = value.as_str().is_some_and(|word| known.contains(&word));
    if is_known { Ok(()) } else { Err(format!("{value} is none of {known:?}")) }
}

/// A list with so many elements.
pub(crate) fn list(value: &Value, least: usize, most: usize) -> Result<&Vec<Value>, Wrong> {
    let list = value.as_array().ok_or_else(|| format!("{value} is no list"))?;
    if (least..=most).contains(&list.len()) { Ok(list) } else { Err(format!("{least} to {most}, not {}", list.len())) }
}

/// A moment as RFC 3339 has it, with its offset; as a number that sorts like it (all of ours are UTC).
pub(crate) fn moment(value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no moment"))?;
    let wrong = || format!("`{text}` is no RFC 3339");
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = form.strip_prefix("0000-00-00T00:00:00").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('Z').ok_or_else(wrong)?;
    let is_fraction =
        rest.strip_prefix('.').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b == b'0'));
    if rest.is_empty() || is_fraction { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// A map of names to texts.
pub(crate) fn texts(value: &Value) -> Result<(), Wrong> {
    let map = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    let is_name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    match map.iter().find(|(name, value)| !is_name(name) || !value.is_string()) {
        Some((name, value)) => Err(format!("{name}: {value} is no name with a text")),
        None => Ok(()),
    }
}
