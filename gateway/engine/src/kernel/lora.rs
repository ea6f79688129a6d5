//! The two products of an adapter: into its few numbers (`shrink`) and out of them again (`expand`), weights of two bytes or
//! one against f32 rows. Up to four rows share each load of a weight; a row's sums are made in the same order however many
//! rows are worked on together. Both factors are laid out so that they are read from front to back once: an adapter is worn
//! by few rows, so what it costs is its way from memory.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::Set;

/// Rows that share each load of a weight.
pub(crate) const TILE: usize = 4;
/// Columns side by side in an expanding matrix: `[block][rank][WIDTH]`.
pub(crate) const WIDTH: usize = 32;
/// Columns side by side in a shrinking matrix, and the partial sums of one of its rows.
pub(crate) const DEPTH: usize = 16;
/// Rows side by side in a shrinking matrix: `[group][block][row][DEPTH]`, the last group as small as it is.
pub(crate) const GROUP: usize = 4;

/// Where in a shrinking matrix of `rank` rows, whose columns are filled up to `cols`, a number is.
pub(crate) const fn place(rank: usize, cols: usize, (r, c): (usize, usize)) -> usize {
    let first = r / GROUP * GROUP;
    let group = if rank - first < GROUP { rank - first } else { GROUP };
    first * cols + (c / DEPTH * group + r % GROUP) * DEPTH + c % DEPTH
}

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// In half precision, little end first.
    Half,
    /// As whole numbers of eight bits.
    Eight,
}

impl Precision {
    /// Bytes of a number.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Eight => 1,
        }
    }
}

/// Rows of a product, by where each of them begins.
pub(crate) struct Rows<'a> {
    pub(crate) all: &'a mut [f32],
    pub(crate) begin: &'a [usize],
    pub(crate) len: usize,
}

impl Isa {
    /// `h[t][r] = a[r] · x[t]`: `a` is `rank` rows as long as those of `x`, filled up with zeros, each at its `place`;
    /// `h` is `x.len()` × `rank`.
    pub(crate) fn shrink(self, (a, kept): (&[u8], Precision), rank: usize, x: &[&[f32]], h: &mut [f32]) {
        let cols = x.first().map_or(0, |row| row.len());
        assert!((1..=TILE).contains(&x.len()) && x.iter().all(|row| row.len() == cols));
        assert!(a.len() == kept.bytes() * rank * cols.next_multiple_of(DEPTH) && h.len() == rank * x.len());
        match self.0 {
            Set::Portable => portable::shrink(a, kept, rank, x, h),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX2, FMA and F16C")]
            // SAFETY: `Set::Avx2` is made by `Isa::all` alone, and only where the processor has AVX2, FMA and F16C.
            Set::Avx2 => unsafe {
                match kept {
                    Precision::Half => avx2::shrink::<2>(a, rank, x, h),
                    Precision::Eight => avx2::shrink::<1>(a, rank, x, h),
                }
            },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
            // SAFETY: `Set::Avx512` is made by `Isa::all` alone, and only where the processor has AVX-512 (F, BW, VL).
            Set::Avx512 => unsafe {
                match kept {
                    Precision::Half => avx512::shrink::<2>(a, rank, x, h),
                    Precision::Eight => avx512::shrink::<1>(a, rank, x, h),
                }
            },
        }
    }

    /// `out[t][c] += Σ h[t][r] b[r][c]`: `b` is in blocks of `WIDTH` columns, the last one filled up, and `out` as many
    /// rows as `h` has.
    pub(crate) fn expand(self, (b, kept): (&[u8], Precision), rank: usize, h: &[f32], out: &mut Rows<'_>) {
        let rows = out.begin.len();
        assert!(rank > 0 && (1..=TILE).contains(&rows) && h.len() == rows * rank);
        assert!(b.len() == kept.bytes() * rank * out.len.next_multiple_of(WIDTH));
        assert!(out.begin.iter().all(|begin| begin + out.len <= out.all.len()));
        match self.0 {
            Set::Portable => portable::expand(b, kept, rank, h, out),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX2, FMA and F16C")]
            // SAFETY: `Set::Avx2` is made by `Isa::all` alone, and only where the processor has AVX2, FMA and F16C.
            Set::Avx2 => unsafe {
                match kept {
                    Precision::Half => avx2::expand::<2>(b, rank, h, out),
                    Precision::Eight => avx2::expand::<1>(b, rank, h, out),
                }
            },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
            // SAFETY: `Set::Avx512` is made by `Isa::all` alone, and only where the processor has AVX-512 (F, BW, VL).
            Set::Avx512 => unsafe {
                match kept {
                    Precision::Half => avx512::expand::<2>(b, rank, h, out),
                    Precision::Eight => avx512::expand::<1>(b, rank, h, out),
                }
            },
        }
    }
}
