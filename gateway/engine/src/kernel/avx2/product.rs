//! Quantising and matrix products with AVX2. Sixteen interleaved rows are worked on eight at a time; the second eight find
//! their cache lines already there.

use super::{NEAREST, halves, lanes, load, store};
use crate::kernel::format::{HALVES, NIBBLES, Q4K_PART, Q6K_PART};
use crate::kernel::{BLOCK, Format, LANES, QuantRow, QuantTile, SUMS, Tile, portable};
use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadl_epi64, _mm_packs_epi16, _mm_packs_epi32, _mm_storeu_si128, _mm256_abs_epi8,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_ps, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtps_epi32, _mm256_extracti128_si256,
    _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_ps,
    _mm256_mul_ps, _mm256_or_si256, _mm256_round_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_slli_epi16, _mm256_slli_epi32,
    _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

/// Tokens that share the unpacked weights; more would not fit the sixteen registers.
const MOST: usize = 4;

#[expect(clippy::needless_pass_by_value, reason = "it is a set of borrows, given away")]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::kernel) fn quantize(x: &[f32], to: QuantRow<'_>) {
    let sign = _mm256_set1_ps(-0.0);
    for (b, (x, q)) in x.chunks_exact(BLOCK).zip(to.q.chunks_exact_mut(BLOCK)).enumerate() {
        let v = [load(x), load(&x[8..]), load(&x[16..]), load(&x[24..])];
        let mut top = _mm256_setzero_ps();
        for v in v {
            top = _mm256_max_ps(top, _mm256_andnot_ps(sign, v));
        }
        let largest = portable::max(&lanes(top));
        let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        let mut n = [_mm256_setzero_si256(); 4];
        for i in 0..4 {
            n[i] = _mm256_cvtps_epi32(_mm256_round_ps::<NEAREST>(_mm256_mul_ps(v[i], inverse)));
        }
        let sums = [total(_mm256_add_epi32(n[0], n[1])), total(_mm256_add_epi32(n[2], n[3]))];
        for (half, n) in q.chunks_exact_mut(16).zip([[n[0], n[1]], [n[2], n[3]]]) {
            // SAFETY: `half` holds 16 bytes.
            unsafe { _mm_storeu_si128(half.as_mut_ptr().cast(), _mm_packs_epi16(words(n[0]), words(n[1]))) };
        }
        to.d[b] = largest / 127.0;
        // Of what is no number the sums are anything, and only must not stop the program.
        to.s[b] = to.d[b] * sums[0].wrapping_add(sums[1]) as f32;
        to.n[b] = sums.map(|sum| sum.wrapping_mul(-8));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn words(n: __m256i) -> __m128i {
    _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256::<1>(n))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn total(v: __m256i) -> i32 {
    let mut out = [0i32; SUMS];
    // SAFETY: `out` holds 32 bytes.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) };
    out.iter().sum()
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::kernel) fn product(format: Format, weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    for lane in [0, SUMS] {
        let mut t = 0;
        while t < x.rows {
            let few = x.rows - t;
            match few {
                1 => rows::<1>(format, weights, x, t, lane, out),
                2 => rows::<2>(format, weights, x, t, lane, out),
                3 => rows::<3>(format, weights, x, t, lane, out),
                _ => rows::<MOST>(format, weights, x, t, lane, out),
            }
            t += few.min(MOST);
        }
    }
}

/// Eight rows from `lane` times `T` tokens from `first`.
#[target_feature(enable = "avx2,fma,f16c")]
fn rows<const T: usize>(format: Format, weights: &[u8], x: QuantTile<'_>, first: usize, lane: usize, out: &mut Tile) {
    let x = Rows::<T> { x, first };
    let mut acc = [_mm256_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(format.bytes()).enumerate() {
        // SAFETY: `w` is one packed block, `lane` is 0 or 8, and block `b` lies within the rows of `x`: the caller checked
        // that the weights have as many columns.
        unsafe {
            match format {
                Format::Q40 => q40(w.as_ptr(), lane, x, b, &mut acc),
                Format::Q41 => q41(w.as_ptr(), lane, x, b, &mut acc),
                Format::Q80 => q80(w.as_ptr(), lane, x, b, &mut acc),
                Format::Q4K => q4k(w.as_ptr(), lane, x, b, &mut acc),
                Format::Q6K => q6k(w.as_ptr(), lane, x, b, &mut acc),
            }
        }
    }
    for (out, acc) in out[first..].iter_mut().zip(acc) {
        store(&mut out[lane..], acc);
    }
}

/// `T` of a tile's activation rows.
#[derive(Clone, Copy)]
struct Rows<'a, const T: usize> {
    x: QuantTile<'a>,
    first: usize,
}

impl<const T: usize> Rows<'_, T> {
    /// Four values of row `t` from `column` on, in every lane.
    ///
    /// # Safety
    /// `t < T`, and `column + 4` is at most the number of columns.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn four(&self, t: usize, column: usize) -> __m256i {
        // SAFETY: the row is there, and so are the columns.
        let at = unsafe { self.x.q.as_ptr().add((self.first + t) * self.x.cols + column) };
        // SAFETY: four bytes are readable there.
        _mm256_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
    }

    fn block(&self, t: usize, b: usize) -> usize {
        (self.first + t) * (self.x.cols / BLOCK) + b
    }
}

