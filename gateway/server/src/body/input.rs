//! What completions and embeddings are asked for: text, token ids, or several of either; and what is ranked.

use super::cursor::{Bad, Cursor, Kind};
use super::scan::Tally;

/// The most texts or lists of ids in one call.
const MOST_ITEMS: usize = 2048;

/// What may be empty in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// A prompt may be the empty string.
    MayBeEmpty,
    /// There is no embedding of nothing.
    NotEmpty,
}

/// Reads the field `name`; tells how many texts it holds.
pub(super) fn items(c: &mut Cursor<'_>, name: &'static str, texts: Texts, tally: &mut Tally) -> Result<usize, Bad> {
    match c.kind()? {
        Kind::String => text(c, name, texts, tally).map(|()| 1),
        Kind::Array => list(c, name, texts, tally),
        is => Err(Bad::field(name, format!("{name} must be {FORMS}, not {}", is.article()))),
    }
}

/// Reads what documents are ranked by.
pub(super) fn query(c: &mut Cursor<'_>, tally: &mut Tally) -> Result<(), Bad> {
    match c.kind()? {
        Kind::String => text(c, "query", Texts::NotEmpty, tally),
        is => Err(Bad::field("query", format!("query must be a string, not {}", is.article()))),
    }
}

/// Reads the documents to rank; tells how many there are.
pub(super) fn documents(c: &mut Cursor<'_>, tally: &mut Tally) -> Result<usize, Bad> {
    const FORM: &str = "documents must be an array of strings or of objects such as {\"text\": \"…\"}";
    let bad = |is: Kind| Bad::field("documents", format!("{FORM}, not {}", is.article()));
    if c.kind()? != Kind::Array {
        return Err(bad(c.kind()?));
    }
    let count = c.array(|c, index| {
        if index == MOST_ITEMS {
            let says = format!("documents holds more than {MOST_ITEMS} entries; send several calls");
            return Err(Bad::field("documents", says));
        }
        match c.kind()? {
            Kind::String => {
                tally.text(c.string()?);
                Ok(())
            }
            Kind::Object => {
                let mut texts = 0;
                c.object(|c, key| match (&*c.decode(key), c.kind()?) {
                    ("text", Kind::String) => {
                        tally.text(c.string()?);
                        texts += 1;
                        Ok(())
                    }
                    _ => c.skip(),
                })?;
                if texts == 1 { Ok(()) } else { Err(Bad::field("documents", format!("{FORM}, with one text each"))) }
            }
            is => Err(bad(is)),
        }
    })?;
    if count == 0 { Err(Bad::field("documents", "documents is empty; send at least one")) } else { Ok(count) }
}

const FORMS: &str = "a string, an array of strings, an array of token ids or an array of such arrays";

fn list(c: &mut Cursor<'_>, name: &'static str, texts: Texts, tally: &mut Tally) -> Result<usize, Bad> {
    let mut form = None;
    let count = c.array(|c, index| {
        let kind = c.kind()?;
        if *form.get_or_insert(kind) != kind {
            return Err(Bad::field(name, format!("{name} mixes forms: it must be {FORMS}")));
        }
        if index == MOST_ITEMS && kind != Kind::Number {
            return Err(Bad::field(name, format!("{name} holds more than {MOST_ITEMS} entries; send several calls")));
        }
        match kind {
            Kind::String => text(c, name, texts, tally),
            Kind::Number => token(c, name, tally),
            Kind::Array => tokens(c, name, tally),
            is => Err(Bad::field(name, format!("{name} must be {FORMS}, and {} is in it", is.article()))),
        }
    })?;
    match form {
        None => Err(Bad::field(name, format!("{name} is an empty array; it must be {FORMS}"))),
        Some(Kind::Number) => Ok(1),
        Some(_) => Ok(count),
    }
}

fn text(c: &mut Cursor<'_>, name: &'static str, texts: Texts, tally: &mut Tally) -> Result<(), Bad> {
    let text = c.string()?;
    if text.len() == 0 && texts == Texts::NotEmpty {
        return Err(Bad::field(name, format!("{name} must not be or hold an empty string")));
    }
    tally.text(text);
    Ok(())
}

fn tokens(c: &mut Cursor<'_>, name: &'static str, tally: &mut Tally) -> Result<(), Bad> {
    let count = c.array(|c, _| match c.kind()? {
        Kind::Number => token(c, name, tally),
        is => Err(Bad::field(name, format!("{name} must hold token ids in its inner arrays, not {}", is.article()))),
    })?;
    if count == 0 { Err(Bad::field(name, format!("{name} holds an empty array of token ids"))) } else { Ok(()) }
}

fn token(c: &mut Cursor<'_>, name: &'static str, tally: &mut Tally) -> Result<(), Bad> {
    tally.tokens += 1;
    match c.number()?.integer().map(u32::try_from) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Bad::field(name, format!("{name} holds a number that is no token id: ids are integers not below 0"))),
    }
}
