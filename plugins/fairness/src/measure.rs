//! What is measured of one group. Owns the rates of a confusion matrix, as `fairlearn.metrics` (`selection_rate`,
//! `true_positive_rate` …) and scikit-learn define them, and what a rate of nothing is; comparing groups is
//! [`crate::spread`]'s and [`crate::pair`]'s.

use crate::counts::Counts;
use crate::measured::{Measured, count};

/// What a group's rate is where the group has none of the rows that it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Empty {
    /// Undefined, and so is every comparison with that group.
    #[default]
    Undefined,
    /// Undefined, and groups are compared without that group.
    LeftOut,
    /// Zero, as in Fairlearn and in scikit-learn (`zero_division=0`): a group without positives then looks as if all of
    /// its positives had been missed, so this is for comparing with those libraries only.
    Zero,
}

/// A number of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Predicted good, of all rows.
    SelectionRate,
    /// The mean of predictions of 0 and 1: the selection rate under Fairlearn's other name.
    MeanPrediction,
    /// Labelled good, of labelled rows.
    BaseRate,
    /// Predicted good, of those that are.
    TruePositiveRate,
    /// Predicted good, of those that are not.
    FalsePositiveRate,
    /// Not predicted good, of those that are not.
    TrueNegativeRate,
    /// Not predicted good, of those that are.
    FalseNegativeRate,
    /// Predicted rightly, of labelled rows.
    Accuracy,
    /// Predicted wrongly, of labelled rows.
    ErrorRate,
    /// Good, of those that are predicted so.
    Precision,
    /// Not good, of those that are predicted good.
    FalseDiscoveryRate,
    /// Good, of those that are not predicted so.
    FalseOmissionRate,
    /// Not good, of those that are not predicted good.
    NegativePredictiveValue,
    /// How many rows.
    Count,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::SelectionRate,
        Self::MeanPrediction,
        Self::BaseRate,
        Self::TruePositiveRate,
        Self::FalsePositiveRate,
        Self::TrueNegativeRate,
        Self::FalseNegativeRate,
        Self::Accuracy,
        Self::ErrorRate,
        Self::Precision,
        Self::FalseDiscoveryRate,
        Self::FalseOmissionRate,
        Self::NegativePredictiveValue,
        Self::Count,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelectionRate => "selection_rate",
            Self::MeanPrediction => "mean_prediction",
            Self::BaseRate => "base_rate",
            Self::TruePositiveRate => "true_positive_rate",
            Self::FalsePositiveRate => "false_positive_rate",
            Self::TrueNegativeRate => "true_negative_rate",
            Self::FalseNegativeRate => "false_negative_rate",
            Self::Accuracy => "accuracy",
            Self::ErrorRate => "error_rate",
            Self::Precision => "precision",
            Self::FalseDiscoveryRate => "false_discovery_rate",
            Self::FalseOmissionRate => "false_omission_rate",
            Self::NegativePredictiveValue => "negative_predictive_value",
            Self::Count => "count",
        }
    }

    /// Whether it needs labels.
    #[must_use]
    pub const fn needs_labels(self) -> bool {
        !matches!(self, Self::SelectionRate | Self::MeanPrediction | Self::Count)
    }

    /// What it is of a group.
    #[must_use]
    pub fn of(self, group: &Counts, empty: Empty) -> Measured {
        let (part, whole) = match self {
            Self::Count => return Measured::Value(count(group.rows())),
            Self::SelectionRate | Self::MeanPrediction => (group.selected(), group.rows()),
            Self::BaseRate => (group.positives(), group.labelled()),
            Self::TruePositiveRate => (group.true_positives, group.positives()),
            Self::FalsePositiveRate => (group.false_positives, group.negatives()),
            Self::TrueNegativeRate => (group.true_negatives, group.negatives()),
            Self::FalseNegativeRate => (group.false_negatives, group.positives()),
            Self::Accuracy => (group.true_positives + group.true_negatives, group.labelled()),
            Self::ErrorRate => (group.false_positives + group.false_negatives, group.labelled()),
            Self::Precision => (group.true_positives, group.true_positives + group.false_positives),
            Self::FalseDiscoveryRate => (group.false_positives, group.true_positives + group.false_positives),
            Self::FalseOmissionRate => (group.false_negatives, group.true_negatives + group.false_negatives),
            Self::NegativePredictiveValue => (group.true_negatives, group.true_negatives + group.false_negatives),
        };
        match empty {
            Empty::Zero if whole == 0 => Measured::Value(0.0),
            _ => Measured::share(part, whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_rows_that_they_are_about() {
        let group = Counts::of([30, 10, 40, 20, 5, 15]);
        for (measure, expected) in [
            (Measure::SelectionRate, 45.0 / 120.0),
            (Measure::MeanPrediction, 45.0 / 120.0),
            (Measure::BaseRate, 0.5),
            (Measure::TruePositiveRate, 0.6),
            (Measure::FalsePositiveRate, 0.2),
            (Measure::TrueNegativeRate, 0.8),
            (Measure::FalseNegativeRate, 0.4),
            (Measure::Accuracy, 0.7),
            (Measure::ErrorRate, 0.3),
            (Measure::Precision, 0.75),
            (Measure::FalseDiscoveryRate, 0.25),
            (Measure::FalseOmissionRate, 20.0 / 60.0),
            (Measure::NegativePredictiveValue, 40.0 / 60.0),
            (Measure::Count, 120.0),
        ] {
            assert_eq!(measure.of(&group, Empty::Undefined), Measured::Value(expected), "{}", measure.name());
        }
    }

    #[test]
    fn a_rate_of_nothing_is_undefined_unless_zero_is_asked_for() {
        let none = Counts::default();
        for measure in Measure::ALL.into_iter().filter(|measure| *measure != Measure::Count) {
            for empty in [Empty::Undefined, Empty::LeftOut] {
                assert_eq!(measure.of(&none, empty), Measured::Undefined { n: 0 }, "{}", measure.name());
            }
            assert_eq!(measure.of(&none, Empty::Zero), Measured::Value(0.0), "{}", measure.name());
        }
        let unlabelled = Counts { unlabelled_positives: 4, ..Counts::default() };
        for measure in Measure::ALL {
            assert_eq!(measure.of(&unlabelled, Empty::Undefined).value().is_none(), measure.needs_labels());
        }
    }
}
