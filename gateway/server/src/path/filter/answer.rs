//! The filters look at the answer, whole; a stream goes through them delta by delta where all of them take it so, else it is
//! held until its end. Owns which of both, and what is spliced into an answer.

use super::chain::{Chain, Link};
use super::deltas::Deltas;
use super::held;
use super::made::Known;
use super::passage::{Instead, Passage};
use super::view::View;
use super::{Came, Filters, Stage, TOO_LONG, UNREADABLE, failure};
use crate::body::{self, Splices, Text};
use crate::path::{cascade, hold};
use crate::snapshot::RouteFilter;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_core::event::{FilterDid, Filtered};
use tidegate_core::port::backend::Frames;
use tidegate_core::port::filter::{Message, Part};
use tidegate_core::{Fault, Ledger, Usage};

/// The most of one stream that is held for filters; of a longer one they see nothing.
const MOST: usize = 4 * 1024 * 1024;

/// A choice of an answer with this body, as filters see it.
pub(super) fn message<'a>(choice: &body::Chosen, body: &'a [u8]) -> Message<'a> {
    let part = |piece: &body::Piece| Part {
        kind: piece.kind,
        text: piece.text.map(|text| text.decode(body)).unwrap_or_default(),
        is_untrusted: true,
    };
    let role = choice.spoken.role.map_or(Cow::Borrowed("assistant"), |role| role.decode(body));
    Message { role, parts: choice.spoken.pieces.iter().map(part).collect() }
}

/// A stream with its way.
pub(crate) struct OnItsWay {
    /// The stream.
    pub(crate) frames: Frames,
    /// How it goes; nothing where nobody looks.
    pub(crate) passage: Option<Box<Passage>>,
}

impl Filters {
    /// The call is answered by this arm, which is not the one that was asked last where a poor answer is taken after all.
    pub(crate) fn answered(&mut self, ledger: &Ledger) {
        let Some(event) = ledger.event() else { return };
        let arm = self.route.arms.iter().find(|arm| Some(&arm.name) == event.variant.as_ref());
        self.model = arm.map(|arm| arm.upstream.clone());
        self.prompt = event.prompt.as_ref().map(|stamp| stamp.n.to_string());
    }

    /// Has the filters look at a whole answer: the body that goes out.
    ///
    /// # Errors
    /// One refused the answer, or failed although nothing may pass it unseen.
    pub(crate) fn whole(&self, body: Bytes, usage: Option<Usage>, ledger: &mut Ledger) -> Result<Bytes, Fault> {
        let looks = |filter: &RouteFilter| filter.spec.at_answer && filter.filter.looks_at().answer;
        if !self.api.makes_text() || !self.route.filters.iter().any(looks) {
            return Ok(body);
        }
        let Some(answer) = body::answered(&body) else {
            self.unseen(UNREADABLE, ledger, looks)?;
            return Ok(body);
        };
        let mut view = View::new(answer.choices.iter().map(|choice| message(choice, &body)).collect());
        let came = self.look(Stage::Answer, &mut view, ledger, |filter, seen, view| {
            looks(filter).then(|| filter.filter.answer(seen, view.messages()))
        })?;
        if let Came::Replied(text) = came {
            return Ok(Known::like(&body).whole(self.api, &text, usage));
        }
        let mut splices = Splices::new();
        let mut edited = None;
        for (message, part, text) in view.edited() {
            let Some(choice) = answer.choices.get(message) else { continue };
            if let Some(place) = choice.spoken.pieces.get(part).and_then(|piece| piece.text) {
                splices.text(Text::literal(place), text);
            }
            // The probabilities say the text once more.
            if let Some(logprobs) = choice.logprobs.clone().filter(|_| edited != Some(message)) {
                splices.replace(logprobs, "null");
            }
            edited = Some(message);
        }
        Ok(splices.apply(&body))
    }

