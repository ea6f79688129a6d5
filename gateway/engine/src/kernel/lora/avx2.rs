//! An adapter's products for x86-64 with AVX2, FMA and F16C. Unsafe only in loads and stores within slices whose lengths
//! `Isa`'s methods checked; each function is compared with its twin in `portable` bit for bit.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

use super::WIDTH;
use crate::kernel::SUMS;
use crate::kernel::portable::fold_lanes;
use core::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};
use half::f16;

/// Eight half-precision numbers from `at` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(from: &[u16], at: usize) -> __m256 {
    debug_assert!(from.len() >= at + SUMS);
    // SAFETY: the callers stay within the lengths that `Isa` checked: 16 bytes are there.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().add(at).cast())) }
}

/// Has the cache line at `at` fetched, which may lie behind the end.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn ahead(from: &[u16], at: usize) {
    // A prefetch reads nothing, so it may be of any address.
    _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast());
}

/// Eight numbers from `at` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn floats(from: &[f32], at: usize) -> __m256 {
    debug_assert!(from.len() >= at + SUMS);
    // SAFETY: as above, 32 bytes.
    unsafe { _mm256_loadu_ps(from.as_ptr().add(at)) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(to: &mut [f32], at: usize, v: __m256) {
    debug_assert!(to.len() >= at + SUMS);
    // SAFETY: as above, 32 bytes.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(at), v) }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn shrink(a: &[u16], rank: usize, x: &[&[f32]], h: &mut [f32]) {
    match x {
        [x] => shrink_rows::<4, 1>(a, rank, [x], h),
        [x, y] => shrink_rows::<2, 2>(a, rank, [x, y], h),
        [x, y, z] => shrink_rows::<2, 3>(a, rank, [x, y, z], h),
        [x, y, z, w, ..] => shrink_rows::<2, 4>(a, rank, [x, y, z, w], h),
        [] => {}
    }
}

/// `R` rows of the matrix at a time, the rest one by one.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn shrink_rows<const R: usize, const T: usize>(a: &[u16], rank: usize, x: [&[f32]; T], h: &mut [f32]) {
    let cols = x[0].len();
    let mut r = 0;
    while rank - r >= R {
        dots::<R, T>(&a[r * cols..], x, &mut h[r..], rank);
        r += R;
    }
    while r < rank {
        dots::<1, T>(&a[r * cols..], x, &mut h[r..], rank);
        r += 1;
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const R: usize, const T: usize>(a: &[u16], x: [&[f32]; T], h: &mut [f32], rank: usize) {
    let cols = x[0].len();
    let wide = cols / SUMS * SUMS;
    let mut acc = [[_mm256_setzero_ps(); T]; R];
    for at in (0..wide).step_by(SUMS) {
        let mut row = [_mm256_setzero_ps(); T];
        for t in 0..T {
            row[t] = floats(x[t], at);
        }
        for r in 0..R {
            if at.is_multiple_of(4 * SUMS) {
                // The rows that come next: each is too short for the processor to see where this leads.
                ahead(a, (r + R) * cols + at);
            }
            let weight = halves(a, r * cols + at);
            for t in 0..T {
                acc[r][t] = _mm256_fmadd_ps(weight, row[t], acc[r][t]);
            }
        }
    }
    for r in 0..R {
        for t in 0..T {
            let mut lanes = [0.0; SUMS];
            store(&mut lanes, 0, acc[r][t]);
            for (lane, at) in lanes.iter_mut().zip(wide..cols) {
                *lane = f16::from_bits(a[r * cols + at]).to_f32().mul_add(x[t][at], *lane);
            }
            h[t * rank + r] = fold_lanes(&lanes);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn expand(b: &[u16], rank: usize, h: &[f32], out: &mut [f32]) {
    match h.len() / rank {
        1 => expand_rows::<1, 4>(b, rank, h, out),
        2 => expand_rows::<2, 4>(b, rank, h, out),
        3 => expand_rows::<3, 2>(b, rank, h, out),
        _ => expand_rows::<4, 2>(b, rank, h, out),
    }
}

/// `C` eights of columns at a time, all ranks of them after one another.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn expand_rows<const T: usize, const C: usize>(b: &[u16], rank: usize, h: &[f32], out: &mut [f32]) {
    let cols = b.len() / rank;
    for (block, b) in b.chunks_exact(rank * WIDTH).enumerate() {
        for first in (0..WIDTH).step_by(C * SUMS) {
            let mut acc = [[_mm256_setzero_ps(); C]; T];
            for r in 0..rank {
                let mut weights = [_mm256_setzero_ps(); C];
                for c in 0..C {
                    weights[c] = halves(b, r * WIDTH + first + c * SUMS);
                }
                for t in 0..T {
                    let factor = _mm256_set1_ps(h[t * rank + r]);
                    for c in 0..C {
                        acc[t][c] = _mm256_fmadd_ps(factor, weights[c], acc[t][c]);
                    }
                }
            }
            for t in 0..T {
                for c in 0..C {
                    store(out, t * cols + block * WIDTH + first + c * SUMS, acc[t][c]);
                }
            }
        }
    }
}
