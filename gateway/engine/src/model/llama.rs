//! The llama architecture (rotary positions on interleaved pairs, grouped-query attention, gated SiLU): weights from a
//! GGUF file and the batched step. Arithmetic is `kernel`'s, products are `matrix`'s.

use super::{CausalModel, Logits, StepBatch, StepError};
use crate::error::LoadError;
use crate::gguf::GgufFile;
use crate::kernel::{Isa, PAGE};
use crate::kv::{BlockId, KvPool, KvShape};
use crate::matrix::{Activations, Matrix};
use crate::threads::Threads;

/// The sizes of a model, checked against each other.
#[derive(Debug, Clone, Copy)]
struct Shape {
    layers: usize,
    width: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    context: usize,
    eps: f32,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// A llama model in memory.
pub(crate) struct Llama {
    isa: Isa,
    threads: Threads,
    shape: Shape,
    frequencies: Vec<f32>,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// Absent where the embedding serves.
    head: Option<Matrix>,
    room: Room,
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
    turns: Vec<(f32, f32)>,
    wanted: Vec<f32>,
}

impl Shape {
    fn read(file: &GgufFile) -> Result<Self, LoadError> {
        let number = |key: &str| file.number(&format!("llama.{key}"));
        let (width, heads) = (number("embedding_length")?, number("attention.head_count")?);
        let shape = Self {
            layers: number("block_count")?,
            width,
            hidden: number("feed_forward_length")?,
            heads,
            kv_heads: file.optional_number("llama.attention.head_count_kv")?.unwrap_or(heads),
            dim: file.optional_number("llama.attention.key_length")?.unwrap_or(width / heads.max(1)),
            context: number("context_length")?,
            eps: file.float("llama.attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
        };
        let fits = shape.heads > 0
            && shape.kv_heads > 0
            && shape.heads.is_multiple_of(shape.kv_heads)
            && shape.dim > 0
            && shape.dim.is_multiple_of(8)
            && shape.layers > 0
            && shape.context > 0;
        if !fits {
            return Err(LoadError::Unsupported { what: format!("the shape {shape:?}") });
        }
        if file.optional_number("llama.expert_count")?.unwrap_or(0) > 0 {
            return Err(LoadError::Unsupported { what: "a mixture of experts".into() });
        }
        Ok(shape)
    }
}

impl Llama {
    /// Reads the weights; `progress` hears how many of how many tensors are there.
    pub(crate) fn load(
        file: &mut GgufFile,
        isa: Isa,
        threads: Threads,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, LoadError> {
        let shape = Shape::read(file)?;
        let total = shape.layers * 9 + 3;
        let mut done = 0;
        let mut tick = || {
            done += 1;
            progress(done, total);
        };
        let mut embedding = matrix(file, "token_embd.weight", None, shape.width)?;
        tick();
        let mut layers = Vec::with_capacity(shape.layers);
        for i in 0..shape.layers {
            layers.push(Layer::load(file, &shape, i, &mut tick)?);
        }
        let norm = file.plain("output_norm.weight", shape.width)?;
        tick();
        let rows = embedding.rows();
        let mut head =
            file.has("output.weight").then(|| matrix(file, "output.weight", Some(rows), shape.width)).transpose()?;
        tick();
        let frequencies = frequencies(file, shape.dim)?;
        Matrix::gather(layers.iter_mut().flat_map(Layer::matrices).chain([&mut embedding]).chain(&mut head));
        Ok(Self { isa, threads, shape, frequencies, embedding, layers, norm, head, room: Room::default() })
    }
}

impl Layer {
    fn load(file: &mut GgufFile, shape: &Shape, i: usize, tick: &mut impl FnMut()) -> Result<Self, LoadError> {
        let name = |part: &str| format!("blk.{i}.{part}.weight");
        let (width, hidden) = (shape.width, shape.hidden);
        let (queries, keys) = (shape.heads * shape.dim, shape.kv_heads * shape.dim);
        let mut read = |part: &str, rows: usize, cols: usize| {
            tick();
            matrix(file, &name(part), Some(rows), cols)
        };
        let (query, key, value) =
            (read("attn_q", queries, width)?, read("attn_k", keys, width)?, read("attn_v", keys, width)?);
        let output = read("attn_output", width, queries)?;
        let (gate, up, down) =
            (read("ffn_gate", hidden, width)?, read("ffn_up", hidden, width)?, read("ffn_down", width, hidden)?);
        let attention_norm = file.plain(&name("attn_norm"), width)?;
        tick();
        let feed_norm = file.plain(&name("ffn_norm"), width)?;
        tick();
        Ok(Self { attention_norm, query, key, value, output, feed_norm, gate, up, down })
    }
}

impl Layer {
    /// In the order in which a step reads them.
    fn matrices(&mut self) -> [&mut Matrix; 7] {
        let Self { query, key, value, output, gate, up, down, .. } = self;
        [query, key, value, output, gate, up, down]
    }
}

fn matrix(file: &mut GgufFile, name: &str, rows: Option<usize>, cols: usize) -> Result<Matrix, LoadError> {
    let failed = |detail: String| LoadError::Tensor { name: name.to_owned(), detail };
    let matrix = Matrix::new(&file.tensor(name)?).map_err(|e| failed(e.to_string()))?;
    if matrix.cols() != cols || rows.is_some_and(|rows| rows != matrix.rows()) {
        return Err(failed(format!("is {} × {}, which does not fit the model's shape", matrix.rows(), matrix.cols())));
    }
    Ok(matrix)
}

/// The turning speed of each pair of a head.
fn frequencies(file: &mut GgufFile, dim: usize) -> Result<Vec<f32>, LoadError> {
    let base = file.float("llama.rope.freq_base").unwrap_or(10_000.0);
    if file.optional_number("llama.rope.dimension_count")?.is_some_and(|n| n != dim) {
        return Err(LoadError::Unsupported { what: "rotary positions on a part of the head".into() });
    }
    let mut speeds: Vec<f32> = (0..dim).step_by(2).map(|i| 1.0 / base.powf(i as f32 / dim as f32)).collect();
    if file.has("rope_freqs.weight") {
        for (speed, factor) in speeds.iter_mut().zip(file.plain("rope_freqs.weight", dim / 2)?) {
            *speed /= factor;
        }
    }
    Ok(speeds)
}

fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    &mut buffer[..]
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

impl CausalModel for Llama {
    fn vocabulary(&self) -> usize {
        self.embedding.rows()
    }

