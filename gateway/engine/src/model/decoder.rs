//! The decoder that all families share: weights in memory and the batched step, as a `Description` says. Arithmetic is
//! `kernel`'s, products are `matrix`'s by way of `projection`, attention is `attention`'s.

mod attention;
mod layer;

use super::activation::soft_cap;
use super::description::{Description, Pairing};
use super::part::Part;
use super::projection::{Compute, Projection};
use super::rotary::{Rotary, Turns};
use super::source::Source;
use super::{CausalModel, Logits, StepBatch, StepError, add};
use crate::adapter::{BaseShape, Worn};
use crate::error::LoadError;
use crate::kv::{KvPool, KvShape};
use crate::matrix::{Activations, Matrix};
use layer::Layer;

/// A model in memory.
pub(crate) struct Decoder {
    compute: Compute,
    shape: Description,
    /// Of the layers that see everything, and of those with a window.
    rotary: Rotary,
    local_rotary: Option<Rotary>,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// Absent where the embedding serves.
    head: Option<Matrix>,
    room: Room,
    /// Bytes of all matrices.
    weight_bytes: usize,
}

/// Buffers of a step, kept between steps.
#[derive(Default)]
struct Room {
    input: Activations,
    x: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    turns: Turns,
    local_turns: Turns,
    wanted: Vec<f32>,
    /// The adapters of the rows.
    worn: Worn,
}

impl Decoder {
    /// Reads the weights; `progress` hears how many of how many tensors are there.
    pub(crate) fn load(
        shape: Description,
        source: &mut dyn Source,
        compute: Compute,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, LoadError> {
        let total = shape.layers * 9 + 3;
        let mut done = 0;
        let mut tick = || {
            done += 1;
            progress(done, total);
        };
        let mut embedding = layer::matrix(source, Part::Embedding, None, shape.width)?;
        tick();
        let mut layers = Vec::with_capacity(shape.layers);
        for i in 0..shape.layers {
            let layer = Layer::load(source, &shape, i, &mut tick)?;
            tracing::debug!(products = ?layer.projections(), "a layer was read");
            layers.push(layer);
        }
        let norm = layer::norm(source, &shape, Part::Norm, shape.width)?;
        tick();
        let rows = Some(embedding.rows());
        let own_head = source.has(Part::Head);
        let mut head = own_head.then(|| layer::matrix(source, Part::Head, rows, shape.width)).transpose()?;
        tick();
        let rotary = Rotary::new(&shape.rotary, source)?;
        let local = shape.local.as_ref().and_then(|local| local.rotary.as_ref());
        let local_rotary = local.map(|spec| Rotary::new(spec, source)).transpose()?;
        let all = layers.iter_mut().flat_map(Layer::matrices).chain([&mut embedding]).chain(&mut head);
        let all: Vec<&mut Matrix> = all.collect();
        let weight_bytes = all.iter().map(|matrix| matrix.bytes()).sum();
        Matrix::gather(all);
        let room = Room::default();
        Ok(Self { compute, shape, rotary, local_rotary, embedding, layers, norm, head, room, weight_bytes })
    }

    /// Normalises every row of `room.x` into the product's input.
    fn normalise(&self, weight: &[f32], room: &mut Room) {
        let width = self.shape.width;
        room.normed.resize(room.x.len(), 0.0);
        for (x, out) in room.x.chunks_exact(width).zip(room.normed.chunks_exact_mut(width)) {
            self.compute.isa.rms_norm(x, weight, self.shape.eps, out);
        }
        room.input.set(self.compute.isa, &room.normed, width);
    }

    /// Normalises rows (or heads) of as many numbers as the weight has, in place.
    fn normalise_in_place(&self, weight: Option<&Vec<f32>>, rows: &mut [f32], spare: &mut Vec<f32>) {
        let Some(weight) = weight else { return };
        spare.resize(weight.len(), 0.0);
        for row in rows.chunks_exact_mut(weight.len()) {
            self.compute.isa.rms_norm(row, weight, self.shape.eps, spare);
            row.copy_from_slice(spare);
        }
    }

    /// A product of a layer: the one way from activations to a layer's outputs.
    fn project(
        &self,
        projection: &Projection,
        input: (&mut Activations, &mut Worn),
        tokens: usize,
        out: &mut Vec<f32>,
    ) {
        projection.apply(&self.compute, input, tokens, out);
    }

    fn feed_forward(&self, layer: &Layer, room: &mut Room) {
        let tokens = room.x.len() / self.shape.width;
        self.normalise(&layer.feed_norm, room);
        self.project(&layer.gate, (&mut room.input, &mut room.worn), tokens, &mut room.gate);
        self.project(&layer.up, (&mut room.input, &mut room.worn), tokens, &mut room.up);
        self.shape.activation.gate(self.compute.isa, &mut room.gate, &room.up);
        room.input.set(self.compute.isa, &room.gate, self.shape.hidden);
        self.project(&layer.down, (&mut room.input, &mut room.worn), tokens, &mut room.normed);
        self.normalise_in_place(layer.post_feed_norm.as_ref(), &mut room.normed, &mut room.up);
        add(&mut room.x, &room.normed);
    }

    fn embed(&self, tokens: &[u32], x: &mut Vec<f32>) {
        let width = self.shape.width;
        x.resize(tokens.len() * width, 0.0);
        for (token, x) in tokens.iter().zip(x.chunks_exact_mut(width)) {
            self.embedding.row(*token as usize, x);
        }
        if self.shape.embedding_scale != 1.0 {
            x.iter_mut().for_each(|x| *x *= self.shape.embedding_scale);
        }
    }

    fn logits(&self, batch: &StepBatch, room: &mut Room, out: &mut Logits) {
        let width = self.shape.width;
        room.wanted.clear();
        for (x, _) in room.x.chunks_exact(width).zip(&batch.wants_logits).filter(|(_, wants)| **wants) {
            room.wanted.extend_from_slice(x);
        }
        std::mem::swap(&mut room.x, &mut room.wanted);
        out.vocabulary = self.vocabulary();
        let rows = room.x.len() / width;
        if rows == 0 {
            return out.scores.clear();
        }
        self.normalise(&self.norm, room);
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        out.scores.resize(rows * head.rows(), 0.0);
        head.apply(self.compute.isa, &self.compute.threads, &mut room.input, &mut out.scores);
        soft_cap(&mut out.scores, self.shape.logit_cap);
    }
}

impl CausalModel for Decoder {
    fn vocabulary(&self) -> usize {
        self.embedding.rows()
    }

