//! Looks at what a filter gave back before anybody acts on it: an edit names an untrusted text that is there, and each once; a
//! refusal is one of the caller's faults and safe to show; texts have an end. Owns these rules.

use super::view;
use crate::bindings::filters::exports::tidegate::plugin::stream_filter;
use crate::bindings::filters::tidegate::plugin::view as wit;
use std::collections::HashSet;
use tidegate_core::port::filter::{Action, DeltaAction, Edit, Message, Opinion, PartKind, Place, Refused};

/// How much a filter may say.
const TEXT_BYTES: usize = 4 << 20;
const HELD: usize = 1024;
const ANNOTATIONS: usize = 16;
const NAME_BYTES: usize = 64;
const VALUE_BYTES: usize = 256;
const WORD_BYTES: usize = 64;
const MESSAGE_BYTES: usize = 1024;

/// What is wrong with an output.
pub(super) type Wrong = String;

/// What a filter says of a call or an answer that has these messages.
pub(super) fn outcome(given: wit::Outcome, messages: &[Message<'_>]) -> Result<Opinion, Wrong> {
    let wit::Outcome { action, annotations } = given;
    let action = match action {
        wit::Action::Pass => Action::Pass,
        wit::Action::Edit(edits) => {
            let plain =
                |edit: wit::Edit| Edit { message: edit.message as usize, part: edit.part as usize, text: edit.text };
            edited(edits.into_iter().map(plain).collect(), messages)?
        }
        wit::Action::Reply(text) => Action::Reply(fits(text, "its reply")?),
        wit::Action::Refuse(refusal) => Action::Refuse(refused(refusal)?),
    };
    Ok(Opinion { action, annotations: annotated(annotations)? })
}

/// Edits of these messages; none is the same as nothing.
pub(super) fn edited(edits: Vec<Edit>, messages: &[Message<'_>]) -> Result<Action, Wrong> {
    if edits.is_empty() {
        return Ok(Action::Pass);
    }
    let mut seen = HashSet::new();
    let mut bytes = 0usize;
    for edit in &edits {
        let (at, of) = (edit.message, edit.part);
        let Some(part) = messages.get(at).and_then(|message| message.parts.get(of)) else {
            return Err(format!("it edits part {of} of message {at}, which is not there"));
        };
        if !part.is_untrusted {
            return Err(format!("it edits part {of} of message {at}, which is of the route's own prompt"));
        }
        if part.kind == PartKind::Other {
            return Err(format!("it edits part {of} of message {at}, which is no text"));
        }
        if !seen.insert((at, of)) {
            return Err(format!("it edits part {of} of message {at} twice"));
        }
        bytes = bytes.saturating_add(edit.text.len());
    }
    if bytes > TEXT_BYTES {
        return Err(format!("its edits have {bytes} bytes; {TEXT_BYTES} are the most"));
    }
    Ok(Action::Edit(edits))
}

/// A refusal.
pub(super) fn refused(given: wit::Refusal) -> Result<Refused, Wrong> {
    let wit::Refusal { status, code, message } = given;
    if !(400..500).contains(&status) {
        return Err(format!("it refuses with the status {status}; 400 to 499 are a caller's"));
    }
    word(&code, "the code of its refusal")?;
    if message.is_empty() {
        return Err("it refuses without a word to the caller".to_owned());
    }
    short(&message, MESSAGE_BYTES, "the message of its refusal")?;
    Ok(Refused { status, code, message })
}

/// Facts for the record.
pub(super) fn annotated(given: Vec<(String, String)>) -> Result<Vec<(String, String)>, Wrong> {
    if given.len() > ANNOTATIONS {
        return Err(format!("it gave {} annotations; {ANNOTATIONS} are the most", given.len()));
    }
    for (name, value) in &given {
        if name.is_empty() {
            return Err("an annotation has no name".to_owned());
        }
        short(name, NAME_BYTES, "the name of an annotation")?;
        short(value, VALUE_BYTES, &format!("the annotation `{name}`"))?;
    }
    Ok(given)
}

/// What shall be done with a delta.
pub(super) fn delta(given: stream_filter::DeltaAction) -> Result<DeltaAction, Wrong> {
    use stream_filter::DeltaAction as Given;
    Ok(match given {
        Given::Pass => DeltaAction::Pass,
        Given::Replace(text) => DeltaAction::Replace(fits(text, "its text")?),
        Given::Hold => DeltaAction::Hold,
        Given::Stop((finish_reason, last)) => {
            word(&finish_reason, "its finish reason")?;
            DeltaAction::Stop { finish_reason, last: fits(last, "its last text")? }
        }
        Given::Refuse(refusal) => DeltaAction::Refuse(refused(refusal)?),
    })
}

/// What was held of a choice that ends.
pub(super) fn held(given: Vec<stream_filter::Held>, choice: u32) -> Result<Vec<(Place, String)>, Wrong> {
    if given.len() > HELD {
        return Err(format!("it held {} texts; {HELD} are the most", given.len()));
    }
    let bytes = given.iter().map(|held| held.text.len()).sum::<usize>();
    if bytes > TEXT_BYTES {
        return Err(format!("it held {bytes} bytes; {TEXT_BYTES} are the most"));
    }
    let one = |held: stream_filter::Held| {
        let place = view::place_of(held.place);
        if place.choice != choice || place.kind == PartKind::Other {
            return Err(format!("it held a text that is none of choice {choice}, which ends"));
        }
        Ok((place, held.text))
    };
    given.into_iter().map(one).collect()
}

/// A word for programs.
pub(super) fn word(text: &str, what: &str) -> Result<(), Wrong> {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > WORD_BYTES || !text.bytes().all(is_one) {
        return Err(format!("{what} is no word of 1 to {WORD_BYTES} letters, digits and _ - ."));
    }
    Ok(())
}

fn fits(text: String, what: &str) -> Result<String, Wrong> {
    if text.len() > TEXT_BYTES {
        return Err(format!("{what} has {} bytes; {TEXT_BYTES} are the most", text.len()));
    }
    Ok(text)
}

pub(super) fn short(text: &str, most: usize, what: &str) -> Result<(), Wrong> {
    if text.len() > most {
        return Err(format!("{what} has {} bytes; {most} are the most", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::filter::Part;

    fn messages() -> Vec<Message<'static>> {
        let part = |kind, is_untrusted| Part { kind, text: "x".into(), is_untrusted };
        let prompt = vec![part(PartKind::Text, false)];
        let said = vec![part(PartKind::Other, true), part(PartKind::Text, true), part(PartKind::ToolResult, true)];
        vec![Message { role: "system".into(), parts: prompt }, Message { role: "user".into(), parts: said }]
    }

    fn edits(places: &[(u32, u32)], text: &str) -> Result<Action, Wrong> {
        let edit = |(message, part): &(u32, u32)| wit::Edit { message: *message, part: *part, text: text.to_owned() };
        let action = wit::Action::Edit(places.iter().map(edit).collect());
        outcome(wit::Outcome { action, annotations: vec![] }, &messages()).map(|opinion| opinion.action)
    }

    #[test]
    fn an_edit_names_an_untrusted_text_that_is_there_once() {
        assert_eq!(edits(&[], "y"), Ok(Action::Pass));
        let edit = |part| Edit { message: 1, part, text: "y".to_owned() };
        assert_eq!(edits(&[(1, 2), (1, 1)], "y"), Ok(Action::Edit(vec![edit(2), edit(1)])));
        for (places, part) in [
            (&[(2, 0)][..], "not there"),
            (&[(1, 3)], "not there"),
            (&[(u32::MAX, u32::MAX)], "not there"),
            (&[(0, 0)], "own prompt"),
            (&[(1, 0)], "no text"),
            (&[(1, 1), (1, 1)], "twice"),
        ] {
            assert!(edits(places, "y").unwrap_err().contains(part), "{places:?}");
        }
        assert!(edits(&[(1, 1)], &"y".repeat(TEXT_BYTES + 1)).unwrap_err().contains("are the most"));
    }

    #[test]
    fn a_refusal_is_a_callers_fault_and_safe_to_show() {
        let refusal = |status, code: &str, message: &str| {
            refused(wit::Refusal { status, code: code.to_owned(), message: message.to_owned() })
        };
        assert!(refusal(422, "pii", "Leave the number out.").is_ok());
        let long = "m".repeat(MESSAGE_BYTES + 1);
        for (status, code, message) in [
            (399, "pii", "m"),
            (500, "pii", "m"),
            (400, "", "m"),
            (400, "two words", "m"),
            (400, &long[..65], "m"),
            (400, "pii", ""),
            (400, "pii", "m\r\nset-cookie: x"),
            (400, "pii", &long),
        ] {
            assert!(refusal(status, code, message).is_err(), "{status} {code} {message}");
        }
    }

    #[test]
    fn annotations_are_few_and_short() {
        let note = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(annotated(vec![note("a", ""); 16]).is_ok());
        assert!(annotated(vec![note("a", "b"); 17]).is_err());
        for bad in [note("", "b"), note("a", "b\n"), note("a", &"b".repeat(257)), note(&"a".repeat(65), "b")] {
            assert!(annotated(vec![bad]).is_err());
        }
    }

    #[test]
    fn what_was_held_is_of_the_choice_that_ends() {
        let held_at = |choice, kind| {
            let place = stream_filter::Place { choice, kind, index: 0 };
            held(vec![stream_filter::Held { place, text: "x".to_owned() }], 1)
        };
        assert_eq!(held_at(1, wit::PartKind::Text).unwrap().len(), 1);
        assert!(held_at(0, wit::PartKind::Text).is_err() && held_at(1, wit::PartKind::Other).is_err());
        let stop = |reason: &str| delta(stream_filter::DeltaAction::Stop((reason.to_owned(), String::new())));
        assert!(stop("content_filter").is_ok() && stop("").is_err() && stop("a\"b").is_err());
    }
}
