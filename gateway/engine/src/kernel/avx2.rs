//! The functions for x86-64 with AVX2, FMA and F16C: pointer loads within slices whose lengths `Isa`'s methods checked. Each
//! is compared with its twin in `portable` bit for bit. Products are in `product`.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

mod product;

pub(super) use product::{product, quantize};

use super::portable::{self, EXP_HIGH, EXP_LOW, EXP_POLY, LN2_HIGH, LN2_LOW, LOG2_E, fold_lanes};
use super::{PAGE, PART, SUMS};
use core::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps,
    _mm256_castsi256_ps, _mm256_cvtph_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph, _mm256_div_ps, _mm256_fmadd_ps,
    _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_round_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

/// Round to nearest, ties to even, without raising.
const NEAREST: i32 = 0x08;

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(x: &[f32]) -> __m256 {
    debug_assert!(x.len() >= SUMS);
    // SAFETY: eight floats are there.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(x: &mut [f32], v: __m256) {
    debug_assert!(x.len() >= SUMS);
    // SAFETY: there is room for eight floats.
    unsafe { _mm256_storeu_ps(x.as_mut_ptr(), v) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn lanes(v: __m256) -> [f32; SUMS] {
    let mut out = [0.0; SUMS];
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

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = _mm256_setzero_ps();
    let (wide_a, wide_b) = (a.chunks_exact(SUMS), b.chunks_exact(SUMS));
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
    let mut wide = gate.chunks_exact_mut(SUMS);
    let wide_up = up.chunks_exact(SUMS);
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
    let mut wide = out.chunks_exact_mut(SUMS);
    let wide_x = x.chunks_exact(SUMS);
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
    let mut acc = [[_mm256_setzero_ps(); PAGE / SUMS]; H];
    for (j, keys) in keys.chunks_exact(PAGE).enumerate() {
        let mut query = [_mm256_setzero_ps(); H];
        for h in 0..H {
            query[h] = _mm256_set1_ps(q[h * dim + j]);
        }
        for part in 0..PAGE / SUMS {
            // SAFETY: `keys` holds 64 bytes, four parts of 16.
            let k = unsafe { halves(keys.as_ptr().add(part * SUMS).cast()) };
            for h in 0..H {
                acc[h][part] = _mm256_fmadd_ps(query[h], k, acc[h][part]);
            }
        }
    }
    for (h, acc) in acc.iter().enumerate() {
        for (part, acc) in acc.iter().enumerate() {
            store(&mut out[h * stride + part * SUMS..], *acc);
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
    while dim - column >= 4 * SUMS {
        value_columns::<H, 4>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += 4 * SUMS;
    }
    while column < dim {
        value_columns::<H, 1>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += SUMS;
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
            acc[h][c] = load(&out[h * dim + c * SUMS..]);
        }
    }
    for t in 0..tokens {
        let row = &values[t * dim + column..][..C * SUMS];
        let mut v = [_mm256_setzero_ps(); C];
        for (c, v) in v.iter_mut().enumerate() {
            // SAFETY: `row` holds C groups of 16 bytes.
            *v = unsafe { halves(row.as_ptr().add(c * SUMS).cast()) };
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
            store(&mut out[h * dim + c * SUMS..], acc[h][c]);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn ahead(page: &[u16]) {
    for line in page.chunks(32) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn exp_sum(x: &mut [f32], top: f32) -> f32 {
    let shift = _mm256_set1_ps(top);
    let mut acc = _mm256_setzero_ps();
    let mut wide = x.chunks_exact_mut(SUMS);
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
pub(super) fn sum_exp(x: &[f32], top: f32, heat: f32) -> f32 {
    let (shift, heats) = (_mm256_set1_ps(top), _mm256_set1_ps(heat));
    let mut acc = _mm256_setzero_ps();
    let wide = x.chunks_exact(SUMS);
    let rest = wide.remainder();
    for x in wide {
        acc = _mm256_add_ps(acc, exp(_mm256_mul_ps(_mm256_sub_ps(load(x), shift), heats)));
    }
    let mut acc = lanes(acc);
    for (l, x) in acc.iter_mut().zip(rest) {
        *l += portable::exp((*x - top) * heat);
    }
    fold_lanes(&acc)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn peaks(x: &[f32], out: &mut [f32]) {
    for (x, out) in x.chunks(PART).zip(out) {
        *out = max(x);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn max(x: &[f32]) -> f32 {
    let mut top = _mm256_set1_ps(f32::NEG_INFINITY);
    let wide = x.chunks_exact(SUMS);
    let rest = wide.remainder();
    for x in wide {
        // The second operand wins where one is not a number, as in the twin.
        top = _mm256_max_ps(load(x), top);
    }
    portable::max(&lanes(top)).max(portable::max(rest))
}
