//! What was seen in one window: counts by column, and a sample of whole rows. Owns that panes of the same plan add up: those
//! of parts of the traffic, in whatever order, make exactly that of the whole.

mod seen;

pub use seen::Seen;

use crate::categories::Categories;
use crate::columns::{self, Sight};
use crate::distribution::Distribution;
use crate::numbers::Numbers;
use crate::plan::{Counted, Plan, Unlike};
use crate::reservoir::{Kept, Reservoir};
use crate::spread::Thinned;
use crate::table::{Column, Table};
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidegate_core::InferenceId;
use tidegate_core::digest::Digest;

/// The version of the form.
const FORM: u32 = 1;

/// What was seen in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane {
    plan: Arc<Plan>,
    rows: u64,
    span_ms: Option<(u64, u64)>,
    columns: Box<[Seen]>,
    reservoir: Reservoir,
}

/// A pane as it is written down, for a restart or for other replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    pane: u32,
    /// In whose bins it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Digest>,
    rows: u64,
    span_ms: Option<(u64, u64)>,
    columns: Vec<Seen>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<u64>,
}

impl Pane {
    /// An empty one.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        let columns = (0..plan.shape().len()).map(|at| Seen::of(plan.counted(at))).collect();
        Self { rows: 0, span_ms: None, columns, reservoir: Reservoir::new(plan.keep()), plan: Arc::clone(plan) }
    }

    /// Takes a call: a value for each column, in order; those that are not given are missing.
    pub fn take(&mut self, call: InferenceId, unix_ms: u64, row: &[Value<'_>]) {
        self.rows += 1;
        self.span_ms =
            Some(self.span_ms.map_or((unix_ms, unix_ms), |(first, last)| (first.min(unix_ms), last.max(unix_ms))));
        let plan = &*self.plan;
        for (at, seen) in self.columns.iter_mut().enumerate() {
            seen.take(plan.counted(at), row.get(at).unwrap_or(&Value::Missing));
        }
        let columns = self.columns.len();
        self.reservoir.offer(call, unix_ms, || {
            (0..columns).map(|at| row.get(at).unwrap_or(&Value::Missing).to_kept(plan.kind(at))).collect()
        });
    }

    /// Takes all that another pane has.
    ///
    /// # Errors
    /// It was made for something else; then nothing is taken.
    pub fn merge(&mut self, other: &Self) -> Result<(), Unlike> {
        let id = |plan: &Plan| plan.reference().map(|reference| reference.id());
        if !Arc::ptr_eq(&self.plan, &other.plan) {
            if self.plan.shape() != other.plan.shape() || self.plan.keep() != other.plan.keep() {
                return Err(Unlike::Columns);
            }
            if id(&self.plan) != id(&other.plan) {
                return Err(Unlike::Reference);
            }
        }
        self.rows += other.rows;
        self.span_ms = match (self.span_ms, other.span_ms) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, two) => one.or(two),
        };
        self.columns.iter_mut().zip(&other.columns).for_each(|(seen, more)| seen.merge(more));
        self.reservoir.merge(&other.reservoir);
        Ok(())
    }

    /// Keeps whole rows of so many bytes at most; what is counted stays. So a pane that is handed over is bounded, and what
    /// it makes with others is a smaller sample of the same.
    pub fn fit(&mut self, bytes: usize) {
        self.reservoir.fit(bytes);
    }

    /// For what it was made.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How many calls were taken.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// When the first and the last of them were accepted, in milliseconds since 1970.
    #[must_use]
    pub const fn span_ms(&self) -> Option<(u64, u64)> {
        self.span_ms
    }

    /// The rows that were kept, in the order of their hashes.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = &Kept> {
        self.reservoir.rows()
    }

    /// What was counted of a column.
    #[must_use]
    pub fn seen(&self, at: usize) -> Option<&Seen> {
        self.columns.get(at)
    }

    /// The numbers of a column, where it has them.
    #[must_use]
    pub fn numbers(&self, at: usize) -> Option<&Numbers> {
        self.seen(at).and_then(Seen::numbers)
    }

    /// The categories of a column, where it has them.
    #[must_use]
    pub fn categories(&self, at: usize) -> Option<&Categories> {
        self.seen(at).and_then(Seen::categories)
    }

    /// The number of a column below or at which `q` of all lie; see [`Numbers::quantile`].
    #[must_use]
    pub fn quantile(&self, at: usize, q: f64) -> Option<f64> {
        let knots = match self.plan.counted(at) {
            Counted::Numbers(distribution) => distribution.map(Distribution::knots),
            _ => None,
        };
        self.numbers(at)?.quantile(knots, q)
    }

    /// Its bytes: the plan, which many share, is not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.reservoir.bytes() + self.columns.iter().map(Seen::bytes).sum::<usize>()
    }

    /// As a table of so many rows at most: numbers and categories by the counts of all rows, each column by itself (values in
    /// one row are of no one call); texts and vectors of the rows that were kept. What is missing stands at the end.
    ///
    /// Numbers lie where the reference's cells have them: the two-sample Kolmogorov-Smirnov statistic against the
    /// reference's table is within 1/256 of that of the real values, and half a row more where rows are thinned.
    #[must_use]
    pub fn table(&self, most_rows: u32) -> Table {
        let kept: Vec<&Kept> = self.kept().collect();
        let sight = Sight::of(self.plan.shape(), |at| self.plan.kind(at), &kept, self.rows, most_rows);
        let mut table = sight.table();
        for (at, (seen, field)) in self.columns.iter().zip(self.plan.shape().fields()).enumerate() {
            let thinned = Thinned::of(self.rows, table.rows);
            match self.column(&field.name, seen, at, thinned) {
                Some(column) => table.columns.push(column),
                None => table.columns.extend(sight.of_kept(at)),
            }
        }
        table
    }

    /// A column that is known by its counts.
    fn column(&self, name: &str, seen: &Seen, at: usize, thinned: Thinned) -> Option<Column> {
        match (self.plan.counted(at), seen) {
            (Counted::Numbers(distribution), Seen::Numbers(numbers)) => {
                let knots = distribution.map(Distribution::knots);
                Some(columns::numbers(name, numbers.heaps(knots), thinned))
            }
            (Counted::Categories(vocabulary), Seen::Categories(categories)) => {
                let names = vocabulary.map_or(&[][..], Vocabulary::names);
                let known = categories.of_known().iter().map(|count| u64::from(*count));
                let named = names.iter().map(|name| &**name).zip(known);
                let unseen = categories.unseen();
                // Where the reference has others, nobody knows whether a new one is among them.
                if vocabulary.is_some_and(|vocabulary| vocabulary.other() > 0) {
                    let new: u64 = unseen.iter().map(|(_, count)| count).sum();
                    return Some(columns::categories(name, named, categories.other() + new, thinned));
                }
                Some(columns::categories(name, named.chain(unseen), categories.other(), thinned))
            }
            (Counted::Either, Seen::Either { numbers, categories }) if numbers.n() + categories.n() > 0 => {
                if categories.n() >= numbers.n() {
                    let named = categories.unseen().into_iter();
                    return Some(columns::categories(name, named, categories.other(), thinned));
                }
                Some(columns::numbers(name, numbers.heaps(None), thinned))
            }
            _ => None,
        }
    }

    /// The rows that were kept as a table: values in one row are of one call, in the order of [`Self::kept`].
    #[must_use]
    pub fn joint(&self) -> Table {
        let kept: Vec<&Kept> = self.kept().collect();
        Sight::of(self.plan.shape(), |at| self.plan.kind(at), &kept, kept.len() as u64, u32::MAX).joint()
    }

    /// As it is written down.
    #[must_use]
    pub fn packed(&self) -> Packed {
        Packed {
            pane: FORM,
            reference: self.plan.reference().map(|reference| reference.id()),
            rows: self.rows,
            span_ms: self.span_ms,
            columns: self.columns.to_vec(),
            kept: self.kept().cloned().collect(),
            cut: self.reservoir.cut(),
        }
    }
}

impl Packed {
    /// How many calls it has.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The pane.
    ///
    /// # Errors
    /// It was made for something else, or is damaged.
    pub fn open(self, plan: &Arc<Plan>) -> Result<Pane, Unlike> {
        if self.pane != FORM {
            return Err(Unlike::Form);
        }
        if self.reference != plan.reference().map(|reference| reference.id()) {
            return Err(Unlike::Reference);
        }
        let columns = plan.shape().len();
        if self.columns.len() != columns || self.kept.iter().any(|kept| kept.row.len() != columns) {
            return Err(Unlike::Columns);
        }
        if !self.columns.iter().enumerate().all(|(at, seen)| seen.fits(plan.counted(at))) {
            return Err(Unlike::Broken);
        }
        Ok(Pane {
            plan: Arc::clone(plan),
            rows: self.rows,
            span_ms: self.span_ms,
            columns: self.columns.into(),
            reservoir: Reservoir::of(plan.keep(), self.kept, self.cut),
        })
    }
}
