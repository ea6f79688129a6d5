//! The filters look at what is asked: the route's prompt and the caller's messages behind it. Owns that the same is not
//! looked at twice, and what is spliced into the caller's body.

use super::view::View;
use super::{Came, Filters, Stage};
use crate::body::{self, Splices, Text};
use crate::path::arrive::Arrived;
use crate::path::prompt::Front;
use crate::snapshot::Arm;
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use tidegate_core::port::filter::{Message, Part, PartKind};
use tidegate_core::{Fault, Ledger, PromptStamp};

/// A text that stands in the place of a string literal of the caller's body.
pub(crate) type TextEdit = (Range<usize>, String);

/// What filters made of what is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Behind which prompt.
    stamp: Option<Arc<PromptStamp>>,
    edits: Vec<TextEdit>,
    /// The caller's body with them.
    body: Bytes,
    /// The answer, where one of them gave it.
    reply: Option<String>,
}

impl Filters {
    /// Has the filters look at what this arm will be asked; an answer where one of them gives it. Behind the same prompt
    /// they looked already.
    ///
    /// # Errors
    /// One refused the call, or failed although nothing may pass it unseen.
    pub(crate) fn request(
        &mut self,
        arm: &Arm,
        front: Option<&Front>,
        arrived: &Arrived,
        ledger: &mut Ledger,
    ) -> Result<Option<String>, Fault> {
        let stamp = ledger.event().and_then(|event| event.prompt.clone());
        self.model = Some(arm.upstream.clone());
        self.prompt = stamp.as_ref().map(|stamp| stamp.n.to_string());
        if let Some(asked) = self.asked.as_ref().filter(|asked| asked.stamp == stamp) {
            return Ok(asked.reply.clone());
        }
        let asks = |filter: &&crate::snapshot::RouteFilter| filter.spec.at_request && filter.filter.looks_at().request;
        if !self.route.filters.iter().any(|filter| asks(&filter)) {
            return Ok(None);
        }
        let said = front.map(Front::said).transpose()?.unwrap_or_default();
        let (mut messages, mut places) = (trusted(&said), vec![Vec::new(); said.len()]);
        for spoken in body::asked(arrived.api, &arrived.bytes)? {
            let role = spoken.role.map_or(Cow::Borrowed("user"), |role| role.decode(&arrived.bytes));
            places.push(spoken.pieces.iter().map(|piece| piece.text.map(Text::literal)).collect());
            let text = |text: Text| text.decode(&arrived.bytes);
            let part = |piece: &body::Piece| Part {
                kind: piece.kind,
                text: piece.text.map(text).unwrap_or_default(),
                is_untrusted: true,
            };
            messages.push(Message { role, parts: spoken.pieces.iter().map(part).collect() });
        }
        let mut view = View::new(messages);
        let came = self.look(Stage::Request, &mut view, ledger, |filter, seen, view| {
            asks(&filter).then(|| filter.filter.request(seen, view.messages()))
        })?;
        let place = |message: usize, part: usize| places.get(message)?.get(part)?.clone();
        let edits: Vec<TextEdit> =
            view.edited().filter_map(|(message, part, text)| Some((place(message, part)?, text.to_owned()))).collect();
        let mut splices = Splices::new();
        edits.iter().for_each(|(range, text)| splices.text(range.clone(), text));
        let body = splices.apply(&arrived.bytes);
        let reply = if let Came::Replied(text) = came { Some(text) } else { None };
        self.asked = Some(Asked { stamp, edits, body, reply: reply.clone() });
        Ok(reply)
    }

    /// What of the caller's texts was changed.
    pub(crate) fn edits(&self) -> &[TextEdit] {
        self.asked.as_ref().map_or(&[], |asked| &asked.edits)
    }

    /// The caller's body as it was let pass.
    pub(crate) fn body(&self, arrived: &Arrived) -> Bytes {
        self.asked.as_ref().map_or(&arrived.bytes, |asked| &asked.body).clone()
    }
}

fn trusted(said: &[(String, String)]) -> Vec<Message<'_>> {
    let part = |text| vec![Part { kind: PartKind::Text, text: Cow::Borrowed(text), is_untrusted: false }];
    said.iter().map(|(role, text)| Message { role: Cow::Borrowed(role), parts: part(text.as_str()) }).collect()
}
