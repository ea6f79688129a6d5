//! With what windows are compared: for each column how its numbers lie or which categories it has, and a sample of whole
//! rows. Owns its form, which is checked when it is read, and its name: the digest of what it holds.

mod baseline;

pub use baseline::Unread;

use crate::columns::{self, Sight};
use crate::distribution::Distribution;
use crate::reservoir::Kept;
use crate::shape::Shape;
use crate::spread::Thinned;
use crate::table::Table;
use crate::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};
use tidegate_core::digest::Digest;

/// The version of the form.
const FORM: u32 = 1;

/// With what windows are compared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Reference {
    raw: Raw,
    id: Digest,
}

/// What is written down of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    reference: u32,
    rows: u64,
    columns: Vec<Profiled>,
    kept: Vec<Kept>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiled {
    /// Its name.
    pub name: String,
    /// How many rows have nothing there.
    pub missing: u64,
    /// What is known of the others.
    pub profile: Profile,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Profile {
    /// How its numbers lie.
    Numbers(Distribution),
    /// Which categories it has.
    Categories(Vocabulary),
    /// Only what the sample of rows shows: texts and vectors, or nothing.
    Rows,
}

/// A reference that does not hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotWhole(String);

impl std::fmt::Display for NotWhole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: gather it anew", self.0)
    }
}

impl std::error::Error for NotWhole {}

impl TryFrom<Raw> for Reference {
    type Error = NotWhole;

    fn try_from(raw: Raw) -> Result<Self, NotWhole> {
        if raw.reference != FORM {
            return Err(NotWhole(format!("the reference's form is {}, and this program knows {FORM}", raw.reference)));
        }
        for column in &raw.columns {
            let is_whole = match &column.profile {
                Profile::Numbers(distribution) => distribution.is_whole(),
                Profile::Categories(vocabulary) => vocabulary.is_whole(),
                Profile::Rows => true,
            };
            if !is_whole {
                return Err(NotWhole(format!("the reference's column `{}` contradicts itself", column.name)));
            }
        }
        if raw.kept.iter().any(|kept| kept.row.len() != raw.columns.len()) {
            return Err(NotWhole("a row of the reference has more or fewer values than there are columns".to_owned()));
        }
        Ok(Self::of(raw))
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

impl Reference {
    fn of(raw: Raw) -> Self {
        // Numbers, texts and lists can always be written.
        let bytes = serde_json::to_vec(&raw).unwrap_or_default();
        Self { id: Digest::of(&bytes), raw }
    }

    pub(crate) fn new(rows: u64, columns: Vec<Profiled>, kept: Vec<Kept>) -> Self {
        Self::of(Raw { reference: FORM, rows, columns, kept })
    }

    /// How many rows it was made of.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.raw.rows
    }

    /// Names what it holds: panes add up only where they were counted in the bins of the same one.
    #[must_use]
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// Its columns, in the order of the shape that it was made for.
    #[must_use]
    pub fn columns(&self) -> &[Profiled] {
        &self.raw.columns
    }

    /// Its sample of rows.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.raw.kept
    }

    /// Whether it was made for these columns.
    #[must_use]
    pub fn fits(&self, shape: &Shape) -> bool {
        let names = shape.fields().iter().map(|field| field.name.as_str());
        names.eq(self.raw.columns.iter().map(|column| column.name.as_str()))
    }

    /// The columns of which it knows nothing.
    pub fn lacks(&self) -> impl Iterator<Item = &str> {
        let rows = self.raw.rows;
        self.raw.columns.iter().filter(move |column| column.missing >= rows).map(|column| column.name.as_str())
    }

    /// As a table of so many rows at most: numbers and categories by what is known of all rows, each column by itself;
    /// texts and vectors of the sample. Rows beyond what a column has are missing there.
    #[must_use]
    pub fn table(&self, shape: &Shape, most_rows: u32) -> Table {
        let kept: Vec<&Kept> = self.raw.kept.iter().collect();
        let sight = Sight::of(shape, self.kinds(), &kept, self.raw.rows, most_rows);
        let mut table = sight.table();
        for (at, column) in self.raw.columns.iter().enumerate() {
            let thinned = Thinned::of(self.raw.rows, table.rows);
            match &column.profile {
                Profile::Numbers(numbers) => {
                    table.columns.push(columns::numbers(&column.name, numbers.heaps(), thinned));
                }
                Profile::Categories(vocabulary) => {
                    let named = vocabulary.names().iter().map(|name| &**name).zip(vocabulary.counts().iter().copied());
                    table.columns.push(columns::categories(&column.name, named, vocabulary.other(), thinned));
                }
                Profile::Rows => table.columns.extend(sight.of_kept(at)),
            }
        }
        table
    }

    /// The sample as a table: values in one row are of one call.
    #[must_use]
    pub fn joint(&self, shape: &Shape) -> Table {
        let kept: Vec<&Kept> = self.raw.kept.iter().collect();
        Sight::of(shape, self.kinds(), &kept, kept.len() as u64, u32::MAX).joint()
    }

    /// What its columns hold, where that is known.
    pub(crate) fn kinds(&self) -> impl Fn(usize) -> Option<tidegate_core::spec::FieldKind> + '_ {
        |at| self.raw.columns.get(at).and_then(|column| column.profile.kind())
    }
}

impl Profile {
    /// What the column holds, where that is known.
    #[must_use]
    pub const fn kind(&self) -> Option<tidegate_core::spec::FieldKind> {
        match self {
            Self::Numbers(_) => Some(tidegate_core::spec::FieldKind::Number),
            Self::Categories(_) => Some(tidegate_core::spec::FieldKind::Category),
            Self::Rows => None,
        }
    }
}
