//! The functions for x86-64 with AVX2, FMA and F16C. The only unsafe code of the crate: pointer loads within slices whose
//! lengths `Isa`'s methods checked. Each is compared with its twin in `portable` bit for bit.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

use super::portable::{self, EXP_HIGH, EXP_LOW, EXP_POLY, LN2_HIGH, LN2_LOW, LOG2_E, fold_lanes};
use super::{BLOCK, LANES, PAGE, Q4_BYTES, Q8_BYTES, QuantTile, TILE, Tile};
use core::arch::x86_64::{
    __m256, __m256i, _mm_loadu_si128, _mm_packs_epi16, _mm_packs_epi32, _mm_storeu_si128, _mm256_abs_epi8,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_andnot_ps, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph, _mm256_div_ps,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_round_ps,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_sign_epi8, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_sub_ps,
};

/// Round to nearest, ties to even, without raising.
const NEAREST: i32 = 0x08;

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(x: &[f32]) -> __m256 {
    debug_assert!(x.len() >= LANES);
    // SAFETY: eight floats are there.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(x: &mut [f32], v: __m256) {
    debug_assert!(x.len() >= LANES);
    // SAFETY: there is room for eight floats.
    unsafe { _mm256_storeu_ps(x.as_mut_ptr(), v) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn lanes(v: __m256) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    store(&mut out, v);
    out
}

/// Eight half-precision numbers.
///
/// # Safety
/// 16 bytes must be readable at `at`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn halves(at: *const u8) -> __m256 {
    // SAFETY: the caller vouches for 16 bytes.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
}

/// Four activation bytes in every lane.
///
/// # Safety
/// 4 bytes must be readable at `at`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn four(at: *const i8) -> __m256i {
    // SAFETY: the caller vouches for 4 bytes.
    unsafe { _mm256_set1_epi32(at.cast::<i32>().read_unaligned()) }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn quantize(x: &[f32], q: &mut [i8], d: &mut [f32], s: &mut [f32]) {
    let sign = _mm256_set1_ps(-0.0);
    for (b, (x, q)) in x.chunks_exact(BLOCK).zip(q.chunks_exact_mut(BLOCK)).enumerate() {
        let v = [load(x), load(&x[8..]), load(&x[16..]), load(&x[24..])];
        let mut top = _mm256_setzero_ps();
        for v in v {
            top = _mm256_max_ps(top, _mm256_andnot_ps(sign, v));
        }
        let largest = portable::max(&lanes(top));
        let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        let n = v.map(|v| _mm256_cvtps_epi32(_mm256_round_ps::<NEAREST>(_mm256_mul_ps(v, inverse))));
        let sum = _mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3]));
        let mut sums = [0i32; LANES];
        // SAFETY: `sums` holds 32 bytes.
        unsafe { core::arch::x86_64::_mm256_storeu_si256(sums.as_mut_ptr().cast(), sum) };
        for (half, n) in q.chunks_exact_mut(16).zip([[n[0], n[1]], [n[2], n[3]]]) {
            let words = n.map(|n| _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256::<1>(n)));
            // SAFETY: `half` holds 16 bytes.
            unsafe { _mm_storeu_si128(half.as_mut_ptr().cast(), _mm_packs_epi16(words[0], words[1])) };
        }
        d[b] = largest / 127.0;
        s[b] = d[b] * sums.iter().sum::<i32>() as f32;
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_tile(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    match x.rows {
        1 => q4_rows::<1>(weights, x, out),
        2 => q4_rows::<2>(weights, x, out),
        3 => q4_rows::<3>(weights, x, out),
        _ => q4_rows::<TILE>(weights, x, out),
    }
}

/// Unpacks each weight once for all `T` tokens. Sixteen-bit sums cannot overflow: 8 × 2 × 15 × 127 < 2^15.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q4_rows<const T: usize>(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    let blocks = x.cols / BLOCK;
    let (low, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut acc = [_mm256_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Q4_BYTES).enumerate() {
        let w = w.as_ptr();
        let mut sums = [_mm256_setzero_si256(); T];
        for g in 0..4 {
            // SAFETY: `w` has 160 bytes: 32 of scales, then four groups of 32.
            let packed = unsafe { _mm256_loadu_si256(w.add(32 + g * 32).cast()) };
            let (first, second) =
                (_mm256_and_si256(packed, low), _mm256_and_si256(_mm256_srli_epi16::<4>(packed), low));
            for t in 0..T {
                // SAFETY: `q` has T rows of `cols` bytes, and block `b` lies within each.
                let (a, c) = unsafe {
                    let q = x.q.as_ptr().add(t * x.cols + b * BLOCK + g * 4);
                    (four(q), four(q.add(16)))
                };
                let both = _mm256_add_epi16(_mm256_maddubs_epi16(first, a), _mm256_maddubs_epi16(second, c));
                sums[t] = _mm256_add_epi16(sums[t], both);
            }
        }
        // SAFETY: the first 32 bytes are sixteen half-precision numbers.
        let (scale, minimum) = unsafe { (halves(w), halves(w.add(16))) };
        for t in 0..T {
            let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(sums[t], ones));
            // SAFETY: `d` and `s` have T rows of `blocks` numbers.
            let (d, s) = unsafe { (*x.d.get_unchecked(t * blocks + b), *x.s.get_unchecked(t * blocks + b)) };
            acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(d)), sum, acc[t]);
            acc[t] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(s), acc[t]);
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        store(out, acc);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q8_tile(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    match x.rows {
        1 => q8_rows::<1>(weights, x, out),
        2 => q8_rows::<2>(weights, x, out),
        3 => q8_rows::<3>(weights, x, out),
        _ => q8_rows::<TILE>(weights, x, out),
    }
}

