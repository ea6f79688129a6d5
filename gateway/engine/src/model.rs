//! The one way to run a language model: a step over a ragged batch, pieces of prompts and single tokens of many
//! sequences in one flat product. Families of models are descriptions (`description`) of one `decoder`.

mod activation;
mod decoder;
mod description;
mod folder;
mod open;
mod part;
mod projection;
mod rotary;
mod source;

pub(crate) use decoder::Decoder;
pub(crate) use description::{Activation, Description, Pairing, RotarySpec};
pub use folder::Precision;
pub(crate) use open::ModelFiles;
pub(crate) use part::{LayerPart, Part};
pub(crate) use projection::Compute;
pub(crate) use rotary::{Rotary, Turns};
pub(crate) use source::Raw;
pub(crate) use source::Source;

use crate::adapter::{Adapter, AdapterHandle, BaseShape};
use crate::kv::{BlockId, KvPool, KvShape};
use std::sync::Arc;

/// What is computed in one step. Entry `i` of the three flat lists belongs together.
#[derive(Debug, Default)]
pub(crate) struct StepBatch {
    /// The tokens.
    pub(crate) tokens: Vec<u32>,
    /// Their positions in their sequences.
    pub(crate) positions: Vec<u32>,
    /// Whether the scores of the next token are wanted there.
    pub(crate) wants_logits: Vec<bool>,
    /// The sequences, in order; their tokens are consecutive, in order of position.
    pub(crate) sequences: Vec<StepSequence>,
}

/// One sequence's part of a step.
#[derive(Debug, Default)]
pub(crate) struct StepSequence {
    /// How many of the flat tokens are its.
    pub(crate) tokens: usize,
    /// Its blocks, with room for all positions up to the last of this step.
    pub(crate) blocks: Vec<BlockId>,
    /// What the model wears for it.
    pub(crate) adapter: Option<Arc<Adapter>>,
}

impl StepBatch {
    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.positions.clear();
        self.wants_logits.clear();
        self.sequences.clear();
    }

    /// Adds a sequence's tokens from position `start`; logits are wanted where `wants` says (by index in `tokens`).
    pub(crate) fn push(&mut self, tokens: &[u32], start: usize, blocks: &[BlockId], wants: impl Fn(usize) -> bool) {
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((start..start + tokens.len()).map(|p| p as u32));
        self.wants_logits.extend((0..tokens.len()).map(wants));
        self.sequences.push(StepSequence { tokens: tokens.len(), blocks: blocks.to_vec(), adapter: None });
    }

    /// Has the model wear an adapter for the sequence that was added last.
    pub(crate) fn wear(&mut self, adapter: Option<&AdapterHandle>) {
        if let Some(last) = self.sequences.last_mut() {
            last.adapter = adapter.map(|handle| Arc::clone(handle.adapter()));
        }
    }
}

/// Scores of the next token: a row for each position that wanted them, in order.
#[derive(Debug, Default)]
pub(crate) struct Logits {
    /// The rows, one after another.
    pub(crate) scores: Vec<f32>,
    /// Scores in a row.
    pub(crate) vocabulary: usize,
}

/// A step failed; nothing of it can be used.
#[derive(Debug, thiserror::Error)]
#[error("the model step failed: {0}")]
pub(crate) struct StepError(pub(crate) String);

/// A causal language model.
pub(crate) trait CausalModel: Send {
    /// Tokens that it knows.
    fn vocabulary(&self) -> usize;

    /// Positions that it was made for.
    fn context_length(&self) -> usize;

    /// What a token needs in the cache.
    fn kv_shape(&self) -> KvShape;

    /// Bytes of its weights as they are in memory.
    fn weight_bytes(&self) -> usize {
        0
    }

    /// What adapters must fit; nothing does by default.
    fn base(&self) -> BaseShape {
        BaseShape::default()
    }

    /// Computes a batch, writes its keys and values, and gives the wanted scores. A sequence's results do not depend on
    /// what else is in the batch, nor on how its tokens are cut into steps.
    fn step(&mut self, batch: &StepBatch, kv: &mut KvPool, out: &mut Logits) -> Result<(), StepError>;
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

#[cfg(test)]
pub(crate) mod tests;
