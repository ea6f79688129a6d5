//! One answer in work: its tokens, how many of them are computed, its sampler and its text; and the request from which
//! it is made.

use super::draft::Drafter;
use super::places::Permit;
use super::sureness::Gauge;
use crate::adapter::AdapterHandle;
use crate::constrain::Held;
use crate::error::GenerateError;
use crate::generation::{Alternative, FinishReason, GenerationEvent, PromptToken, TokenLogprob};
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, BlockId, KvPool, PrefixChain};
use crate::request::GenerateRequest;
use crate::sample::{Sampler, logprobs};
use crate::text::{Delta, TextStream};
use crate::vocabulary::Vocabulary;
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::spec::Priority;
use tokio::sync::mpsc::UnboundedSender;

/// A request that was checked and tokenised.
pub(crate) struct Job {
    pub(crate) caller: u64,
    pub(crate) tokens: Vec<u32>,
    /// Most tokens of each answer, with the context length in mind.
    pub(crate) max_tokens: usize,
    pub(crate) seed: u64,
    pub(crate) request: GenerateRequest,
    /// What `echo` gives back.
    pub(crate) echo: Option<String>,
    /// What holds its answers to a form.
    pub(crate) held: Option<Held>,
    pub(crate) events: UnboundedSender<GenerationEvent>,
    /// Since when it waits.
    pub(crate) since: Instant,
    /// The prompt's full blocks, to be found again.
    pub(crate) prefix: PrefixChain,
    #[expect(dead_code, reason = "held until the request's turn comes, never looked at")]
    pub(crate) permit: Option<Arc<Permit>>,
}

impl Job {
    /// Whether the scores at every position of the prompt are wanted, so that all of it must be computed.
    pub(super) fn wants_prompt_scores(&self) -> bool {
        self.echo.is_some() && self.request.logprobs.is_some()
    }
}

/// What `echo` wants and has.
struct Echo {
    text: String,
    /// Alternatives wanted beside each token; `None` = no log-probabilities at all.
    count: Option<usize>,
    /// Of the tokens after the first.
    found: Vec<(f32, Vec<(u32, f32)>)>,
}

/// An answer in work.
pub(super) struct Sequence {
    pub(super) caller: u64,
    pub(super) priority: Priority,
    /// Prompt and answer.
    pub(super) tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub(super) prompt: usize,
    /// Tokens whose keys and values are in `blocks`.
    pub(super) computed: usize,
    pub(super) blocks: Vec<BlockId>,
    /// Tokens guessed ahead for this step.
    pub(super) draft: Vec<u32>,
    pub(super) drafter: Drafter,
    pub(super) prefix: PrefixChain,
    /// Blocks that others may find already.
    published: usize,
    /// Other answers to the same prompt, which wait for it to be computed.
    pub(super) siblings: Vec<Sequence>,
    /// What the model wears for it; its generation is in the keys of what is cached.
    pub(super) adapter: Option<AdapterHandle>,
    index: usize,
    isa: Isa,
    max_tokens: usize,
    sampler: Sampler,
    held: Option<Held>,
    text: TextStream,
    logprobs: Option<usize>,
    /// How sure the model is of it, where somebody goes by that.
    gauge: Option<Gauge>,
    echo: Option<Echo>,
    events: UnboundedSender<GenerationEvent>,
}

