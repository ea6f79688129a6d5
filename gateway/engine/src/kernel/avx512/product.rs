//! Quantising and matrix products with AVX-512 and VNNI: one register holds four columns of sixteen rows, and one
//! instruction multiplies them by four activation values and adds them up.

use super::halves;
use crate::kernel::format::{HALVES, NIBBLES, Q4K_PART, Q6K_PART};
use crate::kernel::{BLOCK, Format, LANES, QuantRow, QuantTile, TILE, Tile};
use core::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm_storeu_si128, _mm512_abs_ps, _mm512_add_epi32,
    _mm512_and_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtps_epi32,
    _mm512_cvtsepi32_epi8, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_max_ps, _mm512_mul_ps, _mm512_or_si512, _mm512_reduce_add_epi32, _mm512_reduce_max_ps, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_slli_epi32,
    _mm512_srli_epi16, _mm512_storeu_ps,
};

/// How far ahead weights are asked for while they are used only once.
const AHEAD: usize = 2048;

#[expect(clippy::needless_pass_by_value, reason = "it is a set of borrows, given away")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(in crate::kernel) fn quantize(x: &[f32], to: QuantRow<'_>) {
    for (b, (x, q)) in x.chunks_exact(BLOCK).zip(to.q.chunks_exact_mut(BLOCK)).enumerate() {
        // SAFETY: `x` holds 32 numbers.
        let v = unsafe { [_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(16))] };
        let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(v[0]), _mm512_abs_ps(v[1])));
        let inverse = _mm512_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        let n = [_mm512_cvtps_epi32(_mm512_mul_ps(v[0], inverse)), _mm512_cvtps_epi32(_mm512_mul_ps(v[1], inverse))];
        for (q, n) in q.chunks_exact_mut(16).zip(n) {
            // SAFETY: `q` holds 16 bytes.
            unsafe { _mm_storeu_si128(q.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(n)) };
        }
        let sums = [_mm512_reduce_add_epi32(n[0]), _mm512_reduce_add_epi32(n[1])];
        to.d[b] = largest / 127.0;
        // Of what is no number the sums are anything, and only must not stop the program.
        to.s[b] = to.d[b] * sums[0].wrapping_add(sums[1]) as f32;
        to.n[b] = sums.map(|sum| sum.wrapping_mul(-8));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(in crate::kernel) fn product(format: Format, weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    match x.rows {
        1 => tile::<1>(format, weights, x, out),
        2 => tile::<2>(format, weights, x, out),
        3 => tile::<3>(format, weights, x, out),
        4 => tile::<4>(format, weights, x, out),
        5 => tile::<5>(format, weights, x, out),
        6 => tile::<6>(format, weights, x, out),
        7 => tile::<7>(format, weights, x, out),
        _ => tile::<TILE>(format, weights, x, out),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn tile<const T: usize>(format: Format, weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    let x = Rows::<T>(x);
    // SAFETY: the caller checked that the weights are packed blocks of as many columns as `x` has.
    let acc = unsafe {
        match format {
            Format::Q40 => q40(weights, x),
            Format::Q41 => q41(weights, x),
            Format::Q80 => q80(weights, x),
            Format::Q4K => q4k(weights, x),
            Format::Q6K => q6k(weights, x),
        }
    };
    for (out, acc) in out.iter_mut().zip(acc) {
        // SAFETY: `out` holds sixteen numbers.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), acc) };
    }
}

/// `T` activation rows.
#[derive(Clone, Copy)]
struct Rows<'a, const T: usize>(QuantTile<'a>);

impl<const T: usize> Rows<'_, T> {
    fn at(&self, t: usize, b: usize) -> usize {
        t * (self.0.cols / BLOCK) + b
    }

    /// The scale of block `b` of row `t`, in every lane.
    ///
    /// # Safety
    /// The row and the block must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn d(&self, t: usize, b: usize) -> __m512 {
        // SAFETY: the caller vouches for both.
        _mm512_set1_ps(unsafe { *self.0.d.get_unchecked(self.at(t, b)) })
    }

    /// Its scale times sum.
    ///
    /// # Safety
    /// The row and the block must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn s(&self, t: usize, b: usize) -> __m512 {
        // SAFETY: the caller vouches for both.
        _mm512_set1_ps(unsafe { *self.0.s.get_unchecked(self.at(t, b)) })
    }

    /// What an offset of 8 · 2^SHIFT in the weights adds up to over each half of the block.
    ///
    /// # Safety
    /// The row and the block must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn offsets<const SHIFT: u32>(&self, t: usize, b: usize) -> [__m512i; 2] {
        // SAFETY: the caller vouches for both.
        let [n, m] = unsafe { self.0.n.get_unchecked(self.at(t, b)) };
        [_mm512_slli_epi32::<SHIFT>(_mm512_set1_epi32(*n)), _mm512_slli_epi32::<SHIFT>(_mm512_set1_epi32(*m))]
    }

    /// Adds the products of 32 columns to the sums of the two halves of the block.
    ///
    /// # Safety
    /// The row and the block must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn dot(&self, t: usize, b: usize, w: &[__m512i; 8], mut sums: [__m512i; 2]) -> [__m512i; 2] {
        // SAFETY: the caller vouches for the row and the block, which is 32 bytes.
        let q = unsafe { self.0.q.as_ptr().add(t * self.0.cols + b * BLOCK) };
        for g in 0..4 {
            // SAFETY: four bytes at 4 g and at 16 + 4 g are within the block.
            let (early, late) = unsafe {
                (q.add(g * 4).cast::<i32>().read_unaligned(), q.add(16 + g * 4).cast::<i32>().read_unaligned())
            };
            sums[0] = _mm512_dpbusd_epi32(sums[0], w[g], _mm512_set1_epi32(early));
            sums[1] = _mm512_dpbusd_epi32(sums[1], w[4 + g], _mm512_set1_epi32(late));
        }
        sums
    }

    /// The same, both halves together, as numbers.
    ///
    /// # Safety
    /// The row and the block must be there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn whole(&self, t: usize, b: usize, w: &[__m512i; 8], sums: [__m512i; 2]) -> __m512 {
        // SAFETY: the caller vouches for both.
        let [early, late] = unsafe { self.dot(t, b, w, sums) };
        _mm512_cvtepi32_ps(_mm512_add_epi32(early, late))
    }
}

