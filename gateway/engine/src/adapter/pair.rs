//! The difference of one product, packed: `scale · B A` in half precision. Owns the packing and the order of its sums; the
//! inner loops are `kernel::lora`'s.

use crate::kernel::Isa;
use crate::kernel::lora::{TILE, WIDTH};
use half::f16;

/// Numbers of one tile between the two products, at the largest rank.
const MOST_BETWEEN: usize = 256 * TILE;

/// Two factors and what their product is multiplied by.
pub(crate) struct Pair {
    rank: usize,
    /// `rank` rows.
    a: Vec<u16>,
    /// Blocks of `WIDTH` columns, `[block][rank][WIDTH]`, the last one filled up with zeros.
    b: Vec<u16>,
    scale: f32,
}

impl Pair {
    /// Packs `a` (`rank` rows) and `b` (`rank` columns). Both are moved to the middle of half precision by a power of two,
    /// which loses nothing, so that factors that are small as a whole keep their digits.
    pub(crate) fn new(rank: usize, a: &[f32], b: &[f32], scale: f32) -> Self {
        let (up_a, up_b) = (lift(a), lift(b));
        let rows = b.len() / rank;
        let blocks = rows.div_ceil(WIDTH);
        let mut packed = vec![0; blocks * rank * WIDTH];
        for (row, from) in b.chunks_exact(rank).enumerate() {
            for (r, v) in from.iter().enumerate() {
                packed[(row / WIDTH * rank + r) * WIDTH + row % WIDTH] = f16::from_f32(v * up_b).to_bits();
            }
        }
        let a = a.iter().map(|v| f16::from_f32(v * up_a).to_bits()).collect();
        Self { rank, a, b: packed, scale: scale / up_a / up_b }
    }

    /// Its rank.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        (self.a.len() + self.b.len()) * 2
    }

    /// Outputs with those that fill the last block.
    #[cfg(test)]
    pub(crate) fn padded(&self) -> usize {
        self.b.len() / self.rank
    }

    /// `out[t] = scale · B (A x[t])` for up to four rows; each of `out` is `padded` long.
    pub(crate) fn apply(&self, isa: Isa, x: &[&[f32]], out: &mut [f32]) {
        let mut between = [0.0; MOST_BETWEEN];
        let between = &mut between[..self.rank * x.len()];
        isa.shrink(&self.a, self.rank, x, between);
        between.iter_mut().for_each(|h| *h *= self.scale);
        isa.expand(&self.b, self.rank, between, out);
    }
}

/// The power of two that brings the largest number to between 1 and 2.
fn lift(numbers: &[f32]) -> f32 {
    let largest = numbers.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    if largest < f32::MIN_POSITIVE {
        return 1.0;
    }
    // Not so far that the power itself or its inverse leaves the normal numbers.
    (-largest.log2().floor()).clamp(-60.0, 60.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_that_of_plain_arithmetic_however_small_its_factors() {
        let (rank, rows, cols) = (3, 37, 20);
        let wave = |n: usize, f: f32, size: f32| (0..n).map(|i| (i as f32 * f).sin() * size).collect::<Vec<_>>();
        for size in [1.0f32, 1e-7, 1e5] {
            let (a, b, x) = (wave(rank * cols, 0.37, size), wave(rows * rank, 0.11, 1e-6), wave(cols, 0.7, 1.0));
            let pair = Pair::new(rank, &a, &b, 2.5);
            let mut out = vec![7.0; pair.padded()];
            pair.apply(Isa::detect(), &[&x], &mut out);
            let largest = 2.5 * size * 1e-6;
            for (row, got) in out.iter().enumerate() {
                let factor =
                    |r: usize| a[r * cols..][..cols].iter().zip(&x).map(|(a, x)| f64::from(a * x)).sum::<f64>();
                let want: f64 =
                    (0..rank).map(|r| b.get(row * rank + r).map_or(0.0, |b| f64::from(*b)) * factor(r)).sum();
                let off = (f64::from(*got) - want * 2.5).abs();
                assert!(off < f64::from(largest) * 0.01, "size {size} row {row}: {got} for {}", want * 2.5);
            }
        }
        assert_eq!(lift(&[0.0, -0.0]), 1.0);
        assert_eq!((lift(&[-3.0, 1.0]), lift(&[0.25])), (0.5, 4.0));
    }
}
