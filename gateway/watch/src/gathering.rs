//! The calls that come first, until they make a reference. Owns what a column of theirs holds, where no field says it:
//! numbers, unless there are texts, or only whole numbers and 20 different ones at most (as the registry's baselines
//! have it).

use crate::distribution::Distribution;
use crate::plan::Keep;
use crate::reference::{Profile, Profiled, Reference};
use crate::reservoir::Reservoir;
use crate::shape::Shape;
use crate::value::{LONGEST_CATEGORY, Value, spelled};
use crate::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::InferenceId;
use tidegate_core::spec::FieldKind;

/// The most values that are gathered: 64 MiB of numbers. With more columns fewer calls make a reference.
const MOST_VALUES: u64 = 8 << 20;
/// Different categories of a column that are gathered; those that turn up later count as others.
const MOST_CATEGORIES: usize = 20_000;
/// A column of whole numbers with more different ones than this has numbers.
const FEW: usize = 20;

/// The calls that come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gathering {
    calls: u64,
    rows: u64,
    columns: Vec<Gathered>,
    reservoir: Reservoir,
}

/// What was gathered of a column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gathered {
    numbers: Vec<f64>,
    texts: BTreeMap<String, u64>,
    other: u64,
    vectors: u64,
}

impl Gathering {
    /// Of so many calls (at least one), for these columns.
    #[must_use]
    pub fn new(shape: &Shape, calls: u64, keep: Keep) -> Self {
        let columns = vec![Gathered::default(); shape.len()];
        let most = MOST_VALUES / (columns.len().max(1) as u64);
        Self { calls: calls.clamp(1, most), rows: 0, columns, reservoir: Reservoir::new(keep) }
    }

    /// Whether it was begun for so many columns.
    #[must_use]
    pub fn fits(&self, shape: &Shape) -> bool {
        self.columns.len() == shape.len() && self.reservoir.rows().all(|kept| kept.row.len() == shape.len())
    }

    /// Takes a call, where more are wanted.
    pub fn take(&mut self, shape: &Shape, call: InferenceId, unix_ms: u64, row: &[Value<'_>]) {
        if self.is_full() {
            return;
        }
        self.rows += 1;
        let value = |at: usize| row.get(at).unwrap_or(&Value::Missing);
        for (at, gathered) in self.columns.iter_mut().enumerate() {
            gathered.take(shape.kind(at), value(at));
        }
        let columns = self.columns.len();
        self.reservoir.offer(call, unix_ms, || (0..columns).map(|at| value(at).to_kept(shape.kind(at))).collect());
    }

    /// How many calls were taken.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// How many make a reference.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether there are enough.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.rows >= self.calls
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.reservoir.bytes() + self.columns.iter().map(Gathered::bytes).sum::<usize>()
    }

    /// The reference that they make.
    #[must_use]
    pub fn finish(self, shape: &Shape) -> Reference {
        let rows = self.rows;
        let profiled = self.columns.into_iter().zip(shape.fields()).map(|(gathered, field)| {
            let (n, profile) = gathered.profile(field.kind);
            Profiled { name: field.name.clone(), missing: rows.saturating_sub(n), profile }
        });
        let columns: Vec<Profiled> = profiled.collect();
        let mut kept = self.reservoir.into_rows();
        // What was kept before anybody knew what the columns hold.
        for (at, column) in columns.iter().enumerate() {
            let kind = shape.kind(at).or_else(|| column.profile.kind());
            for value in kept.iter_mut().filter_map(|kept| kept.row.get_mut(at)) {
                *value = value.to_kept(kind);
            }
        }
        Reference::new(rows, columns, kept)
    }
}

