//! The comparisons of `fairlearn.metrics` that have names of their own: demographic parity, equalized odds (Hardt, Price and
//! Srebro 2016, "Equality of Opportunity in Supervised Learning"), equal opportunity. Owns how two rates become one number.

use crate::measure::{Empty, Measure};
use crate::measured::Measured;
use crate::spread::Spread;
use crate::table::Table;

/// What a group is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Against {
    /// The other groups.
    #[default]
    Groups,
    /// All groups together.
    Overall,
}

/// What two rates become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Of {
    /// The worse of the two.
    #[default]
    Worst,
    /// Their mean.
    Mean,
}

/// Comparisons of the groups of a table.
#[derive(Debug, Clone, Copy)]
pub struct Parity<'a> {
    /// The groups.
    pub table: &'a Table,
    /// With what each is compared.
    pub against: Against,
    /// What a rate of nothing is.
    pub empty: Empty,
}

impl<'a> Parity<'a> {
    /// Of groups with each other, where a rate of nothing is undefined.
    #[must_use]
    pub const fn new(table: &'a Table) -> Self {
        Self { table, against: Against::Groups, empty: Empty::Undefined }
    }

    /// How far selection rates lie apart, from 0.
    #[must_use]
    pub fn demographic_parity_difference(&self) -> Measured {
        self.difference(Measure::SelectionRate)
    }

    /// What the lower selection rate is of the higher, to 1; below 0.8 by the four-fifths rule (29 CFR 1607.4 D) it is
    /// taken for a sign of adverse impact.
    #[must_use]
    pub fn demographic_parity_ratio(&self) -> Measured {
        self.ratio(Measure::SelectionRate)
    }

    /// How far true positive rates lie apart, from 0.
    #[must_use]
    pub fn equal_opportunity_difference(&self) -> Measured {
        self.difference(Measure::TruePositiveRate)
    }

    /// What the lower true positive rate is of the higher, to 1.
    #[must_use]
    pub fn equal_opportunity_ratio(&self) -> Measured {
        self.ratio(Measure::TruePositiveRate)
    }

    /// How far true and false positive rates lie apart, from 0.
    #[must_use]
    pub fn equalized_odds_difference(&self, of: Of) -> Measured {
        let (hits, alarms) = (self.difference(Measure::TruePositiveRate), self.difference(Measure::FalsePositiveRate));
        hits.with(alarms, self.table.overall().labelled(), |hits, alarms| match of {
            Of::Worst => hits.max(alarms),
            Of::Mean => f64::midpoint(hits, alarms),
        })
    }

    /// What the lower of true and false positive rates is of the higher, to 1. Where no group has any false positive, these
    /// have no ratio and nothing to differ in: the other's stands then, as in Fairlearn.
    #[must_use]
    pub fn equalized_odds_ratio(&self, of: Of) -> Measured {
        let (hits, alarms) = (self.ratio(Measure::TruePositiveRate), self.ratio(Measure::FalsePositiveRate));
        match (hits.value(), alarms.value(), of) {
            (Some(hits), Some(alarms), Of::Worst) => Measured::Value(hits.min(alarms)),
            (Some(hits), Some(alarms), Of::Mean) => Measured::Value(f64::midpoint(hits, alarms)),
            (Some(_), None, _) if self.is_nowhere(Measure::FalsePositiveRate) => hits,
            (None, Some(_), Of::Mean) if self.is_nowhere(Measure::TruePositiveRate) => alarms,
            (None, _, _) => hits,
            (Some(_), None, _) => alarms,
        }
    }

    fn difference(&self, measure: Measure) -> Measured {
        let spread = match self.against {
            Against::Groups => Spread::DifferenceBetweenGroups,
            Against::Overall => Spread::DifferenceToOverall,
        };
        spread.of(self.table, measure, self.empty)
    }

    fn ratio(&self, measure: Measure) -> Measured {
        let spread = match self.against {
            Against::Groups => Spread::RatioBetweenGroups,
            Against::Overall => Spread::RatioToOverall,
        };
        spread.of(self.table, measure, self.empty)
    }

    /// Whether a rate is known to be 0 in each group, of two or more.
    fn is_nowhere(&self, measure: Measure) -> bool {
        Spread::DifferenceBetweenGroups.of(self.table, measure, self.empty) == Measured::Value(0.0)
            && Spread::Largest.of(self.table, measure, self.empty) == Measured::Value(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::table::Group;

    fn table(groups: &[[u64; 6]]) -> Table {
        let named = groups.iter().enumerate();
        let groups = named.map(|(at, &cells)| Group { name: at.to_string(), counts: Counts::of(cells) }).collect();
        Table::new(groups, 1).expect("a table")
    }

    #[test]
    fn selection_needs_no_labels() {
        let table = table(&[[0, 0, 0, 0, 4, 6], [0, 0, 0, 0, 5, 5]]);
        let parity = Parity::new(&table);
        assert_eq!(parity.demographic_parity_ratio(), Measured::Value(0.8));
        assert_eq!(parity.equalized_odds_difference(Of::Worst), Measured::Undefined { n: 0 });
    }

    #[test]
    fn where_nobody_is_a_false_positive_the_other_ratio_stands() {
        let table = table(&[[8, 0, 5, 2, 0, 0], [4, 0, 5, 6, 0, 0]]);
        let parity = Parity::new(&table);
        for of in [Of::Worst, Of::Mean] {
            assert_eq!(parity.equalized_odds_ratio(of), Measured::Value(0.5));
        }
        assert_eq!(parity.equalized_odds_difference(Of::Mean), Measured::Value(0.2));
    }

    #[test]
    fn a_group_without_negatives_leaves_the_odds_undefined() {
        let table = table(&[[8, 1, 5, 2, 0, 0], [4, 0, 0, 6, 0, 0]]);
        let parity = Parity::new(&table);
        for of in [Of::Worst, Of::Mean] {
            assert_eq!(parity.equalized_odds_ratio(of), Measured::Undefined { n: 0 });
            assert_eq!(parity.equalized_odds_difference(of), Measured::Undefined { n: 0 });
        }
        assert_eq!(parity.equal_opportunity_ratio(), Measured::Value(0.5));
        let compatible = Parity { empty: Empty::Zero, ..parity };
        assert_eq!(compatible.equalized_odds_ratio(Of::Worst), Measured::Value(0.0));
    }
}
