//! The bins into which probabilities fall. Owns their edges, as scikit-learn's `calibration_curve` has them: a bin holds what
//! is above its lower edge and at most its upper one, the first one 0 too.

use crate::scored::{Scores, count};

/// Edges of bins, from the first's lower one to the last's upper one.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges(Vec<f64>);

impl Edges {
    /// So many bins of equal width; at least 1.
    #[must_use]
    pub fn uniform(bins: usize) -> Self {
        let bins = bins.max(1);
        let mut edges = shares(bins);
        edges.push(1.0);
        Self(edges)
    }

    /// So many bins of equally many rows, as far as equal probabilities allow: at quantiles of the probabilities, between
    /// neighbours on a straight line (R's type 7, NumPy's default). `None` where there is no row.
    #[must_use]
    pub fn quantiles(scores: &Scores, bins: usize) -> Option<Self> {
        let mut sorted: Vec<f64> = scores.rows().iter().map(|row| row.probability).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = *sorted.last()?;
        let inner = shares(bins.max(1)).into_iter().filter_map(|share| quantile(&sorted, share));
        Some(Self(inner.chain([last]).collect()))
    }

    /// The edges, one more than there are bins.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.0
    }

    /// How many bins.
    #[must_use]
    pub const fn bins(&self) -> usize {
        self.0.len() - 1
    }

    /// The bin of a probability, from 0. What is beyond the outer edges is in the outer bins.
    #[must_use]
    pub fn place(&self, probability: f64) -> usize {
        let inner = self.0.get(1..self.bins()).unwrap_or_default();
        inner.partition_point(|edge| *edge < probability)
    }
}

/// `0, 1/n, 2/n …` below 1, rounded as NumPy's `linspace` does.
fn shares(n: usize) -> Vec<f64> {
    let step = 1.0 / count(n);
    (0..n).map(|at| count(at) * step).collect()
}

/// A quantile of sorted numbers, rounded as NumPy does, since an edge decides into which bin a row equal to it falls.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies within the list")]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    // NumPy is asked for percentiles and takes them back to shares.
    let place = count(sorted.len().checked_sub(1)?) * (share * 100.0 / 100.0);
    let at = place.floor() as usize;
    let below = *sorted.get(at)?;
    let above = sorted.get(at + 1).copied().unwrap_or(below);
    let (apart, way) = (above - below, place.fract());
    Some(if way < 0.5 { below + apart * way } else { above - apart * (1.0 - way) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_edge_belongs_to_the_bin_below_it() {
        let edges = Edges::uniform(4);
        assert_eq!(edges.edges(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        for (probability, bin) in [(0.0, 0), (0.25, 0), (0.2501, 1), (0.5, 1), (0.75, 2), (0.76, 3), (1.0, 3)] {
            assert_eq!(edges.place(probability), bin, "{probability}");
        }
        assert_eq!((Edges::uniform(0).bins(), Edges::uniform(1).place(0.7)), (1, 0));
    }

    #[test]
    fn quantiles_hold_equally_many() {
        let scores = Scores::of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], &[true; 8]).expect("scores");
        let edges = Edges::quantiles(&scores, 4).expect("edges");
        let mut counts = [0; 4];
        scores.rows().iter().for_each(|row| counts[edges.place(row.probability)] += 1);
        assert_eq!(counts, [2; 4]);
        assert_eq!(Edges::quantiles(&Scores::default(), 4), None);
    }

    proptest! {
        #[test]
        fn edges_ascend_and_hold_what_they_place(probabilities in prop::collection::vec(0.0..=1.0f64, 1..60), bins in 1usize..20) {
            let scores = Scores::of(&probabilities, &vec![true; probabilities.len()]).expect("scores");
            for edges in [Edges::uniform(bins), Edges::quantiles(&scores, bins).expect("edges")] {
                prop_assert_eq!(edges.bins(), bins);
                prop_assert!(edges.edges().is_sorted());
                for probability in &probabilities {
                    let bin = edges.place(*probability);
                    prop_assert!(bin < bins);
                    prop_assert!(bin == 0 || edges.edges()[bin] < *probability);
                    prop_assert!(bin == bins - 1 || *probability <= edges.edges()[bin + 1]);
                }
            }
        }
    }
}
