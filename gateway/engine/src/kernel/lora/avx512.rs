//! An adapter's products for x86-64 with AVX-512 (F, BW, VL). Unsafe only in loads and stores within slices whose lengths
//! `Isa`'s methods checked; each function is compared with its twin in `portable` bit for bit.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

use super::avx2::{ahead, fold};
use super::{DEPTH, GROUP, Rows, WIDTH};
use core::arch::x86_64::{
    __m512, _mm_loadu_si128, _mm256_add_ps, _mm256_castpd_ps, _mm256_loadu_si256, _mm512_add_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_extractf64x4_pd,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Registers across a block of an expanding matrix.
const ACROSS: usize = WIDTH / DEPTH;

/// Sixteen weights of `B` bytes from the `at`-th on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn weights<const B: usize>(from: &[u8], at: usize) -> __m512 {
    debug_assert!(from.len() >= (at + DEPTH) * B);
    let at = from.as_ptr().wrapping_add(at * B);
    // SAFETY: the callers stay within the lengths that `Isa` checked: 16 or 32 bytes are there.
    unsafe {
        match B {
            1 => _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))),
            _ => _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())),
        }
    }
}

/// Sixteen numbers from `at` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn floats(from: &[f32], at: usize) -> __m512 {
    debug_assert!(from.len() >= at + DEPTH);
    // SAFETY: as above, 64 bytes.
    unsafe { _mm512_loadu_ps(from.as_ptr().add(at)) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn store(to: &mut [f32], at: usize, v: __m512) {
    debug_assert!(to.len() >= at + DEPTH);
    // SAFETY: as above, 64 bytes.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr().add(at), v) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
pub(super) fn shrink<const B: usize>(a: &[u8], rank: usize, x: &[&[f32]], h: &mut [f32]) {
    match x {
        [x] => shrink_rows::<B, 1>(a, rank, [x], h),
        [x, y] => shrink_rows::<B, 2>(a, rank, [x, y], h),
        [x, y, z] => shrink_rows::<B, 3>(a, rank, [x, y, z], h),
        [x, y, z, w, ..] => shrink_rows::<B, 4>(a, rank, [x, y, z, w], h),
        [] => {}
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn shrink_rows<const B: usize, const T: usize>(a: &[u8], rank: usize, x: [&[f32]; T], h: &mut [f32]) {
    let (cols, wide) = (x[0].len().next_multiple_of(DEPTH), x[0].len() / DEPTH * DEPTH);
    let mut ends = [[0.0; DEPTH]; T];
    for (end, x) in ends.iter_mut().zip(x) {
        end[..x.len() - wide].copy_from_slice(&x[wide..]);
    }
    for first in (0..rank).step_by(GROUP) {
        let (a, h) = (&a[first * cols * B..], &mut h[first..]);
        match rank - first {
            1 => dots::<B, 1, T>(a, (x, &ends), h, rank),
            2 => dots::<B, 2, T>(a, (x, &ends), h, rank),
            3 => dots::<B, 3, T>(a, (x, &ends), h, rank),
            _ => dots::<B, GROUP, T>(a, (x, &ends), h, rank),
        }
    }
}

/// The sums of one group of rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn dots<const B: usize, const R: usize, const T: usize>(
    a: &[u8],
    (x, ends): ([&[f32]; T], &[[f32; DEPTH]; T]),
    h: &mut [f32],
    rank: usize,
) {
    let blocks = x[0].len() / DEPTH;
    let mut acc = [[_mm512_setzero_ps(); T]; R];
    for block in 0..x[0].len().div_ceil(DEPTH) {
        let mut row = [_mm512_setzero_ps(); T];
        for t in 0..T {
            row[t] = if block < blocks { floats(x[t], block * DEPTH) } else { floats(&ends[t], 0) };
        }
        for r in 0..R {
            let at = (block * R + r) * DEPTH;
            ahead::<B>(a, at);
            let weight = weights::<B>(a, at);
            for t in 0..T {
                acc[r][t] = _mm512_fmadd_ps(weight, row[t], acc[r][t]);
            }
        }
    }
    for r in 0..R {
        for t in 0..T {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(acc[r][t])));
            h[t * rank + r] = fold(_mm256_add_ps(_mm512_castps512_ps256(acc[r][t]), upper));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
pub(super) fn expand<const B: usize>(b: &[u8], rank: usize, h: &[f32], out: &mut Rows<'_>) {
    match out.begin {
        [_] => expand_rows::<B, 1>(b, rank, h, out),
        [_, _] => expand_rows::<B, 2>(b, rank, h, out),
        [_, _, _] => expand_rows::<B, 3>(b, rank, h, out),
        _ => expand_rows::<B, 4>(b, rank, h, out),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
fn expand_rows<const B: usize, const T: usize>(b: &[u8], rank: usize, h: &[f32], out: &mut Rows<'_>) {
    for (block, b) in b.chunks_exact(B * rank * WIDTH).enumerate() {
        let mut acc = [[_mm512_setzero_ps(); ACROSS]; T];
        for r in 0..rank {
            let mut row = [_mm512_setzero_ps(); ACROSS];
            for c in 0..ACROSS {
                ahead::<B>(b, r * WIDTH + c * DEPTH);
                row[c] = weights::<B>(b, r * WIDTH + c * DEPTH);
            }
            for t in 0..T {
                let factor = _mm512_set1_ps(h[t * rank + r]);
                for c in 0..ACROSS {
                    acc[t][c] = _mm512_fmadd_ps(factor, row[c], acc[t][c]);
                }
            }
        }
        for t in 0..T {
            for c in 0..ACROSS {
                let (from, at) = (block * WIDTH + c * DEPTH, out.begin[t] + block * WIDTH + c * DEPTH);
                if from + DEPTH <= out.len {
                    let sum = _mm512_add_ps(floats(out.all, at), acc[t][c]);
                    store(out.all, at, sum);
                } else if from < out.len {
                    let mut last = [0.0; DEPTH];
                    store(&mut last, 0, acc[t][c]);
                    out.all[at..][..out.len - from].iter_mut().zip(last).for_each(|(o, sum)| *o += sum);
                }
            }
        }
    }
}
