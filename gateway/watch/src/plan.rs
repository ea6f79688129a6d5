//! What a pane is made for: its columns, with what it is compared, and how many rows it keeps. Owns that two panes add up
//! only where they were made for the same.

use crate::distribution::Distribution;
use crate::reference::{Profile, Reference};
use crate::shape::Shape;
use crate::vocabulary::Vocabulary;
use std::sync::Arc;
use tidegate_core::spec::FieldKind;

/// What panes are made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    shape: Shape,
    reference: Option<Arc<Reference>>,
    keep: Keep,
    /// What each column holds, where that is known.
    kinds: Box<[Option<FieldKind>]>,
}

/// Which rows are kept whole: those whose ids, hashed with the seed, come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// So many at most; 0 where no row is wanted whole.
    pub rows: usize,
    /// They take so many bytes at most.
    pub bytes: usize,
    /// The seed of the hash; the same on all replicas.
    pub seed: u64,
}

impl Keep {
    /// None: for columns of numbers and categories that are looked at one by one.
    pub const NONE: Self = Self { rows: 0, bytes: 0, seed: 0 };
    /// 10,000 rows within 32 MiB.
    pub const USUAL: Self = Self { rows: 10_000, bytes: 32 << 20, seed: 0 };
}

/// What was made for something else, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlike {
    /// Of another form.
    Form,
    /// For other columns.
    Columns,
    /// In the bins of another reference.
    Reference,
    /// It contradicts itself.
    Broken,
}

impl std::fmt::Display for Unlike {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Form => "it is of another version's form",
            Self::Columns => "it was made for other columns",
            Self::Reference => "it was counted in the bins of another reference",
            Self::Broken => "it contradicts itself",
        })
    }
}

impl std::error::Error for Unlike {}

/// How a column is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted<'p> {
    /// As numbers, in the cells of a reference where there is one.
    Numbers(Option<&'p Distribution>),
    /// As categories, beside a reference's where there is one.
    Categories(Option<&'p Vocabulary>),
    /// Both: nobody says what the values are.
    Either,
    /// Only whether there is one: texts and vectors are in the rows that are kept.
    Present,
}

impl Plan {
    /// For these columns.
    ///
    /// # Errors
    /// The reference was made for other columns.
    pub fn new(shape: Shape, reference: Option<Arc<Reference>>, keep: Keep) -> Result<Self, Unlike> {
        if reference.as_ref().is_some_and(|reference| !reference.fits(&shape)) {
            return Err(Unlike::Columns);
        }
        let mut plan = Self { shape, reference, keep, kinds: Box::default() };
        let known = |at| plan.shape.kind(at).or_else(|| plan.profile(at).and_then(Profile::kind));
        plan.kinds = (0..plan.shape.len()).map(known).collect();
        Ok(plan)
    }

    /// The columns.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// With what they are compared, in whose bins panes count.
    #[must_use]
    pub const fn reference(&self) -> Option<&Arc<Reference>> {
        self.reference.as_ref()
    }

    /// Which rows are kept.
    #[must_use]
    pub const fn keep(&self) -> Keep {
        self.keep
    }

    /// What a column holds, where that is known: its field says it, else the reference shows it.
    #[must_use]
    pub fn kind(&self, at: usize) -> Option<FieldKind> {
        self.kinds.get(at).copied().flatten()
    }

    pub(crate) fn profile(&self, at: usize) -> Option<&Profile> {
        self.reference.as_ref().and_then(|reference| reference.columns().get(at)).map(|column| &column.profile)
    }

    pub(crate) fn counted(&self, at: usize) -> Counted<'_> {
        match (self.kind(at), self.profile(at)) {
            (Some(FieldKind::Number), Some(Profile::Numbers(distribution))) => Counted::Numbers(Some(distribution)),
            (Some(FieldKind::Number), _) => Counted::Numbers(None),
            (Some(FieldKind::Category), Some(Profile::Categories(vocabulary))) => Counted::Categories(Some(vocabulary)),
            (Some(FieldKind::Category), _) => Counted::Categories(None),
            (Some(FieldKind::Text | FieldKind::Vector), _) => Counted::Present,
            (None, _) => Counted::Either,
        }
    }
}
