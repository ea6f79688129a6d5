//! Those without a privilege beside those with it. Owns the group measures of AIF360's `ClassificationMetric` and
//! `BinaryLabelDatasetMetric`: unprivileged less privileged, or by it. AIF360 takes most rates of nothing for 0, as Fairlearn
//! does: [`Empty::Zero`] has its numbers, and otherwise they are undefined.

use crate::counts::Counts;
use crate::differential;
use crate::inequality;
use crate::measure::{Empty, Measure};
use crate::measured::Measured;
use crate::table::Table;

/// All groups but one, and that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The rows of all other groups.
    pub unprivileged: Counts,
    /// The rows of the privileged group.
    pub privileged: Counts,
}

/// A number of a pair, under AIF360's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PairMeasure {
    /// The ratio of selection rates.
    DisparateImpact,
    /// The difference of selection rates.
    StatisticalParityDifference,
    /// The difference of true positive rates.
    EqualOpportunityDifference,
    /// The mean of the differences of false and of true positive rates.
    AverageOddsDifference,
    /// The mean of their amounts.
    AverageAbsOddsDifference,
    /// The larger of their amounts.
    EqualizedOddsDifference,
    /// The difference of error rates.
    ErrorRateDifference,
    /// Their ratio.
    ErrorRateRatio,
    /// The difference of false omission rates.
    FalseOmissionRateDifference,
    /// The difference of false discovery rates.
    FalseDiscoveryRateDifference,
    /// Theil's index of all rows' benefits.
    TheilIndex,
    /// The standard deviation of all rows' benefits by their mean.
    CoefficientOfVariation,
    /// The generalised entropy index with alpha 2.
    GeneralizedEntropyIndex,
    /// Theil's index with each row's benefit replaced by its side's mean.
    BetweenGroupTheilIndex,
    /// The differential fairness of predictions less that of labels.
    DifferentialFairnessBiasAmplification,
    /// The ratio of base rates: the disparate impact of labels.
    DisparateImpactOfLabels,
    /// The difference of base rates.
    StatisticalParityDifferenceOfLabels,
    /// The differential fairness of labels.
    SmoothedEmpiricalDifferentialFairnessOfLabels,
}

impl PairMeasure {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::DisparateImpact,
        Self::StatisticalParityDifference,
        Self::EqualOpportunityDifference,
        Self::AverageOddsDifference,
        Self::AverageAbsOddsDifference,
        Self::EqualizedOddsDifference,
        Self::ErrorRateDifference,
        Self::ErrorRateRatio,
        Self::FalseOmissionRateDifference,
        Self::FalseDiscoveryRateDifference,
        Self::TheilIndex,
        Self::CoefficientOfVariation,
        Self::GeneralizedEntropyIndex,
        Self::BetweenGroupTheilIndex,
        Self::DifferentialFairnessBiasAmplification,
        Self::DisparateImpactOfLabels,
        Self::StatisticalParityDifferenceOfLabels,
        Self::SmoothedEmpiricalDifferentialFairnessOfLabels,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DisparateImpact => "disparate_impact",
            Self::StatisticalParityDifference => "statistical_parity_difference",
            Self::EqualOpportunityDifference => "equal_opportunity_difference",
            Self::AverageOddsDifference => "average_odds_difference",
            Self::AverageAbsOddsDifference => "average_abs_odds_difference",
            Self::EqualizedOddsDifference => "equalized_odds_difference",
            Self::ErrorRateDifference => "error_rate_difference",
            Self::ErrorRateRatio => "error_rate_ratio",
            Self::FalseOmissionRateDifference => "false_omission_rate_difference",
            Self::FalseDiscoveryRateDifference => "false_discovery_rate_difference",
            Self::TheilIndex => "theil_index",
            Self::CoefficientOfVariation => "coefficient_of_variation",
            Self::GeneralizedEntropyIndex => "generalized_entropy_index",
            Self::BetweenGroupTheilIndex => "between_group_theil_index",
            Self::DifferentialFairnessBiasAmplification => "differential_fairness_bias_amplification",
            Self::DisparateImpactOfLabels => "base_rate_disparate_impact_of_labels",
            Self::StatisticalParityDifferenceOfLabels => "base_rate_statistical_parity_difference_of_labels",
            Self::SmoothedEmpiricalDifferentialFairnessOfLabels => "smoothed_empirical_differential_fairness_labels",
        }
    }
}

impl Pair {
    /// The named group against all others that are shown; `None` where it is not shown.
    #[must_use]
    pub fn of(table: &Table, privileged: &str) -> Option<Self> {
        let group = table.group(privileged)?;
        let others = table.groups().iter().filter(|other| other.name != privileged);
        Some(Self { unprivileged: others.map(|other| &other.counts).collect(), privileged: group.counts })
    }

    /// The unprivileged's measure less the privileged's.
    #[must_use]
    pub fn difference(&self, measure: Measure, empty: Empty) -> Measured {
        measure.of(&self.unprivileged, empty).minus(measure.of(&self.privileged, empty), self.rows())
    }

    /// The unprivileged's measure by the privileged's.
    #[must_use]
    pub fn ratio(&self, measure: Measure, empty: Empty) -> Measured {
        measure.of(&self.unprivileged, empty).by(measure.of(&self.privileged, empty), self.rows())
    }

