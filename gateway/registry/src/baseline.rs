//! A baseline: the profile of the data that a version was trained on, against which what comes in later is compared.
//! Owns its form and its limits; it is made by [`build`](Baseline::build) and checked by [`read`](Baseline::read).
//!
//! A column is **numeric** where each of its cells that has something is a number, and there is a fraction among them
//! or more than 20 different ones; else it is **categorical**. Empty cells, NaN, infinities and numbers beyond ±1e140
//! (which stand for nothing in practice) are **missing**, in whatever column.
//!
//! The bins of a numeric column hold **equal shares**: with n values and b = min(256, n) bins, bin i reaches up to and
//! with the value of rank ⌈i·n/b⌉ (`numpy.quantile(x, i/b, method="inverted_cdf")`), and begins above where the one
//! before it ends. Bins that would end at the same value are one, so no value is split between two; below its own
//! upper end a bin therefore never holds as many as ⌈n/b⌉ values, however often that end itself is repeated.

mod bins;
mod build;
mod check;
mod sample;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest baseline that is taken, as JSON.
pub const LARGEST: usize = 16 * 1024 * 1024;

/// The version of the form.
const FORM: u64 = 1;
/// The most bins of a numeric column.
const MOST_BINS: usize = 256;
/// The most categories that are kept by name.
const MOST_CATEGORIES: usize = 1000;
/// The longest category that is kept by name, and the longest text of a sample, in bytes.
const LONGEST_TEXT: usize = 256;
/// The most rows of the sample.
const MOST_SAMPLED: usize = 1000;
/// The most cells of the sample: with more columns there are fewer rows.
const MOST_CELLS: usize = 200_000;
/// The most columns.
const MOST_COLUMNS: usize = 4096;
/// Numbers beyond it count as missing; below it, sums of squares stay finite.
const LARGEST_NUMBER: f64 = 1e140;

/// The profile of a version's training data.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    rows: u64,
    columns: Vec<Column>,
    sample: Vec<Vec<Sampled>>,
}

/// The profile of a column.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: String,
    /// Rows that have something there.
    count: u64,
    /// Rows that have nothing there.
    missing: u64,
    profile: Profile,
}

#[derive(Debug, Clone, PartialEq)]
enum Profile {
    Numeric(Numeric),
    Categorical(Categorical),
}

/// The profile of numbers; there is at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numeric {
    min: f64,
    max: f64,
    mean: f64,
    /// The sum of squared deviations from the mean.
    m2: f64,
    bins: Vec<Bin>,
}

/// A bin: what lies above the end of the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bin {
    /// The largest value that falls into it.
    to: f64,
    count: u64,
    sum: f64,
}

/// The profile of categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Categorical {
    /// The most frequent ones, the most frequent first.
    categories: Vec<Category>,
    /// Rows of all others.
    other: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Category {
    value: String,
    count: u64,
}

/// A cell of the sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Sampled {
    Missing,
    Number(f64),
    Text(String),
}

impl Baseline {
    /// As JSON, in a form that stays.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let columns: Vec<Value> = self.columns.iter().map(Column::to_json).collect();
        json!({"baseline": FORM, "rows": self.rows, "columns": columns, "sample": self.sample})
    }

    /// How many rows, numeric and categorical columns, and sampled rows it has.
    #[must_use]
    pub fn size(&self) -> Size {
        let is_numeric = |column: &&Column| matches!(column.profile, Profile::Numeric(_));
        let numeric = self.columns.iter().filter(is_numeric).count();
        Size { rows: self.rows, numeric, categorical: self.columns.len() - numeric, sampled: self.sample.len() }
    }

    /// The same without its sample, where no row of the data may leave the place where it lies.
    #[must_use]
    pub fn without_sample(self) -> Self {
        Self { sample: Vec::new(), ..self }
    }
}

/// How much a baseline holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows of the data.
    pub rows: u64,
    /// Numeric columns.
    pub numeric: usize,
    /// Categorical columns.
    pub categorical: usize,
    /// Rows of the sample.
    pub sampled: usize,
}

impl Column {
    fn to_json(&self) -> Value {
        let (kind, profile) = match &self.profile {
            Profile::Numeric(numeric) => ("numeric", json!(numeric)),
            Profile::Categorical(categorical) => ("categorical", json!(categorical)),
        };
        json!({"name": self.name, "count": self.count, "missing": self.missing, kind: profile})
    }
}

/// How many rows a sample of so many columns has at most.
fn most_sampled(columns: usize) -> usize {
    MOST_SAMPLED.min(MOST_CELLS / columns.max(1))
}