/// The registers of 32 columns of nibbles: the first sixteen columns, then the second.
///
/// # Safety
/// `NIBBLES` bytes must be readable at `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn nibbles(w: *const u8) -> [__m512i; 8] {
    let low = _mm512_set1_epi8(15);
    let mut out = [_mm512_setzero_si512(); 8];
    for g in 0..4 {
        // SAFETY: four groups of 64 bytes.
        let packed = unsafe { _mm512_loadu_si512(w.add(g * 4 * LANES).cast()) };
        out[g] = _mm512_and_si512(packed, low);
        out[4 + g] = _mm512_and_si512(_mm512_srli_epi16::<4>(packed), low);
    }
    out
}

/// Sixteen whole numbers of eight bits as numbers.
///
/// # Safety
/// 16 bytes must be readable at `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn factors<const SIGNED: bool>(w: *const u8) -> __m512 {
    // SAFETY: the caller vouches for 16 bytes.
    let bytes = unsafe { _mm_loadu_si128(w.cast()) };
    _mm512_cvtepi32_ps(if SIGNED { _mm512_cvtepi8_epi32(bytes) } else { _mm512_cvtepu8_epi32(bytes) })
}

/// Asks for a block's worth of weights ahead of their use; with many tokens there is time enough.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn ahead<const T: usize>(w: &[u8]) {
    if T <= 4 {
        for line in (0..w.len()).step_by(64) {
            // A prefetch touches nothing: the address need not be within the weights.
            _mm_prefetch::<_MM_HINT_T0>(w.as_ptr().wrapping_add(AHEAD + line).cast());
        }
    }
}

