//! Rows of features, as trees read them. Owns the check that values fill the rows; knows no wire format.

use crate::Refused;

/// Rows × features, row after row. A value that is missing is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    columns: usize,
    rows: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of values that stand row after row.
    ///
    /// # Errors
    /// When the values do not fill the rows exactly.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self, Refused> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(Refused::Count { rows, columns, given: values.len() });
        }
        Ok(Self { columns, rows, values })
    }

    /// One row.
    #[must_use]
    pub fn of_row(values: Vec<f64>) -> Self {
        Self { columns: values.len(), rows: 1, values }
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many values a row has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    #[must_use]
    pub fn row(&self, number: usize) -> &[f64] {
        self.values.get(number * self.columns..(number + 1) * self.columns).unwrap_or_default()
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}
