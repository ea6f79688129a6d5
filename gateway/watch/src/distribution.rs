//! The distribution of a reference's numbers: 256 bins of equal mass and how the numbers lie in them. Owns where the bins
//! end.
//!
//! With `n` numbers and `b = min(256, n)` bins, the knots are the least number and those of the ranks `⌈i n / b⌉`,
//! `i = 1 … b` (numbers that are equal are one knot). Numbers that equal a knot are counted at it, so that fewer than
//! `n / b` lie strictly between two knots, however often one is repeated. Towards either end there are further knots at
//! the ranks 2, 4, 8 …, since half of the distance that a heavy tail makes may lie in its last bin.
//!
//! **What that is good for.** Let `F` be the reference's distribution function, `G` a window's, `F'` and `G'` those of
//! values that were put anywhere into the same cells. At the knots, and just below them, `F' = F` and `G' = G`. Between two
//! knots `F` and `F'` rise by less than `1/b`; so `sup |F' − G'|` and `sup |F − G|`, the two-sample Kolmogorov-Smirnov
//! statistics, both lie between the largest difference at the knots and that plus `1/b`, and differ by less than `1/b`.
//! With 256 numbers or fewer they are equal.

use crate::knots::Knots;
use crate::packed;
use crate::spread::Heap;
use serde::{Deserialize, Serialize};

/// The most bins of equal mass.
pub const MOST_BINS: usize = 256;

/// How numbers lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    knots: Knots,
    /// By cell; nothing lies outside of the knots.
    #[serde(with = "packed::wide")]
    counts: Box<[u64]>,
    /// Of what lies between the knots `i` and `i + 1`; where that is nothing, the lower one.
    means: Box<[f64]>,
}

impl Distribution {
    /// Of these numbers, ascending, each of which may be seen; `None` where there is none.
    #[must_use]
    pub fn of(sorted: &[f64]) -> Option<Self> {
        let n = sorted.len();
        let bins = n.min(MOST_BINS);
        let mut ranks: Vec<usize> = (1..=bins).map(|i| (i * n).div_ceil(bins)).collect();
        ranks.push(1);
        for ends in std::iter::successors(Some(2), |ends| Some(ends * 2)).take_while(|ends| ends * bins < n) {
            ranks.extend([ends, n - ends + 1]);
        }
        ranks.sort_unstable();
        let mut knots: Vec<f64> = ranks.iter().filter_map(|rank| sorted.get(rank - 1)).copied().collect();
        knots.dedup();
        let knots = Knots::try_from(knots).ok()?;
        let mut counts = vec![0u64; knots.cells()];
        let mut sums = vec![0.0; knots.all().len() - 1];
        for x in sorted {
            let cell = knots.cell(*x);
            counts[cell] += 1;
            if let Some(low) = (cell % 2 == 0).then_some(cell / 2).and_then(|at| at.checked_sub(1))
                && let Some(sum) = sums.get_mut(low)
            {
                *sum += x - knots.all()[low];
            }
        }
        Some(Self::with(knots, counts, &sums))
    }

    /// Of counts by cell, and of the sums of what lies between two knots, each reckoned from the lower one.
    #[must_use]
    pub(crate) fn with(knots: Knots, counts: Vec<u64>, sums: &[f64]) -> Self {
        let between = knots.all().windows(2).zip(sums).enumerate();
        let means = between.map(|(at, (ends, sum))| match counts.get(2 * at + 2) {
            Some(count) if *count > 0 => (ends[0] + sum / float(*count)).clamp(ends[0], ends[1]),
            _ => ends[0],
        });
        let means = means.collect();
        Self { knots, counts: counts.into(), means }
    }

    /// Whether it holds together; what is read may come from elsewhere.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        let ends = self.knots.all().windows(2);
        self.counts.len() == self.knots.cells()
            && self.means.len() == ends.len()
            && self.n() > 0
            && ends.zip(&self.means).all(|(ends, mean)| (ends[0]..=ends[1]).contains(mean))
            && [self.counts.first(), self.counts.last()] == [Some(&0), Some(&0)]
    }

    /// Its knots.
    #[must_use]
    pub const fn knots(&self) -> &Knots {
        &self.knots
    }

    /// How many numbers.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.counts.iter().fold(0, |n, count| n.saturating_add(*count))
    }

    /// How many are in each cell.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The numbers as heaps, ascending.
    pub fn heaps(&self) -> impl Iterator<Item = Heap> + '_ {
        let all = self.knots.all();
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(cell, count)| {
            let at = cell / 2;
            let knot = |at: usize| all.get(at).copied().unwrap_or_default();
            match at.checked_sub(1) {
                Some(low) if cell % 2 == 0 => {
                    let mean = self.means.get(low).copied().unwrap_or_default();
                    Heap::between(*count, knot(low), mean, knot(at))
                }
                _ => Heap::point(*count, knot(at)),
            }
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
const fn float(n: u64) -> f64 {
    n as f64
}
