//! What a caller gets back: a stream of events. Dropping it cancels what is still being generated.

use crate::error::GenerateError;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::said::Sureness;
use tokio::sync::mpsc::UnboundedReceiver;

/// Something that happened to a request. `index` says to which of its `n` answers.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerationEvent {
    /// Its turn has come. Always the first.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Those of them whose keys and values the cache had.
        cached_tokens: usize,
    },
    /// The prompt given back, once, before any text.
    Prompt {
        /// Its text.
        text: String,
        /// Its tokens where log-probabilities were asked for; the first has none.
        tokens: Vec<PromptToken>,
    },
    /// More of an answer.
    Text {
        /// Which answer.
        index: usize,
        /// Whole characters.
        text: String,
        /// The tokens that begin in this text, where log-probabilities were asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// How sure the model was of an answer, right before it is complete, where that was asked for.
    Sureness {
        /// Which answer.
        index: usize,
        /// The sums over its tokens.
        of: Sureness,
    },
    /// An answer is complete. The last event of its index.
    Finished {
        /// Which answer.
        index: usize,
        /// Why it ended.
        reason: FinishReason,
        /// Tokens generated, the one that ended it included.
        completion_tokens: usize,
    },
    /// The request failed. The last event.
    Failed(GenerateError),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop text was met.
    Stop,
    /// No more tokens were allowed, or none fit.
    Length,
}

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token as text; bytes that are no whole character show as U+FFFD.
    pub token: String,
    /// Its number.
    pub id: u32,
    /// Its bytes; none for a control token.
    pub bytes: Vec<u8>,
    /// The logarithm of its probability, before temperature and penalties.
    pub logprob: f32,
    /// The likeliest tokens there, likeliest first.
    pub top: Vec<Alternative>,
}

/// A token that might have been.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The token as text.
    pub token: String,
    /// Its number.
    pub id: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The logarithm of its probability.
    pub logprob: f32,
}

/// A token of the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptToken {
    /// The token as text.
    pub token: String,
    /// Its number.
    pub id: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How likely it was after those before it; the first follows nothing.
    pub logprob: Option<f32>,
    /// The likeliest tokens there; none for the first.
    pub top: Vec<Alternative>,
}

/// The events of one request. Never more than the context length allows wait in it, so it needs no back-pressure.
#[derive(Debug)]
pub struct Generation {
    events: UnboundedReceiver<GenerationEvent>,
    prompt_tokens: usize,
    open: usize,
}

impl Generation {
    pub(crate) fn new(events: UnboundedReceiver<GenerationEvent>, prompt_tokens: usize, answers: usize) -> Self {
        Self { events, prompt_tokens, open: answers }
    }

    /// Tokens of the prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// The next event; `None` once all answers are finished or one event said that the request failed.
    pub async fn next(&mut self) -> Option<GenerationEvent> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The next event, waiting on this thread. Not for use within an async runtime.
    pub fn blocking_next(&mut self) -> Option<GenerationEvent> {
        if self.open == 0 {
            return None;
        }
        let event = self.events.blocking_recv();
        self.seen(event)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<GenerationEvent>> {
        if self.open == 0 {
            return Poll::Ready(None);
        }
        self.events.poll_recv(cx).map(|event| self.seen(event))
    }

    /// An engine that ends without a word counts as a failure, so that no answer looks complete that is not.
    fn seen(&mut self, event: Option<GenerationEvent>) -> Option<GenerationEvent> {
        let event = event.unwrap_or(GenerationEvent::Failed(GenerateError::Stopped));
        match event {
            GenerationEvent::Finished { .. } => self.open -= 1,
            GenerationEvent::Failed(_) => self.open = 0,
            _ => {}
        }
        Some(event)
    }
}

impl Stream for Generation {
    type Item = GenerationEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GenerationEvent>> {
        self.poll(cx)
    }
}