    fn context_length(&self) -> usize {
        self.shape.context
    }

    fn kv_shape(&self) -> KvShape {
        KvShape { layers: self.shape.layers, heads: self.shape.kv_heads, dim: self.shape.dim }
    }

    fn step(&mut self, batch: &StepBatch, kv: &mut KvPool, out: &mut Logits) -> Result<(), StepError> {
        let vocabulary = self.vocabulary();
        if let Some(token) = batch.tokens.iter().find(|t| **t as usize >= vocabulary) {
            return Err(StepError(format!("token {token} is not in the vocabulary of {vocabulary}")));
        }
        let mut room = std::mem::take(&mut self.room);
        let width = self.shape.width;
        let x = resize(&mut room.x, batch.tokens.len() * width);
        for (token, x) in batch.tokens.iter().zip(x.chunks_exact_mut(width)) {
            self.embedding.row(*token as usize, x);
        }
        room.turns.clear();
        for position in &batch.positions {
            room.turns.extend(self.frequencies.iter().map(|f| (*position as f32 * f).sin_cos()));
        }
        for (i, layer) in self.layers.iter().enumerate() {
            self.attention(i, layer, batch, kv, &mut room);
            self.feed_forward(layer, &mut room);
        }
        self.logits(batch, &mut room, out);
        self.room = room;
        Ok(())
    }
}

impl Llama {
    /// Normalises every row of `room.x` into the product's input.
    fn normalise(&self, weight: &[f32], room: &mut Room) {
        let width = self.shape.width;
        let normed = resize(&mut room.normed, room.x.len());
        for (x, out) in room.x.chunks_exact(width).zip(normed.chunks_exact_mut(width)) {
            self.isa.rms_norm(x, weight, self.shape.eps, out);
        }
        room.input.set(self.isa, &room.normed, width);
    }

    fn product(&self, matrix: &Matrix, input: &mut Activations, tokens: usize, out: &mut Vec<f32>) {
        matrix.apply(self.isa, &self.threads, input, resize(out, tokens * matrix.rows()));
    }

    fn attention(&self, index: usize, layer: &Layer, batch: &StepBatch, kv: &mut KvPool, room: &mut Room) {
        let tokens = batch.tokens.len();
        self.normalise(&layer.attention_norm, room);
        self.product(&layer.query, &mut room.input, tokens, &mut room.query);
        self.product(&layer.key, &mut room.input, tokens, &mut room.key);
        self.product(&layer.value, &mut room.input, tokens, &mut room.value);
        self.turn(&mut room.query, &room.turns, self.shape.heads);
        self.turn(&mut room.key, &room.turns, self.shape.kv_heads);
        self.remember(index, batch, kv, room);
        self.attend(index, batch, kv, room);
        room.input.set(self.isa, &room.attended, self.shape.heads * self.shape.dim);
        self.product(&layer.output, &mut room.input, tokens, &mut room.normed);
        add(&mut room.x, &room.normed);
    }

