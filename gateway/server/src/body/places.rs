//! The texts of a request, an answer or a chunk of one, by their places: a second pass, which only routes with filters pay
//! for. Owns which member is a text of which kind; what is not named here is no text to filters, and stays as it is.

use super::cursor::{Bad, Cursor, Kind, Text};
use std::ops::Range;
use tidegate_core::port::filter::PartKind;
use tidegate_core::{Api, Fault};

/// A message of a request.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// As it is written; nothing where the interface has none.
    pub(crate) role: Option<Text>,
    /// Its parts.
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a message or a choice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// What it is.
    pub(crate) kind: PartKind,
    /// Which call of a tool.
    pub(crate) index: u32,
    /// Where its text is; nothing where it has none.
    pub(crate) text: Option<Text>,
    /// Under which name it stands.
    pub(crate) member: Member,
}

/// The name under which a text stands, where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Member {
    /// The usual one of its kind.
    #[default]
    Usual,
    /// `reasoning`, not `reasoning_content`.
    Reasoning,
    /// `function_call`, not `tool_calls`.
    Function,
}

/// A choice of an answer, or of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// Which; its place among the others where it does not say.
    pub(crate) index: u32,
    /// All of it.
    pub(crate) at: Range<usize>,
    /// Who speaks and what.
    pub(crate) spoken: Spoken,
    /// Whether it has facts beside its texts: a role, a tool's name …
    pub(crate) has_facts: bool,
    /// Why it ended, where it says so.
    pub(crate) finish: Option<Text>,
    /// The probabilities of its tokens, in which its text stands once more.
    pub(crate) logprobs: Option<Range<usize>>,
}

/// What an answer, or a chunk, has.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Its choices, in the order in which they stand.
    pub(crate) choices: Vec<Chosen>,
    /// The array that they stand in, with its brackets.
    pub(crate) array: Option<Range<usize>>,
    /// Whether it tells tokens.
    pub(crate) has_usage: bool,
    /// The members by which chunks of one stream are known: `id`, `model` …, each with its name.
    pub(crate) head: Vec<Range<usize>>,
}

/// The messages of a request that was found valid; texts of interfaces without messages are the user's.
///
/// # Errors
/// It is not valid after all.
pub(crate) fn asked(api: Api, bytes: &[u8]) -> Result<Vec<Spoken>, Fault> {
    let read = |text: &str| {
        let (mut c, mut said) = (Cursor::new(text), Vec::new());
        c.kind()?;
        c.object(|c, key| match (api, &*c.decode(key)) {
            (Api::ChatCompletions, "messages") if c.kind()? == Kind::Array => c
                .array(|c, _| {
                    said.push(message(c)?);
                    Ok(())
                })
                .map(drop),
            (Api::Completions, "prompt" | "suffix")
            | (Api::Embeddings, "input")
            | (Api::Rerank, "query" | "documents") => inputs(c, &mut said),
            _ => c.skip(),
        })?;
        Ok(said)
    };
    let text = std::str::from_utf8(bytes).map_err(Fault::internal)?;
    read(text).map_err(|bad: Bad| Fault::internal(bad.into_fault(bytes)))
}

/// The choices of an answer or of a chunk; `None` where it cannot be read.
pub(crate) fn answered(bytes: &[u8]) -> Option<Answered> {
    let mut c = Cursor::new(std::str::from_utf8(bytes).ok()?);
    answer(&mut c).ok()
}

fn answer(c: &mut Cursor<'_>) -> Result<Answered, Bad> {
    let mut answer = Answered::default();
    if c.kind()? != Kind::Object {
        return Err(Bad::Syntax { at: c.at(), what: "expected an object" });
    }
    c.object(|c, key| {
        let from = key.literal().start;
        let kind = c.kind()?;
        let at = c.at();
        match &*c.decode(key) {
            // Two of them could mean another thing to another reader.
            "choices" if answer.array.is_some() => Err(Bad::Syntax { at, what: "choices stand there twice" }),
            "choices" if kind == Kind::Array => {
                c.array(|c, nth| {
                    answer.choices.push(choice(c, nth)?);
                    Ok(())
                })?;
                answer.array = Some(at..c.at());
                Ok(())
            }
            "usage" => {
                answer.has_usage |= kind != Kind::Null;
                c.skip()
            }
            "id" | "object" | "created" | "model" | "system_fingerprint" => {
                c.skip()?;
                answer.head.push(from..c.at());
                Ok(())
            }
            _ => c.skip(),
        }
    })?;
    c.end()?;
    Ok(answer)
}

