//! Who is computed when: admits waiting requests fairly by caller, fills each step with single tokens first and pieces of
//! prompts after, gives blocks and takes them back. Pure: it is told to step, and owns no thread (that is `engine`).

mod sequence;
mod waiting;

use crate::error::GenerateError;
use crate::generation::GenerationEvent;
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, BlockId, KvPool};
use crate::model::{CausalModel, Logits, StepBatch};
use crate::vocabulary::Vocabulary;
use sequence::Sequence;
pub(crate) use sequence::{Job, Permit};
use std::collections::VecDeque;
use std::sync::Arc;
use waiting::Waiting;

/// Positions of one sequence in one step whose scores are all wanted (the prompt's log-probabilities): bounds the
/// memory that the scores take.
const MOST_SCORED: usize = 32;

/// Sizes of the steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Answers in work at once.
    pub(crate) max_batch: usize,
    /// Tokens in a step while nobody is waiting for a next token; half of it otherwise.
    pub(crate) step_tokens: usize,
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
}

/// A sequence's part of the step that is being made.
struct Share {
    index: usize,
    tokens: usize,
    /// Rows of scores that it gets.
    rows: usize,
}

impl<M: CausalModel> Scheduler<M> {
    pub(crate) fn new(model: M, vocabulary: Arc<Vocabulary>, isa: Isa, kv: KvPool, limits: Limits) -> Self {
        let (batch, logits) = (StepBatch::default(), Logits::default());
        let (waiting, preempted, running) = (Waiting::default(), VecDeque::new(), Vec::new());
        Self { model, vocabulary, isa, kv, limits, waiting, preempted, running, turn: 0, batch, logits }
    }

    /// Takes a request in.
    pub(crate) fn add(&mut self, job: Job) {
        self.waiting.push(job);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.preempted.is_empty() && self.waiting.is_empty()
    }

    /// One step: drops what was cancelled, admits, computes, and sends what came of it.
    pub(crate) fn step(&mut self) {
        self.drop_cancelled();
        self.admit();
        let shares = self.plan();
        if shares.is_empty() {
            return;
        }
        match self.model.step(&self.batch, &mut self.kv, &mut self.logits) {
            Ok(()) => self.deliver(&shares),
            Err(error) => {
                for mut sequence in std::mem::take(&mut self.running) {
                    sequence.send(GenerationEvent::Failed(GenerateError::Step(error.to_string())));
                    free(&mut self.kv, &mut sequence);
                }
            }
        }
        // Nothing of it is held while there is nothing to do, adapters least of all.
        self.batch.clear();
    }

    fn drop_cancelled(&mut self) {
        self.waiting.drop_cancelled();
        self.preempted.retain(|s| !s.is_cancelled());
        let kv = &mut self.kv;
        self.running.retain_mut(|sequence| {
            let stays = !sequence.is_cancelled();
            if !stays {
                free(kv, sequence);
            }
            stays
        });
    }

    fn admit(&mut self) {
        while self.running.len() < self.limits.max_batch {
            let needs = |tokens: usize| tokens / BLOCK_TOKENS + 1;
            let promised = |s: &Sequence| needs(s.tokens.len()).saturating_sub(s.blocks.len());
            let room = self.kv.available().saturating_sub(self.running.iter().map(promised).sum());
            if let Some(first) = self.preempted.front() {
                // One block more than it needs, so that it is not robbed again at once.
                if !self.running.is_empty() && needs(first.tokens.len()) + 1 > room {
                    return;
                }
                self.running.extend(self.preempted.pop_front());
                continue;
            }
            let fits = |job: &Job| self.running.is_empty() || needs(job.tokens.len()) < room;
            let counts = |caller| self.running.iter().filter(|s| s.caller == caller).count();
            let Some(job) = self.waiting.next(counts, fits) else { return };
            let begun = Sequence::begin(job, self.isa);
            begun.send(GenerationEvent::Started { prompt_tokens: begun.prompt });
            begun.echo_text();
            if begun.needs_nothing() {
                begun.finish_empty();
            } else {
                self.running.push(begun);
            }
        }
    }

    /// Fills the batch: those that want one token, then pieces of prompts, round by round.
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
        let mut shares = Vec::new();
        for (index, tokens) in chunks.into_iter().enumerate().filter(|(_, tokens)| *tokens > 0) {
            let sequence = &self.running[index];
            let (from, to) = (sequence.computed, sequence.computed + tokens);
            let (last, scored) = (sequence.tokens.len() - 1, sequence.wants_prompt_scores());
            let wants = |i: usize| from + i == last || (scored && from + i < sequence.prompt);
            self.batch.push(&sequence.tokens[from..to], from, &sequence.blocks, wants);
            self.batch.wear(sequence.adapter.as_ref());
            shares.push(Share { index, tokens, rows: (0..tokens).filter(|i| wants(*i)).count() });
        }
        shares
    }

    /// Gives every chunk the blocks that it needs, in order of arrival; the latest arrivals lose theirs when there are
    /// not enough.
    fn give_blocks(&mut self, chunks: &mut Vec<usize>) {
        let mut index = 0;
        while index < self.running.len() {
            let needed = (self.running[index].computed + chunks[index]).div_ceil(BLOCK_TOKENS);
            while index < self.running.len() && self.running[index].blocks.len() < needed {
                if let Some(block) = self.kv.take() {
                    self.running[index].blocks.push(block);
                    continue;
                }
                let Some(mut robbed) = self.running.pop() else { return };
                chunks.truncate(self.running.len());
                free(&mut self.kv, &mut robbed);
                robbed.computed = 0;
                self.preempted.push_front(robbed);
            }
            index += 1;
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
            let Some(scores) = rows.last().filter(|_| sequence.computed == sequence.tokens.len()) else { continue };
            let siblings = std::mem::take(&mut sequence.siblings);
            let (prompt_blocks, computed) = (sequence.blocks.clone(), sequence.computed);
            ended[share.index] = sequence.accept(scores, &self.vocabulary);
            for mut sibling in siblings {
                if !sibling.accept(scores, &self.vocabulary) {
                    share_blocks(&mut self.kv, &mut sibling, &prompt_blocks, computed);
                    born.push(sibling);
                }
            }
        }
        let kv = &mut self.kv;
        let mut ended = ended.into_iter();
        self.running.retain_mut(|sequence| {
            let stays = !ended.next().unwrap_or(false);
            if !stays {
                free(kv, sequence);
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
                free(&mut self.kv, &mut sequence);
                sequence.computed = 0;
                self.preempted.push_back(sequence);
            }
        }
    }
}

/// Lets a new answer use the prompt's full blocks and a copy of the last, if there is a block for it.
fn share_blocks(kv: &mut KvPool, sequence: &mut Sequence, blocks: &[BlockId], computed: usize) {
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
    sequence.blocks = blocks[..full].iter().copied().chain(copy).collect();
    sequence.computed = computed;
}

fn free(kv: &mut KvPool, sequence: &mut Sequence) {
    for block in sequence.blocks.drain(..) {
        kv.release(block);
    }
}

#[cfg(test)]
mod tests;
