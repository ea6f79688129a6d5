//! The generations of one call as server-sent events: a stream that is dropped cancels them.

use crate::constrain::{CallReader, Heard};
use crate::openai::completion::Column;
use crate::openai::work::{Work, broken, column, entry, prompt_column, shown, word};
use crate::openai::{chat, completion};
use crate::{GenerationEvent, TokenLogprob};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::Value;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::{Fault, Usage};

/// The generations of one call as server-sent events. Prompts run side by side; their events are told in turn.
#[derive(Debug)]
pub(super) struct EventFrames {
    pub(super) work: Work,
    pub(super) first: Option<Bytes>,
    begun: Vec<bool>,
    offsets: Vec<usize>,
    /// Of each answer that may call tools: its reader, and the tokens whose text it still holds.
    readers: Vec<Option<(CallReader, Vec<Value>)>>,
    usage: Usage,
    over: bool,
}

impl EventFrames {
    pub(super) fn new(work: Work) -> Self {
        let answers = work.n * work.running.len();
        let readers = (0..answers).map(|_| work.style.map(|style| (CallReader::new(style), Vec::new()))).collect();
        Self {
            work,
            readers,
            first: None,
            begun: vec![false; answers],
            offsets: vec![0; answers],
            usage: Usage::default(),
            over: false,
        }
    }

    /// The chunks of one event, as text.
    fn told(&mut self, event: GenerationEvent) -> Result<String, Fault> {
        let base = self.work.prompt * self.work.n;
        Ok(match event {
            GenerationEvent::Started { prompt_tokens, cached_tokens } => {
                self.work.begun = true;
                self.usage.prompt += prompt_tokens as u64;
                self.usage.cached += cached_tokens as u64;
                String::new()
            }
            GenerationEvent::Prompt { text, tokens } => (base..base + self.work.n)
                .map(|index| self.text(index, &text, &tokens.iter().map(prompt_column).collect::<Vec<_>>()))
                .collect(),
            GenerationEvent::Text { index, text, logprobs } if self.work.chat => {
                self.said(base + index, &text, &logprobs)
            }
            GenerationEvent::Text { index, text, logprobs } => {
                self.text(base + index, &text, &logprobs.iter().map(column).collect::<Vec<_>>())
            }
            GenerationEvent::Sureness { index, of } => {
                self.work.was_sure(base + index, of);
                String::new()
            }
            GenerationEvent::Finished { index, reason, completion_tokens } => {
                self.usage.completion += completion_tokens as u64;
                let (rest, has_calls) = self.rest(base + index);
                let last = if self.work.chat { chat::finish } else { completion::finish };
                rest + &self.role(base + index) + &last(&self.work.head, base + index, word(reason, has_calls))
            }
            GenerationEvent::Failed(error) => return Err(broken(&error, self.work.form)),
        })
    }

    /// More of an answer in a chat: text, and calls where there may be some.
    fn said(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> String {
        let entries = if self.work.logprobs { tokens.iter().map(entry).collect() } else { Vec::new() };
        let Some((reader, held)) = &mut self.readers[index] else {
            let entries = self.work.logprobs.then_some(entries);
            return self.role(index) + &chat::delta(&self.work.head, index, text, entries.as_deref());
        };
        held.extend(entries);
        let heard = reader.push(text);
        self.heard(index, &heard)
    }

    /// What was held back of an answer that has ended; whether it calls tools.
    fn rest(&mut self, index: usize) -> (String, bool) {
        let Some((reader, _)) = &mut self.readers[index] else { return (String::new(), false) };
        let (rest, has_calls) = (reader.finish(), reader.has_calls());
        (self.heard(index, rest.as_slice()), has_calls)
    }

    fn heard(&mut self, index: usize, parts: &[Heard]) -> String {
        let mut told = String::new();
        for part in parts {
            told += &self.role(index);
            let entries = self.readers[index].as_mut().map(|(_, held)| std::mem::take(held)).unwrap_or_default();
            let entries = self.work.logprobs.then_some(entries);
            let id = if matches!(part, Heard::Call { .. }) { self.work.call_id() } else { String::new() };
            told += &chat::heard(&self.work.head, index, part, &id, entries.as_deref());
        }
        told
    }

    fn role(&mut self, index: usize) -> String {
        if !self.work.chat || std::mem::replace(&mut self.begun[index], true) {
            return String::new();
        }
        chat::role(&self.work.head, index)
    }

    fn text(&mut self, index: usize, text: &str, tokens: &[Column]) -> String {
        let offset = self.offsets[index];
        self.offsets[index] += text.chars().count();
        completion::delta(&self.work.head, index, text, self.work.logprobs.then_some(tokens), offset)
    }

    fn end(&mut self) -> String {
        self.over = true;
        self.work.say_aside();
        let usage = if self.work.chat { chat::usage } else { completion::usage };
        let usage = if self.work.head.usage { usage(&self.work.head, &shown(&self.usage)) } else { String::new() };
        usage + "data: [DONE]\n\n"
    }
}

impl Stream for EventFrames {
    type Item = Result<Bytes, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        while !this.over {
            let Some(generation) = this.work.running.front_mut() else {
                return Poll::Ready(Some(Ok(this.end().into())));
            };
            let Some(event) = std::task::ready!(Pin::new(generation).poll_next(cx)) else {
                this.work.running.pop_front();
                this.work.prompt += 1;
                continue;
            };
            match this.told(event) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return Poll::Ready(Some(Ok(text.into()))),
                Err(fault) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
        }
        Poll::Ready(None)
    }
}
