//! Values by the unit that an arm was assigned to (a user, a session): its calls are alike, so their number is not what a
//! mean is known by. Owns the sums that make a mean and its variance robust against that, at a constant cost a value.
//!
//! The mean over an arm's values is the ratio of two means over its units, of their sums and of their counts, and its
//! variance that of the ratio's linear part, `Σ (S − r N)² / (Σ N)² · U/(U − 1)`, for `U` units with the sums `S` and the
//! counts `N` and the mean `r` (the delta method; Deng, Lu, Litz: Trustworthy analysis of online A/B tests, WSDM 2017;
//! Deng, Knoblich, Lu: Applying the delta method in metric analytics, KDD 2018). A unit's values may come in any order
//! and between those of others; sums are kept relative to the arm's first value, so that large values that lie close
//! together keep their digits.

mod unit;

use crate::compare::Estimate;
use crate::cuped::Pairs;
use std::collections::HashMap;
use unit::{ByUnit, Unit};

/// The most units that are kept unless one says otherwise: about 70 MB.
pub const MOST: usize = 1_000_000;

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts, and is the first of its unit in this arm.
    First,
    /// It counts.
    Again,
    /// It was left out: it is of a new unit, and there is room for no more; or it is not finite, or of no arm.
    LeftOut,
}

/// The sums of an arm over its units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    /// The value that sums are relative to; 0 before there is one.
    origin: f64,
    units: f64,
    n: f64,
    sum: f64,
    n_squares: f64,
    products: f64,
    squares: f64,
}

impl Sums {
    /// Puts `now` in the place of `before`.
    fn change(&mut self, before: Unit, now: Unit) {
        self.n += now.n - before.n;
        self.sum += now.sum - before.sum;
        self.n_squares += now.n * now.n - before.n * before.n;
        self.products += now.n * now.sum - before.n * before.sum;
        self.squares += now.sum * now.sum - before.sum * before.sum;
    }

    fn estimate(&self) -> Option<Estimate> {
        if self.n <= 0.0 {
            return None;
        }
        let off = self.sum / self.n;
        let scatter = (self.squares - 2.0 * off * self.products + off * off * self.n_squares).max(0.0);
        // What rounding leaves of units that are all alike is no scatter.
        let scatter = if scatter <= 1e-12 * self.squares { 0.0 } else { scatter };
        let variance = if self.units > 1.0 {
            scatter / (self.n * self.n) * self.units / (self.units - 1.0)
        } else {
            f64::INFINITY
        };
        Some(Estimate { units: self.units, mean: self.origin + off, variance })
    }
}

/// Values by arm and unit, in bounded room.
#[derive(Debug, Clone)]
pub struct Units {
    arms: Vec<Sums>,
    seen: HashMap<(usize, u64), Unit, ByUnit>,
    most: usize,
    left_out: u64,
}

impl Units {
    /// None yet, for so many arms, with room for [`MOST`] units.
    #[must_use]
    pub fn among(arms: usize) -> Self {
        Self::with_room(arms, MOST)
    }

    /// None yet, with room for so many units.
    #[must_use]
    pub fn with_room(arms: usize, most: usize) -> Self {
        Self { arms: vec![Sums::default(); arms], seen: HashMap::default(), most, left_out: 0 }
    }

    /// Takes a value of a unit in an arm; a unit that is in several arms is another one in each.
    pub fn add(&mut self, arm: usize, unit: u64, value: f64) -> Taken {
        let Some(sums) = self.arms.get_mut(arm).filter(|_| value.is_finite()) else { return self.leave_out(1) };
        if sums.units <= 0.0 && self.seen.len() < self.most {
            sums.origin = value;
        }
        let relative = Unit { n: 1.0, sum: value - sums.origin };
        self.put(arm, unit, relative)
    }

    /// Takes the values of another part, in which the same units may have been seen.
    pub fn merge(&mut self, other: &Self) {
        self.left_out += other.left_out;
        for (&(arm, unit), theirs) in &other.seen {
            let (Some(ours), Some(of)) = (self.arms.get_mut(arm), other.arms.get(arm)) else {
                self.leave_out(theirs.calls());
                continue;
            };
            if ours.units <= 0.0 && self.seen.len() < self.most {
                ours.origin = of.origin;
            }
            let moved = Unit { n: theirs.n, sum: theirs.sum + theirs.n * (of.origin - ours.origin) };
            self.put(arm, unit, moved);
        }
    }