/// The weight's sign is moved to the activation, since the product wants one side unsigned.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q8_rows<const T: usize>(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    let blocks = x.cols / BLOCK;
    let ones = _mm256_set1_epi16(1);
    let mut acc = [_mm256_setzero_ps(); T];
    for (b, w) in weights.chunks_exact(Q8_BYTES).enumerate() {
        let w = w.as_ptr();
        let mut sums = [_mm256_setzero_si256(); T];
        for g in 0..8 {
            // SAFETY: `w` has 272 bytes: 16 of scales, then eight groups of 32.
            let signed = unsafe { _mm256_loadu_si256(w.add(16 + g * 32).cast()) };
            let size = _mm256_abs_epi8(signed);
            for t in 0..T {
                // SAFETY: `q` has T rows of `cols` bytes, and block `b` lies within each.
                let a = unsafe { four(x.q.as_ptr().add(t * x.cols + b * BLOCK + g * 4)) };
                let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(a, signed));
                sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(pairs, ones));
            }
        }
        // SAFETY: the first 16 bytes are eight half-precision numbers.
        let scale = unsafe { halves(w) };
        for t in 0..T {
            // SAFETY: `d` has T rows of `blocks` numbers.
            let d = unsafe { *x.d.get_unchecked(t * blocks + b) };
            acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(d)), _mm256_cvtepi32_ps(sums[t]), acc[t]);
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        store(out, acc);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = _mm256_setzero_ps();
    let (wide_a, wide_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (wide_a.remainder(), wide_b.remainder());
    for (a, b) in wide_a.zip(wide_b) {
        acc = _mm256_fmadd_ps(load(a), load(b), acc);
    }
    let mut acc = lanes(acc);
    for (l, (a, b)) in acc.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *l = a.mul_add(*b, *l);
    }
    fold_lanes(&acc)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    for (o, (x, w)) in out.iter_mut().zip(x.iter().zip(weight)) {
        *o = x * scale * w;
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn exp(x: __m256) -> __m256 {
    let x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(EXP_LOW)), _mm256_set1_ps(EXP_HIGH));
    let n = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(x, _mm256_set1_ps(LOG2_E)));
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN2_LOW), _mm256_fnmadd_ps(n, _mm256_set1_ps(LN2_HIGH), x));
    let mut y = _mm256_set1_ps(EXP_POLY[0]);
    for c in &EXP_POLY[1..] {
        y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(*c));
    }
    let one = _mm256_set1_ps(1.0);
    let y = _mm256_add_ps(_mm256_fmadd_ps(y, _mm256_mul_ps(r, r), r), one);
    let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
    _mm256_mul_ps(y, _mm256_castsi256_ps(power))
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    let one = _mm256_set1_ps(1.0);
    let zero = _mm256_set1_ps(-0.0);
    let mut wide = gate.chunks_exact_mut(LANES);
    let wide_up = up.chunks_exact(LANES);
    let rest_up = wide_up.remainder();
    for (g, u) in wide.by_ref().zip(wide_up) {
        let x = load(g);
        let minus = core::arch::x86_64::_mm256_xor_ps(x, zero);
        let silu = _mm256_div_ps(x, _mm256_add_ps(one, exp(minus)));
        store(g, _mm256_mul_ps(silu, load(u)));
    }
    portable::silu_mul(wide.into_remainder(), rest_up);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn to_f16(x: &[f32], out: &mut [u16]) {
    let mut wide = out.chunks_exact_mut(LANES);
    let wide_x = x.chunks_exact(LANES);
    let rest_x = wide_x.remainder();
    for (o, x) in wide.by_ref().zip(wide_x) {
        // SAFETY: `o` holds 16 bytes.
        unsafe { _mm_storeu_si128(o.as_mut_ptr().cast(), _mm256_cvtps_ph::<0>(load(x))) };
    }
    portable::to_f16(rest_x, wide.into_remainder());
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn scores(q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) {
    let heads = q.len() / dim;
    let mut h = 0;
    while heads - h >= 3 {
        score_heads::<3>(&q[h * dim..], dim, keys, &mut out[h * stride..], stride);
        h += 3;
    }
    while h < heads {
        score_heads::<1>(&q[h * dim..], dim, keys, &mut out[h * stride..], stride);
        h += 1;
    }
}

/// Three heads share each key: twelve accumulators and the rest just fit the sixteen registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn score_heads<const H: usize>(q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) {
    let mut acc = [[_mm256_setzero_ps(); PAGE / LANES]; H];
    for (j, keys) in keys.chunks_exact(PAGE).enumerate() {
        let mut query = [_mm256_setzero_ps(); H];
        for h in 0..H {
            query[h] = _mm256_set1_ps(q[h * dim + j]);
        }
        for part in 0..PAGE / LANES {
            // SAFETY: `keys` holds 64 bytes, four parts of 16.
            let k = unsafe { halves(keys.as_ptr().add(part * LANES).cast()) };
            for h in 0..H {
                acc[h][part] = _mm256_fmadd_ps(query[h], k, acc[h][part]);
            }
        }
    }
    for (h, acc) in acc.iter().enumerate() {
        for (part, acc) in acc.iter().enumerate() {
            store(&mut out[h * stride + part * LANES..], *acc);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn values(p: &[f32], stride: usize, values: &[u16], tokens: usize, dim: usize, out: &mut [f32]) {
    let heads = out.len() / dim;
    let mut h = 0;
    while heads - h >= 3 {
        value_heads::<3>(&p[h * stride..], stride, values, tokens, dim, &mut out[h * dim..]);
        h += 3;
    }
    while h < heads {
        value_heads::<1>(&p[h * stride..], stride, values, tokens, dim, &mut out[h * dim..]);
        h += 1;
    }
}

/// Works on 32 columns at a time while they last, then on eight.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn value_heads<const H: usize>(p: &[f32], stride: usize, values: &[u16], tokens: usize, dim: usize, out: &mut [f32]) {
    let mut column = 0;
    while dim - column >= 4 * LANES {
        value_columns::<H, 4>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += 4 * LANES;
    }
    while column < dim {
        value_columns::<H, 1>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += LANES;
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn value_columns<const H: usize, const C: usize>(
    p: &[f32],
    stride: usize,
    values: &[u16],
    tokens: usize,
    dim: usize,
    out: &mut [f32],
    column: usize,
) {
    let mut acc = [[_mm256_setzero_ps(); C]; H];
    for h in 0..H {
        for c in 0..C {
            acc[h][c] = load(&out[h * dim + c * LANES..]);
        }
    }
    for t in 0..tokens {
        let row = &values[t * dim + column..][..C * LANES];
        let mut v = [_mm256_setzero_ps(); C];
        for (c, v) in v.iter_mut().enumerate() {
            // SAFETY: `row` holds C groups of 16 bytes.
            *v = unsafe { halves(row.as_ptr().add(c * LANES).cast()) };
        }
        for h in 0..H {
            let weight = _mm256_set1_ps(p[h * stride + t]);
            for c in 0..C {
                acc[h][c] = _mm256_fmadd_ps(weight, v[c], acc[h][c]);
            }
        }
    }
    for h in 0..H {
        for c in 0..C {
            store(&mut out[h * dim + c * LANES..], acc[h][c]);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn exp_sum(x: &mut [f32], top: f32) -> f32 {
    let shift = _mm256_set1_ps(top);
    let mut acc = _mm256_setzero_ps();
    let mut wide = x.chunks_exact_mut(LANES);
    for x in wide.by_ref() {
        let e = exp(_mm256_sub_ps(load(x), shift));
        store(x, e);
        acc = _mm256_add_ps(acc, e);
    }
    let mut acc = lanes(acc);
    for (l, x) in acc.iter_mut().zip(wide.into_remainder()) {
        *x = portable::exp(*x - top);
        *l += *x;
    }
    fold_lanes(&acc)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn sum_exp(x: &[f32], top: f32) -> f32 {
    let shift = _mm256_set1_ps(top);
    let mut acc = _mm256_setzero_ps();
    let wide = x.chunks_exact(LANES);
    let rest = wide.remainder();
    for x in wide {
        acc = _mm256_add_ps(acc, exp(_mm256_sub_ps(load(x), shift)));
    }
    let mut acc = lanes(acc);
    for (l, x) in acc.iter_mut().zip(rest) {
        *l += portable::exp(*x - top);
    }
    fold_lanes(&acc)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn max(x: &[f32]) -> f32 {
    let mut top = _mm256_set1_ps(f32::NEG_INFINITY);
    let wide = x.chunks_exact(LANES);
    let rest = wide.remainder();
    for x in wide {
        // The second operand wins where one is not a number, as in the twin.
        top = _mm256_max_ps(load(x), top);
    }
    portable::max(&lanes(top)).max(portable::max(rest))
}
