//! From what is known of columns to the columns of a table. Owns how counts and kept rows look there, and how wide vectors
//! may make a table.

use crate::categories::OTHER;
use crate::reservoir::Kept;
use crate::shape::Shape;
use crate::spread::{self, Heap, Thinned};
use crate::table::{Column, Data, Table};
use crate::value::{Value, spelled};
use std::collections::BTreeMap;
use tidegate_core::spec::FieldKind;

/// The most values that vectors may make of a table, rows that are missing counted in: 8 MiB.
const MOST_OF_VECTORS: usize = 1 << 20;

/// Numbers of heaps; what is missing stands behind them.
pub(crate) fn numbers(name: &str, heaps: impl Iterator<Item = Heap>, mut thinned: Thinned) -> Column {
    let mut values = spread::numbers(heaps, &mut thinned);
    let missing = rest(&mut values, thinned.rows(), 0.0);
    Column { name: name.to_owned(), data: Data::Numbers(values), missing }
}

/// Categories of counts; what is missing stands behind them.
pub(crate) fn categories<'a>(
    name: &str,
    named: impl Iterator<Item = (&'a str, u64)>,
    other: u64,
    mut thinned: Thinned,
) -> Column {
    let (mut codes, mut levels) = (Vec::new(), Vec::new());
    for (level, count) in named.chain([(OTHER, other)]) {
        let stay = thinned.next(count) as usize;
        if stay > 0 {
            let code = u32::try_from(levels.len()).unwrap_or(u32::MAX);
            levels.push(level.to_owned());
            codes.resize(codes.len() + stay, code);
        }
    }
    let missing = rest(&mut codes, thinned.rows(), 0);
    Column { name: name.to_owned(), data: Data::Categories { codes, levels }, missing }
}

/// Fills up to `rows`, and names the rows that were filled.
fn rest<T: Clone>(values: &mut Vec<T>, rows: u32, gap: T) -> Vec<u32> {
    let begin = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values.resize(rows as usize, gap);
    (begin..rows).collect()
}

/// Kept rows, looked at as columns.
pub(crate) struct Sight<'a> {
    shape: &'a Shape,
    kinds: Vec<FieldKind>,
    /// The length of the vectors of each column; 0 of others.
    lengths: Vec<usize>,
    kept: &'a [&'a Kept],
    rows: u32,
}

