//! A stream that was held until its end, for filters that look at whole answers. Owns what it says as a whole, and how what
//! they changed comes into its events again.

use super::bad_output;
use super::deltas::place;
use super::view::View;
use crate::body;
use crate::snapshot::RouteFilter;
use bytes::Bytes;
use std::borrow::Cow;
use tidegate_core::port::filter::{
    Action, DeltaAction, Edit, Failed, FilterStream, Message, Opinion, Part, PartKind, Place, Seen,
};

/// A choice of an answer that came as a stream.
#[derive(Debug)]
pub(super) struct Choice {
    index: u32,
    role: String,
    finish: String,
    /// Its texts, in the order in which they began.
    parts: Vec<(Place, String)>,
}

impl Choice {
    /// It as filters see it.
    pub(super) fn message(&self) -> Message<'_> {
        let part = |(place, text): &(Place, String)| (place.kind, Cow::Owned(text.clone()));
        let parts = self.parts.iter().map(part);
        Message {
            role: Cow::Borrowed(&self.role),
            parts: parts.map(|(kind, text)| Part { kind, text, is_untrusted: true }).collect(),
        }
    }
}

/// What a stream says, read from its parts; `None` where an event cannot be read.
pub(super) fn read(parts: &[Bytes]) -> Option<Vec<Choice>> {
    let mut choices: Vec<Choice> = Vec::new();
    let whole = parts.concat();
    let mut at = 0;
    while at < whole.len() {
        let end = body::whole_event(&whole, at).unwrap_or(whole.len());
        let event = &whole[at..end];
        at = end;
        let Some(data) = body::data_of(event) else { continue };
        if matches!(data.trim_ascii(), b"" | b"[DONE]") {
            continue;
        }
        for said in body::answered(&data)?.choices {
            let at = choices.iter().position(|choice| choice.index == said.index).unwrap_or_else(|| {
                let (role, finish, parts) = ("assistant".to_owned(), "stop".to_owned(), Vec::new());
                choices.push(Choice { index: said.index, role, finish, parts });
                choices.len() - 1
            });
            let choice = &mut choices[at];
            if let Some(role) = said.spoken.role {
                choice.role = role.decode(&data).into_owned();
            }
            if let Some(finish) = said.finish {
                choice.finish = finish.decode(&data).into_owned();
            }
            for piece in &said.spoken.pieces {
                let (at, text) = (place(&said, piece), piece.text.map(|text| text.decode(&data)).unwrap_or_default());
                match choice.parts.iter_mut().find(|(place, _)| *place == at) {
                    Some((_, so_far)) => so_far.push_str(&text),
                    None if text.is_empty() && piece.kind != PartKind::Other => {}
                    None => choice.parts.push((at, text.into_owned())),
                }
            }
        }
    }
    Some(choices)
}

/// Has a filter look that takes streams alone: each text is one delta.
pub(super) fn piecewise(
    filter: &RouteFilter,
    seen: &Seen<'_>,
    messages: &[Message<'_>],
    choices: &[Choice],
) -> Result<Opinion, Failed> {
    let Some(mut stream) = filter.filter.stream(seen)? else { return Ok(Opinion::default()) };
    let mut edits = Vec::new();
    for (message, (now, choice)) in messages.iter().zip(choices).enumerate() {
        let mut texts: Vec<String> = now.parts.iter().map(|part| part.text.clone().into_owned()).collect();
        let mut is_stopped = false;
        for ((part, text), (at, _)) in now.parts.iter().zip(&mut texts).zip(&choice.parts) {
            if part.kind == PartKind::Other || text.is_empty() {
                continue;
            }
            if is_stopped {
                text.clear();
                continue;
            }
            match stream.delta(*at, text)? {
                DeltaAction::Pass => {}
                DeltaAction::Replace(other) => *text = other,
                DeltaAction::Hold => text.clear(),
                DeltaAction::Stop { last, .. } => {
                    *text = last;
                    is_stopped = true;
                }
                DeltaAction::Refuse(refused) => {
                    return Ok(Opinion { action: Action::Refuse(refused), annotations: Vec::new() });
                }
            }
        }
        if !is_stopped {
            for (at, more) in stream.end(choice.index, &choice.finish)? {
                let part = choice.parts.iter().position(|(place, _)| *place == at);
                let text = part.and_then(|part| texts.get_mut(part));
                text.ok_or_else(|| bad_output(&filter.plugin, "what was held is of no text of the choice"))?
                    .push_str(&more);
            }
        }
        let changed = texts.into_iter().zip(&now.parts).enumerate().filter(|(_, (text, part))| **text != *part.text);
        edits.extend(changed.map(|(part, (text, _))| Edit { message, part, text }));
    }
    Ok(Opinion { action: Action::Edit(edits), annotations: Vec::new() })
}

/// What puts the changes of a view into the events again; nothing where there are none.
pub(super) fn edits(view: &View<'_>, choices: &[Choice]) -> Option<Box<dyn FilterStream>> {
    let edit = |(message, part, text): (usize, usize, &str)| {
        let (place, _) = choices.get(message)?.parts.get(part)?;
        Some((*place, Some(text.to_owned())))
    };
    let texts: Vec<_> = view.edited().filter_map(edit).collect();
    (!texts.is_empty()).then(|| Box::new(Put { texts }) as Box<dyn FilterStream>)
}

/// Puts texts in the place of others: all of each where its first delta was, and nothing where the others were.
#[derive(Debug)]
struct Put {
    texts: Vec<(Place, Option<String>)>,
}

impl FilterStream for Put {
    fn delta(&mut self, at: Place, _: &str) -> Result<DeltaAction, Failed> {
        Ok(match self.texts.iter_mut().find(|(place, _)| *place == at) {
            None => DeltaAction::Pass,
            Some((_, text)) => text.take().map_or(DeltaAction::Hold, DeltaAction::Replace),
        })
    }

    fn end(&mut self, _: u32, _: &str) -> Result<Vec<(Place, String)>, Failed> {
        Ok(Vec::new())
    }
}
