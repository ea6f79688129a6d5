//! The comparisons of groups by name, each with what it is compared with. Owns the names; what they are is
//! [`crate::parity`]'s.

use crate::measure::Empty;
use crate::measured::Measured;
use crate::parity::{Against, Of, Parity};
use crate::table::Table;

/// A comparison of `fairlearn.metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The largest selection rate less the smallest.
    DemographicParityDifference,
    /// The largest distance of a selection rate from all groups' together.
    DemographicParityDifferenceToOverall,
    /// The smallest selection rate by the largest.
    DemographicParityRatio,
    /// The smallest ratio of a selection rate to all groups' together.
    DemographicParityRatioToOverall,
    /// The larger of the differences of true and of false positive rates.
    EqualizedOddsDifference,
    /// The mean of the two.
    EqualizedOddsDifferenceMean,
    /// The smaller of the ratios of true and of false positive rates.
    EqualizedOddsRatio,
    /// The mean of the two.
    EqualizedOddsRatioMean,
    /// The difference of true positive rates.
    EqualOpportunityDifference,
    /// Their ratio.
    EqualOpportunityRatio,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DemographicParityDifference,
        Self::DemographicParityDifferenceToOverall,
        Self::DemographicParityRatio,
        Self::DemographicParityRatioToOverall,
        Self::EqualizedOddsDifference,
        Self::EqualizedOddsDifferenceMean,
        Self::EqualizedOddsRatio,
        Self::EqualizedOddsRatioMean,
        Self::EqualOpportunityDifference,
        Self::EqualOpportunityRatio,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DemographicParityDifference => "demographic_parity_difference",
            Self::DemographicParityDifferenceToOverall => "demographic_parity_difference_to_overall",
            Self::DemographicParityRatio => "demographic_parity_ratio",
            Self::DemographicParityRatioToOverall => "demographic_parity_ratio_to_overall",
            Self::EqualizedOddsDifference => "equalized_odds_difference",
            Self::EqualizedOddsDifferenceMean => "equalized_odds_difference_mean",
            Self::EqualizedOddsRatio => "equalized_odds_ratio",
            Self::EqualizedOddsRatioMean => "equalized_odds_ratio_mean",
            Self::EqualOpportunityDifference => "equal_opportunity_difference",
            Self::EqualOpportunityRatio => "equal_opportunity_ratio",
        }
    }

    /// Whether it needs labels.
    #[must_use]
    pub const fn needs_labels(self) -> bool {
        !matches!(
            self,
            Self::DemographicParityDifference
                | Self::DemographicParityDifferenceToOverall
                | Self::DemographicParityRatio
                | Self::DemographicParityRatioToOverall
        )
    }

    /// What it is of groups.
    #[must_use]
    pub fn of(self, table: &Table, empty: Empty) -> Measured {
        let groups = Parity { empty, ..Parity::new(table) };
        let overall = Parity { against: Against::Overall, ..groups };
        match self {
            Self::DemographicParityDifference => groups.demographic_parity_difference(),
            Self::DemographicParityDifferenceToOverall => overall.demographic_parity_difference(),
            Self::DemographicParityRatio => groups.demographic_parity_ratio(),
            Self::DemographicParityRatioToOverall => overall.demographic_parity_ratio(),
            Self::EqualizedOddsDifference => groups.equalized_odds_difference(Of::Worst),
            Self::EqualizedOddsDifferenceMean => groups.equalized_odds_difference(Of::Mean),
            Self::EqualizedOddsRatio => groups.equalized_odds_ratio(Of::Worst),
            Self::EqualizedOddsRatioMean => groups.equalized_odds_ratio(Of::Mean),
            Self::EqualOpportunityDifference => groups.equal_opportunity_difference(),
            Self::EqualOpportunityRatio => groups.equal_opportunity_ratio(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::table::Group;

    #[test]
    fn what_needs_labels_is_undefined_without_them() {
        let group = |name: &str, cells| Group { name: name.to_owned(), counts: Counts::of(cells) };
        let unlabelled = vec![group("a", [0, 0, 0, 0, 3, 7]), group("b", [0, 0, 0, 0, 6, 4])];
        let table = Table::new(unlabelled, 1).expect("a table");
        for comparison in Comparison::ALL {
            let is_defined = comparison.of(&table, Empty::Undefined).value().is_some();
            assert_eq!(is_defined, !comparison.needs_labels(), "{}", comparison.name());
        }
        assert_eq!(Comparison::DemographicParityRatio.of(&table, Empty::Undefined), Measured::Value(0.5));
    }
}