impl<'a> Sight<'a> {
    /// Of a table that stands for `n` rows and has `most` at most. What a column holds is what its field says, else what
    /// `known` does, else what is in the rows.
    pub(crate) fn of(
        shape: &'a Shape,
        known: impl Fn(usize) -> Option<FieldKind>,
        kept: &'a [&'a Kept],
        n: u64,
        most: u32,
    ) -> Self {
        let places = 0..shape.len();
        let kinds: Vec<FieldKind> = places
            .clone()
            .map(|at| shape.kind(at).or_else(|| known(at)).unwrap_or_else(|| kind_of(values(kept, at))))
            .collect();
        let lengths: Vec<usize> = places
            .map(|at| if kinds.get(at) == Some(&FieldKind::Vector) { usual_length(values(kept, at)) } else { 0 })
            .collect();
        let width: usize = lengths.iter().sum();
        let widest = MOST_OF_VECTORS.checked_div(width).and_then(|rows| u32::try_from(rows).ok()).unwrap_or(u32::MAX);
        let rows = u32::try_from(n).unwrap_or(u32::MAX).min(most).min(widest);
        Self { shape, kinds, lengths, kept: &kept[..kept.len().min(rows as usize)], rows }
    }

    /// A table of as many rows, without columns.
    pub(crate) const fn table(&self) -> Table {
        Table { rows: self.rows, columns: Vec::new() }
    }

    /// The table of these rows alone.
    pub(crate) fn joint(&self) -> Table {
        let columns = (0..self.shape.len()).flat_map(|at| self.of_kept(at)).collect();
        Table { rows: self.rows, columns }
    }

    /// A column of the rows, one for each component where it holds vectors; rows that were not kept are missing.
    pub(crate) fn of_kept(&self, at: usize) -> Vec<Column> {
        let Some(name) = self.shape.fields().get(at).map(|field| field.name.as_str()) else { return Vec::new() };
        let column = |data, missing| vec![Column { name: name.to_owned(), data, missing }];
        match self.kinds.get(at) {
            Some(FieldKind::Number) => {
                let (numbers, missing) = self.each(at, 0.0, |value| match value {
                    Value::Number(x) => Some(*x),
                    _ => None,
                });
                column(Data::Numbers(numbers), missing)
            }
            Some(FieldKind::Category) => {
                let (names, missing) = self.each(at, String::new(), text);
                let gap = |row: usize| u32::try_from(row).is_ok_and(|row| missing.binary_search(&row).is_ok());
                let present = names.iter().enumerate().filter(|(row, _)| !gap(*row));
                let mut places: BTreeMap<&str, u32> = present.map(|(_, name)| (name.as_str(), 0)).collect();
                (0u32..).zip(places.values_mut()).for_each(|(place, code)| *code = place);
                let codes = names.iter().map(|name| places.get(name.as_str()).copied().unwrap_or_default()).collect();
                let levels = places.into_keys().map(str::to_owned).collect();
                column(Data::Categories { codes, levels }, missing)
            }
            Some(FieldKind::Vector) => self.components(name, at),
            _ => {
                let (texts, missing) = self.each(at, String::new(), text);
                column(Data::Texts(texts), missing)
            }
        }
    }

    fn components(&self, name: &str, at: usize) -> Vec<Column> {
        let length = self.lengths.get(at).copied().unwrap_or_default();
        let component = |place: usize| {
            let (numbers, missing) = self.each(at, 0.0, |value| match value {
                Value::Vector(all) if all.len() == length => all.get(place).map(|x| f64::from(*x)),
                _ => None,
            });
            Column { name: format!("{name}[{place}]"), data: Data::Numbers(numbers), missing }
        };
        (0..length).map(component).collect()
    }

    fn each<T: Clone>(&self, at: usize, gap: T, read: impl Fn(&Value<'static>) -> Option<T>) -> (Vec<T>, Vec<u32>) {
        let mut missing = Vec::new();
        let mut all: Vec<T> = (0u32..)
            .zip(values(self.kept, at))
            .map(|(row, value)| {
                read(value).unwrap_or_else(|| {
                    missing.push(row);
                    gap.clone()
                })
            })
            .collect();
        missing.extend(rest(&mut all, self.rows, gap));
        (all, missing)
    }
}

const NOTHING: &Value<'static> = &Value::Missing;

fn values<'a>(kept: &'a [&'a Kept], at: usize) -> impl Iterator<Item = &'a Value<'static>> + 'a {
    kept.iter().map(move |kept| kept.row.get(at).unwrap_or(NOTHING))
}

fn text(value: &Value<'static>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Number(x) => Some(spelled(*x)),
        Value::Missing | Value::Vector(_) => None,
    }
}

/// What values are, where nobody says it: vectors where there is one, else categories where there is a text.
pub(crate) fn kind_of<'a>(values: impl Iterator<Item = &'a Value<'static>>) -> FieldKind {
    let mut kind = FieldKind::Number;
    for value in values {
        match value {
            Value::Vector(_) => return FieldKind::Vector,
            Value::Text(_) => kind = FieldKind::Category,
            Value::Missing | Value::Number(_) => {}
        }
    }
    kind
}

/// The most frequent length, of several the least.
fn usual_length<'a>(values: impl Iterator<Item = &'a Value<'static>>) -> usize {
    let mut lengths = BTreeMap::<usize, usize>::new();
    for value in values {
        if let Value::Vector(all) = value {
            *lengths.entry(all.len()).or_default() += 1;
        }
    }
    // Of the largest ones the last is taken, so from behind the least.
    lengths.into_iter().rev().max_by_key(|(_, times)| *times).map_or(0, |(length, _)| length)
}
