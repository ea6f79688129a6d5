//! How many numbers fell into each cell of a reference, and where in it they lie on average. Owns that all of it is whole
//! numbers: so parts add up to the whole bit for bit, in whatever order.
//!
//! Where a number lies between its two knots is rounded down to a 256th of the way; below and above all knots its
//! distance from the outermost one is counted in 65,536ths of the reference's length, and what is farther away than 2⁴⁸
//! lengths counts as that far.

use crate::knots::Knots;
use crate::packed;
use crate::spread::Heap;
use serde::{Deserialize, Serialize};

/// Steps of the way between two knots.
const STEPS: f64 = 256.0;
/// Steps of the reference's length, outside of it.
const OUTER_STEPS: f64 = 65_536.0;

/// Counts by cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// By cell. A window has fewer than 2³² rows; beyond that it stays there.
    #[serde(with = "packed::striped")]
    counts: Box<[u32]>,
    /// The steps of all numbers between the knots `i` and `i + 1`.
    #[serde(with = "packed::wide")]
    steps: Box<[u64]>,
    /// The outer steps of those below and above all knots.
    #[serde(with = "packed::huge", default, skip_serializing_if = "packed::is_zero")]
    below: u128,
    #[serde(with = "packed::huge", default, skip_serializing_if = "packed::is_zero")]
    above: u128,
}

impl Cells {
    /// Empty ones.
    #[must_use]
    pub fn of(knots: &Knots) -> Self {
        let between = knots.all().len().saturating_sub(1);
        Self { counts: vec![0; knots.cells()].into(), steps: vec![0; between].into(), below: 0, above: 0 }
    }

    /// Whether these were made of such knots.
    #[must_use]
    pub fn fit(&self, knots: &Knots) -> bool {
        self.counts.len() == knots.cells() && self.steps.len() + 1 == knots.all().len()
    }

    /// Takes a number. Tells whether it is outside of all knots.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the way is within [0, 1], and distances end where the type does"
    )]
    pub fn take(&mut self, knots: &Knots, x: f64) -> bool {
        let cell = knots.cell(x);
        if let Some(count) = self.counts.get_mut(cell) {
            *count = count.saturating_add(1);
        }
        if cell % 2 == 1 {
            return false;
        }
        let at = cell / 2;
        let all = knots.all();
        match (at.checked_sub(1).and_then(|low| all.get(low)), all.get(at)) {
            (Some(low), Some(high)) => {
                // Narrower ones than a double can divide by have nothing between them.
                let steps = ((x - low) / (high - low) * STEPS) as u64;
                if let Some(sum) = self.steps.get_mut(at - 1) {
                    *sum += steps.min(255);
                }
                false
            }
            (low, _) => {
                let distance = if low.is_none() { knots.first() - x } else { x - knots.last() };
                let steps = u128::from((distance / knots.length() * OUTER_STEPS) as u64);
                if low.is_none() {
                    self.below += steps;
                } else {
                    self.above += steps;
                }
                true
            }
        }
    }

    /// Takes all that others have, of the same knots.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count = count.saturating_add(*more));
        self.steps.iter_mut().zip(&other.steps).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        self.below = self.below.saturating_add(other.below);
        self.above = self.above.saturating_add(other.above);
    }

    /// The counts, by cell.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.counts) + size_of_val(&*self.steps)
    }

    /// Each cell as a heap of so many numbers around their mean, from the lowest to the highest; the outermost reach to
    /// the least and the largest number that was seen.
    pub fn heaps<'c>(&'c self, knots: &'c Knots, least: f64, largest: f64) -> impl Iterator<Item = Heap> + 'c {
        let all = knots.all();
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(cell, count)| {
            let (at, n) = (cell / 2, u64::from(*count));
            let knot = |at: usize| all.get(at).copied().unwrap_or_default();
            if cell % 2 == 1 {
                return Heap::point(n, knot(at));
            }
            let mean = |steps: f64, unit: f64| (steps / f64::from(*count) + 0.5) * unit;
            if at == 0 {
                let first = knots.first();
                let mean = first - mean(float(self.below), knots.length() / OUTER_STEPS);
                return Heap::between(n, least, mean, first);
            }
            if at == all.len() {
                let last = knots.last();
                let mean = last + mean(float(self.above), knots.length() / OUTER_STEPS);
                return Heap::between(n, last, mean, largest);
            }
            let (low, high) = (knot(at - 1), knot(at));
            let steps = self.steps.get(at - 1).copied().unwrap_or_default();
            Heap::between(n, low, low + mean(float(steps.into()), (high - low) / STEPS), high)
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sum that a mean is made of")]
const fn float(x: u128) -> f64 {
    x as f64
}
