//! The functions for x86-64 with AVX-512 (F, BW, VL, VNNI): pointer loads within slices whose lengths `Isa`'s methods
//! checked. Each is compared with its twin in `portable` bit for bit; what gains nothing from wider registers is not here.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

mod product;

pub(super) use product::{product, quantize};

use super::portable::{self, EXP_HIGH, EXP_LOW, EXP_POLY, LN2_HIGH, LN2_LOW, LOG2_E, fold_lanes};
use super::{LANES, PAGE, PART, SUMS, avx2};
use core::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_castpd_ps, _mm256_loadu_si256, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm512_add_epi32, _mm512_add_ps, _mm512_castps_pd, _mm512_castps512_ps256,
    _mm512_castsi512_ps, _mm512_cvtph_ps, _mm512_cvtps_epi32, _mm512_cvtps_ph, _mm512_div_ps, _mm512_extractf64x4_pd,
    _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

/// Round to nearest, ties to even, without raising.
const NEAREST: i32 = 0x08;
/// Parts of a page: registers that its tokens fill.
const PARTS: usize = PAGE / LANES;

/// Sixteen half-precision numbers.
///
/// # Safety
/// 32 bytes must be readable at `at`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn halves(at: *const u8) -> __m512 {
    // SAFETY: the caller vouches for 32 bytes.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn load(x: &[f32]) -> __m512 {
    assert!(x.len() >= LANES);
    // SAFETY: sixteen floats are there.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn store(x: &mut [f32], v: __m512) {
    assert!(x.len() >= LANES);
    // SAFETY: there is room for sixteen floats.
    unsafe { _mm512_storeu_ps(x.as_mut_ptr(), v) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn exp(x: __m512) -> __m512 {
    let x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(EXP_LOW)), _mm512_set1_ps(EXP_HIGH));
    let n = _mm512_roundscale_ps::<NEAREST>(_mm512_mul_ps(x, _mm512_set1_ps(LOG2_E)));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN2_LOW), _mm512_fnmadd_ps(n, _mm512_set1_ps(LN2_HIGH), x));
    let mut y = _mm512_set1_ps(EXP_POLY[0]);
    for c in &EXP_POLY[1..] {
        y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(*c));
    }
    let y = _mm512_add_ps(_mm512_fmadd_ps(y, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0));
    let power = _mm512_slli_epi32::<23>(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)));
    _mm512_mul_ps(y, _mm512_castsi512_ps(power))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    let mut wide = gate.chunks_exact_mut(LANES);
    let wide_up = up.chunks_exact(LANES);
    let rest_up = wide_up.remainder();
    for (g, u) in wide.by_ref().zip(wide_up) {
        let x = load(g);
        // As `-x` does, for zero too: the sign is turned, nothing is subtracted.
        let minus = _mm512_mul_ps(x, _mm512_set1_ps(-1.0));
        let silu = _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0), exp(minus)));
        store(g, _mm512_mul_ps(silu, load(u)));
    }
    portable::silu_mul(wide.into_remainder(), rest_up);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn to_f16(x: &[f32], out: &mut [u16]) {
    let mut wide = out.chunks_exact_mut(LANES);
    let wide_x = x.chunks_exact(LANES);
    let rest_x = wide_x.remainder();
    for (o, x) in wide.by_ref().zip(wide_x) {
        // SAFETY: `o` holds 32 bytes.
        unsafe { _mm256_storeu_si256(o.as_mut_ptr().cast(), _mm512_cvtps_ph::<0>(load(x))) };
    }
    portable::to_f16(rest_x, wide.into_remainder());
}

