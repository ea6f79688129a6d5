//! The arithmetic of the forward pass: one instruction set chosen at run time, so that a binary built for any x86-64
//! runs at the speed of the machine. Owns the packed weight layouts' inner loops, not the weights (`matrix`).
//!
//! Every function has a portable twin with the same order of operations, bit for bit: sums of one row never depend on
//! how many rows or tokens are worked on together, which is what makes a request's tokens the same alone and batched.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod format;
pub(crate) mod lora;
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use format::{Format, byte_at, nibble_at, pair_at};

/// Rows interleaved in a packed matrix: one 512-bit register of f32.
pub(crate) const LANES: usize = 16;
/// Weights under one scale, and activations under one.
pub(crate) const BLOCK: usize = 32;
/// Tokens worked on together in a matrix product.
pub(crate) const TILE: usize = 8;
/// Tokens in one page of the KV cache; a page of keys is stored transposed, this many tokens side by side.
pub(crate) const PAGE: usize = 32;
/// Partial sums of a row function, whatever the registers' width.
pub(crate) const SUMS: usize = 8;

/// Values whose largest is found at once.
pub(crate) const PART: usize = 64;

/// The sums of one tile: `[token][row]`.
pub(crate) type Tile = [[f32; LANES]; TILE];

/// One to eight quantised activation rows, as a tile product reads them.
#[derive(Clone, Copy)]
pub(crate) struct QuantTile<'a> {
    /// 8-bit values, `rows` × `cols`.
    pub(crate) q: &'a [i8],
    /// A scale for each block, `rows` × `cols / BLOCK`.
    pub(crate) d: &'a [f32],
    /// Scale times the sum of the block's values.
    pub(crate) s: &'a [f32],
    /// -8 times the sum of each half of the block: what an offset of 8 in the weights adds up to.
    pub(crate) n: &'a [[i32; 2]],
    /// Values in a row.
    pub(crate) cols: usize,
    /// Rows, at most `TILE`.
    pub(crate) rows: usize,
}

/// Where a quantised row goes; the fields are as in `QuantTile`.
pub(crate) struct QuantRow<'a> {
    pub(crate) q: &'a mut [i8],
    pub(crate) d: &'a mut [f32],
    pub(crate) s: &'a mut [f32],
    pub(crate) n: &'a mut [[i32; 2]],
}

