//! Attention over the paged cache: every token and key-value head on its own, so that the sums know nothing of the batch.

use super::layer::Layer;
use super::{Decoder, Room};
use crate::kernel::PAGE;
use crate::kv::{BlockId, KvPool};
use crate::model::activation::soft_cap;
use crate::model::description::MOST_GROUP;
use crate::model::{StepBatch, add};

/// The cached pages of one head of one sequence that a token sees.
struct Pages<'a> {
    kv: &'a KvPool,
    blocks: &'a [BlockId],
    layer: usize,
    head: usize,
    /// The first position seen.
    first: usize,
    /// The position after the last.
    length: usize,
    /// No other token of the step has just read them.
    is_alone: bool,
}

impl Decoder {
    pub(super) fn attention(&self, index: usize, layer: &Layer, batch: &StepBatch, kv: &mut KvPool, room: &mut Room) {
        let (tokens, dim) = (batch.tokens.len(), self.shape.dim);
        self.normalise(&layer.attention_norm, room);
        self.project(&layer.query, (&mut room.input, &mut room.worn), tokens, &mut room.query);
        self.project(&layer.key, (&mut room.input, &mut room.worn), tokens, &mut room.key);
        self.project(&layer.value, (&mut room.input, &mut room.worn), tokens, &mut room.value);
        self.normalise_in_place(layer.query_norm.as_ref(), &mut room.query, &mut room.attended);
        self.normalise_in_place(layer.key_norm.as_ref(), &mut room.key, &mut room.attended);
        let (rotary, turns) = match &self.local_rotary {
            Some(local) if layer.window.is_some() => (local, &room.local_turns),
            _ => (&self.rotary, &room.turns),
        };
        rotary.turn(&mut room.query, turns, self.shape.heads, dim);
        rotary.turn(&mut room.key, turns, self.shape.kv_heads, dim);
        self.remember(index, batch, kv, room);
        self.attend(index, layer, batch, kv, room);
        room.input.set(self.compute.isa, &room.attended, self.shape.queries());
        self.project(&layer.output, (&mut room.input, &mut room.worn), tokens, &mut room.normed);
        self.normalise_in_place(layer.post_attention_norm.as_ref(), &mut room.normed, &mut room.up);
        add(&mut room.x, &room.normed);
    }

    fn remember(&self, layer: usize, batch: &StepBatch, kv: &mut KvPool, room: &Room) {
        let row = self.shape.keys();
        let mut first = 0;
        for sequence in &batch.sequences {
            for i in first..first + sequence.tokens {
                let position = batch.positions[i] as usize;
                let (keys, values) = (&room.key[i * row..][..row], &room.value[i * row..][..row]);
                kv.write(self.compute.isa, sequence.blocks[position / PAGE], layer, position % PAGE, keys, values);
            }
            first += sequence.tokens;
        }
    }

    fn attend(&self, index: usize, layer: &Layer, batch: &StepBatch, kv: &KvPool, room: &mut Room) {
        let kv_heads = self.shape.kv_heads;
        let piece = self.shape.heads / kv_heads * self.shape.dim;
        let blocks: Vec<&[BlockId]> =
            batch.sequences.iter().flat_map(|s| std::iter::repeat_n(&s.blocks[..], s.tokens)).collect();
        let query = &room.query;
        room.attended.resize(query.len(), 0.0);
        self.compute.threads.chunks(&mut room.attended, piece, |i, out| {
            let (token, head) = (i / kv_heads, i % kv_heads);
            let length = batch.positions[token] as usize + 1;
            let first = layer.window.map_or(0, |window| length.saturating_sub(window));
            let is_alone = batch.sequences.len() == batch.tokens.len();
            let pages = Pages { kv, blocks: blocks[token], layer: index, head, first, length, is_alone };
            self.attend_one(&query[i * piece..][..piece], &pages, out);
        });
    }

    /// One token's query heads that share a key-value head.
    fn attend_one(&self, query: &[f32], pages: &Pages<'_>, out: &mut [f32]) {
        let (isa, dim) = (self.compute.isa, self.shape.dim);
        let skipped = pages.first / PAGE;
        let (first, length) = (pages.first - skipped * PAGE, pages.length - skipped * PAGE);
        let stride = length.next_multiple_of(PAGE);
        let blocks = &pages.blocks[skipped..][..stride / PAGE];
        let scaled: Vec<f32> = query.iter().map(|q| q * self.shape.query_scale).collect();
        let mut scores = vec![0.0; stride * (query.len() / dim)];
        for (p, block) in blocks.iter().enumerate() {
            let (keys, _) = pages.kv.page(*block, pages.layer, pages.head);
            if let Some(next) = blocks.get(p + 1).filter(|_| pages.is_alone) {
                isa.ahead(pages.kv.page(*next, pages.layer, pages.head).0);
            }
            isa.scores(&scaled, dim, keys, &mut scores[p * PAGE..], stride);
        }
        let mut sums = [0.0f32; MOST_GROUP];
        for (head, sum) in scores.chunks_exact_mut(stride).zip(sums.iter_mut()) {
            soft_cap(&mut head[first..length], self.shape.attention_cap);
            *sum = isa.exp_sum(&mut head[first..length]);
            head[..first].fill(0.0);
        }
        out.fill(0.0);
        for (p, block) in blocks.iter().enumerate() {
            let (_, values) = pages.kv.page(*block, pages.layer, pages.head);
            if let Some(next) = blocks.get(p + 1).filter(|_| pages.is_alone) {
                isa.ahead(pages.kv.page(*next, pages.layer, pages.head).1);
            }
            let tokens = PAGE.min(length - p * PAGE);
            isa.values(&scores[p * PAGE..], stride, values, tokens, dim, out);
        }
        for (head, sum) in out.chunks_exact_mut(dim).zip(sums) {
            head.iter_mut().for_each(|v| *v /= sum);
        }
    }
}
