//! A model without scheduler, thread or tokenizer: steps over token numbers, by a named set of kernels. For measuring
//! (`examples/decode.rs`, `loadtest/engine`) and for comparing the sets; serving is `Engine`'s.

use crate::error::LoadError;
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, BlockId, KvPool};
use crate::model::{CausalModel, Compute, Decoder, Logits, ModelFiles, Precision, StepBatch};
use crate::threads::Threads;
use std::collections::BTreeMap;
use std::path::Path;

/// A loaded model and its sequences.
pub struct Probe {
    model: Box<dyn CausalModel>,
    kv: KvPool,
    batch: StepBatch,
    logits: Logits,
    sequences: Vec<Sequence>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("sequences", &self.sequences.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Sequence {
    blocks: Vec<BlockId>,
    length: usize,
}

/// A sequence's part of a step.
#[derive(Debug, Clone, Copy)]
pub struct ProbeInput<'a> {
    /// Which sequence, counted from 0.
    pub sequence: usize,
    /// Its next tokens.
    pub tokens: &'a [u32],
    /// How many of the last of them are to be scored.
    pub scored: usize,
}

impl Probe {
    /// The sets of kernels of this processor, the best first.
    #[must_use]
    pub fn kernels() -> Vec<&'static str> {
        Isa::all().map(Isa::name).collect()
    }

    /// Loads a GGUF file; the best kernels where none are named.
    pub fn load(path: &Path, kernel: Option<&str>, kv_bytes: usize) -> Result<Self, LoadError> {
        let isa = Isa::all().find(|isa| kernel.is_none_or(|name| isa.name() == name)).ok_or_else(|| {
            let what = format!("kernels `{}` (here are {})", kernel.unwrap_or_default(), Self::kernels().join(", "));
            LoadError::Unsupported { what }
        })?;
        let threads = Threads::standing_back(1, 0).map_err(|e| LoadError::Threads(e.to_string()))?;
        let mut files = ModelFiles::open(path, &BTreeMap::new(), Precision::default())?;
        let (shape, compute) = (files.description()?, Compute { isa, threads });
        let model: Box<dyn CausalModel> = Box::new(Decoder::load(shape, files.source(), compute, &mut |_, _| {})?);
        let kv = KvPool::new(model.kv_shape(), kv_bytes);
        Ok(Self { model, kv, batch: StepBatch::default(), logits: Logits::default(), sequences: Vec::new() })
    }

    /// Computes one step; a row of scores for each position that wanted them.
    pub fn step(&mut self, inputs: &[ProbeInput<'_>]) -> Result<impl Iterator<Item = &[f32]>, ProbeError> {
        self.batch.clear();
        for input in inputs {
            while self.sequences.len() <= input.sequence {
                self.sequences.push(Sequence::default());
            }
            let sequence = &mut self.sequences[input.sequence];
            let start = sequence.length;
            sequence.length += input.tokens.len();
            while sequence.blocks.len() * BLOCK_TOKENS < sequence.length {
                sequence.blocks.push(self.kv.take().ok_or(ProbeError::CacheFull)?);
            }
            let first = input.tokens.len().saturating_sub(input.scored);
            self.batch.push(input.tokens, start, &sequence.blocks, |i| i >= first);
        }
        self.model
            .step(&self.batch, &mut self.kv, &mut self.logits)
            .map_err(|error| ProbeError::Step(error.to_string()))?;
        Ok(self.logits.scores.chunks_exact(self.logits.vocabulary.max(1)))
    }

    /// Forgets all sequences.
    pub fn clear(&mut self) {
        for block in self.sequences.drain(..).flat_map(|s| s.blocks) {
            self.kv.release(block);
        }
    }
}

/// A step that could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The sequences are longer than the cache given to `load`.
    #[error("the key and value cache is full: give `load` more bytes, or `clear`")]
    CacheFull,
    /// The model refused it.
    #[error("{0}")]
    Step(String),
}