/// The instruction set in use. A fast one exists only where the processor was asked and has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Calls a function of the set in use; with `but 512:` the 512-bit set has none of its own.
macro_rules! dispatch {
    (but 512: $isa:expr, $name:ident ( $($arg:expr),* )) => { dispatch!(@ $isa, avx2, $name($($arg),*)) };
    ($isa:expr, $name:ident ( $($arg:expr),* )) => { dispatch!(@ $isa, avx512, $name($($arg),*)) };
    (@ $isa:expr, $widest:ident, $name:ident ( $($arg:expr),* )) => {
        match $isa.0 {
            Set::Portable => portable::$name($($arg),*),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX2, FMA and F16C")]
            // SAFETY: `Set::Avx2` is made only by `Isa::all`, which saw AVX2, FMA and F16C on this processor.
            Set::Avx2 => unsafe { avx2::$name($($arg),*) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
            // SAFETY: `Set::Avx512` is made only by `Isa::all`, which saw AVX-512 (F, BW, VL, VNNI), AVX2, FMA and F16C.
            Set::Avx512 => unsafe { $widest::$name($($arg),*) },
        }
    };
}

impl Isa {
    /// The best set that this processor has.
    pub(crate) fn detect() -> Self {
        Self::all().next().unwrap_or(Self(Set::Portable))
    }

    /// Every set that this processor has, the best first, the portable one last.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = {
            let avx2 =
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            [avx512.then_some(Set::Avx512), avx2.then_some(Set::Avx2)]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let fast: [Option<Set>; 0] = [];
        fast.into_iter().flatten().chain([Set::Portable]).map(Self)
    }

    /// The slow set that runs anywhere, to compare with.
    #[cfg(test)]
    pub(crate) fn portable() -> Self {
        Self(Set::Portable)
    }

    /// Its name, for the log.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512-vnni",
        }
    }

    /// Quantises one row to 8 bits in blocks of 32.
    pub(crate) fn quantize(self, x: &[f32], to: QuantRow<'_>) {
        let blocks = x.len() / BLOCK;
        assert!(x.len().is_multiple_of(BLOCK) && to.q.len() == x.len());
        assert!(to.d.len() == blocks && to.s.len() == blocks && to.n.len() == blocks);
        dispatch!(self, quantize(x, to));
    }

    /// Sixteen packed rows times up to eight activation rows.
    pub(crate) fn product(self, format: Format, weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
        let blocks = x.cols / BLOCK;
        assert!(x.cols.is_multiple_of(format.columns()) && weights.len() == x.cols / format.columns() * format.bytes());
        assert!((1..=TILE).contains(&x.rows) && x.q.len() == x.rows * x.cols);
        assert!([x.d.len(), x.s.len(), x.n.len()].iter().all(|len| *len == x.rows * blocks));
        dispatch!(self, product(format, weights, x, out));
    }

    /// The dot product of two f32 rows.
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        dispatch!(but 512: self, dot(a, b))
    }

    /// `out = x / rms(x) * weight`.
    pub(crate) fn rms_norm(self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        assert!(x.len() == weight.len() && x.len() == out.len());
        dispatch!(but 512: self, rms_norm(x, weight, eps, out));
    }

    /// `gate = silu(gate) * up`.
    pub(crate) fn silu_mul(self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len());
        dispatch!(self, silu_mul(gate, up));
    }

    /// Rounds to half precision.
    pub(crate) fn to_f16(self, x: &[f32], out: &mut [u16]) {
        assert_eq!(x.len(), out.len());
        dispatch!(self, to_f16(x, out));
    }

    /// Attention scores of several query heads (rows of `q`, `dim` long) against one page of keys (`dim` × `PAGE`,
    /// half precision); head `h` is written to `out[h * stride..][..PAGE]`.
    pub(crate) fn scores(self, q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) {
        let heads = q.len() / dim;
        assert!(heads > 0 && q.len() == heads * dim && keys.len() == dim * PAGE);
        assert!(stride >= PAGE && out.len() >= (heads - 1) * stride + PAGE);
        dispatch!(self, scores(q, dim, keys, out, stride));
    }

    /// Adds `p[h] · values` of one page (`PAGE` × `dim`, half precision, the first `tokens` rows) to each head of `out`.
    pub(crate) fn values(self, p: &[f32], stride: usize, values: &[u16], tokens: usize, dim: usize, out: &mut [f32]) {
        let heads = out.len() / dim;
        assert!(heads > 0 && out.len() == heads * dim && dim.is_multiple_of(SUMS));
        assert!(tokens <= PAGE && values.len() == PAGE * dim && p.len() >= (heads - 1) * stride + tokens);
        dispatch!(self, values(p, stride, values, tokens, dim, out));
    }

    /// Asks for a page of keys or values that is soon to be read: pages lie far apart, so that the processor does not
    /// foresee them by itself.
    pub(crate) fn ahead(self, page: &[u16]) {
        dispatch!(but 512: self, ahead(page));
    }

    /// `x = exp(x - max(x))`; returns the sum.
    pub(crate) fn exp_sum(self, x: &mut [f32]) -> f32 {
        let top = self.max(x);
        dispatch!(self, exp_sum(x, top))
    }

    /// `ln Σ exp(x)`.
    pub(crate) fn log_sum_exp(self, x: &[f32]) -> f32 {
        let top = self.max(x);
        top + self.sum_exp(x, top, 1.0).ln()
    }

    /// `Σ exp((x - top) heat)`.
    pub(crate) fn sum_exp(self, x: &[f32], top: f32, heat: f32) -> f32 {
        dispatch!(self, sum_exp(x, top, heat))
    }

    /// What `sum_exp` sums, of one value.
    pub(crate) fn exp_of(x: f32, top: f32, heat: f32) -> f32 {
        portable::exp((x - top) * heat)
    }

    /// The largest of each `PART` of the values.
    pub(crate) fn peaks(self, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len().div_ceil(PART), 0.0);
        dispatch!(self, peaks(x, out));
    }

    /// The largest value.
    pub(crate) fn max(self, x: &[f32]) -> f32 {
        dispatch!(but 512: self, max(x))
    }

    /// The first index of the largest value.
    #[cfg(test)]
    pub(crate) fn argmax(self, x: &[f32]) -> usize {
        let top = self.max(x);
        x.iter().position(|&v| v == top).unwrap_or(0)
    }
}
