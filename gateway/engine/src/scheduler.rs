//! Who is computed when: admits waiting requests by priority and fairly by caller (`admission`), fills each step with
//! single tokens first, pieces of prompts after and guesses last, gives blocks and takes them back. Pure: it is told to
//! step, and owns no thread (that is `engine`).

mod admission;
mod draft;
mod pace;
mod places;
mod sequence;
mod sureness;
mod waiting;

use crate::error::GenerateError;
use crate::generation::GenerationEvent;
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, KvPool};
use crate::model::{CausalModel, Logits, StepBatch};
use crate::vocabulary::Vocabulary;
pub(crate) use pace::Pace;
pub(crate) use places::{Permit, Places};
pub(crate) use sequence::Job;
use sequence::Sequence;
use std::collections::VecDeque;
use std::sync::Arc;
use tidegate_core::Clock;
use tidegate_core::port::backend::EngineReport;
use waiting::Waiting;

/// Positions of one sequence in one step whose scores are all wanted (the prompt's log-probabilities): bounds the
/// memory that the scores take.
const MOST_SCORED: usize = 32;

/// Tokens of a step that are guesses, at most: they are computed in the hope that they are right, and with many answers
/// in work the step has better things to do.
const MOST_GUESSED: usize = 16;

/// Sizes of the steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Answers in work at once.
    pub(crate) max_batch: usize,
    /// Tokens in a step while nobody is waiting for a next token; half of it otherwise.
    pub(crate) step_tokens: usize,
    /// Whether tokens are guessed ahead.
    pub(crate) guesses: bool,
}

/// The requests of one model.
pub(crate) struct Scheduler<M> {
    model: M,
    vocabulary: Arc<Vocabulary>,
    isa: Isa,
    kv: KvPool,
    limits: Limits,
    waiting: Waiting,
    /// Begun, then robbed of their blocks: first to go on, from the beginning.
    preempted: VecDeque<Sequence>,
    running: Vec<Sequence>,
    /// Where the round of the prompts' pieces begins.
    turn: usize,
    batch: StepBatch,
    logits: Logits,
    /// What was done so far.
    counts: EngineReport,
    pace: Pace,
}

/// A sequence's part of the step that is being made.
struct Share {
    index: usize,
    /// Tokens that it has; guesses come on top.
    tokens: usize,
    /// Rows of scores that it gets.
    rows: usize,
}

/// Blocks for so many tokens and the next one.
fn needs(tokens: usize) -> usize {
    tokens / BLOCK_TOKENS + 1
}

impl<M: CausalModel> Scheduler<M> {
    pub(crate) fn new(model: M, vocabulary: Arc<Vocabulary>, isa: Isa, kv: KvPool, limits: Limits) -> Self {
        Self {
            model,
            vocabulary,
            isa,
            kv,
            limits,
            waiting: Waiting::default(),
            preempted: VecDeque::new(),
            running: Vec::new(),
            turn: 0,
            batch: StepBatch::default(),
            logits: Logits::default(),
            counts: EngineReport::default(),
            pace: Pace::default(),
        }
    }

    /// Goes on counting from there.
    pub(crate) fn go_on(&mut self, counts: EngineReport) {
        self.counts = counts;
    }

    /// Takes a request in.
    pub(crate) fn add(&mut self, job: Job) {
        if self.waiting.is_empty() {
            self.pace.waits(job.since);
        }
        self.waiting.push(job);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.preempted.is_empty() && self.waiting.is_empty()
    }

    /// How it stands, but for what only the queue's places know, and how fast turns come.
    pub(crate) fn report(&self) -> (EngineReport, Pace) {
        let (blocks, kept) = (self.kv.capacity(), self.kv.kept());
        let blocks_held = blocks - self.kv.available();
        let running = self.running.len() + self.preempted.len();
        let (weight_bytes, cache_bytes) = (self.model.weight_bytes(), blocks * self.kv.block_bytes());
        let report = EngineReport { running, blocks, blocks_held, blocks_kept: kept, ..self.counts };
        (EngineReport { weight_bytes, cache_bytes, ..report }, self.pace)
    }

    /// One step: drops what was cancelled or is late, admits, computes, and sends what came of it.
    pub(crate) fn step(&mut self, clock: &dyn Clock) {
        let began = clock.now();
        self.drop_departed(began);
        self.admit(began);
        let shares = self.plan();
        if shares.is_empty() {
            return;
        }
        let asked = clock.now();
        let done = self.model.step(&self.batch, &mut self.kv, &mut self.logits);
        self.counts.model_time += clock.now().saturating_duration_since(asked);
        match done {
            Ok(()) => self.deliver(&shares),
            Err(error) => {
                for mut sequence in std::mem::take(&mut self.running) {
                    sequence.send(GenerationEvent::Failed(GenerateError::Step(error.to_string())));
                    sequence.free(&mut self.kv);
                }
            }
        }
        // Nothing of it is held while there is nothing to do, adapters least of all.
        self.batch.clear();
        self.counts.steps += 1;
        self.counts.step_time += clock.now().saturating_duration_since(began);
    }

