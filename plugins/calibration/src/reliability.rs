//! What was said beside what came of it, bin by bin. Owns the reliability table and the calibration errors made of it: ECE and
//! MCE (Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"), RMSCE (Hendrycks
//! et al. 2019). Libraries differ in their bins; these are scikit-learn's, and an error says little without their number.

use crate::bins::Edges;
use crate::scored::{Scores, count};

/// What fell into a bin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// How many rows.
    pub rows: usize,
    /// How many of them were so.
    pub positives: usize,
    /// The sum of their probabilities.
    pub sum: f64,
}

impl Bin {
    /// The mean of the probabilities; `None` where there is none.
    #[must_use]
    pub fn predicted(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.sum / count(self.rows))
    }

    /// The share that was so; `None` where there is no row.
    #[must_use]
    pub fn observed(&self) -> Option<f64> {
        (self.rows > 0).then(|| count(self.positives) / count(self.rows))
    }

    /// How much more of it was so than was said: above 0, the probabilities are too low.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        Some(self.observed()? - self.predicted()?)
    }
}

/// Bins and what fell into them. With edges that are fixed, tables of panes and replicas add up.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    edges: Edges,
    bins: Vec<Bin>,
}

impl Reliability {
    /// Bins that nothing fell into yet.
    #[must_use]
    pub fn new(edges: Edges) -> Self {
        Self { bins: vec![Bin::default(); edges.bins()], edges }
    }

    /// Rows in so many bins of equal width.
    #[must_use]
    pub fn uniform(scores: &Scores, bins: usize) -> Self {
        Self::within(Edges::uniform(bins), scores)
    }

    /// Rows in so many bins of equally many of them; `None` where there is none.
    #[must_use]
    pub fn quantiles(scores: &Scores, bins: usize) -> Option<Self> {
        Some(Self::within(Edges::quantiles(scores, bins)?, scores))
    }

    fn within(edges: Edges, scores: &Scores) -> Self {
        let mut table = Self::new(edges);
        table.add(scores);
        table
    }

    /// Takes rows.
    pub fn add(&mut self, scores: &Scores) {
        for row in scores.rows() {
            if let Some(bin) = self.bins.get_mut(self.edges.place(row.probability)) {
                bin.rows += 1;
                bin.positives += usize::from(row.truth);
                bin.sum += row.probability;
            }
        }
    }

    /// Takes another table's rows; `false`, and nothing taken, where its edges are others.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        let alike = self.edges == other.edges;
        if alike {
            for (ours, theirs) in self.bins.iter_mut().zip(&other.bins) {
                ours.rows += theirs.rows;
                ours.positives += theirs.positives;
                ours.sum += theirs.sum;
            }
        }
        alike
    }

    /// The edges.
    #[must_use]
    pub const fn edges(&self) -> &Edges {
        &self.edges
    }

    /// The bins, empty ones too.
    #[must_use]
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.bins.iter().map(|bin| bin.rows).sum()
    }

    /// Of each bin that is not empty, what was said and what was so: scikit-learn's `calibration_curve`.
    pub fn curve(&self) -> impl Iterator<Item = (f64, f64)> {
        self.bins.iter().filter_map(|bin| Some((bin.predicted()?, bin.observed()?)))
    }

    /// The expected calibration error: the mean of gaps' amounts by rows. `None` where there is no row.
    #[must_use]
    pub fn expected_error(&self) -> Option<f64> {
        self.mean(f64::abs)
    }

    /// The maximum calibration error: the largest of gaps' amounts. `None` where there is no row.
    #[must_use]
    pub fn maximum_error(&self) -> Option<f64> {
        self.bins.iter().filter_map(Bin::gap).map(f64::abs).reduce(f64::max)
    }

    /// The root of the mean square of gaps by rows. `None` where there is no row.
    #[must_use]
    pub fn root_mean_square_error(&self) -> Option<f64> {
        self.mean(|gap| gap * gap).map(f64::sqrt)
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> Option<f64> {
        let rows = count(self.rows());
        let weighted = self.bins.iter().filter_map(|bin| Some(count(bin.rows) / rows * of(bin.gap()?)));
        (rows > 0.0).then(|| weighted.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_said_and_so_has_no_error() {
        let scores = Scores::of(
            &[0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75],
            &[true, false, false, false, true, true, true, false],
        );
        let table = Reliability::uniform(&scores.expect("scores"), 10);
        assert_eq!(table.curve().collect::<Vec<_>>(), [(0.25, 0.25), (0.75, 0.75)]);
        assert_eq!((table.expected_error(), table.maximum_error()), (Some(0.0), Some(0.0)));
        assert_eq!(table.bins().iter().filter(|bin| bin.rows == 0).count(), 8);
    }

    #[test]
    fn nothing_has_no_error_to_speak_of() {
        let table = Reliability::uniform(&Scores::default(), 10);
        assert_eq!((table.expected_error(), table.maximum_error(), table.root_mean_square_error()), (None, None, None));
        assert_eq!(Reliability::quantiles(&Scores::default(), 10), None);
    }

    fn scores() -> impl Strategy<Value = Scores> {
        let rows = prop::collection::vec((0.0..=1.0f64, any::<bool>()), 1..80);
        rows.prop_map(|rows| {
            let (probabilities, truths): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            Scores::of(&probabilities, &truths).expect("scores")
        })
    }

    proptest! {
        #[test]
        fn errors_keep_their_order(scores in scores(), bins in 1usize..20) {
            for table in [Reliability::uniform(&scores, bins), Reliability::quantiles(&scores, bins).expect("rows")] {
                let errors = [table.expected_error(), table.root_mean_square_error(), table.maximum_error()];
                let [expected, root, maximum] = errors.map(|error| error.expect("rows"));
                prop_assert!(0.0 <= expected && expected <= root + 1e-12 && root <= maximum + 1e-12 && maximum <= 1.0);
                prop_assert_eq!(table.rows(), scores.rows().len());
            }
        }

        #[test]
        fn parts_add_up_to_the_whole(one in scores(), two in scores()) {
            let mut joined = Reliability::uniform(&one, 10);
            prop_assert!(joined.merge(&Reliability::uniform(&two, 10)));
            prop_assert!(!joined.merge(&Reliability::uniform(&two, 9)));
            let whole = Scores::new([one.rows(), two.rows()].concat()).expect("scores");
            let whole = Reliability::uniform(&whole, 10);
            for (joined, whole) in joined.bins().iter().zip(whole.bins()) {
                prop_assert_eq!((joined.rows, joined.positives), (whole.rows, whole.positives));
                prop_assert!((joined.sum - whole.sum).abs() < 1e-12);
            }
        }
    }
}