    /// Has the filters look at a stream, or makes ready that they do.
    ///
    /// # Errors
    /// One refused the answer, or failed although nothing may pass it unseen; or the stream failed while it was held.
    pub(crate) async fn stream(
        &self,
        frames: Frames,
        wants_usage: bool,
        prompt: u64,
        ledger: &mut Ledger,
    ) -> Result<OnItsWay, Fault> {
        let looks = |filter: &&RouteFilter| {
            let at = filter.filter.looks_at();
            filter.spec.at_answer && (at.answer || at.stream)
        };
        let looking: Vec<&RouteFilter> = self.route.filters.iter().filter(looks).collect();
        if looking.is_empty() {
            return Ok(OnItsWay { frames, passage: None });
        }
        // What is known to be paid for until the stream says more: a filter may end the call before.
        ledger.usage(Usage { prompt, ..Usage::default() }, true);
        if looking.iter().all(|filter| filter.filter.looks_at().stream) {
            let passage = self.through(&looking, ledger)?;
            return Ok(OnItsWay { frames, passage });
        }
        let held = hold::hold(frames, MOST).await.inspect_err(|fault| cascade::broke(fault, ledger))?;
        let (usage, is_ours) = held.usage(prompt);
        ledger.usage(usage, is_ours);
        let read = held.parts.as_ref().map_or(Err(TOO_LONG), |parts| held::read(parts).ok_or(UNREADABLE));
        let choices = match read {
            Ok(choices) => choices,
            Err(kind) => {
                self.unseen(kind, ledger, |filter| looks(&filter))?;
                return Ok(OnItsWay { frames: held.frames, passage: None });
            }
        };
        let mut view = View::new(choices.iter().map(held::Choice::message).collect());
        let came = self.look(Stage::Answer, &mut view, ledger, |filter, seen, view| {
            looks(&filter).then(|| match filter.filter.looks_at().answer {
                true => filter.filter.answer(seen, view.messages()),
                false => held::piecewise(filter, seen, view.messages(), &choices),
            })
        })?;
        let passage = match came {
            Came::Replied(text) => {
                let known = Known::like_stream(held.parts.as_deref().unwrap_or_default());
                Some(Passage::Instead(Instead { api: self.api, known, text, wants_usage }))
            }
            Came::Passed => {
                let edits = held::edits(&view, &choices);
                let again =
                    |put| Chain::new(vec![Link::again(looking[0].plugin.clone(), put)], Arc::clone(&self.clock));
                edits.map(|put| Passage::Deltas(Deltas::new(again(put), self.api)))
            }
        };
        Ok(OnItsWay { frames: held.frames, passage: passage.map(Box::new) })
    }

    /// Begins to look at a stream.
    fn through(&self, looking: &[&RouteFilter], ledger: &mut Ledger) -> Result<Option<Box<Passage>>, Fault> {
        let mut links = Vec::with_capacity(looking.len());
        for filter in looking {
            let (plugin, means) = (filter.plugin.clone(), filter.spec.failure);
            let began = self.clock.now();
            let stream = self.seen(|seen| filter.filter.stream(seen));
            let took = self.clock.now().saturating_duration_since(began);
            match stream {
                Ok(None) => {}
                Ok(stream) => links.push(Link::new(plugin, means, stream, took)),
                Err(failed) => match failure(means, &failed) {
                    None => links.push(Link::failed(plugin, failed.kind, took)),
                    Some(fault) => {
                        let (failed, us) = (Some(failed.kind.into()), super::micros(took));
                        let (did, annotations) = (FilterDid::FailedClosed, std::collections::BTreeMap::new());
                        let looked = Filtered { plugin, answer: true, did, failed, annotations, us };
                        ledger.note(|event| event.filtered.push(looked));
                        return Err(fault);
                    }
                },
            }
        }
        if links.is_empty() {
            return Ok(None);
        }
        let chain = Chain::new(links, Arc::clone(&self.clock));
        Ok(Some(Box::new(Passage::Deltas(Deltas::new(chain, self.api)))))
    }
}