    /// Turns each interleaved pair by its position's angle.
    fn turn(&self, rows: &mut [f32], turns: &[(f32, f32)], heads: usize) {
        let dim = self.shape.dim;
        for (row, turns) in rows.chunks_exact_mut(heads * dim).zip(turns.chunks_exact(dim / 2)) {
            for head in row.chunks_exact_mut(dim) {
                for (pair, (sin, cos)) in head.chunks_exact_mut(2).zip(turns) {
                    let (a, b) = (pair[0], pair[1]);
                    pair[0] = a * cos - b * sin;
                    pair[1] = a * sin + b * cos;
                }
            }
        }
    }

    fn remember(&self, layer: usize, batch: &StepBatch, kv: &mut KvPool, room: &Room) {
        let row = self.shape.kv_heads * self.shape.dim;
        let mut first = 0;
        for sequence in &batch.sequences {
            for i in first..first + sequence.tokens {
                let position = batch.positions[i] as usize;
                let (keys, values) = (&room.key[i * row..][..row], &room.value[i * row..][..row]);
                kv.write(self.isa, sequence.blocks[position / PAGE], layer, position % PAGE, keys, values);
            }
            first += sequence.tokens;
        }
    }

    /// Every token and key-value head on its own, so that the sums know nothing of the batch.
    fn attend(&self, layer: usize, batch: &StepBatch, kv: &KvPool, room: &mut Room) {
        let (dim, group) = (self.shape.dim, self.shape.heads / self.shape.kv_heads);
        let piece = group * dim;
        let blocks: Vec<&[BlockId]> =
            batch.sequences.iter().flat_map(|s| std::iter::repeat_n(&s.blocks[..], s.tokens)).collect();
        let query = &room.query;
        let attended = resize(&mut room.attended, query.len());
        self.threads.chunks(attended, piece, |i, out| {
            let (token, head) = (i / self.shape.kv_heads, i % self.shape.kv_heads);
            let length = batch.positions[token] as usize + 1;
            let alone = batch.sequences.len() == batch.tokens.len();
            let pages = Pages { kv, blocks: blocks[token], layer, head, length, alone };
            self.attend_one(&query[i * piece..][..piece], &pages, out);
        });
    }

    fn attend_one(&self, query: &[f32], pages: &Pages<'_>, out: &mut [f32]) {
        let dim = self.shape.dim;
        let stride = pages.length.next_multiple_of(PAGE);
        let scale = 1.0 / (dim as f32).sqrt();
        let scaled: Vec<f32> = query.iter().map(|q| q * scale).collect();
        let mut scores = vec![0.0; stride * (query.len() / dim)];
        for (p, block) in pages.blocks.iter().take(stride / PAGE).enumerate() {
            let (keys, _) = pages.kv.page(*block, pages.layer, pages.head);
            if let Some(next) = pages.blocks.get(p + 1).filter(|_| pages.alone) {
                self.isa.ahead(pages.kv.page(*next, pages.layer, pages.head).0);
            }
            self.isa.scores(&scaled, dim, keys, &mut scores[p * PAGE..], stride);
        }
        let mut sums = [0.0f32; 64];
        for (head, sum) in scores.chunks_exact_mut(stride).zip(sums.iter_mut()) {
            *sum = self.isa.exp_sum(&mut head[..pages.length]);
        }
        out.fill(0.0);
        for (p, block) in pages.blocks.iter().take(stride / PAGE).enumerate() {
            let (_, values) = pages.kv.page(*block, pages.layer, pages.head);
            if let Some(next) = pages.blocks.get(p + 1).filter(|_| pages.alone) {
                self.isa.ahead(pages.kv.page(*next, pages.layer, pages.head).1);
            }
            let tokens = PAGE.min(pages.length - p * PAGE);
            self.isa.values(&scores[p * PAGE..], stride, values, tokens, dim, out);
        }
        for (head, sum) in out.chunks_exact_mut(dim).zip(sums) {
            head.iter_mut().for_each(|v| *v /= sum);
        }
    }

    fn feed_forward(&self, layer: &Layer, room: &mut Room) {
        let tokens = room.x.len() / self.shape.width;
        self.normalise(&layer.feed_norm, room);
        self.product(&layer.gate, &mut room.input, tokens, &mut room.gate);
        self.product(&layer.up, &mut room.input, tokens, &mut room.up);
        self.isa.silu_mul(&mut room.gate, &room.up);
        room.input.set(self.isa, &room.gate, self.shape.hidden);
        self.product(&layer.down, &mut room.input, tokens, &mut room.normed);
        add(&mut room.x, &room.normed);
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
        if rows > 0 {
            self.normalise(&self.norm, room);
            let head = self.head.as_ref().unwrap_or(&self.embedding);
            self.product(head, &mut room.input, rows, &mut out.scores);
        } else {
            out.scores.clear();
        }
    }
}

/// The cached pages of one head of one sequence, up to a length.
struct Pages<'a> {
    kv: &'a KvPool,
    blocks: &'a [BlockId],
    layer: usize,
    head: usize,
    length: usize,
    /// No other token of the step has just read them.
    alone: bool,
}