fn choice(c: &mut Cursor<'_>, nth: usize) -> Result<Chosen, Bad> {
    let mut choice = Chosen { index: u32::try_from(nth).unwrap_or(u32::MAX), ..Chosen::default() };
    if c.kind()? != Kind::Object {
        return Err(Bad::Syntax { at: c.at(), what: "expected an object" });
    }
    let from = c.at();
    c.object(|c, key| {
        let kind = c.kind()?;
        let at = c.at();
        match (&*c.decode(key), kind) {
            ("index", Kind::Number) => {
                choice.index = index(c)?.unwrap_or(choice.index);
                Ok(())
            }
            ("message" | "delta", Kind::Object) => {
                choice.has_facts |= spoken(c, &mut choice.spoken)?;
                Ok(())
            }
            ("text", Kind::String) => {
                let text = c.string()?;
                choice.spoken.pieces.push(Piece::of(PartKind::Text, text));
                Ok(())
            }
            ("finish_reason", Kind::String) => {
                choice.finish = Some(c.string()?);
                Ok(())
            }
            ("logprobs", _) => {
                c.skip()?;
                choice.logprobs = Some(at..c.at()).filter(|_| kind != Kind::Null);
                Ok(())
            }
            _ => c.skip(),
        }
    })?;
    choice.at = from..c.at();
    Ok(choice)
}

fn index(c: &mut Cursor<'_>) -> Result<Option<u32>, Bad> {
    Ok(c.number()?.integer().and_then(|index| u32::try_from(index).ok()))
}

/// The text of a document.
fn document(c: &mut Cursor<'_>) -> Result<Piece, Bad> {
    let mut piece = Piece::other();
    c.object(|c, key| match (&*c.decode(key), c.kind()?) {
        ("text", Kind::String) => {
            piece = Piece::of(PartKind::Text, c.string()?);
            Ok(())
        }
        _ => c.skip(),
    })?;
    Ok(piece)
}

/// Texts, documents with texts, or ids of tokens, which nobody can read.
fn inputs(c: &mut Cursor<'_>, said: &mut Vec<Spoken>) -> Result<(), Bad> {
    let mut push = |piece| said.push(Spoken { role: None, pieces: vec![piece] });
    match c.kind()? {
        Kind::String => push(Piece::of(PartKind::Text, c.string()?)),
        Kind::Null => c.null()?,
        Kind::Array => {
            let mut has_tokens = false;
            c.array(|c, _| match c.kind()? {
                Kind::String => {
                    push(Piece::of(PartKind::Text, c.string()?));
                    Ok(())
                }
                Kind::Number => {
                    has_tokens = true;
                    c.skip()
                }
                Kind::Object => {
                    push(document(c)?);
                    Ok(())
                }
                _ => {
                    push(Piece::other());
                    c.skip()
                }
            })?;
            if has_tokens {
                push(Piece::other());
            }
        }
        _ => c.skip()?,
    }
    Ok(())
}

fn message(c: &mut Cursor<'_>) -> Result<Spoken, Bad> {
    let mut said = Spoken::default();
    c.kind()?;
    spoken(c, &mut said)?;
    // The role may stand behind the content.
    if said.role.is_some_and(|role| matches!(&*c.decode(role), "tool" | "function")) {
        for piece in said.pieces.iter_mut().filter(|piece| piece.kind == PartKind::Text) {
            piece.kind = PartKind::ToolResult;
        }
    }
    Ok(said)
}