/// Sums of 32 columns of nibbles. Sixteen bits cannot overflow: 8 × 2 × 15 × 127 < 2^15.
///
/// # Safety
/// `NIBBLES` bytes must be readable at `w`, and block `b` must lie within the rows of `x`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn nibbles<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize) -> [__m256i; T] {
    let low = _mm256_set1_epi8(15);
    let mut sums = [_mm256_setzero_si256(); T];
    for g in 0..4 {
        // SAFETY: four groups of 64 bytes, of which `lane` chooses a half.
        let packed = unsafe { _mm256_loadu_si256(w.add(g * 4 * LANES + lane * 4).cast()) };
        let (early, late) = (_mm256_and_si256(packed, low), _mm256_and_si256(_mm256_srli_epi16::<4>(packed), low));
        for t in 0..T {
            // SAFETY: the block lies within the row.
            let (a, c) = unsafe { (x.four(t, b * BLOCK + g * 4), x.four(t, b * BLOCK + 16 + g * 4)) };
            let both = _mm256_add_epi16(_mm256_maddubs_epi16(early, a), _mm256_maddubs_epi16(late, c));
            sums[t] = _mm256_add_epi16(sums[t], both);
        }
    }
    for t in 0..T {
        sums[t] = _mm256_madd_epi16(sums[t], _mm256_set1_epi16(1));
    }
    sums
}

/// Adds `scale · d · sum` to each token.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled<const T: usize>(scale: __m256, x: Rows<'_, T>, b: usize, sums: [__m256i; T], acc: &mut [__m256; T]) {
    for t in 0..T {
        let d = _mm256_set1_ps(x.x.d[x.block(t, b)]);
        acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(scale, d), _mm256_cvtepi32_ps(sums[t]), acc[t]);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q40<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, acc: &mut [__m256; T]) {
    // SAFETY: a block is sixteen half-precision numbers and the nibbles.
    let (scale, mut sums) = unsafe { (halves(w.add(lane * 2)), nibbles(w.add(HALVES), lane, x, b)) };
    for t in 0..T {
        let [n, m] = x.x.n[x.block(t, b)];
        sums[t] = _mm256_add_epi32(sums[t], _mm256_set1_epi32(n + m));
    }
    scaled(scale, x, b, sums, acc);
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q41<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, acc: &mut [__m256; T]) {
    // SAFETY: a block is twice sixteen half-precision numbers and the nibbles.
    let (scale, minimum, sums) =
        unsafe { (halves(w.add(lane * 2)), halves(w.add(HALVES + lane * 2)), nibbles(w.add(2 * HALVES), lane, x, b)) };
    scaled(scale, x, b, sums, acc);
    for t in 0..T {
        acc[t] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(x.x.s[x.block(t, b)]), acc[t]);
    }
}

/// The weight's sign is moved to the activation, since the product wants one side unsigned.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q80<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, acc: &mut [__m256; T]) {
    let (top, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
    let mut sums = [_mm256_setzero_si256(); T];
    for g in 0..8 {
        // SAFETY: after sixteen half-precision numbers come eight groups of 64 bytes.
        let bytes = unsafe { _mm256_loadu_si256(w.add(HALVES + g * 4 * LANES + lane * 4).cast()) };
        let signed = _mm256_xor_si256(bytes, top);
        let size = _mm256_abs_epi8(signed);
        for t in 0..T {
            // SAFETY: the block lies within the row.
            let a = unsafe { x.four(t, b * BLOCK + g * 4) };
            let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(a, signed));
            sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(pairs, ones));
        }
    }
    // SAFETY: the block begins with sixteen half-precision numbers.
    scaled(unsafe { halves(w.add(lane * 2)) }, x, b, sums, acc);
}

