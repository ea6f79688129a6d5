//! The difference of one product, packed: `scale · B A` in eight bits or in half precision. Owns the packing and the order of its sums; the
//! inner loops are `kernel::lora`'s.

use crate::kernel::Isa;
use crate::kernel::lora::{DEPTH, Precision, Rows, TILE, WIDTH, place};
use crate::matrix::packed::{LINE, Packed};
use half::f16;

/// The largest rank, and one that few adapters exceed.
const RANKS: usize = 256;
const FEW_RANKS: usize = 64;
/// Bytes of what a rank is multiplied by.
const SCALE: usize = 4;

/// How far a factor may be changed by being kept in eight bits, as a share of its norm.
const MOST_CHANGE: f64 = 0.015;

/// Two factors and what their product is multiplied by, in memory of its own.
pub(crate) struct Pair {
    /// As `Plan` says.
    pub(super) numbers: Packed,
    pub(super) plan: Plan,
}

/// What the bytes of a pair are: what each of its ranks is multiplied by, filled up to a cache line; behind it `A` at its
/// places, and `B` in blocks of `WIDTH` columns, `[block][rank][WIDTH]`, both filled up with zeros. All of it is read from
/// front to back. It is small itself: a step looks up one for each product and adapter, and finds none of them in a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The byte at which `B` begins.
    second: usize,
    outputs: usize,
    rank: usize,
    kept: Precision,
}

impl Pair {
    /// Packs `a` (`rank` rows) and `b` (`rank` columns), no coarser than `least`: in eight bits, which are read from memory
    /// twice as fast, where that changes neither by more than 1.5 %, else in half precision.
    pub(crate) fn new(rank: usize, (a, b): (&[f32], &[f32]), scale: f32, least: Precision) -> Self {
        let columns: Vec<f32> = (0..rank).flat_map(|r| b.iter().skip(r).step_by(rank)).copied().collect();
        let eight = |of: &[f32]| if least == Precision::Eight { Factor::eight(of, rank) } else { None };
        match (eight(a), eight(&columns)) {
            (Some(a), Some(b)) => Self::packed(&a, &b, Precision::Eight, scale),
            _ => Self::packed(&Factor::half(a, rank), &Factor::half(&columns, rank), Precision::Half, scale),
        }
    }

    fn packed(a: &Factor, b: &Factor, kept: Precision, scale: f32) -> Self {
        let (rank, inputs, outputs) = (a.scales.len(), a.len(), b.len());
        let (cols, bytes) = (inputs.next_multiple_of(DEPTH), kept.bytes());
        let first = Plan::first(rank);
        let plan = Plan { second: first + rank * cols * bytes, outputs, rank, kept };
        let numbers = Packed::new(plan.bytes(), |to| {
            for ((a, b), to) in a.scales.iter().zip(&b.scales).zip(to.chunks_exact_mut(SCALE)) {
                to.copy_from_slice(&((a * b * f64::from(scale)) as f32).to_le_bytes());
            }
            let mut put = |from: usize, at: usize, v: f32| match kept {
                Precision::Half => to[from + at * 2..][..2].copy_from_slice(&f16::from_f32(v).to_le_bytes()),
                // Whole numbers from -127 to 127.
                Precision::Eight => to[from + at] = (v as i8).cast_unsigned(),
            };
            for (at, v) in a.numbers.iter().enumerate() {
                put(first, place(rank, cols, (at / inputs, at % inputs)), *v);
            }
            for (at, v) in b.numbers.iter().enumerate() {
                let (r, row) = (at / outputs, at % outputs);
                put(plan.second, (row / WIDTH * rank + r) * WIDTH + row % WIDTH, *v);
            }
        });
        Self { numbers, plan }
    }
}

impl Plan {
    /// The byte at which `A` begins.
    const fn first(rank: usize) -> usize {
        (rank * SCALE).next_multiple_of(LINE)
    }

    /// How many ranks.
    pub(super) const fn rank(&self) -> usize {
        self.rank
    }

    /// How many bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.second + self.rank * self.outputs.next_multiple_of(WIDTH) * self.kept.bytes()
    }

    /// `out[t] += scale · B (A x[t])` for up to four rows, each of which begins where `begin` says; `numbers` are the bytes.
    pub(super) fn apply(&self, numbers: &[u8], isa: Isa, x: &[&[f32]], out: &mut [f32], begin: &[usize]) {
        // What lies between the products is cleared each time, so most have little of it.
        if self.rank <= FEW_RANKS {
            self.go(numbers, isa, &mut [0.0; FEW_RANKS * TILE], x, out, begin);
        } else {
            self.go(numbers, isa, &mut [0.0; RANKS * TILE], x, out, begin);
        }
    }

    fn go(&self, numbers: &[u8], isa: Isa, between: &mut [f32], x: &[&[f32]], out: &mut [f32], begin: &[usize]) {
        let between = &mut between[..self.rank * x.len()];
        let (a, b) = numbers.split_at(self.second);
        let (scales, a) = a.split_at(Self::first(self.rank));
        isa.shrink((a, self.kept), self.rank, x, between);
        for h in between.chunks_exact_mut(self.rank) {
            let scales = scales.as_chunks::<SCALE>().0;
            h.iter_mut().zip(scales).for_each(|(h, scale)| *h *= f32::from_le_bytes(*scale));
        }
        isa.expand((b, self.kept), self.rank, between, &mut Rows { all: out, begin, len: self.outputs });
    }
}

