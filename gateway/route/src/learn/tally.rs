//! What is remembered of an arm's rewards. Owns the sums, and that they add up in any order.

/// The rewards of one arm: their weight, sum and sum of squares, after discounting. Two tallies of different rewards add
/// up to the tally of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// How many rewards, where an old one counts as a part of one.
    pub n: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

impl Tally {
    /// The tally of one reward.
    #[must_use]
    pub const fn of(value: f64) -> Self {
        Self { n: 1.0, sum: value, squares: value * value }
    }

    /// Adds other rewards.
    pub fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Makes what is known count for less: `by` in `[0, 1]`.
    pub fn fade(&mut self, by: f64) {
        self.n *= by;
        self.sum *= by;
        self.squares *= by;
    }

    /// Their mean; `None` where there is none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum / self.n)
    }

    /// The sum of squared distances from their mean, at least 0.
    #[must_use]
    pub fn scatter(&self) -> f64 {
        if self.n > 0.0 { (self.squares - self.sum * self.sum / self.n).max(0.0) } else { 0.0 }
    }

    /// Their variance (by `n`), at least 0.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.n > 0.0 { self.scatter() / self.n } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tallies_add_up_in_any_order_and_cut(values in prop::collection::vec(-1e3..1e3f64, 1..40), cut in 0usize..40) {
            let all = |values: &[f64]| {
                let mut tally = Tally::default();
                values.iter().for_each(|value| tally.add(&Tally::of(*value)));
                tally
            };
            let whole = all(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined = all(right);
            joined.add(&all(left));
            prop_assert!((whole.sum - joined.sum).abs() < 1e-6 && (whole.squares - joined.squares).abs() < 1e-3);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            prop_assert!((whole.mean().unwrap() - mean).abs() < 1e-9);
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            prop_assert!((whole.variance() - variance).abs() < 1e-6 * (1.0 + variance));
        }
    }

    #[test]
    fn what_fades_keeps_its_mean() {
        let mut tally = Tally::of(3.0);
        tally.add(&Tally::of(5.0));
        tally.fade(0.5);
        assert_eq!((tally.n, tally.mean(), tally.variance()), (1.0, Some(4.0), 1.0));
        assert_eq!((Tally::default().mean(), Tally::default().variance()), (None, 0.0));
    }
}
