//! What the columns of a table are to a measure: prediction, score, label, protected. Owns finding them, and what is said
//! where one is not there or cannot be read.

use crate::groups::Groups;
use crate::table::{Column, Table};

/// Why a window cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// Which column is what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// The column of predictions.
    pub prediction: String,
    /// The column of scores.
    pub score: Option<String>,
    /// The column of labels.
    pub label: Option<String>,
    /// The columns whose groups are compared.
    pub protected: Vec<String>,
    /// The value of a prediction, and of a label, that is the good outcome.
    pub positive: String,
    /// Groups with fewer rows are not shown.
    pub min_group_size: u32,
}

impl Roles {
    /// For each row whether the good outcome stands in this column.
    ///
    /// # Errors
    /// There is no such column, or none of its values could be the good outcome.
    pub fn positives(&self, table: &Table, role: &str, column: &str) -> Result<Vec<Option<bool>>, Fault> {
        let found = self::column(table, role, column)?;
        found.equals(&self.positive).map_err(|says| Fault(format!("{says}: say another `positive`")))
    }

    /// For each row its label; none where no column has labels.
    ///
    /// # Errors
    /// The column that is named is not there, or none of its values could be the good outcome.
    pub fn labels(&self, table: &Table) -> Result<Vec<Option<bool>>, Fault> {
        match &self.label {
            Some(label) => self.positives(table, "label", label),
            None => Ok(vec![None; usize::try_from(table.rows).unwrap_or(usize::MAX)]),
        }
    }

    /// For each row its score.
    ///
    /// # Errors
    /// No column is named, it is not there, or has no numbers.
    pub fn scores(&self, table: &Table) -> Result<Vec<Option<f64>>, Fault> {
        let Some(score) = &self.score else {
            return Err(Fault("no column has the role `score`: name the one with the probabilities".to_owned()));
        };
        column(table, "score", score)?.numbers().map_err(Fault)
    }

    /// The groups of rows; all rows are one group where no column is protected.
    ///
    /// # Errors
    /// A column that is named is not there, or contradicts itself.
    pub fn groups(&self, table: &Table) -> Result<Groups, Fault> {
        let named = self.protected.iter().map(|name| column(table, "protected", name));
        Groups::of(&named.collect::<Result<Vec<_>, _>>()?, table.rows).map_err(Fault)
    }
}

fn column<'a>(table: &'a Table, role: &str, name: &str) -> Result<&'a Column, Fault> {
    let missing = || {
        let there: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        Fault(format!("no column `{name}` for the role `{role}`: the window has {}", there.join(", ")))
    };
    table.column(name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Data;

    #[test]
    fn what_is_not_there_is_named() {
        let columns = vec![Column::full("p", Data::Booleans(vec![true])), Column::full("t", Data::Texts(vec![]))];
        let table = Table { rows: 1, columns };
        let roles = Roles { prediction: "p".to_owned(), positive: "yes".to_owned(), ..Roles::default() };
        let says = |fault: Fault| fault.to_string();
        assert_eq!(
            roles.positives(&table, "prediction", "q").map_err(says),
            Err("no column `q` for the role `prediction`: the window has p, t".to_owned())
        );
        let odd = roles.positives(&table, "prediction", "p").map_err(says).expect_err("booleans");
        assert!(odd.contains("neither true nor false") && odd.contains("another `positive`"), "{odd}");
        assert!(roles.scores(&table).is_err());
        assert_eq!(roles.labels(&table), Ok(vec![None]));
        assert_eq!(roles.groups(&table).expect("one group").names(), [""]);
    }
}