/// One of the factors as it will be kept: a row of numbers for each of the ranks, and what each row is to be multiplied by.
struct Factor {
    numbers: Vec<f32>,
    scales: Vec<f64>,
}

impl Factor {
    /// Moved to the middle of half precision by a power of two, which loses nothing, so that a factor that is small as a
    /// whole keeps its digits.
    fn half(rows: &[f32], rank: usize) -> Self {
        let up = lift(rows);
        Self { numbers: rows.iter().map(|v| v * up).collect(), scales: vec![1.0 / f64::from(up); rank] }
    }

    /// As whole numbers, the largest of each row 127; nothing where that changes it too much, as it does where few numbers
    /// are far larger than the others.
    fn eight(rows: &[f32], rank: usize) -> Option<Self> {
        let (mut numbers, mut scales) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rank));
        let (mut changed, mut all) = (0.0, 0.0);
        for row in rows.chunks_exact((rows.len() / rank).max(1)) {
            let scale = row.iter().fold(0.0f64, |most, v| most.max(f64::from(v.abs()))) / 127.0;
            for v in row.iter().map(|v| f64::from(*v)) {
                let whole = if scale > 0.0 { (v / scale).round() } else { 0.0 };
                numbers.push(whole as f32);
                changed += (v - whole * scale).powi(2);
                all += v * v;
            }
            scales.push(scale);
        }
        (changed <= all * MOST_CHANGE.powi(2)).then_some(Self { numbers, scales })
    }

    /// Numbers in a row.
    fn len(&self) -> usize {
        self.numbers.len() / self.scales.len().max(1)
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

    /// How far a pair is from plain arithmetic, of the largest that its difference could be.
    fn off(rank: usize, (a, b): (&[f32], &[f32]), least: Precision, kept: Precision) -> f64 {
        let x: Vec<f32> = (0..a.len() / rank).map(|i| (i as f32 * 0.7).sin()).collect();
        let pair = Pair::new(rank, (a, b), 2.5, least);
        assert_eq!((pair.plan.kept, pair.plan.rank()), (kept, rank));
        let mut out = vec![0.0; b.len() / rank];
        pair.plan.apply(pair.numbers.get(), Isa::detect(), &[&x], &mut out, &[0]);
        let between = |r: usize| a[r * x.len()..][..x.len()].iter().zip(&x).map(|(a, x)| f64::from(a * x)).sum::<f64>();
        let want = |row: usize| (0..rank).map(|r| f64::from(b[row * rank + r]) * between(r)).sum::<f64>() * 2.5;
        let norm = |of: &[f32]| of.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let most = |row: usize| {
            (0..rank).map(|r| f64::from(b[row * rank + r].abs()) * norm(&a[r * x.len()..][..x.len()])).sum::<f64>()
        };
        let largest = (0..out.len()).map(|row| most(row) * norm(&x) * 2.5).fold(0.0, f64::max);
        out.iter().enumerate().map(|(row, got)| (f64::from(*got) - want(row)).abs() / largest).fold(0.0, f64::max)
    }

    fn wave(n: usize, f: f32, size: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * f).sin() * size).collect()
    }

    #[test]
    fn the_difference_is_that_of_plain_arithmetic_however_small_its_factors() {
        let (rank, rows, cols) = (3, 37, 20);
        for size in [1.0f32, 1e-7, 1e5] {
            let (a, b) = (wave(rank * cols, 0.37, size), wave(rows * rank, 0.11, 1e-6));
            for (least, most) in [(Precision::Eight, 0.005), (Precision::Half, 0.0003)] {
                let off = off(rank, (&a, &b), least, least);
                assert!(off < most, "size {size}: {off}");
            }
        }
        assert_eq!(lift(&[0.0, -0.0]), 1.0);
        assert_eq!((lift(&[-3.0, 1.0]), lift(&[0.25])), (0.5, 4.0));
    }

    #[test]
    fn one_with_numbers_far_larger_than_the_others_keeps_its_digits() {
        let (rank, rows, cols) = (5, 70, 200);
        for size in [1.0f32, 1e-7, 1e5] {
            let (mut a, b) = (wave(rank * cols, 0.37, size), wave(rows * rank, 0.11, 1e-6));
            a[3] *= 100.0;
            let off = off(rank, (&a, &b), Precision::Eight, Precision::Half);
            assert!(off < 0.0003, "size {size}: {off}");
        }
    }

    #[test]
    fn eight_bits_change_a_factor_by_no_more_than_is_said() {
        let row = wave(500, 0.37, 1.0);
        let kept = Factor::eight(&row, 1).expect("a wave has no outliers");
        let far: f64 =
            row.iter().zip(&kept.numbers).map(|(v, q)| (f64::from(*v) - f64::from(*q) * kept.scales[0]).powi(2)).sum();
        let all: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!((far / all).sqrt() < 0.005 && kept.numbers.iter().all(|q| q.abs() <= 127.0));
        let mut wild = row;
        wild[7] = 10.0;
        assert!(Factor::eight(&wild, 1).is_none());
        assert!(Factor::eight(&[0.0; 8], 2).is_some_and(|none| none.scales == [0.0, 0.0]));
    }
}
