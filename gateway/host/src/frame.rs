//! Tables by columns, as evaluators get them. Owns what makes one whole; JSON is read in `input`.

use std::collections::BTreeSet;

/// A table by columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// How many rows each column has.
    pub rows: u32,
    /// The columns.
    pub columns: Vec<Column>,
}

/// A column. It has an entry for each row; at missing rows the entry means nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, no other column's.
    pub name: String,
    /// Its values.
    pub data: Data,
    /// The rows without a value, ascending.
    pub missing: Vec<u32>,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Texts of which there are few, by their places among the levels.
    Categories {
        /// The level of each row.
        codes: Vec<u32>,
        /// The texts.
        levels: Vec<String>,
    },
    /// Texts.
    Texts(Vec<String>),
    /// Yes or no.
    Booleans(Vec<bool>),
}

impl Data {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
            Self::Texts(values) => values.len(),
            Self::Booleans(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Frame {
    /// A table of these columns, if they are of one length and whole.
    ///
    /// # Errors
    /// What is wrong with which column.
    pub fn of(columns: Vec<Column>) -> Result<Self, String> {
        let rows = columns.first().map_or(0, |column| column.data.len());
        let rows = u32::try_from(rows).map_err(|_| format!("{rows} rows are too many for a table"))?;
        let mut names = BTreeSet::new();
        for column in &columns {
            let name = &column.name;
            if !names.insert(name) {
                return Err(format!("two columns are called `{name}`"));
            }
            column.check(rows).map_err(|says| format!("the column `{name}` {says}"))?;
        }
        Ok(Self { rows, columns })
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Column {
    /// A column without gaps.
    #[must_use]
    pub fn full(name: &str, data: Data) -> Self {
        Self { name: name.to_owned(), data, missing: Vec::new() }
    }

    fn check(&self, rows: u32) -> Result<(), String> {
        if self.data.len() != rows as usize {
            return Err(format!("has {} entries where the first column has {rows}", self.data.len()));
        }
        if !self.missing.is_sorted_by(|a, b| a < b) || self.missing.last().is_some_and(|last| *last >= rows) {
            return Err("names missing rows out of order, or ones that it does not have".to_owned());
        }
        if let Data::Categories { codes, levels } = &self.data {
            let is_level = |code: &u32| (*code as usize) < levels.len();
            let gaps: BTreeSet<u32> = self.missing.iter().copied().collect();
            if !(0..).zip(codes).all(|(row, code)| is_level(code) || gaps.contains(&row)) {
                return Err("has codes that are no level of it".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_whole_or_says_what_is_not() {
        let numbers = |n| Data::Numbers(vec![1.0; n]);
        let of = |columns: &[(&str, Data, &[u32])]| {
            Frame::of(
                columns
                    .iter()
                    .map(|(name, data, missing)| Column {
                        name: (*name).to_owned(),
                        data: data.clone(),
                        missing: missing.to_vec(),
                    })
                    .collect(),
            )
        };
        assert_eq!(of(&[("a", numbers(3), &[0, 2]), ("b", numbers(3), &[])]).unwrap().rows, 3);
        assert_eq!(of(&[]).unwrap().rows, 0);
        let categories = |code| Data::Categories { codes: vec![0, code, 0], levels: vec!["x".to_owned()] };
        assert!(of(&[("a", categories(7), &[1])]).is_ok());
        for (columns, part) in [
            (vec![("a", numbers(3), &[][..]), ("b", numbers(2), &[])], "`b` has 2 entries"),
            (vec![("a", numbers(3), &[]), ("a", numbers(3), &[])], "two columns"),
            (vec![("a", numbers(3), &[2, 1])], "out of order"),
            (vec![("a", numbers(3), &[3])], "does not have"),
            (vec![("a", categories(7), &[])], "no level"),
        ] {
            let says = of(&columns).unwrap_err();
            assert!(says.contains(part), "{says}");
        }
    }
}
