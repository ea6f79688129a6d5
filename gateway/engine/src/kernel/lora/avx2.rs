//! An adapter's products for x86-64 with AVX2, FMA and F16C. Unsafe only in loads and stores within slices whose lengths
//! `Isa`'s methods checked; each function is compared with its twin in `portable` bit for bit.
#![expect(unsafe_code, reason = "vector loads and stores go through pointers")]
#![expect(clippy::needless_range_loop, reason = "indices tie registers of several arrays together")]

use super::{DEPTH, GROUP, Rows, WIDTH};
use crate::kernel::SUMS;
use core::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm_prefetch, _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

/// Bytes of a cache line.
const LINE: usize = 64;
/// How many bytes ahead of its use a weight is fetched, as long as memory takes to answer: the numbers lie in one piece,
/// which the processor sees only to the end of a page.
const AHEAD: usize = 8192;
/// Registers that the partial sums of a row fill.
const PARTS: usize = DEPTH / SUMS;

/// Eight weights of `B` bytes from the `at`-th on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn weights<const B: usize>(from: &[u8], at: usize) -> __m256 {
    debug_assert!(from.len() >= (at + SUMS) * B);
    let at = from.as_ptr().wrapping_add(at * B).cast();
    // SAFETY: the callers stay within the lengths that `Isa` checked: 8 or 16 bytes are there.
    unsafe {
        match B {
            1 => _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at))),
            _ => _mm256_cvtph_ps(_mm_loadu_si128(at)),
        }
    }
}

/// Has the cache line some way behind the `at`-th weight fetched, once for each line.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn ahead<const B: usize>(from: &[u8], at: usize) {
    if (at * B).is_multiple_of(LINE) {
        // A prefetch reads nothing, so it may be of any address.
        _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at * B + AHEAD).cast());
    }
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

/// The sum of eight, halved again and again.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn fold(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn shrink<const B: usize>(a: &[u8], rank: usize, x: &[&[f32]], h: &mut [f32]) {
    match x {
        [x] => shrink_rows::<B, 1>(a, rank, [x], h),
        [x, y] => shrink_rows::<B, 2>(a, rank, [x, y], h),
        [x, y, z] => shrink_rows::<B, 3>(a, rank, [x, y, z], h),
        [x, y, z, w, ..] => shrink_rows::<B, 4>(a, rank, [x, y, z, w], h),
        [] => {}
    }
}

/// A row alone works on a whole group at a time; where several share the registers, the group is gone through by twos.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn shrink_rows<const B: usize, const T: usize>(a: &[u8], rank: usize, x: [&[f32]; T], h: &mut [f32]) {
    let (cols, wide) = (x[0].len().next_multiple_of(DEPTH), x[0].len() / DEPTH * DEPTH);
    let mut ends = [[0.0; DEPTH]; T];
    for (end, x) in ends.iter_mut().zip(x) {
        end[..x.len() - wide].copy_from_slice(&x[wide..]);
    }
    for first in (0..rank).step_by(GROUP) {
        let (a, group) = (&a[first * cols * B..], GROUP.min(rank - first));
        let mut r = 0;
        while r < group {
            let (x, h) = ((x, &ends), &mut h[first + r..]);
            r += match group - r {
                4.. if T == 1 => dots::<B, 4, T>(a, (group, r), x, h, rank),
                2.. => dots::<B, 2, T>(a, (group, r), x, h, rank),
                _ => dots::<B, 1, T>(a, (group, r), x, h, rank),
            };
        }
    }
}

/// The sums of `R` rows of a group of so many, from the `from`-th on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const B: usize, const R: usize, const T: usize>(
    a: &[u8],
    (group, from): (usize, usize),
    (x, ends): ([&[f32]; T], &[[f32; DEPTH]; T]),
    h: &mut [f32],
    rank: usize,
) -> usize {
    let blocks = x[0].len() / DEPTH;
    let mut acc = [[[_mm256_setzero_ps(); PARTS]; T]; R];
    for block in 0..x[0].len().div_ceil(DEPTH) {
        for part in 0..PARTS {
            let mut row = [_mm256_setzero_ps(); T];
            for t in 0..T {
                let within = part * SUMS;
                row[t] = if block < blocks { floats(x[t], block * DEPTH + within) } else { floats(&ends[t], within) };
            }
            for r in 0..R {
                let at = (block * group + from + r) * DEPTH + part * SUMS;
                ahead::<B>(a, at);
                let weight = weights::<B>(a, at);
                for t in 0..T {
                    acc[r][t][part] = _mm256_fmadd_ps(weight, row[t], acc[r][t][part]);
                }
            }
        }
    }
    for r in 0..R {
        for t in 0..T {
            h[t * rank + r] = fold(_mm256_add_ps(acc[r][t][0], acc[r][t][1]));
        }
    }
    R
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn expand<const B: usize>(b: &[u8], rank: usize, h: &[f32], out: &mut Rows<'_>) {
    match out.begin {
        [_] => expand_rows::<B, 1, 4>(b, rank, h, out),
        [_, _] => expand_rows::<B, 2, 4>(b, rank, h, out),
        [_, _, _] => expand_rows::<B, 3, 2>(b, rank, h, out),
        _ => expand_rows::<B, 4, 2>(b, rank, h, out),
    }
}

/// `C` eights of columns at a time, all ranks of them after one another.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn expand_rows<const B: usize, const T: usize, const C: usize>(b: &[u8], rank: usize, h: &[f32], out: &mut Rows<'_>) {
    for (block, b) in b.chunks_exact(B * rank * WIDTH).enumerate() {
        for first in (0..WIDTH).step_by(C * SUMS) {
            let mut acc = [[_mm256_setzero_ps(); C]; T];
            for r in 0..rank {
                let mut row = [_mm256_setzero_ps(); C];
                for c in 0..C {
                    ahead::<B>(b, r * WIDTH + first + c * SUMS);
                    row[c] = weights::<B>(b, r * WIDTH + first + c * SUMS);
                }
                for t in 0..T {
                    let factor = _mm256_set1_ps(h[t * rank + r]);
                    for c in 0..C {
                        acc[t][c] = _mm256_fmadd_ps(factor, row[c], acc[t][c]);
                    }
                }
            }
            for t in 0..T {
                for c in 0..C {
                    let from = block * WIDTH + first + c * SUMS;
                    let at = out.begin[t] + from;
                    if from + SUMS <= out.len {
                        let sum = _mm256_add_ps(floats(out.all, at), acc[t][c]);
                        store(out.all, at, sum);
                    } else if from < out.len {
                        let mut last = [0.0; SUMS];
                        store(&mut last, 0, acc[t][c]);
                        out.all[at..][..out.len - from].iter_mut().zip(last).for_each(|(o, sum)| *o += sum);
                    }
                }
            }
        }
    }
}
