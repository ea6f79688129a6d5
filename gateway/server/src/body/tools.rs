//! The tools of a chat, the choice among them, and the answer's format. Owns their rules; members that are not named
//! here pass.

use super::cursor::{Bad, Cursor, Kind, Text};
use super::field::string_or_none;
use super::scan::Tally;

/// Reads the tools; tells how many.
pub(super) fn tools(c: &mut Cursor<'_>, tally: &mut Tally) -> Result<usize, Bad> {
    if c.kind()? != Kind::Array {
        return Err(Bad::field(
            "tools",
            "tools must be an array of objects such as {\"type\": \"function\", \"function\": {\"name\": \"…\"}}",
        ));
    }
    let from = c.at();
    let count = c.array(|c, index| tool(c, index).map(drop))?;
    tally.text_bytes += c.at() - from;
    Ok(count)
}

/// Reads one tool; tells the name of its function, where it is one.
fn tool(c: &mut Cursor<'_>, index: usize) -> Result<Option<Text>, Bad> {
    let here = |says: &str| Bad::field(format!("tools[{index}]"), format!("tools[{index}] {says}"));
    if c.kind()? != Kind::Object {
        return Err(here("must be an object with type and function"));
    }
    let (mut kind, mut name) = (None, None);
    c.object(|c, key| {
        match &*c.decode(key) {
            "type" => kind = string_or_none(c)?,
            "function" => name = function(c, index)?,
            _ => c.skip()?,
        }
        Ok(())
    })?;
    match kind.map(|kind| c.decode(kind)).as_deref() {
        Some("function") if name.is_none() => Err(here("is of type function and wants a function with a name")),
        Some("function" | "custom") => Ok(name),
        Some(_) => Err(here("has an unknown type; known are function, custom")),
        None => Err(here("wants a string as its type, such as function")),
    }
}

fn function(c: &mut Cursor<'_>, index: usize) -> Result<Option<Text>, Bad> {
    let here = |member: &str, says: &str| {
        let param = format!("tools[{index}].function{member}");
        let says = format!("{param} {says}");
        Bad::field(param, says)
    };
    if c.kind()? != Kind::Object {
        return Err(here("", "must be an object with a name"));
    }
    let mut name = None;
    c.object(|c, key| {
        let key = c.decode(key);
        let kind = c.kind()?;
        match (&*key, kind) {
            ("name", Kind::String) => name = Some(c.string()?).filter(|text| text.len() > 0),
            ("name", _) => return Err(here(".name", "must be a string")),
            ("description", Kind::String | Kind::Null) | ("parameters", Kind::Object | Kind::Null) => c.skip()?,
            ("description", _) => return Err(here(".description", "must be a string")),
            ("parameters", _) => return Err(here(".parameters", "must be a JSON Schema as an object")),
            _ => c.skip()?,
        }
        Ok(())
    })?;
    if name.is_none() {
        return Err(here(".name", "is missing; a function must have a non-empty name"));
    }
    Ok(name)
}

/// Which tools the answer may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Any or none.
    Free,
    /// At least one.
    Required,
    /// The one of this name.
    Named(Text),
}

/// Reads the choice among the tools.
pub(super) fn tool_choice(c: &mut Cursor<'_>) -> Result<Choice, Bad> {
    let refused =
        || Bad::field("tool_choice", "tool_choice must be none, auto, required or an object that names a function");
    match c.kind()? {
        Kind::String => {
            let text = c.string()?;
            match &*c.decode(text) {
                "none" | "auto" => Ok(Choice::Free),
                "required" => Ok(Choice::Required),
                _ => Err(refused()),
            }
        }
        Kind::Object => {
            let (mut kind, mut name) = (None, None);
            c.object(|c, key| {
                match &*c.decode(key) {
                    "type" => kind = string_or_none(c)?,
                    "function" if c.kind()? == Kind::Object => {
                        c.object(|c, key| {
                            if c.decode(key) == "name" {
                                name = string_or_none(c)?;
                            } else {
                                c.skip()?;
                            }
                            Ok(())
                        })?;
                    }
                    _ => c.skip()?,
                }
                Ok(())
            })?;
            match (kind.map(|kind| c.decode(kind)).as_deref(), name) {
                (Some("function"), Some(name)) => Ok(Choice::Named(name)),
                (Some("function") | None, _) => Err(refused()),
                (Some(_), _) => Ok(Choice::Free),
            }
        }
        _ => Err(refused()),
    }
}

/// Checks that a choice can be met by the tools, whose array begins at `tools_at`.
pub(super) fn choice_is_met(c: &Cursor<'_>, choice: Choice, tools_at: Option<usize>) -> Result<(), Bad> {
    let (Choice::Required | Choice::Named(_), tools_at) = (choice, tools_at) else {
        return Ok(());
    };
    let Some(tools_at) = tools_at else {
        return Err(Bad::field("tool_choice", "tool_choice asks for a tool, but tools are missing or empty"));
    };
    let Choice::Named(wanted) = choice else {
        return Ok(());
    };
    let wanted = c.decode(wanted);
    let (mut again, mut found) = (c.again(tools_at), false);
    again.array(|c, index| {
        found |= tool(c, index)?.is_some_and(|name| c.decode(name) == wanted);
        Ok(())
    })?;
    if found { Ok(()) } else { Err(Bad::field("tool_choice", "tool_choice names a function that is not among tools")) }
}

/// Reads the format of the answer.
pub(super) fn response_format(c: &mut Cursor<'_>) -> Result<(), Bad> {
    const MUST_BE: &str =
        "response_format must be an object whose type is text, json_object, json_schema, regex or grammar";
    if c.kind()? != Kind::Object {
        return Err(Bad::field("response_format", MUST_BE));
    }
    let (mut kind, mut schema) = (None, false);
    c.object(|c, key| {
        match &*c.decode(key) {
            "type" => kind = string_or_none(c)?,
            "json_schema" => {
                schema = c.kind()? == Kind::Object;
                c.skip()?;
            }
            _ => c.skip()?,
        }
        Ok(())
    })?;
    match kind.map(|kind| c.decode(kind)).as_deref() {
        // The last two are none of OpenAI's: local models know them, and servers that are like them.
        Some("text" | "json_object" | "regex" | "grammar") => Ok(()),
        Some("json_schema") if schema => Ok(()),
        Some("json_schema") => Err(Bad::field(
            "response_format.json_schema",
            "response_format of type json_schema wants a json_schema object with name and schema",
        )),
        _ => Err(Bad::field("response_format", MUST_BE)),
    }
}