/// The lower and the upper eight of sixteen.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn split(v: __m512) -> [__m256; 2] {
    let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v));
    [_mm512_castps512_ps256(v), _mm256_castpd_ps(upper)]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn exp_sum(x: &mut [f32], top: f32) -> f32 {
    let mut acc = _mm256_setzero_ps();
    let mut wide = x.chunks_exact_mut(LANES);
    for x in wide.by_ref() {
        let e = exp(_mm512_sub_ps(load(x), _mm512_set1_ps(top)));
        store(x, e);
        for e in split(e) {
            acc = _mm256_add_ps(acc, e);
        }
    }
    let mut lanes = [0.0f32; SUMS];
    // SAFETY: `lanes` holds 32 bytes.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), acc) };
    for x in wide.into_remainder().chunks_mut(SUMS) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *x = portable::exp(*x - top);
            *l += *x;
        }
    }
    fold_lanes(&lanes)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn sum_exp(x: &[f32], top: f32, heat: f32) -> f32 {
    let mut acc = _mm256_setzero_ps();
    let wide = x.chunks_exact(LANES);
    let rest = wide.remainder();
    for x in wide {
        let x = _mm512_mul_ps(_mm512_sub_ps(load(x), _mm512_set1_ps(top)), _mm512_set1_ps(heat));
        for e in split(exp(x)) {
            acc = _mm256_add_ps(acc, e);
        }
    }
    let mut lanes = [0.0f32; SUMS];
    // SAFETY: `lanes` holds 32 bytes.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), acc) };
    for x in rest.chunks(SUMS) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *l += portable::exp((*x - top) * heat);
        }
    }
    fold_lanes(&lanes)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn peaks(x: &[f32], out: &mut [f32]) {
    for (x, out) in x.chunks(PART).zip(out) {
        let mut top = _mm512_set1_ps(f32::NEG_INFINITY);
        let wide = x.chunks_exact(LANES);
        let rest = wide.remainder();
        for x in wide {
            // The second operand wins where one is not a number, as in the twin.
            top = _mm512_max_ps(load(x), top);
        }
        *out = _mm512_reduce_max_ps(top).max(portable::max(rest));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn scores(q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) {
    let heads = q.len() / dim;
    let mut h = 0;
    while h < heads {
        let (q, out) = (&q[h * dim..], &mut out[h * stride..]);
        h += match heads - h {
            1 => score_heads::<1>(q, dim, keys, out, stride),
            2 => score_heads::<2>(q, dim, keys, out, stride),
            3 => score_heads::<3>(q, dim, keys, out, stride),
            4 | 5 => score_heads::<4>(q, dim, keys, out, stride),
            _ => score_heads::<6>(q, dim, keys, out, stride),
        };
    }
}

/// `H` heads share each key.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn score_heads<const H: usize>(q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) -> usize {
    let q = &q[..H * dim];
    let mut acc = [[_mm512_setzero_ps(); PARTS]; H];
    for (j, keys) in keys.chunks_exact(PAGE).take(dim).enumerate() {
        for part in 0..PARTS {
            // SAFETY: `keys` holds 64 bytes, two parts of 32.
            let k = unsafe { halves(keys.as_ptr().add(part * LANES).cast()) };
            for h in 0..H {
                // SAFETY: `q` holds H heads of `dim`, and j < dim.
                let query = _mm512_set1_ps(unsafe { *q.get_unchecked(h * dim + j) });
                acc[h][part] = _mm512_fmadd_ps(query, k, acc[h][part]);
            }
        }
    }
    for (h, acc) in acc.iter().enumerate() {
        for (part, acc) in acc.iter().enumerate() {
            store(&mut out[h * stride + part * LANES..], *acc);
        }
    }
    H
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) fn values(p: &[f32], stride: usize, values: &[u16], tokens: usize, dim: usize, out: &mut [f32]) {
    if !dim.is_multiple_of(LANES) {
        return avx2::values(p, stride, values, tokens, dim, out);
    }
    let heads = out.len() / dim;
    let mut h = 0;
    while h < heads {
        let (p, out) = (&p[h * stride..], &mut out[h * dim..]);
        h += match heads - h {
            1 => value_heads::<1>(p, stride, values, tokens, dim, out),
            2 => value_heads::<2>(p, stride, values, tokens, dim, out),
            3 => value_heads::<3>(p, stride, values, tokens, dim, out),
            4 | 5 => value_heads::<4>(p, stride, values, tokens, dim, out),
            _ => value_heads::<6>(p, stride, values, tokens, dim, out),
        };
    }
}

/// Works on 64 columns at a time while they last, then on sixteen.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn value_heads<const H: usize>(
    p: &[f32],
    stride: usize,
    values: &[u16],
    tokens: usize,
    dim: usize,
    out: &mut [f32],
) -> usize {
    let mut column = 0;
    while dim - column >= 4 * LANES {
        value_columns::<H, 4>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += 4 * LANES;
    }
    while column < dim {
        value_columns::<H, 1>(p, stride, values, tokens, dim, &mut out[column..], column);
        column += LANES;
    }
    H
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn value_columns<const H: usize, const C: usize>(
    p: &[f32],
    stride: usize,
    values: &[u16],
    tokens: usize,
    dim: usize,
    out: &mut [f32],
    column: usize,
) {
    let mut acc = [[_mm512_setzero_ps(); C]; H];
    for h in 0..H {
        for c in 0..C {
            acc[h][c] = load(&out[h * dim + c * LANES..]);
        }
    }
    let p = &p[..(H - 1) * stride + tokens];
    for t in 0..tokens {
        let row = &values[t * dim + column..][..C * LANES];
        let mut v = [_mm512_setzero_ps(); C];
        for (c, v) in v.iter_mut().enumerate() {
            // SAFETY: `row` holds C groups of 32 bytes.
            *v = unsafe { halves(row.as_ptr().add(c * LANES).cast()) };
        }
        for h in 0..H {
            // SAFETY: `p` holds H rows of `stride`, the last at least `tokens` long.
            let weight = _mm512_set1_ps(unsafe { *p.get_unchecked(h * stride + t) });
            for c in 0..C {
                acc[h][c] = _mm512_fmadd_ps(weight, v[c], acc[h][c]);
            }
        }
    }
    for h in 0..H {
        for c in 0..C {
            store(&mut out[h * dim + c * LANES..], acc[h][c]);
        }
    }
}
