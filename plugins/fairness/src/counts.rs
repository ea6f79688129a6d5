//! What was predicted and what was so, counted. Owns the six cells that all measures of a group are made of, and that they
//! add up: the counts of replicas and panes merged are those of the whole, bit for bit.

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its group, as a place in the list of names.
    pub group: usize,
    /// Whether the good outcome was predicted.
    pub predicted: bool,
    /// Whether it was so, once that is known.
    pub truth: Option<bool>,
}

/// The rows of a group by prediction and label. Labels come late or never, so rows without one are counted apart: they
/// are selected or not, and nothing else is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Predicted good, and so.
    pub true_positives: u64,
    /// Predicted good, and not so.
    pub false_positives: u64,
    /// Not predicted good, and not so.
    pub true_negatives: u64,
    /// Not predicted good, but so.
    pub false_negatives: u64,
    /// Predicted good, without a label.
    pub unlabelled_positives: u64,
    /// Not predicted good, without a label.
    pub unlabelled_negatives: u64,
}

impl Counts {
    /// How many cells there are.
    pub const CELLS: usize = 6;

    /// Takes a row.
    pub const fn add(&mut self, predicted: bool, truth: Option<bool>) {
        let cell = match (predicted, truth) {
            (true, Some(true)) => &mut self.true_positives,
            (true, Some(false)) => &mut self.false_positives,
            (false, Some(false)) => &mut self.true_negatives,
            (false, Some(true)) => &mut self.false_negatives,
            (true, None) => &mut self.unlabelled_positives,
            (false, None) => &mut self.unlabelled_negatives,
        };
        *cell += 1;
    }

    /// Takes those of others.
    pub fn merge(&mut self, other: &Self) {
        let (ours, theirs) = (self.cells(), other.cells());
        *self = Self::of(std::array::from_fn(|at| ours[at] + theirs[at]));
    }

    /// The cells, in the order of the fields.
    #[must_use]
    pub const fn cells(&self) -> [u64; Self::CELLS] {
        [
            self.true_positives,
            self.false_positives,
            self.true_negatives,
            self.false_negatives,
            self.unlabelled_positives,
            self.unlabelled_negatives,
        ]
    }

    /// From the cells, in the order of the fields.
    #[must_use]
    pub const fn of(cells: [u64; Self::CELLS]) -> Self {
        let [
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
            unlabelled_positives,
            unlabelled_negatives,
        ] = cells;
        Self {
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
            unlabelled_positives,
            unlabelled_negatives,
        }
    }

    /// All rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.labelled() + self.unlabelled_positives + self.unlabelled_negatives
    }

    /// The rows that have a label.
    #[must_use]
    pub const fn labelled(&self) -> u64 {
        self.positives() + self.negatives()
    }

    /// The rows that are labelled good.
    #[must_use]
    pub const fn positives(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// The rows that are labelled, and not good.
    #[must_use]
    pub const fn negatives(&self) -> u64 {
        self.true_negatives + self.false_positives
    }

    /// The rows that are predicted good.
    #[must_use]
    pub const fn selected(&self) -> u64 {
        self.true_positives + self.false_positives + self.unlabelled_positives
    }
}

impl<'a> FromIterator<&'a Self> for Counts {
    fn from_iter<I: IntoIterator<Item = &'a Self>>(parts: I) -> Self {
        let mut all = Self::default();
        parts.into_iter().for_each(|part| all.merge(part));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(rows in prop::collection::vec((any::<bool>(), any::<Option<bool>>()), 0..60), cut in 0usize..60) {
            let counted = |rows: &[(bool, Option<bool>)]| {
                let mut all = Counts::default();
                rows.iter().for_each(|&(predicted, truth)| all.add(predicted, truth));
                all
            };
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let joined: Counts = [counted(left), counted(right)].iter().collect();
            prop_assert_eq!(joined, counted(&rows));
            prop_assert_eq!(joined.rows(), rows.len() as u64);
            prop_assert_eq!(joined.labelled(), rows.iter().filter(|row| row.1.is_some()).count() as u64);
            prop_assert_eq!(joined.selected(), rows.iter().filter(|row| row.0).count() as u64);
            prop_assert_eq!(Counts::of(joined.cells()), joined);
        }
    }
}
