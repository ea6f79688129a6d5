//! What was counted of a column, by what it holds. Owns that the counts fit the plan.

use crate::categories::Categories;
use crate::distribution::Distribution;
use crate::numbers::Numbers;
use crate::plan::Counted;
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};

/// What was counted of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Seen {
    /// Numbers.
    Numbers(Numbers),
    /// Categories.
    Categories(Categories),
    /// Nobody says what it holds: numbers are counted as such, everything else as categories.
    Either {
        /// The numbers; what is none is missing there.
        numbers: Box<Numbers>,
        /// The categories.
        categories: Box<Categories>,
    },
    /// Texts or vectors, of which the rows that are kept show more.
    Present {
        /// How many rows have one.
        n: u64,
        /// How many do not.
        missing: u64,
    },
}

impl Seen {
    /// Nothing yet.
    pub(crate) fn of(counted: Counted<'_>) -> Self {
        match counted {
            Counted::Numbers(distribution) => Self::Numbers(Numbers::new(distribution.map(Distribution::knots))),
            Counted::Categories(vocabulary) => {
                Self::Categories(Categories::new(vocabulary.map_or(0, |vocabulary| vocabulary.names().len())))
            }
            Counted::Either => Self::Either { numbers: Box::default(), categories: Box::default() },
            Counted::Present => Self::Present { n: 0, missing: 0 },
        }
    }

    /// Whether it was counted so.
    pub(crate) fn fits(&self, counted: Counted<'_>) -> bool {
        match (self, counted) {
            (Self::Numbers(numbers), Counted::Numbers(distribution)) => {
                numbers.fit(distribution.map(Distribution::knots))
            }
            (Self::Categories(categories), Counted::Categories(vocabulary)) => {
                categories.fit(vocabulary.map_or(0, |vocabulary| vocabulary.names().len()))
            }
            (Self::Either { numbers, categories }, Counted::Either) => numbers.fit(None) && categories.fit(0),
            (Self::Present { .. }, Counted::Present) => true,
            _ => false,
        }
    }

    /// Takes a value.
    #[inline]
    pub(crate) fn take(&mut self, counted: Counted<'_>, value: &Value<'_>) {
        match (self, counted) {
            (Self::Numbers(numbers), Counted::Numbers(distribution)) => {
                numbers.take(distribution.map(Distribution::knots), value);
            }
            (Self::Categories(categories), Counted::Categories(vocabulary)) => {
                categories.take(vocabulary.map_or(&[], Vocabulary::names), value);
            }
            (Self::Either { numbers, categories }, _) => {
                match value {
                    Value::Number(_) => numbers.take(None, value),
                    _ => categories.take(&[], value),
                };
            }
            (Self::Present { n, missing }, _) => {
                let is_missing = match value {
                    Value::Missing => true,
                    Value::Text(text) => text.is_empty(),
                    Value::Number(_) | Value::Vector(_) => false,
                };
                *if is_missing { missing } else { n } += 1;
            }
            // A column is counted as its plan says, always.
            _ => {}
        }
    }

    /// Takes all that was counted in the same way elsewhere.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Numbers(numbers), Self::Numbers(more)) => numbers.merge(more),
            (Self::Categories(categories), Self::Categories(more)) => categories.merge(more),
            (Self::Either { numbers, categories }, Self::Either { numbers: more, categories: others }) => {
                numbers.merge(more);
                categories.merge(others);
            }
            (Self::Present { n, missing }, Self::Present { n: more, missing: gaps }) => {
                *n += more;
                *missing += gaps;
            }
            _ => {}
        }
    }

    /// Its numbers, where it has them.
    #[must_use]
    pub const fn numbers(&self) -> Option<&Numbers> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Either { numbers, .. } => Some(numbers),
            _ => None,
        }
    }

    /// Its categories, where it has them.
    #[must_use]
    pub const fn categories(&self) -> Option<&Categories> {
        match self {
            Self::Categories(categories) => Some(categories),
            Self::Either { categories, .. } => Some(categories),
            _ => None,
        }
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.bytes(),
            Self::Categories(categories) => categories.bytes(),
            Self::Either { numbers, categories } => numbers.bytes() + categories.bytes(),
            Self::Present { .. } => size_of::<Self>(),
        }
    }
}
