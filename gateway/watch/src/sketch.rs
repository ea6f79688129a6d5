//! Quantiles of numbers in little room: bins whose width grows with the number, so that a quantile is known to 1 %.
//! Sketches of parts add up to the sketch of the whole, in any order (Masson, Rim, Lee: `DDSketch`, 2019).
//!
//! A sketch has at most [`MOST_BINS`] bins a side: those nearest to zero are then one, which is the one that the farther
//! ones leave room for, whatever came first.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The error of a quantile, relative to it.
pub const ERROR: f64 = 0.01;
/// Numbers nearer to 0 count as 0.
const LEAST: f64 = 1e-12;
/// The most bins of a sign: they span 17 decimal orders of magnitude.
pub const MOST_BINS: usize = 2048;

/// Counts of numbers by bins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sketch {
    /// Of positive numbers `x`, by `⌈ln x / ln γ⌉`.
    above: BTreeMap<i32, u64>,
    /// Of negative ones, by the same of `−x`.
    below: BTreeMap<i32, u64>,
    zeros: u64,
    n: u64,
}

impl Sketch {
    /// Takes a number that is finite.
    pub fn add(&mut self, x: f64) {
        self.n += 1;
        if x.abs() <= LEAST {
            self.zeros += 1;
            return;
        }
        let (side, bin) = if x > 0.0 { (&mut self.above, bin(x)) } else { (&mut self.below, bin(-x)) };
        *side.entry(bin).or_default() += 1;
        fold(side);
    }

    /// Takes those of another.
    pub fn merge(&mut self, other: &Self) {
        for (side, more) in [(&mut self.above, &other.above), (&mut self.below, &other.below)] {
            more.iter().for_each(|(at, count)| *side.entry(*at).or_default() += count);
            fold(side);
        }
        self.zeros += other.zeros;
        self.n += other.n;
    }

    /// How many numbers.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// The number at a place in their order, counted from 0, within [`ERROR`] of it; `None` behind the last.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<f64> {
        let mut passed = 0;
        self.ascending().find_map(|(x, count)| {
            passed += count;
            (passed > place).then_some(x)
        })
    }

    /// Each bin's middle and count, ascending.
    pub fn ascending(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let negative = self.below.iter().rev().map(|(at, count)| (-middle(*at), *count));
        let zero = (self.zeros > 0).then_some((0.0, self.zeros));
        negative.chain(zero).chain(self.above.iter().map(|(at, count)| (middle(*at), *count)))
    }

    /// About its bytes: a tree's nodes are at least half full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.above.len() + self.below.len()) * 32
    }
}

/// One bin of those that are too many, from zero on.
fn fold(side: &mut BTreeMap<i32, u64>) {
    while side.len() > MOST_BINS {
        let (Some((_, folded)), Some(mut next)) = (side.pop_first(), side.first_entry()) else { return };
        *next.get_mut() += folded;
    }
}

fn base() -> f64 {
    ((1.0 + ERROR) / (1.0 - ERROR)).ln()
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number has few digits")]
fn bin(x: f64) -> i32 {
    (x.ln() / base()).ceil() as i32
}

/// The point of a bin that no number of it is farther from than the error.
fn middle(bin: i32) -> f64 {
    (f64::from(bin) * base() + (-ERROR).ln_1p()).exp().min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent_and_parts_add_up(
            values in prop::collection::vec(prop_oneof![-1e6..1e6f64, 0.0..0.01f64, Just(0.0)], 1..80),
            place in 0usize..80, cut in 0usize..80,
        ) {
            let whole = of(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined = of(right);
            joined.merge(&of(left));
            prop_assert_eq!(&whole, &joined);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let place = place.min(values.len() - 1);
            let exact = sorted[place];
            let got = whole.at(place as u64).unwrap();
            prop_assert!((got - exact).abs() <= ERROR * exact.abs() * (1.0 + 1e-9) + LEAST, "{got} {exact}");
        }
    }

    #[test]
    fn too_many_bins_are_folded_in_one_way() {
        // Five magnitudes more than there is room for, from either end and from both at once.
        let values: Vec<f64> = (0..3000).map(|i| 1e-11 * (f64::from(i) * 0.0201).exp()).collect();
        let up = of(&values);
        let down = of(&values.iter().rev().copied().collect::<Vec<_>>());
        let (mut even, odd): (Vec<f64>, Vec<f64>) = values.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
        even.reverse();
        let mut joined = of(&even);
        joined.merge(&of(&odd));
        assert_eq!(up.above.len(), MOST_BINS);
        assert!(up == down && up == joined);
        assert_eq!((up.n(), up.ascending().map(|(_, count)| count).sum::<u64>()), (3000, 3000));
        assert_eq!(up.at(3000), None);
        assert_eq!(Sketch::default().at(0), None);
    }
}