    fn put(&mut self, arm: usize, unit: u64, more: Unit) -> Taken {
        let room = self.seen.len() < self.most;
        let before = self.seen.get(&(arm, unit)).copied();
        let Some(sums) = self.arms.get_mut(arm).filter(|_| room || before.is_some()) else {
            return self.leave_out(more.calls());
        };
        let was = before.unwrap_or_default();
        let now = Unit { n: was.n + more.n, sum: was.sum + more.sum };
        sums.change(was, now);
        self.seen.insert((arm, unit), now);
        if before.is_some() {
            return Taken::Again;
        }
        sums.units += 1.0;
        Taken::First
    }

    fn leave_out(&mut self, values: u64) -> Taken {
        self.left_out += values;
        Taken::LeftOut
    }

    /// How many values were left out. Units that came before there was no room any more still count whole, so a mean stays
    /// that of the first units.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether there is room for no more units.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() >= self.most
    }

    /// How many values of an arm count.
    #[must_use]
    pub fn values(&self, arm: usize) -> f64 {
        self.arms.get(arm).map_or(0.0, |sums| sums.n)
    }

    /// The mean of a unit's values in an arm.
    #[must_use]
    pub fn mean_of(&self, arm: usize, unit: u64) -> Option<f64> {
        let (sums, of) = (self.arms.get(arm)?, self.seen.get(&(arm, unit))?);
        Some(sums.origin + of.sum / of.n)
    }

    /// Each arm's units beside their means in the one arm of `past`, for [`crate::cuped::adjust`], and how many of them have
    /// one. A unit's metric is its linear part of the arm's ratio, `r + (S − r N) U / Σ N`: its mean over the units is the
    /// mean of [`Self::estimate`], and its variance that one's, too (Deng, Knoblich, Lu 2018). Whoever has no past stands
    /// where those who have one lie on average, and so takes nothing out.
    #[must_use]
    pub fn beside(&self, past: &Self) -> (Vec<Pairs>, f64) {
        let known = self.seen.keys().filter_map(|(_, unit)| past.mean_of(0, *unit));
        let (met, sum) = known.fold((0.0, 0.0), |(met, sum), mean| (met + 1.0, sum + mean));
        let middle = if met > 0.0 { sum / met } else { 0.0 };
        let mut pairs = vec![Pairs::default(); self.arms.len()];
        for (&(arm, unit), of) in &self.seen {
            let (Some(sums), Some(pair)) = (self.arms.get(arm), pairs.get_mut(arm)) else { continue };
            let off = sums.sum / sums.n;
            let metric = sums.origin + off + (of.sum - off * of.n) * sums.units / sums.n;
            pair.add(past.mean_of(0, unit).map_or(0.0, |mean| mean - middle), metric);
        }
        (pairs, met)
    }

    /// The mean over an arm's values, and how well it is known; `None` where there is none.
    #[must_use]
    pub fn estimate(&self, arm: usize) -> Option<Estimate> {
        self.arms.get(arm).and_then(Sums::estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, from all values at once.
    fn by_hand(values: &[(u64, f64)]) -> Option<Estimate> {
        let mut units: std::collections::BTreeMap<u64, (f64, f64)> = std::collections::BTreeMap::new();
        for (unit, value) in values {
            let at = units.entry(*unit).or_default();
            *at = (at.0 + 1.0, at.1 + value);
        }
        let (n, sum) = units.values().fold((0.0, 0.0), |(n, sum), unit| (n + unit.0, sum + unit.1));
        let (count, mean) = (units.len() as f64, sum / n);
        let scatter: f64 = units.values().map(|unit| (unit.1 - mean * unit.0).powi(2)).sum();
        let variance = if count > 1.0 { scatter / (n * n) * count / (count - 1.0) } else { f64::INFINITY };
        (n > 0.0).then_some(Estimate { units: count, mean, variance })
    }

    fn close(a: Option<Estimate>, b: Option<Estimate>, scale: f64) -> bool {
        let same = |a: f64, b: f64, scale: f64| a == b || (a - b).abs() <= 1e-9 * scale;
        match (a, b) {
            (Some(a), Some(b)) => {
                a.units == b.units && same(a.mean, b.mean, scale) && same(a.variance, b.variance, scale * scale)
            }
            (a, b) => a == b,
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_definition_in_any_order_and_parts(
            values in prop::collection::vec((0usize..2, 0u64..9, -1e3..1e3f64), 0..80), cut in 0usize..80, far in 0.0..1e6f64,
        ) {
            let values: Vec<_> = values.into_iter().map(|(arm, unit, value)| (arm, unit, value + far)).collect();
            let of = |values: &[(usize, u64, f64)]| {
                let mut units = Units::among(2);
                values.iter().for_each(|(arm, unit, value)| { units.add(*arm, *unit, *value); });
                units
            };
            let (left, right) = values.split_at(cut.min(values.len()));
            let (whole, mut joined) = (of(&values), of(right));
            joined.merge(&of(left));
            let mut turned = values.clone();
            turned.reverse();
            let turned = of(&turned);
            for arm in 0..2 {
                let mine: Vec<_> = values.iter().filter(|value| value.0 == arm).map(|value| (value.1, value.2)).collect();
                let expected = by_hand(&mine);
                for got in [&whole, &joined, &turned] {
                    prop_assert!(close(got.estimate(arm), expected, 1e3), "{:?} {expected:?}", got.estimate(arm));
                }
            }
        }
    }

    #[test]
    fn alone_each_value_is_a_unit_and_the_variance_the_usual_one() {
        let mut units = Units::among(1);
        let mut plain = crate::Moments::default();
        for i in 0..100u32 {
            let value = 1e9 + f64::from(i * 37 % 11);
            assert_eq!(units.add(0, u64::from(i), value), Taken::First);
            plain.add(value);
        }
        let got = units.estimate(0).unwrap();
        assert!((got.variance - plain.sample_variance().unwrap() / 100.0).abs() < 1e-9, "{got:?}");
        assert!((got.mean - plain.mean().unwrap()).abs() < 1e-6);
    }

    #[test]
    fn calls_that_are_copies_of_each_other_make_nothing_better_known() {
        let (mut once, mut often) = (Units::among(1), Units::among(1));
        for unit in 0..50u32 {
            let value = f64::from(unit * 7 % 13);
            once.add(0, u64::from(unit), value);
            (0..20).for_each(|_| {
                often.add(0, u64::from(unit), value);
            });
        }
        let (once, often) = (once.estimate(0).unwrap(), often.estimate(0).unwrap());
        assert!((once.variance - often.variance).abs() < 1e-12 && (once.mean - often.mean).abs() < 1e-12);
    }

    #[test]
    fn a_full_one_says_so_and_goes_on_with_the_units_that_it_has() {
        let mut units = Units::with_room(2, 2);
        assert_eq!((units.add(0, 1, 1.0), units.add(1, 1, 1.0), units.is_full()), (Taken::First, Taken::First, true));
        assert_eq!((units.add(0, 2, 9.0), units.add(0, 1, 3.0)), (Taken::LeftOut, Taken::Again));
        assert_eq!((units.left_out(), units.values(0), units.values(1)), (1, 2.0, 1.0));
        assert_eq!(units.estimate(0).map(|got| (got.units, got.mean)), Some((1.0, 2.0)));
        assert_eq!((units.add(0, 1, f64::NAN), units.add(7, 1, 1.0)), (Taken::LeftOut, Taken::LeftOut));
        let mut small = Units::with_room(1, 0);
        small.merge(&units);
        assert_eq!((small.left_out(), small.estimate(0)), (6, None));
    }

    #[test]
    fn what_units_did_before_stands_beside_them_and_leaves_the_mean() {
        let (mut now, mut past) = (Units::among(2), Units::among(1));
        for unit in 0..400u32 {
            let own = f64::from(unit * 7 % 13);
            // Every fourth has no past.
            if unit % 4 > 0 {
                (0..2).for_each(|_| {
                    past.add(0, u64::from(unit), 100.0 + own);
                });
            }
            (0..=unit % 3).for_each(|nth| {
                now.add((unit % 2) as usize, u64::from(unit), own + f64::from(nth) + 1e-3 * f64::from(unit % 5));
            });
        }
        assert_eq!(past.mean_of(0, 1), Some(107.0));
        assert_eq!((past.mean_of(0, 0), past.mean_of(1, 1)), (None, None));
        let (pairs, met) = now.beside(&past);
        assert_eq!(met, 300.0);
        // Without regard to the past it is the estimate of before; with regard to it, less scatters.
        let plain = crate::cuped::adjust(&now.beside(&Units::among(1)).0);
        let adjusted = crate::cuped::adjust(&pairs);
        for arm in 0..2 {
            assert!(close(plain.arms[arm], now.estimate(arm), 1.0), "{:?} {:?}", plain.arms[arm], now.estimate(arm));
            let (got, was) = (adjusted.arms[arm].unwrap(), now.estimate(arm).unwrap());
            assert!(got.variance < 0.7 * was.variance && (got.mean - was.mean).abs() < 1.0, "{got:?} {was:?}");
        }
        assert!(adjusted.reduction > 0.3 && plain.reduction == 0.0, "{adjusted:?}");
    }

    #[test]
    fn units_that_are_all_alike_show_no_scatter() {
        let mut units = Units::among(1);
        (0..1_000u32).for_each(|i| {
            units.add(0, u64::from(i % 100), 0.1);
        });
        let got = units.estimate(0).unwrap();
        assert!(got.variance == 0.0 && (got.mean - 0.1).abs() < 1e-12);
    }
}
