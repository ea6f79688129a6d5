//! What filters see of a call's texts. Owns which of them may be changed, and which were.

use std::borrow::Cow;
use std::collections::BTreeSet;
use tidegate_core::port::filter::{Edit, Message, PartKind};

/// Messages, and which of their parts were changed.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    messages: Vec<Message<'a>>,
    edited: BTreeSet<(usize, usize)>,
}

impl<'a> View<'a> {
    /// A view of these messages.
    pub(crate) const fn new(messages: Vec<Message<'a>>) -> Self {
        Self { messages, edited: BTreeSet::new() }
    }

    /// The messages as they stand now.
    pub(crate) fn messages(&self) -> &[Message<'a>] {
        &self.messages
    }

    /// The parts that were changed, by message and part, with their texts.
    pub(crate) fn edited(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.edited
            .iter()
            .filter_map(|&(message, part)| Some((message, part, &*self.messages.get(message)?.parts.get(part)?.text)))
    }

    /// Puts other texts in, or none at all where one may not be; tells whether any is another one than before.
    pub(crate) fn edit(&mut self, edits: Vec<Edit>) -> Result<bool, &'static str> {
        for edit in &edits {
            let part = self.messages.get(edit.message).and_then(|message| message.parts.get(edit.part));
            let part = part.ok_or("an edit names a part that is not there")?;
            if !part.is_untrusted {
                return Err("an edit names a part of the route's own prompt");
            }
            if part.kind == PartKind::Other {
                return Err("an edit names a part that is no text");
            }
        }
        let mut is_any = false;
        for Edit { message, part, text } in edits {
            let slot = self.messages.get_mut(message).and_then(|message| message.parts.get_mut(part));
            if let Some(slot) = slot.filter(|slot| slot.text != text) {
                slot.text = Cow::Owned(text);
                self.edited.insert((message, part));
                is_any = true;
            }
        }
        Ok(is_any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::filter::Part;

    #[test]
    fn only_texts_of_others_can_be_changed_and_all_edits_or_none() {
        let part = |kind, is_untrusted| Part {
            kind,
            text: if kind == PartKind::Other { "" } else { "a" }.into(),
            is_untrusted,
        };
        let mut view = View::new(vec![
            Message { role: "system".into(), parts: vec![part(PartKind::Text, false)] },
            Message { role: "user".into(), parts: vec![part(PartKind::Text, true), part(PartKind::Other, true)] },
        ]);
        let edit = |message, part, text: &str| Edit { message, part, text: text.to_owned() };
        for wrong in [edit(0, 0, "b"), edit(1, 1, "b"), edit(1, 2, "b"), edit(2, 0, "b")] {
            assert!(view.edit(vec![edit(1, 0, "b"), wrong.clone()]).is_err(), "{wrong:?}");
        }
        assert_eq!((view.edited().count(), view.edit(vec![edit(1, 0, "a")])), (0, Ok(false)));
        assert_eq!(view.edit(vec![edit(1, 0, "b")]), Ok(true));
        assert_eq!(view.edited().collect::<Vec<_>>(), [(1, 0, "b")]);
    }
}