    fn context_length(&self) -> usize {
        self.shape.context
    }

    fn kv_shape(&self) -> KvShape {
        KvShape { layers: self.shape.layers, heads: self.shape.kv_heads, dim: self.shape.dim }
    }

    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    fn base(&self) -> BaseShape {
        // Files that keep the rows of a pair beside each other have them otherwise than what adapters are trained on.
        let paired = (self.shape.rotary.pairing == Pairing::Interleaved).then_some(self.shape.dim);
        let layers = self.layers.iter().map(|layer| layer.projections().map(Projection::size)).collect();
        let is_coarse = self.layers.iter().flat_map(layer::Layer::projections).all(Projection::is_coarse);
        BaseShape { layers, paired, fused: self.shape.fused, is_coarse }
    }

    fn step(&mut self, batch: &StepBatch, kv: &mut KvPool, out: &mut Logits) -> Result<(), StepError> {
        let vocabulary = self.vocabulary();
        if let Some(token) = batch.tokens.iter().find(|t| **t as usize >= vocabulary) {
            return Err(StepError(format!("token {token} is not in the vocabulary of {vocabulary}")));
        }
        let mut room = std::mem::take(&mut self.room);
        self.embed(&batch.tokens, &mut room.x);
        room.worn.plan(&batch.sequences);
        self.rotary.turns(&batch.positions, &mut room.turns);
        if let Some(local) = &self.local_rotary {
            local.turns(&batch.positions, &mut room.local_turns);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            self.attention(i, layer, batch, kv, &mut room);
            self.feed_forward(layer, &mut room);
        }
        room.worn.clear();
        self.logits(batch, &mut room, out);
        self.room = room;
        Ok(())
    }
}
