//! Quantiles of a stream of numbers in little room: bins whose width grows with the number, so that a quantile is known to
//! 1 %. Sketches of parts add up to the sketch of the whole, in any order (Masson, Rim, Lee: `DDSketch`, 2019).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The error of a quantile, relative to it.
pub const ERROR: f64 = 0.01;
/// Numbers nearer to 0 count as 0.
const LEAST: f64 = 1e-12;

/// Counts of numbers by bins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sketch {
    /// Of positive numbers `x`, by `⌈ln x / ln γ⌉`.
    above: BTreeMap<i32, u64>,
    /// Of negative ones, by the same of `−x`.
    below: BTreeMap<i32, u64>,
    zeros: u64,
    n: u64,
}

impl Sketch {
    /// Takes a number; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n += 1;
        if value > LEAST {
            *self.above.entry(bin(value)).or_default() += 1;
        } else if value < -LEAST {
            *self.below.entry(bin(-value)).or_default() += 1;
        } else {
            self.zeros += 1;
        }
    }

    /// Takes those of another.
    pub fn merge(&mut self, other: &Self) {
        other.above.iter().for_each(|(at, count)| *self.above.entry(*at).or_default() += count);
        other.below.iter().for_each(|(at, count)| *self.below.entry(*at).or_default() += count);
        self.zeros += other.zeros;
        self.n += other.n;
    }

    /// How many numbers.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// The number below or at which `q` of all lie, within [`ERROR`] of it; `None` where there is none. The one at the
    /// place `q (n − 1)`, counted from 0.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
        let place = q.clamp(0.0, 1.0) * (self.n.max(1) - 1) as f64;
        self.at(place)
    }

    /// The number at a place in their order, counted from 0; `None` behind the last.
    #[must_use]
    pub fn at(&self, place: f64) -> Option<f64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place is within the count")]
        let place = place.max(0.0).floor() as u64;
        let mut passed = 0;
        let negative = self.below.iter().rev().map(|(at, count)| (-middle(*at), *count));
        let positive = self.above.iter().map(|(at, count)| (middle(*at), *count));
        for (value, count) in negative.chain([(0.0, self.zeros)]).chain(positive) {
            passed += count;
            if passed > place {
                return Some(value);
            }
        }
        None
    }
}

fn base() -> f64 {
    ((1.0 + ERROR) / (1.0 - ERROR)).ln()
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number has few digits")]
fn bin(value: f64) -> i32 {
    (value.ln() / base()).ceil() as i32
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
            q in 0.0..=1.0f64, cut in 0usize..80,
        ) {
            let whole = of(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined = of(right);
            joined.merge(&of(left));
            prop_assert_eq!(&whole, &joined);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let exact = sorted[(q * (values.len() - 1) as f64).floor() as usize];
            let got = whole.quantile(q).unwrap();
            prop_assert!((got - exact).abs() <= ERROR * exact.abs() * (1.0 + 1e-9) + LEAST, "{got} {exact}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_odd_numbers_are_left_out() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[f64::NAN, f64::INFINITY]).n(), 0);
        assert_eq!(of(&[3.0]).at(1.0), None);
        for large in [f64::MAX, f64::MIN] {
            let got = of(&[large]).quantile(0.5).unwrap();
            assert!(got.is_finite() && (got / large - 1.0).abs() <= ERROR * (1.0 + 1e-9), "{got}");
        }
    }
}
