//! Count, mean and scatter of numbers. Owns that they add up in any order without losing digits.

use serde::{Deserialize, Serialize};

/// What is known of numbers: how many, their mean, the sum of squared distances from it (Welford 1962; merged by Chan,
/// Golub and `LeVeque` 1979).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    n: u64,
    mean: f64,
    scatter: f64,
}

impl Moments {
    /// From the count, the sum and the sum of squares. What is far from 0 and lies close together has lost its digits in
    /// the squares: add such numbers one by one.
    #[must_use]
    pub fn from_sums(n: u64, sum: f64, squares: f64) -> Self {
        if n == 0 {
            return Self::default();
        }
        let all = Self { n, mean: 0.0, scatter: 0.0 }.count();
        Self { n, mean: sum / all, scatter: (squares - sum * sum / all).max(0.0) }
    }

    /// Takes a number.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let off = value - self.mean;
        self.mean += off / self.count();
        self.scatter += off * (value - self.mean);
    }

    /// Takes those of others.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let (ours, theirs) = (self.count(), other.count());
        let (all, off) = (ours + theirs, other.mean - self.mean);
        self.mean += off * theirs / all;
        self.scatter += other.scatter + off * off * ours * theirs / all;
        self.n += other.n;
    }

    /// How many.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// How many, as a float.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub const fn count(&self) -> f64 {
        self.n as f64
    }

    /// Their mean; `None` where there is none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean)
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.mean * self.count()
    }

    /// Their variance by `n`, 0 where there is none.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.n > 0 { self.scatter / self.count() } else { 0.0 }
    }

    /// Their variance by `n − 1`; `None` below two.
    #[must_use]
    pub fn sample_variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.scatter / (self.count() - 1.0))
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.add(value));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(values in prop::collection::vec(-1e6..1e6f64, 0..60), cut in 0usize..60) {
            let whole: Moments = values.iter().copied().collect();
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined: Moments = right.iter().copied().collect();
            joined.merge(&left.iter().copied().collect());
            prop_assert_eq!(whole.n(), joined.n());
            prop_assert!((whole.sum() - joined.sum()).abs() <= 1e-6 * (1.0 + whole.sum().abs()));
            prop_assert!((whole.variance() - joined.variance()).abs() <= 1e-9 * (1.0 + whole.variance()));
            let summed = Moments::from_sums(whole.n(), values.iter().sum(), values.iter().map(|x| x * x).sum());
            prop_assert_eq!(whole.n(), summed.n());
            prop_assert!((whole.sum() - summed.sum()).abs() <= 1e-6 * (1.0 + whole.sum().abs()));
            prop_assert!((whole.variance() - summed.variance()).abs() <= 1e-3 + 1e-9 * whole.variance());
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let far: Moments = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0].into_iter().collect();
        assert_eq!((far.sample_variance(), far.variance()), (Some(30.0), 22.5));
        assert_eq!((Moments::default().mean(), Moments::default().sample_variance()), (None, None));
    }
}