    /// Fills the batch: those that want one token, then pieces of prompts, round by round, then guesses.
    fn plan(&mut self) -> Vec<Share> {
        self.batch.clear();
        let mut chunks = vec![0; self.running.len()];
        let mut decoding = 0;
        for (chunk, sequence) in chunks.iter_mut().zip(&self.running) {
            if sequence.missing() == 1 {
                *chunk = 1;
                decoding += 1;
            }
        }
        let budget = if decoding > 0 { self.limits.step_tokens / 2 } else { self.limits.step_tokens };
        let mut left = budget.saturating_sub(decoding).max(1);
        let mut open: Vec<usize> = (0..self.running.len()).filter(|i| chunks[*i] == 0).collect();
        if !open.is_empty() {
            self.turn = (self.turn + 1) % open.len();
            open.rotate_left(self.turn);
        }
        for (i, index) in open.iter().enumerate() {
            let sequence = &self.running[*index];
            let fair = left.div_ceil(open.len() - i);
            let most = if sequence.wants_prompt_scores() { MOST_SCORED } else { usize::MAX };
            chunks[*index] = sequence.missing().min(fair).min(most);
            left -= chunks[*index].min(left);
            if left == 0 {
                break;
            }
        }
        self.give_blocks(&mut chunks);
        self.guess(left.min(MOST_GUESSED));
        let mut shares = Vec::new();
        for (index, tokens) in chunks.into_iter().enumerate().filter(|(_, tokens)| *tokens > 0) {
            shares.push(self.share(index, tokens));
        }
        shares
    }

    /// Puts a sequence's part into the batch.
    fn share(&mut self, index: usize, tokens: usize) -> Share {
        let sequence = &self.running[index];
        let (from, to) = (sequence.computed, sequence.computed + tokens);
        if !sequence.draft.is_empty() {
            let rows = tokens + sequence.draft.len();
            let guessed = [&sequence.tokens[from..to], &sequence.draft].concat();
            self.batch.push(&guessed, from, &sequence.blocks, |_| true);
            self.batch.wear(sequence.adapter.as_ref());
            return Share { index, tokens, rows };
        }
        let (last, scored) = (sequence.tokens.len() - 1, sequence.wants_prompt_scores());
        let wants = |i: usize| from + i == last || (scored && from + i < sequence.prompt);
        self.batch.push(&sequence.tokens[from..to], from, &sequence.blocks, wants);
        self.batch.wear(sequence.adapter.as_ref());
        Share { index, tokens, rows: (0..tokens).filter(|i| wants(*i)).count() }
    }

    /// Guesses ahead where room is left, in the step and in the cache; nobody is robbed for a guess.
    fn guess(&mut self, mut left: usize) {
        for sequence in &mut self.running {
            sequence.draft.clear();
            let room = sequence.may_guess().min(left);
            if !self.limits.guesses || room == 0 {
                continue;
            }
            sequence.drafter.guess(&sequence.tokens, room, &mut sequence.draft);
            let first = sequence.computed + 1;
            while sequence.blocks.len() * BLOCK_TOKENS < first + sequence.draft.len() {
                let Some(block) = self.kv.take() else {
                    sequence.draft.truncate((sequence.blocks.len() * BLOCK_TOKENS).saturating_sub(first));
                    break;
                };
                sequence.blocks.push(block);
            }
            left -= sequence.draft.len();
        }
    }

    /// Gives every chunk the blocks that it needs, in order of arrival; when there are not enough, those of the lowest
    /// priority lose theirs, and of these the latest to come.
    fn give_blocks(&mut self, chunks: &mut Vec<usize>) {
        let mut index = 0;
        while index < self.running.len() {
            let needed = (self.running[index].computed + chunks[index]).div_ceil(BLOCK_TOKENS);
            if self.running[index].blocks.len() >= needed {
                index += 1;
            } else if let Some(block) = self.kv.take() {
                self.running[index].blocks.push(block);
            } else if let Some(victim) = self.victim() {
                self.rob(victim);
                chunks.remove(victim);
                index -= usize::from(victim < index);
            }
        }
    }

    /// Hands out the scores: log-probabilities of prompts, next tokens, ends.
    fn deliver(&mut self, shares: &[Share]) {
        let logits = std::mem::take(&mut self.logits);
        let mut rows = logits.scores.chunks_exact(logits.vocabulary.max(1));
        let mut ended = vec![false; self.running.len()];
        let mut born = Vec::new();
        for share in shares {
            let sequence = &mut self.running[share.index];
            let rows: Vec<&[f32]> = rows.by_ref().take(share.rows).collect();
            sequence.take_prompt_scores(&rows, &self.vocabulary);
            sequence.computed += share.tokens;
            sequence.publish(&mut self.kv);
            if sequence.computed < sequence.tokens.len() {
                continue;
            }
            let siblings = std::mem::take(&mut sequence.siblings);
            let before = (sequence.blocks.clone(), sequence.computed, sequence.tokens.len());
            let drafted = sequence.draft.len();
            ended[share.index] = sequence.accept_all(&rows, &self.vocabulary);
            let made = sequence.tokens.len() - before.2;
            if drafted > 0 {
                sequence.drafter.learn(drafted, sequence.computed - before.1);
                self.counts.drafted += drafted as u64;
                self.counts.accepted += (sequence.computed - before.1) as u64;
                sequence.publish(&mut self.kv);
            }
            self.counts.generated_tokens += (made * (1 + siblings.len())) as u64;
            let Some(scores) = rows.last() else { continue };
            for mut sibling in siblings {
                if !sibling.accept(scores, &self.vocabulary) {
                    sibling.share(&mut self.kv, &before.0, before.1);
                    born.push(sibling);
                }
            }
        }
        let kv = &mut self.kv;
        let mut ended = ended.into_iter();
        self.running.retain_mut(|sequence| {
            let stays = !ended.next().unwrap_or(false);
            if !stays {
                sequence.free(kv);
            }
            stays
        });
        self.logits = logits;
        self.settle(born);
    }

    /// New answers to a prompt run at once where there is room, and else as if robbed.
    fn settle(&mut self, born: Vec<Sequence>) {
        for mut sequence in born {
            if sequence.computed > 0 && self.running.len() < self.limits.max_batch {
                self.running.push(sequence);
            } else {
                sequence.free(&mut self.kv);
                self.preempted.push_back(sequence);
            }
        }
    }
}

#[cfg(test)]
mod tests;
