//! Weight matrices, repacked at load into sixteen interleaved rows, and their product with activation rows. Owns the
//! weights' bytes; the inner loops are `kernel`'s, the layout `pack`'s.

mod pack;
pub(crate) mod packed;

use crate::kernel::{BLOCK, Format, Isa, LANES, QuantRow, QuantTile, TILE, Tile};
use crate::threads::Threads;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result};
use packed::Packed;

/// Activation rows, plain and quantised, and the scratch of a product.
#[derive(Default)]
pub(crate) struct Activations {
    plain: Vec<f32>,
    q: Vec<i8>,
    d: Vec<f32>,
    s: Vec<f32>,
    n: Vec<[i32; 2]>,
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
        self.n.resize(x.len() / BLOCK, [0; 2]);
        isa.quantize(x, QuantRow { q: &mut self.q, d: &mut self.d, s: &mut self.s, n: &mut self.n });
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
            n: &self.n[first * blocks..][..rows * blocks],
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
    Packed(Format, Packed),
    /// Every other type, expanded.
    Plain(Vec<f32>),
}

impl Matrix {
    /// Repacks a tensor of two dimensions.
    pub(crate) fn new(tensor: &QTensor) -> Result<Self> {
        let (rows, cols) = tensor.shape().dims2()?;
        if let Some(packed) = Self::packed(tensor.dtype(), rows, cols, &tensor.data()?) {
            return Ok(packed);
        }
        Ok(Self { rows, cols, weights: Weights::Plain(tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?) })
    }

    /// Whether rows of so many numbers of this type are packed.
    pub(crate) fn packs(dtype: GgmlDType, cols: usize) -> bool {
        pack::format_of(dtype, cols).is_some()
    }

    /// Repacks the bytes of a tensor of two dimensions, where its type is one that is packed.
    pub(crate) fn packed(dtype: GgmlDType, rows: usize, cols: usize, data: &[u8]) -> Option<Self> {
        let format = pack::format_of(dtype, cols)?;
        if data.len() != rows * (cols / format.columns()) * dtype.type_size() {
            return None;
        }
        let len = rows.div_ceil(LANES) * (cols / format.columns()) * format.bytes();
        let packed = Packed::new(len, |out| pack::pack(dtype, format, data, rows, cols, out));
        Some(Self { rows, cols, weights: Weights::Packed(format, packed) })
    }

    /// Moves the packed weights of a whole model into one mapping of huge pages, which a step reads faster.
    pub(crate) fn gather<'a>(all: impl IntoIterator<Item = &'a mut Self>) {
        let packed = |matrix: &'a mut Self| match &mut matrix.weights {
            Weights::Packed(_, packed) => Some(packed),
            Weights::Plain(_) => None,
        };
        Packed::gather(all.into_iter().filter_map(packed).collect());
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Packed(_, packed) => packed.get().len(),
            Weights::Plain(numbers) => numbers.len() * size_of::<f32>(),
        }
    }

    /// Whether its weights have fewer than eight bits each.
    pub(crate) fn is_coarse(&self) -> bool {
        matches!(self.weights, Weights::Packed(Format::Q40 | Format::Q41 | Format::Q4K | Format::Q6K, _))
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
        match &self.weights {
            Weights::Packed(format, w) => {
                let group = self.cols / format.columns() * format.bytes();
                tiles(w.get(), group, x, first, rows, out, |w, x, t| isa.product(*format, w, x, t));
            }
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
        match &self.weights {
            Weights::Plain(w) => out.copy_from_slice(&w[row * self.cols..][..self.cols]),
            Weights::Packed(format, w) => {
                let group = self.cols / format.columns() * format.bytes();
                pack::unpack(*format, &w.get()[row / LANES * group..][..group], row % LANES, out);
            }
        }
    }
}

/// Walks as many rows as stay in the second cache over all tokens, eight tokens at a time: these stay in the first cache,
/// and what they give is written side by side.
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
    let together = (CACHED / group.max(1)).max(1);
    let weights = &weights[first / LANES * group..][..rows.div_ceil(LANES) * group];
    for (part, weights) in weights.chunks(together * group).enumerate() {
        for t in (0..x.rows()).step_by(TILE) {
            let count = TILE.min(x.rows() - t);
            let x = x.tile(t, count);
            for (g, w) in weights.chunks_exact(group).enumerate() {
                let row = (part * together + g) * LANES;
                let width = LANES.min(rows - row);
                product(w, x, &mut tile);
                for (i, sums) in tile.iter().enumerate().take(count) {
                    out[(t + i) * rows + row..][..width].copy_from_slice(&sums[..width]);
                }
            }
        }
    }
}

/// Bytes of weights that are worked on together: a part of the second cache.
const CACHED: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;

    fn wave(n: usize, f: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * f).sin() * (1.0 + (i % 7) as f32)).collect()
    }

    /// Every packed type against candle's own dequantised product, by every instruction set, one thread and three.
    #[test]
    fn products_match_the_dequantised_matrix() {
        let (rows, cols, tokens) = (20, 512, 11);
        let weights = Tensor::from_vec(wave(rows * cols, 0.37), (rows, cols), &Device::Cpu).unwrap();
        let x = wave(tokens * cols, 0.11);
        for dtype in [
            GgmlDType::Q4_1,
            GgmlDType::Q4_0,
            GgmlDType::Q8_0,
            GgmlDType::Q5_0,
            GgmlDType::Q4K,
            GgmlDType::Q6K,
            GgmlDType::Q5K,
            GgmlDType::F32,
        ] {
            let tensor = QTensor::quantize(&weights, dtype).unwrap();
            let plain = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
            let mut matrix = Matrix::new(&tensor).unwrap();
            Matrix::gather([&mut matrix]);
            let mut all = Vec::new();
            for (isa, threads) in Isa::all().flat_map(|isa| [(isa, 1), (isa, 3)]) {
                let (mut input, mut out) = (Activations::default(), vec![0.0; tokens * rows]);
                input.set(isa, &x, cols);
                matrix.apply(isa, &Threads::new(threads).unwrap(), &mut input, &mut out);
                for (i, got) in out.iter().enumerate() {
                    let (t, r) = (i / rows, i % rows);
                    let x = &x[t * cols..][..cols];
                    let want: f32 = plain[r].iter().zip(x).map(|(w, x)| w * x).sum();
                    let size: f32 = plain[r].iter().zip(x).map(|(w, x)| (w * x).powi(2)).sum::<f32>().sqrt();
                    assert!((got - want).abs() < size * 0.02, "{dtype:?} token {t} row {r}: {got} for {want}");
                }
                all.push(out);
            }
            for other in &all[1..] {
                assert_eq!(all[0], *other, "{dtype:?}: neither threads nor instructions may change the sums");
            }
            for r in [0, 13, 19] {
                let mut row = vec![0.0; cols];
                matrix.row(r, &mut row);
                for (got, want) in row.iter().zip(&plain[r]) {
                    assert!((got - want).abs() <= want.abs() * 1e-6, "{dtype:?}: {got} for {want}");
                }
            }
        }
    }
}
