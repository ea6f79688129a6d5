//! Weight matrices, repacked at load into eight interleaved rows, and their product with activation rows. Owns the
//! weights' bytes; the inner loops are `kernel`'s.

use crate::kernel::{BLOCK, Isa, LANES, Q4_BYTES, Q8_BYTES, QuantTile, TILE, Tile};
use crate::threads::Threads;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result};

/// Activation rows, plain and quantised, and the scratch of a product.
#[derive(Default)]
pub(crate) struct Activations {
    plain: Vec<f32>,
    q: Vec<i8>,
    d: Vec<f32>,
    s: Vec<f32>,
    cols: usize,
    scratch: Vec<f32>,
}

impl Activations {
    /// Takes over rows of `cols` values each and quantises them where blocks fit.
    pub(crate) fn set(&mut self, isa: Isa, x: &[f32], cols: usize) {
        self.cols = cols;
        self.plain.clear();
        self.plain.extend_from_slice(x);
        if !cols.is_multiple_of(BLOCK) {
            return;
        }
        self.q.resize(x.len(), 0);
        self.d.resize(x.len() / BLOCK, 0.0);
        self.s.resize(x.len() / BLOCK, 0.0);
        isa.quantize(x, &mut self.q, &mut self.d, &mut self.s);
    }

    /// The rows as they came.
    pub(crate) fn plain(&self) -> &[f32] {
        &self.plain
    }

    fn rows(&self) -> usize {
        self.plain.len() / self.cols.max(1)
    }

    fn tile(&self, first: usize, rows: usize) -> QuantTile<'_> {
        let (cols, blocks) = (self.cols, self.cols / BLOCK);
        QuantTile {
            q: &self.q[first * cols..][..rows * cols],
            d: &self.d[first * blocks..][..rows * blocks],
            s: &self.s[first * blocks..][..rows * blocks],
            cols,
            rows,
        }
    }
}

/// A weight matrix: `rows` outputs, `cols` inputs.
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    weights: Weights,
}

enum Weights {
    /// Q4_1, and Q4_0 as Q4_1 with the minimum -8 d, which is the same numbers.
    Q4(Vec<u8>),
    Q8(Vec<u8>),
    /// Every other type, expanded.
    Plain(Vec<f32>),
}

impl Matrix {
    /// Repacks a tensor of two dimensions.
    pub(crate) fn new(tensor: &QTensor) -> Result<Self> {
        let (rows, cols) = tensor.shape().dims2()?;
        let data = tensor.data()?;
        let weights = match tensor.dtype() {
            GgmlDType::Q4_1 => Weights::Q4(pack_q4(&data, rows, cols, 20)),
            GgmlDType::Q4_0 => Weights::Q4(pack_q4(&data, rows, cols, 18)),
            GgmlDType::Q8_0 => Weights::Q8(pack_q8(&data, rows, cols)),
            _ => Weights::Plain(tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?),
        };
        Ok(Self { rows, cols, weights })
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// `out[t] = W x[t]` for every activation row.
    pub(crate) fn apply(&self, isa: Isa, threads: &Threads, x: &mut Activations, out: &mut [f32]) {
        let tokens = x.rows();
        debug_assert!(x.cols == self.cols && out.len() == tokens * self.rows);
        if threads.count() == 1 {
            return self.part(isa, x, 0, self.rows, out);
        }
        // Each worker fills its own piece, all tokens of some rows; the pieces are then put in order.
        let share = self.rows.div_ceil(threads.count() * 2).next_multiple_of(LANES);
        let mut scratch = std::mem::take(&mut x.scratch);
        scratch.resize(out.len(), 0.0);
        let input = &*x;
        threads.chunks(&mut scratch, share * tokens, |i, piece| {
            self.part(isa, input, i * share, piece.len() / tokens, piece);
        });
        for (i, piece) in scratch.chunks(share * tokens).enumerate() {
            let rows = piece.len() / tokens;
            for (t, piece) in piece.chunks_exact(rows).enumerate() {
                out[t * self.rows + i * share..][..rows].copy_from_slice(piece);
            }
        }
        x.scratch = scratch;
    }

    /// Rows `first..first + rows` for every token, into `out[token][row]`.
    fn part(&self, isa: Isa, x: &Activations, first: usize, rows: usize, out: &mut [f32]) {
        let blocks = self.cols / BLOCK;
        match &self.weights {
            Weights::Q4(w) => tiles(w, blocks * Q4_BYTES, x, first, rows, out, |w, x, t| isa.q4_tile(w, x, t)),
            Weights::Q8(w) => tiles(w, blocks * Q8_BYTES, x, first, rows, out, |w, x, t| isa.q8_tile(w, x, t)),
            Weights::Plain(w) => {
                for (r, w) in w[first * self.cols..][..rows * self.cols].chunks_exact(self.cols).enumerate() {
                    for (t, x) in x.plain.chunks_exact(self.cols).enumerate() {
                        out[t * rows + r] = isa.dot(w, x);
                    }
                }
            }
        }
    }

    /// One row as plain numbers (the embedding of a token).
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) {
        let half = |w: &[u8], i: usize| half::f16::from_le_bytes([w[i * 2], w[i * 2 + 1]]).to_f32();
        let (group, lane) = (row / LANES, row % LANES);
        let blocks = self.cols / BLOCK;
        match &self.weights {
            Weights::Plain(w) => out.copy_from_slice(&w[row * self.cols..][..self.cols]),
            Weights::Q4(w) => {
                let group = w[group * blocks * Q4_BYTES..][..blocks * Q4_BYTES].chunks_exact(Q4_BYTES);
                for (w, out) in group.zip(out.chunks_exact_mut(BLOCK)) {
                    for j in 0..BLOCK / 2 {
                        let byte = w[32 + (j / 4) * 32 + lane * 4 + j % 4];
                        out[j] = f32::from(byte & 15) * half(w, lane) + half(w, LANES + lane);
                        out[j + 16] = f32::from(byte >> 4) * half(w, lane) + half(w, LANES + lane);
                    }
                }
            }
            Weights::Q8(w) => {
                let group = w[group * blocks * Q8_BYTES..][..blocks * Q8_BYTES].chunks_exact(Q8_BYTES);
                for (w, out) in group.zip(out.chunks_exact_mut(BLOCK)) {
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = f32::from(w[16 + (j / 4) * 32 + lane * 4 + j % 4] as i8) * half(w, lane);
                    }
                }
            }
        }
    }
}

