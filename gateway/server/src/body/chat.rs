//! The messages of a chat, with their content parts and the calls that an assistant made. Owns their rules; members that
//! are not named here pass.

use super::cursor::{Bad, Cursor, Kind, Text};
use super::field::string_or_none;
use super::scan::Tally;

/// Once among the members of one object: a second `role` could mean another thing to another reader.
#[derive(Debug, Default)]
struct Once(u16);

impl Once {
    fn note(&mut self, bit: u16, at: impl Fn() -> String, key: &str) -> Result<(), Bad> {
        if self.0 & bit != 0 {
            let at = at();
            return Err(Bad::field(at.clone(), format!("{at} has `{key}` twice")));
        }
        self.0 |= bit;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Said,
    Assistant,
    Tool,
    Function,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Absent,
    Null,
    Text,
    NoParts,
    Parts,
}

/// Reads the messages; tells how many.
pub(super) fn messages(c: &mut Cursor<'_>, tally: &mut Tally) -> Result<usize, Bad> {
    if c.kind()? != Kind::Array {
        return Err(Bad::field(
            "messages",
            "messages must be a non-empty array of objects, each with role and content",
        ));
    }
    c.array(|c, index| message(c, index, tally))
}

fn wrong(index: usize, member: &str, says: &str) -> Bad {
    let param = format!("messages[{index}]{member}");
    let says = format!("{param} {says}");
    Bad::field(param, says)
}

fn message(c: &mut Cursor<'_>, index: usize, tally: &mut Tally) -> Result<(), Bad> {
    if c.kind()? != Kind::Object {
        return Err(wrong(index, "", "must be an object with role and content"));
    }
    let (mut once, mut role, mut content) = (Once::default(), None, Content::Absent);
    let (mut answers_call, mut stands_alone) = (false, false);
    c.object(|c, key| {
        let key = c.decode(key);
        let at = || format!("messages[{index}]");
        match &*key {
            "role" => {
                once.note(1, at, &key)?;
                role = Some(speaker(c, index)?);
                Ok(())
            }
            "content" => {
                once.note(2, at, &key)?;
                content = message_content(c, index, tally)?;
                Ok(())
            }
            "tool_call_id" => {
                once.note(4, at, &key)?;
                answers_call = optional_string(c, index, ".tool_call_id")?;
                Ok(())
            }
            "tool_calls" => {
                once.note(8, at, &key)?;
                stands_alone |= tool_calls(c, index, tally)?;
                Ok(())
            }
            "name" => optional_string(c, index, ".name").map(drop),
            "function_call" | "refusal" | "audio" | "reasoning_content" => {
                stands_alone |= c.kind()? != Kind::Null;
                c.skip()
            }
            _ => c.skip(),
        }
    })?;
    let role = role.ok_or_else(|| {
        wrong(index, ".role", "is missing; it must be one of system, developer, user, assistant, tool")
    })?;
    if role == Speaker::Tool && !answers_call {
        return Err(wrong(index, ".tool_call_id", "is missing; a message of role tool names the call that it answers"));
    }
    match (content, role) {
        (Content::Text | Content::Parts, _)
        | (Content::Null | Content::NoParts, Speaker::Assistant)
        | (Content::Null, Speaker::Function) => Ok(()),
        (Content::Absent, Speaker::Assistant) if stands_alone => Ok(()),
        (Content::Absent, _) => Err(wrong(index, ".content", "is missing; it must be a string or an array of parts")),
        (Content::Null, _) => Err(wrong(index, ".content", "may be null only in a message of role assistant")),
        (Content::NoParts, _) => Err(wrong(index, ".content", "is an empty array; it must hold at least one part")),
    }
}

fn speaker(c: &mut Cursor<'_>, index: usize) -> Result<Speaker, Bad> {
    const MUST_BE: &str = "must be one of system, developer, user, assistant, tool, function";
    if c.kind()? != Kind::String {
        return Err(wrong(index, ".role", MUST_BE));
    }
    let text = c.string()?;
    match &*c.decode(text) {
        "system" | "developer" | "user" => Ok(Speaker::Said),
        "assistant" => Ok(Speaker::Assistant),
        "tool" => Ok(Speaker::Tool),
        "function" => Ok(Speaker::Function),
        _ => Err(wrong(index, ".role", MUST_BE)),
    }
}

fn optional_string(c: &mut Cursor<'_>, index: usize, member: &str) -> Result<bool, Bad> {
    match c.kind()? {
        Kind::String => c.string().map(|_| true),
        Kind::Null => c.null().map(|()| false),
        _ => Err(wrong(index, member, "must be a string")),
    }
}

fn message_content(c: &mut Cursor<'_>, index: usize, tally: &mut Tally) -> Result<Content, Bad> {
    match c.kind()? {
        Kind::String => {
            tally.text(c.string()?);
            Ok(Content::Text)
        }
        Kind::Null => c.null().map(|()| Content::Null),
        Kind::Array => match c.array(|c, nth| part(c, index, nth, tally))? {
            0 => Ok(Content::NoParts),
            _ => Ok(Content::Parts),
        },
        _ => Err(wrong(
            index,
            ".content",
            "must be a string or an array of parts such as {\"type\": \"text\", \"text\": \"…\"}",
        )),
    }
}

fn part(c: &mut Cursor<'_>, index: usize, nth: usize, tally: &mut Tally) -> Result<(), Bad> {
    let here = |says: &str| wrong(index, &format!(".content[{nth}]"), says);
    if c.kind()? != Kind::Object {
        return Err(here("must be an object with a type, such as {\"type\": \"text\", \"text\": \"…\"}"));
    }
    let (mut once, mut kind, mut text, mut image) = (Once::default(), None::<Text>, None::<Text>, None::<Kind>);
    c.object(|c, key| {
        let key = c.decode(key);
        let at = || format!("messages[{index}].content[{nth}]");
        match &*key {
            "type" => {
                once.note(1, at, &key)?;
                kind = string_or_none(c)?;
                Ok(())
            }
            "text" => {
                once.note(2, at, &key)?;
                text = string_or_none(c)?;
                Ok(())
            }
            "image_url" => {
                once.note(4, at, &key)?;
                image = Some(c.kind()?);
                c.skip()
            }
            _ => c.skip(),
        }
    })?;
    let kind = kind.ok_or_else(|| here("wants a string as its type"))?;
    match &*c.decode(kind) {
        "text" => {
            let text = text.ok_or_else(|| here("is of type text and wants a string as its text"))?;
            tally.text(text);
            Ok(())
        }
        "image_url" if !matches!(image, Some(Kind::Object | Kind::String)) => {
            Err(here("is of type image_url and wants an image_url with a url"))
        }
        "image_url" | "input_audio" | "file" | "video_url" | "audio_url" => {
            tally.media += 1;
            Ok(())
        }
        "refusal" | "thinking" | "reasoning" => Ok(()),
        _ => Err(here(
            "has an unknown type; known are text, image_url, input_audio, file, video_url, audio_url, refusal",
        )),
    }
}

/// Reads the calls that an assistant made; tells whether there are any.
fn tool_calls(c: &mut Cursor<'_>, index: usize, tally: &mut Tally) -> Result<bool, Bad> {
    let here = |says: &str| wrong(index, ".tool_calls", says);
    match c.kind()? {
        Kind::Null => return c.null().map(|()| false),
        Kind::Array => {}
        _ => return Err(here("must be an array of calls")),
    }
    let from = c.at();
    let count = c.array(|c, _| {
        if c.kind()? != Kind::Object {
            return Err(here("must hold objects with id, type and function"));
        }
        let (mut id, mut function, mut custom) = (false, false, false);
        c.object(|c, key| {
            match &*c.decode(key) {
                "id" => id = string_or_none(c)?.is_some(),
                "function" => function = called_function(c)?,
                "custom" => {
                    custom = c.kind()? == Kind::Object;
                    c.skip()?;
                }
                _ => c.skip()?,
            }
            Ok(())
        })?;
        match (id, function || custom) {
            (true, true) => Ok(()),
            (false, _) => Err(here("holds a call without a string as its id")),
            (_, false) => Err(here("holds a call whose function has no name, or arguments that are not a string")),
        }
    })?;
    tally.text_bytes += c.at() - from;
    Ok(count > 0)
}

fn called_function(c: &mut Cursor<'_>) -> Result<bool, Bad> {
    if c.kind()? != Kind::Object {
        return c.skip().map(|()| false);
    }
    let (mut name, mut arguments) = (false, true);
    c.object(|c, key| {
        match &*c.decode(key) {
            "name" => name = string_or_none(c)?.is_some_and(|text| text.len() > 0),
            "arguments" => arguments = string_or_none(c)?.is_some(),
            _ => c.skip()?,
        }
        Ok(())
    })?;
    Ok(name && arguments)
}
