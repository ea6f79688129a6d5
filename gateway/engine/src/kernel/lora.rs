//! The two products of an adapter: into its few numbers (`shrink`) and out of them again (`expand`), half-precision
//! weights against f32 rows. Up to four rows share each load of a weight; a row's sums are made in the same order
//! however many rows are worked on together.

#[cfg(target_arch = "x86_64")]
mod avx2;
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

impl Isa {
    /// `h[t][r] = a[r] · x[t]`: `a` is `rank` rows as long as those of `x`, `h` is `x.len()` × `rank`.
    pub(crate) fn shrink(self, a: &[u16], rank: usize, x: &[&[f32]], h: &mut [f32]) {
        let cols = x.first().map_or(0, |row| row.len());
        assert!((1..=TILE).contains(&x.len()) && x.iter().all(|row| row.len() == cols));
        assert!(a.len() == rank * cols && h.len() == rank * x.len());
        #[cfg(target_arch = "x86_64")]
        if self.0 != Set::Portable {
            #[expect(unsafe_code, reason = "calls a function compiled for AVX2, FMA and F16C")]
            // SAFETY: every set but the portable one is made by `Isa::detect` alone, and only where the processor has
            // AVX2, FMA and F16C.
            return unsafe { avx2::shrink(a, rank, x, h) };
        }
        portable::shrink(a, rank, x, h);
    }

    /// `out[t][c] = Σ h[t][r] b[r][c]`: `b` is in blocks of `WIDTH` columns, `out` is as many rows as `h` has, each as
    /// long as the blocks together.
    pub(crate) fn expand(self, b: &[u16], rank: usize, h: &[f32], out: &mut [f32]) {
        let (rows, cols) = (h.len() / rank.max(1), b.len() / rank.max(1));
        assert!(rank > 0 && (1..=TILE).contains(&rows) && h.len() == rows * rank);
        assert!(cols.is_multiple_of(WIDTH) && b.len() == rank * cols && out.len() == rows * cols);
        #[cfg(target_arch = "x86_64")]
        if self.0 != Set::Portable {
            #[expect(unsafe_code, reason = "calls a function compiled for AVX2, FMA and F16C")]
            // SAFETY: as above.
            return unsafe { avx2::expand(b, rank, h, out) };
        }
        portable::expand(b, rank, h, out);
    }
}