/// Walks eight rows at a time (they stay in the first cache) over all tokens, four at a time.
fn tiles(
    weights: &[u8],
    group: usize,
    x: &Activations,
    first: usize,
    rows: usize,
    out: &mut [f32],
    product: impl Fn(&[u8], QuantTile<'_>, &mut Tile),
) {
    let mut tile = Tile::default();
    for (g, w) in weights[first / LANES * group..].chunks_exact(group).take(rows.div_ceil(LANES)).enumerate() {
        let width = LANES.min(rows - g * LANES);
        for t in (0..x.rows()).step_by(TILE) {
            let count = TILE.min(x.rows() - t);
            product(w, x.tile(t, count), &mut tile);
            for (i, sums) in tile.iter().enumerate().take(count) {
                out[(t + i) * rows + g * LANES..][..width].copy_from_slice(&sums[..width]);
            }
        }
    }
}

/// Interleaves rows of 4-bit blocks (`size` 20 with a minimum, 18 without); missing rows of the last eight are zero.
fn pack_q4(data: &[u8], rows: usize, cols: usize, size: usize) -> Vec<u8> {
    let blocks = cols / BLOCK;
    let mut out = vec![0; rows.div_ceil(LANES) * blocks * Q4_BYTES];
    for row in 0..rows {
        let lane = row % LANES;
        for b in 0..blocks {
            let from = &data[(row * blocks + b) * size..][..size];
            let to = &mut out[(row / LANES * blocks + b) * Q4_BYTES..][..Q4_BYTES];
            to[lane * 2..][..2].copy_from_slice(&from[..2]);
            let minimum = if size == 20 {
                [from[2], from[3]]
            } else {
                let d = half::f16::from_le_bytes([from[0], from[1]]);
                half::f16::from_f32(d.to_f32() * -8.0).to_le_bytes()
            };
            to[16 + lane * 2..][..2].copy_from_slice(&minimum);
            for (g, four) in from[size - 16..].chunks_exact(4).enumerate() {
                to[32 + g * 32 + lane * 4..][..4].copy_from_slice(four);
            }
        }
    }
    out
}

/// Interleaves rows of 8-bit blocks.
fn pack_q8(data: &[u8], rows: usize, cols: usize) -> Vec<u8> {
    let blocks = cols / BLOCK;
    let mut out = vec![0; rows.div_ceil(LANES) * blocks * Q8_BYTES];
    for row in 0..rows {
        let lane = row % LANES;
        for b in 0..blocks {
            let from = &data[(row * blocks + b) * 34..][..34];
            let to = &mut out[(row / LANES * blocks + b) * Q8_BYTES..][..Q8_BYTES];
            to[lane * 2..][..2].copy_from_slice(&from[..2]);
            for (g, four) in from[2..].chunks_exact(4).enumerate() {
                to[16 + g * 32 + lane * 4..][..4].copy_from_slice(four);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;

    /// Every packed type against candle's own dequantised product, one thread and three.
    #[test]
    fn products_match_the_dequantised_matrix() {
        let (rows, cols, tokens) = (20, 96, 7);
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
        let weights = Tensor::from_vec(wave(rows * cols, 0.37), (rows, cols), &Device::Cpu).unwrap();
        let x = wave(tokens * cols, 0.11);
        for dtype in [GgmlDType::Q4_1, GgmlDType::Q4_0, GgmlDType::Q8_0, GgmlDType::F32] {
            let tensor = QTensor::quantize(&weights, dtype).unwrap();
            let plain = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
            let matrix = Matrix::new(&tensor).unwrap();
            let mut all = Vec::new();
            for threads in [1, 3] {
                let (mut input, mut out) = (Activations::default(), vec![0.0; tokens * rows]);
                input.set(Isa::detect(), &x, cols);
                matrix.apply(Isa::detect(), &Threads::new(threads).unwrap(), &mut input, &mut out);
                for (i, got) in out.iter().enumerate() {
                    let (t, r) = (i / rows, i % rows);
                    let want: f32 = plain[r].iter().zip(&x[t * cols..][..cols]).map(|(w, x)| w * x).sum();
                    assert!((got - want).abs() < 0.15, "{dtype:?} token {t} row {r}: {got} for {want}");
                }
                all.push(out);
            }
            assert_eq!(all[0], all[1], "{dtype:?}: threads must not change the sums");
            let mut row = vec![0.0; cols];
            matrix.row(13, &mut row);
            for (got, want) in row.iter().zip(&plain[13]) {
                assert!((got - want).abs() < 1e-3);
            }
        }
    }
}
