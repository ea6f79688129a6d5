//! Two samples counted in the same bins. Owns where the edges are; what the counts say belongs to [`super::psi`],
//! [`super::jensen_shannon`] and [`super::chi_square`].

use super::{count, sorted};

/// Above so many distinct reference values [`Pair::evidently`] cuts ranges; up to it each value has a bin of its own.
pub const DISTINCT: usize = 20;

/// Counts of both samples, bin by bin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pair {
    /// Of the reference.
    pub reference: Vec<u64>,
    /// Of the window.
    pub current: Vec<u64>,
    /// The bins' edges, one more than bins; empty where each value has its own.
    pub edges: Vec<f64>,
}

impl Pair {
    /// As Evidently bins (its `get_binned_data`): more than [`DISTINCT`] distinct reference values are cut into ranges of
    /// equal width over both samples, as many as Sturges' rule says (numpy's `sturges`); else each value has its bin.
    #[must_use]
    pub fn evidently(reference: &[f64], current: &[f64]) -> Self {
        let known = sorted(reference);
        if distinct(&known) > DISTINCT { Self::sturges(reference, current) } else { Self::values(reference, current) }
    }

    /// A bin for each value that either sample has, in ascending order.
    #[must_use]
    pub fn values(reference: &[f64], current: &[f64]) -> Self {
        let (a, b) = (sorted(reference), sorted(current));
        let mut pair = Self::default();
        let (mut i, mut j) = (0, 0);
        while let Some(here) = [a.get(i), b.get(j)].into_iter().flatten().copied().reduce(f64::min) {
            let equal = |values: &[f64]| values.iter().take_while(|value| **value <= here).count();
            let (of_a, of_b) = (equal(&a[i..]), equal(&b[j..]));
            pair.push(of_a as u64, of_b as u64);
            (i, j) = (i + of_a, j + of_b);
        }
        pair
    }

    /// Ranges of equal width over both samples: `⌈log₂ n + 1⌉` of them (Sturges 1926).
    #[must_use]
    pub fn sturges(reference: &[f64], current: &[f64]) -> Self {
        let both = || reference.iter().chain(current);
        let low = both().copied().fold(f64::INFINITY, f64::min);
        let high = both().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = high - low;
        if !span.is_finite() || span <= 0.0 {
            return Self::values(reference, current);
        }
        // The width first and then how many fit, as numpy does: rounding may add one.
        let width = span / (count(reference.len() + current.len()).log2() + 1.0);
        let bins = (span / width).ceil().max(1.0);
        let step = span / bins;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a logarithm of a count, plus 1")]
        let bins = bins as usize;
        let mut edges: Vec<f64> = (0..bins).map(|at| count(at) * step + low).collect();
        edges.push(high);
        Self { reference: counted(reference, &edges), current: counted(current, &edges), edges }
    }

    /// Ranges of equal mass in the reference, `bins` of them where it has no ties; the outermost have no end. Edges are
    /// quantiles by linear interpolation (Hyndman and Fan 1996, type 7), and those that coincide are one.
    #[must_use]
    pub fn quantiles(reference: &[f64], current: &[f64], bins: usize) -> Self {
        let known = sorted(reference);
        let mut edges = vec![f64::NEG_INFINITY];
        for at in 1..bins {
            let edge = quantile(&known, count(at) / count(bins));
            if edges.last().is_some_and(|last| edge > *last) {
                edges.push(edge);
            }
        }
        edges.push(f64::INFINITY);
        Self { reference: counted(reference, &edges), current: counted(current, &edges), edges }
    }

    /// One more bin.
    pub fn push(&mut self, reference: u64, current: u64) {
        self.reference.push(reference);
        self.current.push(current);
    }

    /// The share of the reference in each bin.
    #[must_use]
    pub fn reference_shares(&self) -> Vec<f64> {
        shares(&self.reference)
    }

    /// The share of the window in each bin.
    #[must_use]
    pub fn current_shares(&self) -> Vec<f64> {
        shares(&self.current)
    }
}

/// How many different values there are among sorted ones.
#[must_use]
pub fn distinct(sorted: &[f64]) -> usize {
    sorted.chunk_by(|a, b| a == b).count()
}

/// Where so much of a sorted sample is below; NaN where it is empty.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share.clamp(0.0, 1.0) * count(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
    let below = at.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    low + (high - low) * (at - count(below))
}

/// How many values are in each range; an inner edge belongs to the range above it, the last edge to the last range.
fn counted(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() - 1];
    for value in values {
        let above = edges.partition_point(|edge| edge <= value);
        let bin = if above == edges.len() && edges.last() == Some(value) { above - 1 } else { above };
        if let Some(cell) = bin.checked_sub(1).and_then(|bin| counts.get_mut(bin)) {
            *cell += 1;
        }
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn shares(counts: &[u64]) -> Vec<f64> {
    let all = counts.iter().sum::<u64>() as f64;
    counts.iter().map(|n| *n as f64 / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_bin_in_order() {
        let pair = Pair::values(&[2.0, 1.0, 2.0], &[3.0, 2.0]);
        assert_eq!((pair.reference, pair.current), (vec![1, 2, 0], vec![0, 1, 1]));
        assert_eq!(Pair::values(&[], &[]), Pair::default());
    }

    #[test]
    fn ranges_are_those_of_numpy() {
        // np.histogram_bin_edges(np.arange(32.0), "sturges") has 6 bins over 0 … 31.
        let all: Vec<f64> = (0..32u32).map(f64::from).collect();
        let pair = Pair::sturges(&all[..16], &all[16..]);
        assert_eq!(pair.edges.len(), 7);
        assert_eq!((pair.edges[0], pair.edges[6]), (0.0, 31.0));
        assert_eq!(pair.current.iter().sum::<u64>(), 16, "the last edge is inside");
        assert_eq!(Pair::sturges(&[1.0], &[1.0]).reference, [1]);
    }

    #[test]
    fn deciles_hold_a_tenth_each_and_ties_are_one_edge() {
        let all: Vec<f64> = (0..1000u32).map(f64::from).collect();
        let pair = Pair::quantiles(&all, &[-5.0, 5_000.0], 10);
        assert_eq!(pair.reference, [100; 10]);
        assert_eq!((pair.current[0], pair.current[9]), (1, 1), "what is outside is in the outermost");
        let tied = Pair::quantiles(&[1.0, 1.0, 1.0, 1.0, 2.0], &[1.0], 10);
        assert_eq!(tied.edges.len(), tied.reference.len() + 1);
        assert!(tied.edges.is_sorted() && tied.reference.iter().sum::<u64>() == 5);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values = [1.0, 2.0, 4.0];
        assert_eq!((quantile(&values, 0.0), quantile(&values, 0.75), quantile(&values, 1.0)), (1.0, 3.0, 4.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
