//! The groups of a window's rows. Owns how the values of several columns become the name of one group, so that no two groups
//! have the same.

use crate::report::short;
use crate::table::Column;
use std::collections::BTreeMap;

/// As much of a group's name stands in the names of measurements.
const SHOWN_BYTES: usize = 64;

/// Which row is of which group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    of_row: Vec<Option<usize>>,
}

impl Groups {
    /// By the values of these columns, joined by `|` where there are several; a `|` or a `\` within a value then has a `\`
    /// before it. A row that lacks one of the values is of no group.
    ///
    /// # Errors
    /// A column contradicts itself; said in words.
    pub fn of(columns: &[&Column], rows: u32) -> Result<Self, String> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            if column.data.len() != rows {
                return Err(format!("column {} has {} entries for {rows} rows", column.name, column.data.len()));
            }
            values.push(column.texts()?);
        }
        let name = |row: usize| -> Option<String> {
            let mut name = String::new();
            for (at, texts) in values.iter().enumerate() {
                let text = texts.get(row)?.as_deref()?;
                if columns.len() == 1 {
                    return Some(text.to_owned());
                }
                if at > 0 {
                    name.push('|');
                }
                name.push_str(&text.replace('\\', "\\\\").replace('|', "\\|"));
            }
            Some(name)
        };
        let named: Vec<Option<String>> = (0..rows).map(name).collect();
        let mut places: BTreeMap<&str, usize> = named.iter().flatten().map(|name| (name.as_str(), 0)).collect();
        for (place, found) in places.values_mut().enumerate() {
            *found = place;
        }
        let of_row = named.iter().map(|name| name.as_deref().and_then(|name| places.get(name).copied())).collect();
        Ok(Self { names: places.into_keys().map(str::to_owned).collect(), of_row })
    }

    /// The names, in order of the alphabet.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// For each row its group, as a place among the names.
    #[must_use]
    pub fn of_row(&self) -> &[Option<usize>] {
        &self.of_row
    }
}

/// From how many rows on a group is shown: as many as asked, or more where more than `most` groups would be shown otherwise.
#[must_use]
pub fn smallest_shown(rows: &[u64], asked: u64, most: usize) -> u64 {
    let mut rows = rows.to_vec();
    rows.sort_unstable_by(|one, two| two.cmp(one));
    rows.get(most).map_or(asked, |first_beyond| asked.max(first_beyond + 1))
}

/// A group's name within the name of a measurement: cut where it is long, with its place so that it stays its own.
#[must_use]
pub fn group_name(name: &str, at: usize) -> String {
    let shown = short(name, SHOWN_BYTES);
    if shown == name { shown } else { format!("{shown}#{at}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Data;

    fn texts(values: &[&str], missing: &[u32]) -> Column {
        let data = Data::Texts(values.iter().map(|value| (*value).to_owned()).collect());
        Column { missing: missing.to_vec(), ..Column::full("x", data) }
    }

    #[test]
    fn values_of_several_columns_are_joined_and_stay_apart() {
        let (one, two) = (texts(&["a|b", "a", "a", "b"], &[]), texts(&["c", "b|c", "c", "d"], &[3]));
        let groups = Groups::of(&[&one, &two], 4).expect("groups");
        assert_eq!(groups.names(), ["a\\|b|c", "a|b\\|c", "a|c"]);
        assert_eq!(groups.of_row(), [Some(0), Some(1), Some(2), None]);
        let single = Groups::of(&[&one], 4).expect("groups");
        assert_eq!(single.names(), ["a", "a|b", "b"]);
        assert!(Groups::of(&[&one], 5).expect_err("too short").contains("4 entries for 5 rows"));
    }
    #[test]
    fn no_more_groups_are_shown_than_may_be() {
        assert_eq!(smallest_shown(&[5, 9, 7], 6, 3), 6);
        assert_eq!(smallest_shown(&[5, 9, 7], 0, 2), 6);
        assert_eq!(smallest_shown(&[5, 5, 5], 0, 2), 6, "of equals none is chosen");
        assert_eq!(smallest_shown(&[], 3, 2), 3);
    }

    #[test]
    fn long_names_stay_their_own() {
        assert_eq!(group_name("a b", 3), "a b");
        assert_eq!(group_name("a\nb", 3), "a b#3");
        let long = "x".repeat(300);
        assert!(group_name(&long, 1) != group_name(&long, 2) && group_name(&long, 1).len() < 70);
    }
}
