//! How far a measure lies apart between groups. Owns the aggregates of `fairlearn.metrics.MetricFrame` (`difference`,
//! `ratio`, `group_min`, `group_max`); the measures that have names of their own are [`crate::parity`]'s.

use crate::measure::{Empty, Measure};
use crate::measured::Measured;
use crate::table::Table;

/// An aggregate of a measure over groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// The largest less the smallest.
    DifferenceBetweenGroups,
    /// The largest distance of a group from all of them together.
    DifferenceToOverall,
    /// The smallest by the largest.
    RatioBetweenGroups,
    /// The smallest of the ratios of groups to all of them together, each taken the way that is at most 1.
    RatioToOverall,
    /// The smallest.
    Smallest,
    /// The largest.
    Largest,
}

impl Spread {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DifferenceBetweenGroups,
        Self::DifferenceToOverall,
        Self::RatioBetweenGroups,
        Self::RatioToOverall,
        Self::Smallest,
        Self::Largest,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DifferenceBetweenGroups => "difference_between_groups",
            Self::DifferenceToOverall => "difference_to_overall",
            Self::RatioBetweenGroups => "ratio_between_groups",
            Self::RatioToOverall => "ratio_to_overall",
            Self::Smallest => "group_min",
            Self::Largest => "group_max",
        }
    }

    /// What it is of a measure. Fewer than two groups lie not apart: their differences and ratios are undefined.
    #[must_use]
    pub fn of(self, table: &Table, measure: Measure, empty: Empty) -> Measured {
        let mut groups = Vec::with_capacity(table.groups().len());
        for (_, measured) in table.by_group(measure, empty) {
            match measured {
                Measured::Value(value) => groups.push(value),
                Measured::Undefined { .. } if empty == Empty::LeftOut => {}
                Measured::Undefined { .. } => return measured,
            }
        }
        let n = table.overall().rows();
        let enough = if matches!(self, Self::Smallest | Self::Largest) { 1 } else { 2 };
        if groups.len() < enough {
            return Measured::Undefined { n };
        }
        let smallest = groups.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = groups.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let overall = measure.of(table.overall(), empty);
        match self {
            Self::Smallest => Measured::Value(smallest),
            Self::Largest => Measured::Value(largest),
            Self::DifferenceBetweenGroups => Measured::Value(largest - smallest),
            Self::RatioBetweenGroups => Measured::new(smallest / largest, n),
            Self::DifferenceToOverall => {
                overall.map(|overall| groups.iter().map(|group| (group - overall).abs()).fold(0.0, f64::max))
            }
            // A group's 0 to an overall 0 is no ratio. `min` takes the other of a NaN, so it is left out where others are.
            Self::RatioToOverall => overall.with(overall, n, |overall, _| {
                let ratios = groups.iter().map(|group| group / overall);
                ratios.map(|ratio| ratio.min(1.0 / ratio)).fold(f64::NAN, f64::min)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::table::Group;
    use proptest::prelude::*;

    fn table(groups: &[[u64; 6]]) -> Table {
        let named = groups.iter().enumerate();
        let groups = named.map(|(at, &cells)| Group { name: at.to_string(), counts: Counts::of(cells) }).collect();
        Table::new(groups, 1).expect("a table")
    }

    #[test]
    fn a_group_without_positives_is_not_one_whose_positives_were_all_missed() {
        let table = table(&[[9, 1, 9, 1, 0, 0], [8, 2, 8, 2, 0, 0], [0, 5, 15, 0, 0, 0]]);
        let apart = |empty| Spread::DifferenceBetweenGroups.of(&table, Measure::TruePositiveRate, empty);
        assert_eq!(apart(Empty::Undefined), Measured::Undefined { n: 0 });
        assert!((apart(Empty::LeftOut).value().expect("a number") - 0.1).abs() < 1e-15);
        assert_eq!(apart(Empty::Zero), Measured::Value(0.9));
    }

    #[test]
    fn one_group_lies_not_apart() {
        let table = table(&[[9, 1, 9, 1, 0, 0]]);
        for spread in Spread::ALL {
            let got = spread.of(&table, Measure::SelectionRate, Empty::Undefined);
            let one = matches!(spread, Spread::Smallest | Spread::Largest);
            assert_eq!(
                got,
                if one { Measured::Value(0.5) } else { Measured::Undefined { n: 20 } },
                "{}",
                spread.name()
            );
        }
    }

    #[test]
    fn nothing_selected_anywhere_has_a_difference_and_no_ratio() {
        let table = table(&[[0, 0, 5, 5, 0, 0], [0, 0, 9, 1, 0, 0]]);
        let of = |spread: Spread| spread.of(&table, Measure::SelectionRate, Empty::Undefined);
        assert_eq!(of(Spread::DifferenceBetweenGroups), Measured::Value(0.0));
        assert_eq!(of(Spread::RatioBetweenGroups), Measured::Undefined { n: 20 });
        assert_eq!(of(Spread::RatioToOverall), Measured::Undefined { n: 20 });
    }

    proptest! {
        #[test]
        fn no_aggregate_is_nan_or_out_of_range(groups in prop::collection::vec(prop::array::uniform6(0u64..6), 0..5)) {
            let table = table(&groups);
            for measure in Measure::ALL.into_iter().filter(|measure| *measure != Measure::Count) {
                for empty in [Empty::Undefined, Empty::LeftOut, Empty::Zero] {
                    for spread in Spread::ALL {
                        if let Some(value) = spread.of(&table, measure, empty).value() {
                            prop_assert!((0.0..=1.0).contains(&value), "{} {}: {value}", measure.name(), spread.name());
                        }
                    }
                    let of = |spread: Spread| spread.of(&table, measure, empty).value();
                    if let (Some(between), Some(overall)) = (of(Spread::DifferenceBetweenGroups), of(Spread::DifferenceToOverall)) {
                        prop_assert!(overall <= between + 1e-12 || empty == Empty::Zero);
                    }
                }
            }
        }
    }
}