impl Sequence {
    /// The first answer of a request, with its siblings.
    pub(super) fn begin(job: Job, isa: Isa) -> Self {
        let make = |index: usize, job: &Job| Self {
            caller: job.caller,
            priority: job.request.priority,
            tokens: job.tokens.clone(),
            prompt: job.tokens.len(),
            computed: 0,
            blocks: Vec::new(),
            draft: Vec::new(),
            drafter: Drafter::default(),
            prefix: job.prefix.clone(),
            published: 0,
            siblings: Vec::new(),
            adapter: job.request.adapter.clone(),
            index,
            isa,
            max_tokens: job.max_tokens,
            sampler: Sampler::new(isa, job.request.sampling.clone(), job.seed, index),
            held: job.held.as_ref().filter(|_| index > 0).and_then(Held::fork),
            text: TextStream::new(job.request.stop.clone()).shielded(job.held.as_ref().and_then(Held::shield)),
            logprobs: job.request.logprobs,
            gauge: job.request.sureness.then(|| Gauge::new(isa)),
            echo: None,
            events: job.events.clone(),
        };
        let mut first = make(0, &job);
        first.siblings = (1..job.request.n).map(|index| make(index, &job)).collect();
        let count = job.request.logprobs;
        first.held = job.held;
        first.echo = job.echo.map(|text| Echo { text, count, found: Vec::new() });
        first
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// A caller that has gone is noticed by `is_cancelled` before the next step.
    pub(super) fn send(&self, event: GenerationEvent) {
        drop(self.events.send(event));
    }

    /// Tokens that must still be computed before the next can be chosen.
    pub(super) fn missing(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Tokens that may be guessed ahead: the last one is never, nor any before the prompt is whole and told.
    pub(super) fn may_guess(&self) -> usize {
        let waits = self.missing() != 1 || !self.siblings.is_empty() || self.wants_prompt_scores();
        let made = self.tokens.len() - self.prompt;
        if waits { 0 } else { self.max_tokens.saturating_sub(made + 1) }
    }

    /// Takes over what the cache has of its beginning. One token is always left to compute, since its scores say what
    /// comes next: where all are there, it gets a copy of the last block to write it into.
    pub(super) fn adopt(&mut self, kv: &mut KvPool) {
        if self.wants_prompt_scores() {
            return;
        }
        self.prefix.cover(&self.tokens);
        for key in self.prefix.keys() {
            let Some(block) = kv.find(*key) else { break };
            self.blocks.push(block);
        }
        self.published = self.blocks.len();
        self.computed = self.blocks.len() * BLOCK_TOKENS;
        if self.computed < self.tokens.len() {
            return;
        }
        self.published -= 1;
        let Some(last) = self.blocks.pop() else { return };
        match kv.copy(last) {
            Some(copy) => {
                self.blocks.push(copy);
                self.computed = self.tokens.len() - 1;
            }
            None => self.computed -= BLOCK_TOKENS,
        }
        kv.release(last);
    }

    /// Lets others find the blocks that are full by now.
    pub(super) fn publish(&mut self, kv: &mut KvPool) {
        let full = self.computed / BLOCK_TOKENS;
        if full <= self.published {
            return;
        }
        self.prefix.cover(&self.tokens[..self.computed]);
        let fresh = self.published..full;
        for (block, key) in self.blocks[fresh.clone()].iter_mut().zip(&self.prefix.keys()[fresh]) {
            *block = kv.publish(*block, *key);
        }
        self.published = full;
    }

    /// Uses another answer's full blocks and a copy of its last, if there is a block for that.
    pub(super) fn share(&mut self, kv: &mut KvPool, blocks: &[BlockId], computed: usize) {
        let full = computed / BLOCK_TOKENS;
        let copy = match blocks.get(full) {
            Some(last) => match kv.copy(*last) {
                Some(copy) => Some(copy),
                None => return,
            },
            None => None,
        };
        for block in &blocks[..full] {
            kv.share(*block);
        }
        self.blocks = blocks[..full].iter().copied().chain(copy).collect();
        (self.computed, self.published) = (computed, full);
    }

    /// Gives up its blocks, the last ones first: of what is kept they are then forgotten first, and the beginning, which
    /// more prompts have, last.
    pub(super) fn free(&mut self, kv: &mut KvPool) {
        for block in self.blocks.drain(..).rev() {
            kv.release(block);
        }
        self.draft.clear();
        (self.computed, self.published) = (0, 0);
    }

    /// Whether the scores at every position of the prompt are wanted, and not all there.
    pub(super) fn wants_prompt_scores(&self) -> bool {
        self.echo.as_ref().is_some_and(|e| e.count.is_some())
    }

    /// Gives the prompt back at once where its scores are not asked for, or it has none.
    pub(super) fn echo_text(&self) {
        if let Some(echo) = self.echo.as_ref().filter(|e| e.count.is_none()) {
            self.send(GenerationEvent::Prompt { text: echo.text.clone(), tokens: Vec::new() });
        }
    }

    /// Whether there is nothing to compute.
    pub(super) fn needs_nothing(&self) -> bool {
        self.max_tokens == 0 && self.echo.as_ref().is_none_or(|e| e.count.is_none())
    }

    /// Ends a request for no tokens.
    pub(super) fn finish_empty(&self) {
        for index in std::iter::once(self.index).chain(self.siblings.iter().map(|s| s.index)) {
            self.send(GenerationEvent::Finished { index, reason: FinishReason::Length, completion_tokens: 0 });
        }
    }

    /// Takes the scores of this step's positions, where the prompt's are wanted; sends the prompt when it has all.
    pub(super) fn take_prompt_scores(&mut self, rows: &[&[f32]], vocabulary: &Vocabulary) {
        let Some(echo) = self.echo.as_mut() else { return };
        let Some(count) = echo.count else { return };
        // After being robbed of its blocks it computes again what is there already.
        for (position, scores) in (self.computed..).zip(rows) {
            if position == echo.found.len() && position + 1 < self.prompt {
                echo.found.push(logprobs(self.isa, scores, self.tokens[position + 1], count));
            }
        }
        if echo.found.len() + 1 < self.prompt {
            return;
        }
        let scores = std::iter::once(None).chain(echo.found.iter().map(Some));
        let tokens = self.tokens[..self.prompt].iter().zip(scores).map(|(id, scores)| PromptToken {
            token: vocabulary.show(*id),
            id: *id,
            bytes: vocabulary.bytes(*id).to_vec(),
            logprob: scores.map(|s| s.0),
            top: scores.map(|s| alternatives(&s.1, vocabulary)).unwrap_or_default(),
        });
        let event = GenerationEvent::Prompt { text: echo.text.clone(), tokens: tokens.collect() };
        self.echo = None;
        self.send(event);
    }

    /// Chooses tokens by the scores at the last token and at each guess behind it, as long as the guesses are right; true
    /// when the answer is complete. Each token is chosen by the scores and the draw that it would have had without
    /// guesses.
    pub(super) fn accept_all(&mut self, rows: &[&[f32]], vocabulary: &Vocabulary) -> bool {
        let draft = std::mem::take(&mut self.draft);
        let rows = if draft.is_empty() { &rows[rows.len().saturating_sub(1)..] } else { rows };
        let mut guesses = draft.iter();
        for scores in rows {
            if self.accept(scores, vocabulary) {
                return true;
            }
            if guesses.next() != self.tokens.last() {
                break;
            }
            self.computed += 1;
        }
        false
    }

    /// Chooses the next token and sends what can be sent; true when the answer is complete.
    pub(super) fn accept(&mut self, scores: &[f32], vocabulary: &Vocabulary) -> bool {
        if self.max_tokens == 0 {
            return self.end(FinishReason::Length);
        }
        let allowed = match self.held.as_mut().map(Held::allowed).transpose() {
            Ok(allowed) => allowed,
            Err(problem) => return self.fail(GenerateError::Constraint(problem)),
        };
        let Ok(token) = self.sampler.next(scores, allowed) else { return self.fail(GenerateError::NotFinite) };
        self.tokens.push(token);
        if vocabulary.is_ending(token) {
            let rest = self.text.finish();
            self.send_text(rest);
            return self.end(FinishReason::Stop);
        }
        let complete = match self.held.as_mut().map(|held| held.take(token)).transpose() {
            Ok(complete) => complete.unwrap_or(false),
            Err(problem) => return self.fail(GenerateError::Constraint(problem)),
        };
        if let Some(gauge) = &mut self.gauge {
            gauge.take(scores, token);
        }
        let logprob = self.logprobs.map(|count| self.logprob(scores, token, count, vocabulary));
        let delta = self.text.push(vocabulary.bytes(token), logprob);
        let stopped = delta.stopped;
        self.send_text(delta);
        if stopped {
            return self.end(FinishReason::Stop);
        }
        if complete || self.tokens.len() - self.prompt >= self.max_tokens {
            let rest = self.text.finish();
            self.send_text(rest);
            return self.end(if complete { FinishReason::Stop } else { FinishReason::Length });
        }
        if let Some(held) = &mut self.held {
            held.prepare();
        }
        false
    }

    fn fail(&self, error: GenerateError) -> bool {
        self.send(GenerationEvent::Failed(error));
        true
    }

    fn logprob(&self, scores: &[f32], token: u32, count: usize, vocabulary: &Vocabulary) -> TokenLogprob {
        let (logprob, top) = logprobs(self.isa, scores, token, count);
        TokenLogprob {
            token: vocabulary.show(token),
            id: token,
            bytes: vocabulary.bytes(token).to_vec(),
            logprob,
            top: alternatives(&top, vocabulary),
        }
    }

    fn send_text(&self, delta: Delta) {
        if !delta.text.is_empty() || !delta.logprobs.is_empty() {
            let Delta { text, logprobs, .. } = delta;
            self.send(GenerationEvent::Text { index: self.index, text, logprobs });
        }
    }

    fn end(&self, reason: FinishReason) -> bool {
        if let Some(gauge) = &self.gauge {
            self.send(GenerationEvent::Sureness { index: self.index, of: gauge.so_far() });
        }
        let completion_tokens = self.tokens.len() - self.prompt;
        self.send(GenerationEvent::Finished { index: self.index, reason, completion_tokens });
        true
    }
}

fn alternatives(top: &[(u32, f32)], vocabulary: &Vocabulary) -> Vec<Alternative> {
    let show = |(id, logprob): &(u32, f32)| Alternative {
        token: vocabulary.show(*id),
        id: *id,
        bytes: vocabulary.bytes(*id).to_vec(),
        logprob: *logprob,
    };
    top.iter().map(show).collect()
}
