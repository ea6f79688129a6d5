//! The groups of a window beside each other. Owns which of them may be shown: a group with fewer rows than asked for is
//! named, and its numbers appear nowhere, in no sum either.

use crate::counts::{Counts, Row};
use crate::measure::{Empty, Measure};
use crate::measured::Measured;
use std::fmt;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What was counted of it.
    pub counts: Counts,
}

/// A group that is too small to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

/// Why there is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableFault {
    /// A row is of a group that has no name.
    NoSuchGroup {
        /// The row, from 0.
        at: usize,
        /// Its group.
        group: usize,
        /// How many groups have names.
        of: usize,
    },
    /// Two groups have the same name.
    SameName {
        /// The name.
        name: String,
    },
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup { at, group, of } => {
                write!(f, "row {at} is of group {group} of {of}: groups are counted from 0")
            }
            Self::SameName { name } => write!(f, "two groups are named `{name}`: merge their counts"),
        }
    }
}

impl std::error::Error for TableFault {}

/// The groups that may be shown, and all of them together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    groups: Vec<Group>,
    suppressed: Vec<Suppressed>,
    overall: Counts,
}

impl Table {
    /// From what was counted. Groups of fewer than `smallest` rows are suppressed, and so are groups without any row.
    /// `overall` is of the groups that are shown: were it of all rows, one small group's numbers would be what is left of
    /// it.
    ///
    /// # Errors
    /// Two groups have the same name.
    pub fn new(groups: Vec<Group>, smallest: u64) -> Result<Self, TableFault> {
        let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TableFault::SameName { name: twice[0].to_owned() });
        }
        let (shown, small): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.counts.rows() >= smallest.max(1));
        let overall = shown.iter().map(|group| &group.counts).collect();
        let suppressed =
            small.into_iter().map(|group| Suppressed { rows: group.counts.rows(), name: group.name }).collect();
        Ok(Self { groups: shown, suppressed, overall })
    }

    /// From rows, whose groups are places in `names`.
    ///
    /// # Errors
    /// A row is of no such group, or two groups have the same name.
    pub fn from_rows(names: &[&str], rows: impl IntoIterator<Item = Row>, smallest: u64) -> Result<Self, TableFault> {
        let mut counts = vec![Counts::default(); names.len()];
        for (at, Row { group, predicted, truth }) in rows.into_iter().enumerate() {
            let of = names.len();
            counts.get_mut(group).ok_or(TableFault::NoSuchGroup { at, group, of })?.add(predicted, truth);
        }
        let named = names.iter().zip(counts).map(|(&name, counts)| Group { name: name.to_owned(), counts });
        Self::new(named.collect(), smallest)
    }

    /// The groups that are shown, in the order in which they were given.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The groups that are too small.
    #[must_use]
    pub fn suppressed(&self) -> &[Suppressed] {
        &self.suppressed
    }

    /// The groups that are shown, together.
    #[must_use]
    pub const fn overall(&self) -> &Counts {
        &self.overall
    }

    /// A group that is shown.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// A measure of each group that is shown.
    pub fn by_group(&self, measure: Measure, empty: Empty) -> impl Iterator<Item = (&str, Measured)> {
        self.groups.iter().map(move |group| (group.name.as_str(), measure.of(&group.counts, empty)))
    }

    /// The same groups with other counts, none suppressed anew: for drawing them again.
    pub(crate) fn with_counts(&self, counts: impl IntoIterator<Item = Counts>) -> Self {
        let named = self.groups.iter().zip(counts);
        let groups: Vec<Group> = named.map(|(group, counts)| Group { name: group.name.clone(), counts }).collect();
        let overall = groups.iter().map(|group| &group.counts).collect();
        Self { groups, suppressed: self.suppressed.clone(), overall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_groups_are_named_and_counted_nowhere() {
        let rows = (0..70).map(|at| Row {
            group: usize::from(at >= 30) + usize::from(at >= 60),
            predicted: true,
            truth: None,
        });
        let table = Table::from_rows(&["a", "b", "c", "none"], rows, 30).expect("a table");
        assert_eq!(table.groups().iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let small = |name: &str, rows| Suppressed { name: name.to_owned(), rows };
        assert_eq!(table.suppressed(), [small("c", 10), small("none", 0)]);
        assert_eq!(table.overall().rows(), 60);
        assert_eq!(table.group("c"), None);
        let shares: Vec<_> = table.by_group(Measure::SelectionRate, Empty::Undefined).collect();
        assert_eq!(shares, [("a", Measured::Value(1.0)), ("b", Measured::Value(1.0))]);
    }

    #[test]
    fn what_does_not_hang_together_is_named() {
        let row = Row { group: 2, predicted: true, truth: None };
        let fault = Table::from_rows(&["a", "b"], [row], 1).expect_err("no such group");
        assert_eq!(fault.to_string(), "row 0 is of group 2 of 2: groups are counted from 0");
        let fault = Table::from_rows(&["a", "b", "a"], [row], 1).expect_err("twice");
        assert_eq!(fault.to_string(), "two groups are named `a`: merge their counts");
    }
}
