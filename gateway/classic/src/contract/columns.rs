//! A call's tensors as columns with names: either a tensor each, or the columns of one tensor of whole rows.

use std::fmt;
use tidegate_core::{Datatype, Tensor};

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Number(f64),
    Text(&'a [u8]),
}

pub(super) struct Columns<'a> {
    inputs: &'a [Tensor],
    /// The names of the columns of the only tensor, where it is of whole rows.
    features: &'a [String],
}

/// A column, or a whole tensor.
pub(super) struct Column<'a> {
    tensor: &'a Tensor,
    /// Which place of a row, and of how many.
    place: Option<(usize, usize)>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(inputs: &'a [Tensor], features: &'a [String]) -> Self {
        let is_rows = match inputs {
            [one] => {
                one.shape().len() == 2
                    && one.shape()[1] == features.len() as u64
                    && !features.iter().any(|feature| feature == one.name())
            }
            _ => false,
        };
        Self { inputs, features: if is_rows { features } else { &[] } }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        let tensors = if self.features.is_empty() { self.inputs } else { &[] };
        self.features.iter().map(String::as_str).chain(tensors.iter().map(Tensor::name))
    }

    pub(super) fn column(&self, name: &str) -> Option<Column<'a>> {
        if let Some(tensor) = self.inputs.iter().find(|tensor| tensor.name() == name) {
            return Some(Column { tensor, place: None });
        }
        let place = self.features.iter().position(|feature| feature == name)?;
        Some(Column { tensor: self.inputs.first()?, place: Some((place, self.features.len())) })
    }
}

impl<'a> Column<'a> {
    pub(super) fn datatype(&self) -> Datatype {
        self.tensor.datatype()
    }

    /// Whether it is a column of a tensor of whole rows.
    pub(super) fn is_within_rows(&self) -> bool {
        self.place.is_some()
    }

    /// The shape, of a whole tensor.
    pub(super) fn shape(&self) -> Option<&'a [u64]> {
        self.place.is_none().then(|| self.tensor.shape())
    }

    /// Its values, row after row.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (first, step) = self.place.unwrap_or((0, 1));
        let numbers = self.tensor.numbers().into_iter().flatten().map(Value::Number);
        let texts = self.tensor.texts().into_iter().flatten().map(Value::Text);
        numbers.chain(texts).skip(first).step_by(step.max(1))
    }
}

impl Value<'_> {
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Number(number) if number.is_nan())
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) if number.is_nan() => f.write_str("the value"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => {
                let text: String = String::from_utf8_lossy(text).chars().take(40).collect();
                write!(f, "`{}`", text.escape_debug())
            }
        }
    }
}