    /// What a measure is of it.
    #[must_use]
    pub fn measure(&self, measure: PairMeasure, empty: Empty) -> Measured {
        let sides = [self.unprivileged, self.privileged];
        let benefits = || inequality::Benefits::of(&sides.iter().collect());
        match measure {
            PairMeasure::DisparateImpact => self.ratio(Measure::SelectionRate, empty),
            PairMeasure::StatisticalParityDifference => self.difference(Measure::SelectionRate, empty),
            PairMeasure::EqualOpportunityDifference => self.difference(Measure::TruePositiveRate, empty),
            PairMeasure::AverageOddsDifference => self.odds(empty, f64::midpoint),
            PairMeasure::AverageAbsOddsDifference => {
                self.odds(empty, |hits, alarms| f64::midpoint(hits.abs(), alarms.abs()))
            }
            PairMeasure::EqualizedOddsDifference => self.odds(empty, |hits, alarms| hits.abs().max(alarms.abs())),
            PairMeasure::ErrorRateDifference => self.difference(Measure::ErrorRate, empty),
            PairMeasure::ErrorRateRatio => self.ratio(Measure::ErrorRate, empty),
            PairMeasure::FalseOmissionRateDifference => self.difference(Measure::FalseOmissionRate, empty),
            PairMeasure::FalseDiscoveryRateDifference => self.difference(Measure::FalseDiscoveryRate, empty),
            PairMeasure::TheilIndex => benefits().theil_index(),
            PairMeasure::CoefficientOfVariation => benefits().coefficient_of_variation(),
            PairMeasure::GeneralizedEntropyIndex => benefits().generalized_entropy(2.0),
            PairMeasure::BetweenGroupTheilIndex => inequality::between_groups(&sides, 1.0),
            PairMeasure::DifferentialFairnessBiasAmplification => differential::amplification(&sides, 1.0),
            PairMeasure::DisparateImpactOfLabels => self.ratio(Measure::BaseRate, empty),
            PairMeasure::StatisticalParityDifferenceOfLabels => self.difference(Measure::BaseRate, empty),
            PairMeasure::SmoothedEmpiricalDifferentialFairnessOfLabels => differential::of_labels(&sides, 1.0),
        }
    }

    fn odds(&self, empty: Empty, of: impl Fn(f64, f64) -> f64) -> Measured {
        let (hits, alarms) =
            (self.difference(Measure::TruePositiveRate, empty), self.difference(Measure::FalsePositiveRate, empty));
        hits.with(alarms, self.rows(), of)
    }

    const fn rows(&self) -> u64 {
        self.unprivileged.rows() + self.privileged.rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Group;
    use proptest::prelude::*;

    #[test]
    fn all_other_groups_are_the_unprivileged() {
        let group = |name: &str, cells| Group { name: name.to_owned(), counts: Counts::of(cells) };
        let groups =
            vec![group("a", [6, 0, 0, 4, 0, 0]), group("b", [3, 0, 7, 0, 0, 0]), group("c", [0, 3, 0, 7, 0, 0])];
        let table = Table::new(groups, 1).expect("a table");
        let pair = Pair::of(&table, "a").expect("it is shown");
        assert_eq!(pair.unprivileged, Counts::of([3, 3, 7, 7, 0, 0]));
        assert_eq!(pair.measure(PairMeasure::DisparateImpact, Empty::Undefined), Measured::Value(0.3 / 0.6));
        // The privileged have no negatives, so nothing is said of false positive rates.
        let odds = |empty| pair.measure(PairMeasure::AverageOddsDifference, empty);
        assert_eq!(odds(Empty::Undefined), Measured::Undefined { n: 0 });
        assert_eq!(odds(Empty::Zero), Measured::Value(f64::midpoint(0.3 - 0.6, 0.3)));
        assert_eq!(Pair::of(&table, "d"), None);
    }

    proptest! {
        #[test]
        fn alike_sides_do_not_differ(cells in prop::array::uniform4(1u64..50)) {
            let side = Counts::of([cells[0], cells[1], cells[2], cells[3], 0, 0]);
            let pair = Pair { unprivileged: side, privileged: side };
            for measure in PairMeasure::ALL {
                let got = pair.measure(measure, Empty::Undefined).value().expect("all cells are filled");
                let individual = matches!(
                    measure,
                    PairMeasure::TheilIndex | PairMeasure::CoefficientOfVariation | PairMeasure::GeneralizedEntropyIndex
                );
                let alike = if measure.name().contains("impact") || measure.name().contains("ratio") { 1.0 } else { 0.0 };
                prop_assert!(individual && got >= 0.0 || (got - alike).abs() < 1e-12, "{}: {got}", measure.name());
            }
        }

        #[test]
        fn no_measure_is_nan(sides in prop::array::uniform2(prop::array::uniform6(0u64..4))) {
            let pair = Pair { unprivileged: Counts::of(sides[0]), privileged: Counts::of(sides[1]) };
            for measure in PairMeasure::ALL {
                for empty in [Empty::Undefined, Empty::Zero] {
                    let value = pair.measure(measure, empty).value();
                    prop_assert!(value.is_none_or(|value| !value.is_nan()), "{}", measure.name());
                }
            }
        }
    }
}
