//! From counts back to values: so many numbers for each cell, spread evenly around their mean, so that a plugin that wants
//! values gets a sample that lies nowhere else than the real one did. Owns that, and the thinning where there are too many
//! rows.
//!
//! Within a cell the values stand at `mean + h ((2 j + 1) / n − 1)`, `j = 0 … n − 1`, with the largest `h` that leaves none
//! outside of the cell; so the sum of the cell is kept exactly.
//!
//! **Thinning** to `r` of `n` rows rounds the counts added up, not each by itself: `⌊r C / n + ½⌋` values lie in the first
//! cells that hold `C`. So the distribution function is off by `1 / (2 r)` nowhere more.

/// Numbers that are known by their count, their mean and their bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heap {
    n: u64,
    low: f64,
    mean: f64,
    high: f64,
}

impl Heap {
    /// All at one point.
    #[must_use]
    pub const fn point(n: u64, x: f64) -> Self {
        Self { n, low: x, mean: x, high: x }
    }

    /// Between two bounds that none of them reaches. A mean outside of them (by rounding) is taken for the nearer one.
    #[must_use]
    pub fn between(n: u64, low: f64, mean: f64, high: f64) -> Self {
        let (low, high) = (low.min(high), high.max(low));
        Self { n, low, mean: mean.clamp(low, high), high }
    }

    /// How many.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Their mean.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// The one of this rank among `n`, as they are spread.
    #[must_use]
    pub fn at(&self, rank: u64, n: u64) -> f64 {
        let half = (self.mean - self.low).min(self.high - self.mean);
        let x = self.mean + half * ((2.0 * float(rank) + 1.0) / float(n.max(1)) - 1.0);
        if half <= 0.0 {
            return self.mean;
        }
        // Between neighbours among the doubles there is nothing; else rounding must not reach a bound.
        let (low, high) = (self.low.next_up(), self.high.next_down());
        if low <= high { x.clamp(low, high) } else { self.mean }
    }
}

/// How many of the first ones stay when `n` rows become `r`.
#[derive(Debug, Clone, Copy)]
pub struct Thinned {
    n: u64,
    rows: u64,
    passed: u64,
    given: u64,
}

impl Thinned {
    /// To `most` rows at most.
    #[must_use]
    pub fn of(n: u64, most: u32) -> Self {
        Self { n, rows: n.min(most.into()), passed: 0, given: 0 }
    }

    /// How many rows there will be.
    #[must_use]
    pub fn rows(&self) -> u32 {
        u32::try_from(self.rows).unwrap_or(u32::MAX)
    }

    /// How many of the next `n` stay.
    pub fn next(&mut self, n: u64) -> u32 {
        self.passed = self.passed.saturating_add(n).min(self.n);
        let all = u128::from(self.n.max(1));
        let until = (2 * u128::from(self.passed) * u128::from(self.rows) + all) / (2 * all);
        let until = u64::try_from(until).unwrap_or(self.rows).min(self.rows);
        let stay = until.saturating_sub(self.given);
        self.given += stay;
        u32::try_from(stay).unwrap_or(u32::MAX)
    }
}

/// The numbers of heaps, in ascending order, thinned.
pub fn numbers(heaps: impl Iterator<Item = Heap>, thinned: &mut Thinned) -> Vec<f64> {
    let mut values = Vec::with_capacity(thinned.rows as usize);
    for heap in heaps {
        let stay = u64::from(thinned.next(heap.n));
        values.extend((0..stay).map(|rank| heap.at(rank, stay)));
    }
    values
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_lie_within_and_keep_their_mean(n in 1u64..50, low in -9.0..9.0f64, width in 0.0..9.0f64, part in 0.0..=1.0f64) {
            let heap = Heap::between(n, low, low + part * width, low + width);
            let values: Vec<f64> = (0..n).map(|rank| heap.at(rank, n)).collect();
            prop_assert!(values.is_sorted());
            let within = |x: &f64| (low..=low + width).contains(x);
            prop_assert!(values.iter().all(within), "{values:?}");
            let mean = values.iter().sum::<f64>() / float(n);
            prop_assert!((mean - heap.mean()).abs() < 1e-9, "{mean} {}", heap.mean());
        }

        #[test]
        fn thinning_keeps_the_distribution(counts in prop::collection::vec(0u64..40, 1..60), most in 1u32..300) {
            let n: u64 = counts.iter().sum();
            let mut thinned = Thinned::of(n, most);
            let rows = u64::from(thinned.rows());
            prop_assert_eq!(rows, n.min(most.into()));
            let (mut before, mut after) = (0, 0);
            for count in counts {
                before += count;
                let stay = u64::from(thinned.next(count));
                prop_assert!(stay <= count);
                after += stay;
                if n > 0 {
                    let off = (float(before) / float(n) - float(after) / float(rows)).abs();
                    prop_assert!(off <= 0.5 / float(rows) + 1e-12, "{off}");
                }
            }
            prop_assert_eq!(after, rows);
        }
    }

    #[test]
    fn between_neighbours_there_is_nothing() {
        let heap = Heap::between(3, 1.0, 1.0, 1.0f64.next_up());
        assert!((0..3).all(|rank| (1.0..=1.0f64.next_up()).contains(&heap.at(rank, 3))));
        assert_eq!(Heap::point(3, 2.0).at(1, 3), 2.0);
    }
}