/// Eight whole numbers of eight bits as numbers.
///
/// # Safety
/// 8 bytes must be readable at `w`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn bytes(w: *const u8) -> __m256 {
    // SAFETY: the caller vouches for 8 bytes.
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(w.cast()) }))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q4k<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, acc: &mut [__m256; T]) {
    // SAFETY: a block begins with twice sixteen half-precision numbers.
    let (scale, minimum) = unsafe { (halves(w.add(lane * 2)), halves(w.add(HALVES + lane * 2))) };
    for part in 0..8 {
        // SAFETY: then come eight parts, each of twice sixteen factors and the nibbles.
        let (factor, lift, sums) = unsafe {
            let w = w.add(2 * HALVES + part * Q4K_PART);
            (bytes(w.add(lane)), bytes(w.add(LANES + lane)), nibbles(w.add(2 * LANES), lane, x, b * 8 + part))
        };
        scaled(_mm256_mul_ps(scale, factor), x, b * 8 + part, sums, acc);
        let lift = _mm256_mul_ps(minimum, lift);
        for t in 0..T {
            acc[t] = _mm256_fnmadd_ps(lift, _mm256_set1_ps(x.x.s[x.block(t, b * 8 + part)]), acc[t]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q6k<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, acc: &mut [__m256; T]) {
    // SAFETY: a block begins with sixteen half-precision numbers.
    let scale = unsafe { halves(w.add(lane * 2)) };
    for part in 0..8 {
        for half in 0..2 {
            // SAFETY: then come eight parts, each of twice sixteen factors, the nibbles and the upper pairs of bits.
            let (factor, sums) = unsafe {
                let w = w.add(HALVES + part * Q6K_PART);
                let factor = _mm256_cvtepi8_epi32(_mm_loadl_epi64(w.add(half * LANES + lane).cast()));
                (_mm256_cvtepi32_ps(factor), sixes(w.add(2 * LANES), lane, x, b * 8 + part, half))
            };
            scaled(_mm256_mul_ps(scale, factor), x, b * 8 + part, sums, acc);
        }
    }
}

/// Sums of sixteen columns of six bits, less their offset.
///
/// # Safety
/// Nibbles and pairs of bits must be readable at `w`, and block `b` must lie within the rows of `x`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn sixes<const T: usize>(w: *const u8, lane: usize, x: Rows<'_, T>, b: usize, half: usize) -> [__m256i; T] {
    let (low, high) = (_mm256_set1_epi8(15), _mm256_set1_epi8(48));
    let mut sums = [_mm256_setzero_si256(); T];
    // SAFETY: the pairs of bits of each half are 64 bytes after the nibbles.
    let pairs = unsafe { _mm256_loadu_si256(w.add(NIBBLES + half * 4 * LANES + lane * 4).cast()) };
    for g in 0..4 {
        // SAFETY: four groups of 64 bytes.
        let packed = unsafe { _mm256_loadu_si256(w.add(g * 4 * LANES + lane * 4).cast()) };
        let nibble = _mm256_and_si256(if half == 0 { packed } else { _mm256_srli_epi16::<4>(packed) }, low);
        let pair = match g {
            0 => _mm256_slli_epi16::<4>(pairs),
            1 => _mm256_slli_epi16::<2>(pairs),
            2 => pairs,
            _ => _mm256_srli_epi16::<2>(pairs),
        };
        let six = _mm256_or_si256(nibble, _mm256_and_si256(pair, high));
        for t in 0..T {
            // SAFETY: the block lies within the row.
            let a = unsafe { x.four(t, b * BLOCK + half * 16 + g * 4) };
            let sum = _mm256_madd_epi16(_mm256_maddubs_epi16(six, a), _mm256_set1_epi16(1));
            sums[t] = _mm256_add_epi32(sums[t], sum);
        }
    }
    for t in 0..T {
        let offset = _mm256_set1_epi32(x.x.n[x.block(t, b)][half]);
        sums[t] = _mm256_add_epi32(sums[t], _mm256_slli_epi32::<2>(offset));
    }
    sums
}
