//! A value of a call, and the row that its values make. Owns what counts as a number and how a number is called as a
//! category; both as the registry's baselines have it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tidegate_core::spec::FieldKind;

/// Numbers beyond it stand for nothing in practice and count as missing, like NaN and the infinities.
pub const LARGEST_NUMBER: f64 = 1e140;
/// The longest category that is counted by name, in bytes.
pub const LONGEST_CATEGORY: usize = 256;
/// What is kept of a text, in bytes.
pub const LONGEST_TEXT: usize = 16 * 1024;
/// The most components of a vector.
pub const LONGEST_VECTOR: usize = 4096;

/// A value. Classes and booleans are texts (`true`, `false`); so is what is kept as JSON, such as passages.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// Nothing is there.
    #[default]
    Missing,
    /// A number.
    Number(f64),
    /// A text, or a class.
    Text(Cow<'a, str>),
    /// A vector, such as an embedding.
    Vector(Cow<'a, [f32]>),
}

/// The values of a call that are kept, one for each column of the [`Shape`](crate::Shape).
pub type Row = Box<[Value<'static>]>;

impl Value<'_> {
    /// Whether nothing is there.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// As a number, where it is one or spells one, and may be seen.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(x) => number(*x),
            Self::Text(text) => text.trim().parse().ok().and_then(number),
            Self::Missing | Self::Vector(_) => None,
        }
    }

    /// The same in a column that holds this, to be kept: what is too long is cut, what does not belong there is missing.
    #[must_use]
    pub fn to_kept(&self, kind: Option<FieldKind>) -> Value<'static> {
        let cut = |text: &str, most| Value::Text(Cow::Owned(text[..text.floor_char_boundary(most)].to_owned()));
        match (kind, self) {
            (_, Self::Missing) => Value::Missing,
            (Some(FieldKind::Number), value) | (None, value @ Self::Number(_)) => {
                value.as_number().map_or(Value::Missing, Value::Number)
            }
            (Some(FieldKind::Category | FieldKind::Text), Self::Number(x)) => {
                number(*x).map_or(Value::Missing, |x| Value::Text(Cow::Owned(spelled(x))))
            }
            (Some(FieldKind::Category), Self::Text(text)) if text.trim().is_empty() => Value::Missing,
            (Some(FieldKind::Category), Self::Text(text)) => cut(text, LONGEST_CATEGORY),
            (Some(FieldKind::Text) | None, Self::Text(text)) => cut(text, LONGEST_TEXT),
            (Some(FieldKind::Vector) | None, Self::Vector(all))
                if (1..=LONGEST_VECTOR).contains(&all.len()) && all.iter().all(|x| x.is_finite()) =>
            {
                Value::Vector(Cow::Owned(all.to_vec()))
            }
            _ => Value::Missing,
        }
    }

    /// What it takes of memory when it is kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Missing | Self::Number(_) => 0,
                Self::Text(text) => text.len(),
                Self::Vector(all) => size_of_val::<[f32]>(all),
            }
    }
}

/// The number, where it is one; of the two zeros one.
#[must_use]
#[inline]
pub fn number(x: f64) -> Option<f64> {
    // NaN is within no bounds.
    (x.abs() <= LARGEST_NUMBER).then_some(x + 0.0)
}

/// How a number is called as a category: `3`, `0.5`.
#[must_use]
pub fn spelled(x: f64) -> String {
    x.to_string()
}