impl Gathered {
    fn take(&mut self, kind: Option<FieldKind>, value: &Value<'_>) {
        match (kind, value) {
            (Some(FieldKind::Text), Value::Text(text)) if text.is_empty() => {}
            (Some(FieldKind::Text), Value::Text(_) | Value::Number(_)) | (_, Value::Vector(_)) => self.vectors += 1,
            (Some(FieldKind::Number), value) => self.numbers.extend(value.as_number()),
            (_, Value::Number(_)) => self.numbers.extend(value.as_number()),
            (Some(FieldKind::Vector), _) | (_, Value::Missing) => {}
            (_, Value::Text(text)) if text.trim().is_empty() => {}
            (_, Value::Text(text)) => self.text(text),
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(count) = self.texts.get_mut(text) {
            *count += 1;
        } else if text.len() <= LONGEST_CATEGORY && self.texts.len() < MOST_CATEGORIES {
            self.texts.insert(text.to_owned(), 1);
        } else {
            self.other += 1;
        }
    }

    /// How many values there are, and what is known of them.
    fn profile(mut self, kind: Option<FieldKind>) -> (u64, Profile) {
        match kind.unwrap_or_else(|| self.kind()) {
            FieldKind::Number => {
                self.numbers.sort_unstable_by(f64::total_cmp);
                let profile = Distribution::of(&self.numbers).map_or(Profile::Rows, Profile::Numbers);
                (self.numbers.len() as u64, profile)
            }
            FieldKind::Category => {
                let mut counts = self.texts;
                for x in self.numbers {
                    *counts.entry(spelled(x)).or_default() += 1;
                }
                let vocabulary = Vocabulary::of(counts, self.other);
                (vocabulary.n(), if vocabulary.n() > 0 { Profile::Categories(vocabulary) } else { Profile::Rows })
            }
            FieldKind::Text | FieldKind::Vector => (self.vectors, Profile::Rows),
        }
    }

    fn kind(&self) -> FieldKind {
        if self.vectors > 0 {
            return FieldKind::Vector;
        }
        let different = || self.numbers.iter().map(|x| x.to_bits()).collect::<BTreeSet<_>>().len();
        let has_fractions = self.numbers.iter().any(|x| x.fract() != 0.0);
        if self.texts.is_empty() && self.other == 0 && (has_fractions || different() > FEW) {
            FieldKind::Number
        } else {
            FieldKind::Category
        }
    }

    fn bytes(&self) -> usize {
        self.numbers.len() * size_of::<f64>() + self.texts.keys().map(|text| text.len() + 64).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use tidegate_core::spec::{FieldFrom, FieldSpec};

    /// What a column of these values holds, where nobody says it.
    fn kind(values: &[Value<'static>]) -> Option<FieldKind> {
        let field = FieldSpec { name: "x".to_owned(), from: FieldFrom::Said, kind: None };
        let shape = Shape::of(&[field]);
        let mut gathering = Gathering::new(&shape, values.len() as u64, Keep::USUAL);
        for (number, value) in (0..).zip(values) {
            gathering.take(&shape, InferenceId::from_u128(number), 0, std::slice::from_ref(value));
        }
        assert!(gathering.is_full());
        gathering.finish(&shape).columns()[0].profile.kind()
    }

    #[test]
    fn columns_hold_what_the_first_calls_show() {
        let numbers = |n: u32| (0..n).map(|x| Value::Number(x.into())).collect::<Vec<_>>();
        let text = Value::Text(Cow::Borrowed("a"));
        assert_eq!(kind(&numbers(20)), Some(FieldKind::Category));
        assert_eq!(kind(&numbers(21)), Some(FieldKind::Number));
        assert_eq!(kind(&[Value::Number(0.5)]), Some(FieldKind::Number));
        assert_eq!(kind(&[Value::Number(0.5), text]), Some(FieldKind::Category));
        assert_eq!(kind(&[Value::Missing, Value::Number(f64::NAN)]), None);
        assert_eq!(kind(&[Value::Vector(Cow::Owned(vec![1.0]))]), None);
    }

    #[test]
    fn few_different_numbers_are_exact_and_many_are_in_bins_of_equal_mass() {
        let of = |numbers: &[f64]| Distribution::of(numbers).unwrap();
        let few = of(&[1.0, 1.0, 2.0, 5.0]);
        assert_eq!((few.knots().all(), few.counts()), (&[1.0, 2.0, 5.0][..], &[0, 2, 0, 1, 0, 1, 0][..]));
        let many: Vec<f64> = (0..10_000).map(|x| f64::from(x * x)).collect();
        let many = of(&many);
        assert_eq!((many.n(), many.is_whole()), (10_000, true));
        let most = many.counts().iter().step_by(2).max().unwrap();
        assert!(*most < 10_000u64.div_ceil(256), "{most}");
        assert!(many.knots().all().len() <= 257 + 2 * 6, "{}", many.knots().all().len());
        assert!(Distribution::of(&[]).is_none());
    }
}