/// # Safety
/// The weights must be packed blocks of Q4_0, as many columns as `x` has. So for the other formats below.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q40<const T: usize>(weights: &[u8], x: Rows<'_, T>) -> [__m512; T] {
    let mut acc = [_mm512_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Format::Q40.bytes()).enumerate() {
        ahead::<T>(w);
        // SAFETY: sixteen half-precision numbers and the nibbles.
        let (scale, w) = unsafe { (halves(w.as_ptr()), nibbles(w.as_ptr().add(HALVES))) };
        for t in 0..T {
            // SAFETY: there are T rows, and block b lies within each.
            let (d, sum) = unsafe { (x.d(t, b), x.whole(t, b, &w, x.offsets::<0>(t, b))) };
            acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(scale, d), sum, acc[t]);
        }
    }
    acc
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q41<const T: usize>(weights: &[u8], x: Rows<'_, T>) -> [__m512; T] {
    let mut acc = [_mm512_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Format::Q41.bytes()).enumerate() {
        ahead::<T>(w);
        let w = w.as_ptr();
        // SAFETY: twice sixteen half-precision numbers and the nibbles.
        let (scale, minimum, w) = unsafe { (halves(w), halves(w.add(HALVES)), nibbles(w.add(2 * HALVES))) };
        for t in 0..T {
            // SAFETY: there are T rows, and block b lies within each.
            let (d, s, sum) = unsafe { (x.d(t, b), x.s(t, b), x.whole(t, b, &w, [_mm512_setzero_si512(); 2])) };
            acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(scale, d), sum, acc[t]);
            acc[t] = _mm512_fmadd_ps(minimum, s, acc[t]);
        }
    }
    acc
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q80<const T: usize>(weights: &[u8], x: Rows<'_, T>) -> [__m512; T] {
    let mut acc = [_mm512_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Format::Q80.bytes()).enumerate() {
        ahead::<T>(w);
        let w = w.as_ptr();
        let mut bytes = [_mm512_setzero_si512(); 8];
        for g in 0..8 {
            // SAFETY: after sixteen half-precision numbers come eight groups of 64 bytes.
            bytes[g] = unsafe { _mm512_loadu_si512(w.add(HALVES + g * 4 * LANES).cast()) };
        }
        // SAFETY: sixteen half-precision numbers.
        let scale = unsafe { halves(w) };
        for t in 0..T {
            // SAFETY: there are T rows, and block b lies within each.
            let (d, sum) = unsafe { (x.d(t, b), x.whole(t, b, &bytes, x.offsets::<4>(t, b))) };
            acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(scale, d), sum, acc[t]);
        }
    }
    acc
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q4k<const T: usize>(weights: &[u8], x: Rows<'_, T>) -> [__m512; T] {
    let mut acc = [_mm512_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Format::Q4K.bytes()).enumerate() {
        // SAFETY: twice sixteen half-precision numbers.
        let (scale, minimum) = unsafe { (halves(w.as_ptr()), halves(w.as_ptr().add(HALVES))) };
        for (part, w) in w[2 * HALVES..].chunks_exact(Q4K_PART).enumerate() {
            ahead::<T>(w);
            let (w, b) = (w.as_ptr(), b * 8 + part);
            // SAFETY: twice sixteen factors and the nibbles.
            let (factor, lift, w) =
                unsafe { (factors::<false>(w), factors::<false>(w.add(LANES)), nibbles(w.add(2 * LANES))) };
            let (scale, minimum) = (_mm512_mul_ps(scale, factor), _mm512_mul_ps(minimum, lift));
            for t in 0..T {
                // SAFETY: there are T rows, and block b lies within each.
                let (d, s, sum) = unsafe { (x.d(t, b), x.s(t, b), x.whole(t, b, &w, [_mm512_setzero_si512(); 2])) };
                acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(scale, d), sum, acc[t]);
                acc[t] = _mm512_fnmadd_ps(minimum, s, acc[t]);
            }
        }
    }
    acc
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q6k<const T: usize>(weights: &[u8], x: Rows<'_, T>) -> [__m512; T] {
    let mut acc = [_mm512_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Format::Q6K.bytes()).enumerate() {
        // SAFETY: sixteen half-precision numbers.
        let scale = unsafe { halves(w.as_ptr()) };
        for (part, w) in w[HALVES..].chunks_exact(Q6K_PART).enumerate() {
            ahead::<T>(w);
            let (w, b) = (w.as_ptr(), b * 8 + part);
            // SAFETY: twice sixteen factors, the nibbles and the upper pairs of bits.
            let (early, late, w) =
                unsafe { (factors::<true>(w), factors::<true>(w.add(LANES)), sixes(w.add(2 * LANES))) };
            let scales = [_mm512_mul_ps(scale, early), _mm512_mul_ps(scale, late)];
            for t in 0..T {
                // SAFETY: there are T rows, and block b lies within each.
                let (d, sums) = unsafe { (x.d(t, b), x.dot(t, b, &w, x.offsets::<2>(t, b))) };
                for (scale, sum) in scales.into_iter().zip(sums) {
                    acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(scale, d), _mm512_cvtepi32_ps(sum), acc[t]);
                }
            }
        }
    }
    acc
}

/// The registers of 32 columns of six bits.
///
/// # Safety
/// Nibbles and pairs of bits must be readable at `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn sixes(w: *const u8) -> [__m512i; 8] {
    let high = _mm512_set1_epi8(48);
    // SAFETY: the nibbles come first.
    let mut out = unsafe { nibbles(w) };
    for half in 0..2 {
        // SAFETY: then twice 64 bytes of pairs.
        let pairs = unsafe { _mm512_loadu_si512(w.add(NIBBLES + half * 4 * LANES).cast()) };
        let shifted =
            [_mm512_slli_epi16::<4>(pairs), _mm512_slli_epi16::<2>(pairs), pairs, _mm512_srli_epi16::<2>(pairs)];
        for (g, pair) in shifted.into_iter().enumerate() {
            out[half * 4 + g] = _mm512_or_si512(out[half * 4 + g], _mm512_and_si512(pair, high));
        }
    }
    out
}
