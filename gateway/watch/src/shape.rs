//! The columns of a monitor: what they are called, what they hold, and which of them are only said later. Owns the mapping
//! from what is said of a call to columns.

use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec};
use tidegate_core::{LabelName, RewardName};

/// The columns, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    fields: Vec<FieldSpec>,
}

impl Shape {
    /// Of these fields.
    #[must_use]
    pub fn of(fields: &[FieldSpec]) -> Self {
        Self { fields: fields.to_vec() }
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldSpec] {
        &self.fields
    }

    /// How many columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The place of the column of that name.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// What the column at this place holds, where it is said.
    #[must_use]
    pub fn kind(&self, at: usize) -> Option<FieldKind> {
        self.fields.get(at).and_then(|field| field.kind)
    }

    /// Whether the value of this column is said of a call later.
    #[must_use]
    pub fn is_later(&self, at: usize) -> bool {
        self.fields.get(at).is_some_and(|field| matches!(field.from, FieldFrom::Label(_) | FieldFrom::Reward(_)))
    }

    /// The columns that this label fills.
    pub fn of_label<'s>(&'s self, label: &'s LabelName) -> impl Iterator<Item = usize> + 's {
        self.places(move |from| matches!(from, FieldFrom::Label(name) if name == label))
    }

    /// The columns that this reward fills.
    pub fn of_reward<'s>(&'s self, reward: &'s RewardName) -> impl Iterator<Item = usize> + 's {
        self.places(move |from| matches!(from, FieldFrom::Reward(name) if name == reward))
    }

    fn places<'s>(&'s self, is: impl Fn(&FieldFrom) -> bool + 's) -> impl Iterator<Item = usize> + 's {
        self.fields.iter().enumerate().filter(move |(_, field)| is(&field.from)).map(|(at, _)| at)
    }
}