/// Reads a message or a delta; tells whether it has facts beside its texts.
fn spoken(c: &mut Cursor<'_>, said: &mut Spoken) -> Result<bool, Bad> {
    let mut has_facts = false;
    c.object(|c, key| {
        let kind = c.kind()?;
        let name = c.decode(key);
        match (&*name, kind) {
            (_, Kind::Null) => c.null(),
            ("role", Kind::String) => {
                said.role = Some(c.string()?);
                has_facts = true;
                Ok(())
            }
            ("content", Kind::String) => said.text(c, PartKind::Text, Member::Usual),
            ("content", Kind::Array) => c.array(|c, _| content(c, said)).map(drop),
            ("refusal", Kind::String) => said.text(c, PartKind::Refusal, Member::Usual),
            ("reasoning_content", Kind::String) => said.text(c, PartKind::Reasoning, Member::Usual),
            ("reasoning", Kind::String) => said.text(c, PartKind::Reasoning, Member::Reasoning),
            ("tool_calls", Kind::Array) => {
                c.array(|c, nth| {
                    has_facts |= call(c, nth, said)?;
                    Ok(())
                })?;
                Ok(())
            }
            ("function_call", Kind::Object) => {
                has_facts |= function(c, said, Member::Function)?;
                Ok(())
            }
            ("audio", _) => {
                said.pieces.push(Piece::other());
                has_facts = true;
                c.skip()
            }
            _ => {
                has_facts = true;
                c.skip()
            }
        }
    })?;
    Ok(has_facts)
}

/// Reads a part of a content.
fn content(c: &mut Cursor<'_>, said: &mut Spoken) -> Result<(), Bad> {
    if c.kind()? != Kind::Object {
        said.pieces.push(Piece::other());
        return c.skip();
    }
    let (mut kind, mut texts) = (None, Vec::new());
    c.object(|c, key| {
        let is_string = c.kind()? == Kind::String;
        match &*c.decode(key) {
            "type" if is_string => kind = Some(c.string()?),
            "text" if is_string => texts.push((PartKind::Text, c.string()?)),
            "refusal" if is_string => texts.push((PartKind::Refusal, c.string()?)),
            "thinking" | "reasoning" if is_string => texts.push((PartKind::Reasoning, c.string()?)),
            _ => c.skip()?,
        }
        Ok(())
    })?;
    let is_thought = kind.is_some_and(|kind| matches!(&*c.decode(kind), "thinking" | "reasoning"));
    if texts.is_empty() {
        said.pieces.push(Piece::other());
    }
    let thought = |kind| if is_thought { PartKind::Reasoning } else { kind };
    said.pieces.extend(texts.into_iter().map(|(kind, text)| Piece::of(thought(kind), text)));
    Ok(())
}

/// Reads a call of a tool, or in a stream a part of one; tells whether it has facts beside its arguments.
fn call(c: &mut Cursor<'_>, nth: usize, said: &mut Spoken) -> Result<bool, Bad> {
    let (from, mut at, mut has_facts) = (said.pieces.len(), u32::try_from(nth).unwrap_or(u32::MAX), false);
    if c.kind()? != Kind::Object {
        return c.skip().map(|()| true);
    }
    c.object(|c, key| {
        let kind = c.kind()?;
        match (&*c.decode(key), kind) {
            ("index", Kind::Number) => at = index(c)?.unwrap_or(at),
            ("function" | "custom", Kind::Object) => has_facts |= function(c, said, Member::Usual)?,
            (_, Kind::Null) => c.null()?,
            _ => {
                has_facts = true;
                c.skip()?;
            }
        }
        Ok(())
    })?;
    said.pieces[from..].iter_mut().for_each(|piece| piece.index = at);
    Ok(has_facts)
}

fn function(c: &mut Cursor<'_>, said: &mut Spoken, member: Member) -> Result<bool, Bad> {
    let mut has_facts = false;
    c.object(|c, key| {
        let kind = c.kind()?;
        match (&*c.decode(key), kind) {
            (_, Kind::Null) => c.null(),
            ("arguments" | "input", Kind::String) => said.text(c, PartKind::ToolArguments, member),
            ("arguments" | "input", _) => {
                said.pieces.push(Piece::other());
                has_facts = true;
                c.skip()
            }
            _ => {
                has_facts = true;
                c.skip()
            }
        }
    })?;
    Ok(has_facts)
}

impl Spoken {
    fn text(&mut self, c: &mut Cursor<'_>, kind: PartKind, member: Member) -> Result<(), Bad> {
        let text = c.string()?;
        self.pieces.push(Piece { member, ..Piece::of(kind, text) });
        Ok(())
    }
}

impl Piece {
    const fn of(kind: PartKind, text: Text) -> Self {
        Self { kind, index: 0, text: Some(text), member: Member::Usual }
    }

    const fn other() -> Self {
        Self { kind: PartKind::Other, index: 0, text: None, member: Member::Usual }
    }
}

#[cfg(test)]
mod tests;
