//! A column of numbers in a window. Owns what is known of it: counts by the cells of its reference, a sketch of what lies
//! outside of them (of all, where there is no reference), the least and the largest.

use crate::cells::Cells;
use crate::knots::Knots;
use crate::packed::is_zero;
use crate::sketch::Sketch;
use crate::spread::Heap;
use crate::value::{Value, number};
use serde::{Deserialize, Serialize};

/// What was seen of a column of numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    n: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    missing: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    odd: u64,
    /// Of all that were seen; `None` before.
    range: Option<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cells: Option<Cells>,
    #[serde(default, skip_serializing_if = "is_zero")]
    sketch: Sketch,
}

impl Numbers {
    /// Counted in these cells, where there are any.
    #[must_use]
    pub fn new(knots: Option<&Knots>) -> Self {
        Self { cells: knots.map(Cells::of), ..Self::default() }
    }

    /// Whether they were counted in cells of these knots.
    #[must_use]
    pub fn fit(&self, knots: Option<&Knots>) -> bool {
        match (&self.cells, knots) {
            (None, None) => true,
            (Some(cells), Some(knots)) => cells.fit(knots),
            _ => false,
        }
    }

    /// Takes a value. A text that spells a number is one.
    #[inline]
    pub fn take(&mut self, knots: Option<&Knots>, value: &Value<'_>) {
        match value {
            Value::Number(x) => self.number(knots, *x),
            Value::Missing => self.missing += 1,
            Value::Text(text) => match text.trim() {
                "" => self.missing += 1,
                text => match text.parse() {
                    Ok(x) => self.number(knots, x),
                    Err(_) => self.odd(),
                },
            },
            Value::Vector(_) => self.odd(),
        }
    }

    fn odd(&mut self) {
        self.missing += 1;
        self.odd += 1;
    }

    #[inline]
    fn number(&mut self, knots: Option<&Knots>, x: f64) {
        let Some(x) = number(x) else { return self.odd() };
        self.n += 1;
        self.range = Some(self.range.map_or((x, x), |(least, largest)| (least.min(x), largest.max(x))));
        let is_outside = match (&mut self.cells, knots) {
            (Some(cells), Some(knots)) => cells.take(knots, x),
            _ => true,
        };
        if is_outside {
            self.sketch.add(x);
        }
    }

    /// Takes all that another column has, of the same knots.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.missing += other.missing;
        self.odd += other.odd;
        self.range = match (self.range, other.range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, two) => one.or(two),
        };
        if let (Some(cells), Some(more)) = (&mut self.cells, &other.cells) {
            cells.merge(more);
        }
        self.sketch.merge(&other.sketch);
    }

    /// How many numbers.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// How many rows have none; with those that have something else.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// How many rows have something that is no number, or none that may be seen.
    #[must_use]
    pub const fn odd_ones(&self) -> u64 {
        self.odd
    }

    /// The least and the largest.
    #[must_use]
    pub const fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// How many fell into each cell of the reference.
    #[must_use]
    pub const fn cells(&self) -> Option<&Cells> {
        self.cells.as_ref()
    }

    /// The numbers as heaps, ascending.
    #[must_use]
    pub fn heaps<'c>(&'c self, knots: Option<&'c Knots>) -> Box<dyn Iterator<Item = Heap> + 'c> {
        let (least, largest) = self.range.unwrap_or_default();
        match (&self.cells, knots) {
            (Some(cells), Some(knots)) => Box::new(cells.heaps(knots, least, largest)),
            _ => Box::new(self.sketch.ascending().map(|(x, n)| Heap::point(n, x))),
        }
    }

    /// The number below or at which `q` of all lie: within a 256th of them where the reference's cells have it, else
    /// within 1 % of itself.
    #[must_use]
    pub fn quantile(&self, knots: Option<&Knots>, q: f64) -> Option<f64> {
        let (least, largest) = self.range?;
        let place = place(q, self.n);
        let mut passed = 0;
        let heap = self.heaps(knots).find(|heap| {
            passed += heap.n();
            passed > place
        });
        let inside = heap.map(|heap| heap.at(heap.n().saturating_sub(passed - place), heap.n()));
        let x = match knots {
            Some(knots) if self.cells.is_some() => {
                let is_inside = |x: &f64| (knots.first()..=knots.last()).contains(x);
                // Outside of the reference the sketch knows better: it has all those below, then all those above.
                inside.filter(is_inside).or_else(|| self.outside(knots, place)).or(inside)
            }
            _ => inside,
        };
        x.map(|x| x.clamp(least, largest))
    }

    fn outside(&self, knots: &Knots, place: u64) -> Option<f64> {
        let counts = self.cells.as_ref()?.counts();
        let within: u64 = counts.get(1..counts.len() - 1)?.iter().map(|count| u64::from(*count)).sum();
        let below = u64::from(*counts.first()?);
        debug_assert_eq!(knots.cells(), counts.len(), "of the same knots");
        self.sketch.at(if place < below { place } else { place.saturating_sub(within) })
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.cells.as_ref().map_or(0, Cells::bytes) + self.sketch.bytes()
    }
}

/// The place `q (n − 1)`, counted from 0.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place is within the count, which is below 2^53"
)]
fn place(q: f64, n: u64) -> u64 {
    (q.clamp(0.0, 1.0) * n.saturating_sub(1) as f64).floor() as u64
}
