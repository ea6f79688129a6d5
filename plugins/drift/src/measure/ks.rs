//! The two-sample Kolmogorov-Smirnov test, two-sided: the largest distance between two empirical distribution functions,
//! and how probable one as large is between samples of one distribution.

use super::{count, kolmogorov, sorted};

/// Up to so many values in the larger sample [`Method::Auto`] counts exactly.
pub const EXACT_UP_TO: usize = 10_000;

/// How the p-value is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Exactly up to [`EXACT_UP_TO`] values in the larger sample, by the limit above.
    Auto,
    /// By counting paths, whatever the sizes: time grows as their product, times the distance.
    Exact,
    /// By the one-sample distribution at `n₁ n₂ / (n₁ + n₂)` draws.
    Asymptotic,
}

/// A distance, kept as the whole number that it is a fraction of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distance {
    reference: usize,
    current: usize,
    /// The largest `|i n₂ − j n₁|`, where `i` and `j` values of the samples are at or below a point.
    apart: u64,
}

impl Distance {
    /// Between two samples; none where one of them is empty.
    #[must_use]
    pub fn between(reference: &[f64], current: &[f64]) -> Option<Self> {
        if reference.is_empty() || current.is_empty() {
            return None;
        }
        let (a, b) = (sorted(reference), sorted(current));
        let (n, m) = (a.len() as u64, b.len() as u64);
        let (mut i, mut j, mut apart) = (0, 0, 0);
        while i < a.len() && j < b.len() {
            let here = a[i].min(b[j]);
            // Both step over all that equals it.
            while a.get(i).is_some_and(|value| *value <= here) {
                i += 1;
            }
            while b.get(j).is_some_and(|value| *value <= here) {
                j += 1;
            }
            apart = apart.max((i as u64 * m).abs_diff(j as u64 * n));
        }
        Some(Self { reference: a.len(), current: b.len(), apart })
    }

    /// The statistic, between 0 and 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a product of two counts of rows")]
    pub const fn statistic(self) -> f64 {
        self.apart as f64 / (count(self.reference) * count(self.current))
    }

    /// How probable a distance at least as large is where both samples are of one distribution.
    #[must_use]
    pub fn p(self, method: Method) -> f64 {
        match method {
            Method::Exact => self.exact(),
            Method::Asymptotic => self.asymptotic(),
            Method::Auto if self.reference.max(self.current) <= EXACT_UP_TO => self.exact(),
            Method::Auto => self.asymptotic(),
        }
    }

    /// The share of all orders of the `n₁ + n₂` values in which the distance is ever as large, by the chance that a path
    /// has been that far out when it is at `(i, j)`: it came from `(i − 1, j)` with the probability `i / (i + j)`, else
    /// from `(i, j − 1)` (Hodges: The significance probability of the Smirnov two-sample test, 1957). As nothing is
    /// subtracted, small p-values are as exact as large ones.
    fn exact(self) -> f64 {
        if self.apart == 0 {
            return 1.0;
        }
        let (n, m) = (self.reference as u64, self.current as u64);
        // out[j]: the chance at (i, j), for the row i that is worked on. Only near the diagonal is it less than 1, and
        // that part moves to the right from row to row: what is right of it has not been written yet.
        let mut out = vec![1.0; self.current + 1];
        for i in 0..=n {
            let first = if i * m < self.apart { 0 } else { (i * m - self.apart) / n + 1 };
            let end = (i * m + self.apart).div_ceil(n).min(m + 1);
            let mut left = if first > 0 { 1.0 } else { 0.0 };
            for (j, cell) in (first..end).zip(out.iter_mut().skip(usize::try_from(first).unwrap_or(usize::MAX))) {
                *cell = mixed(*cell, left, i, j);
                left = *cell;
            }
        }
        out.last().copied().unwrap_or(1.0)
    }

    fn asymptotic(self) -> f64 {
        let (n, m) = (count(self.reference), count(self.current));
        kolmogorov::above((n * m / (n + m)).round_ties_even().max(1.0), self.statistic())
    }
}

/// The chance of the cell above where the path came from it, of the cell to the left where from that.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn mixed(above: f64, left: f64, i: u64, j: u64) -> f64 {
    let all = (i + j) as f64;
    if all == 0.0 { 0.0 } else { (i as f64 * above + j as f64 * left) / all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_the_distribution_functions() {
        let apart = |a: &[f64], b: &[f64]| Distance::between(a, b).map(Distance::statistic);
        assert_eq!(apart(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(apart(&[1.0, 2.0, 2.0], &[2.0, 1.0, 2.0]), Some(0.0));
        assert_eq!(apart(&[1.0, 2.0, 3.0, 4.0], &[2.5]), Some(0.5));
        assert_eq!(apart(&[0.0, 0.0, 1.0, 1.0], &[0.0, 1.0, 1.0, 1.0]), Some(0.25));
        assert_eq!(apart(&[], &[1.0]), None);
    }

    #[test]
    fn few_values_are_counted_by_hand() {
        // Of the 6 orders of 2 + 2 values, 2 have them wholly apart; each other has a half, but none less.
        let apart = Distance::between(&[1.0, 2.0], &[3.0, 4.0]).map(|distance| distance.p(Method::Exact));
        assert!(apart.is_some_and(|p| (p - 1.0 / 3.0).abs() < 1e-15), "{apart:?}");
        let half = Distance::between(&[1.0, 3.0], &[2.0, 4.0]).map(|distance| distance.p(Method::Exact));
        assert_eq!(half, Some(1.0));
    }

    #[test]
    fn both_ways_agree_on_many_values_and_neither_depends_on_the_order() {
        let of = |seed: u64, shift: f64| -> Vec<f64> {
            (0..3000u64).map(|i| (i.wrapping_mul(seed) % 10_007) as f64 / 10_007.0 + shift).collect()
        };
        let (a, b) = (of(7919, 0.0), of(6607, 0.03));
        let there = Distance::between(&a, &b).expect("both have values");
        let back = Distance::between(&b, &a).expect("both have values");
        let (exact, limit) = (there.p(Method::Exact), there.p(Method::Asymptotic));
        assert!((exact / limit - 1.0).abs() < 0.05, "{exact} {limit}");
        assert!((back.p(Method::Exact) / exact - 1.0).abs() < 1e-12);
        assert_eq!(there.p(Method::Auto), exact);
    }

    #[test]
    fn all_orders_of_few_values_are_counted() {
        // Of 3 + 5 values: which places of the 8 the reference has, and how far apart that is.
        let distance = |places: u32| {
            let side =
                |yes: bool| (0..8).filter(|at| (places >> at & 1 == 1) == yes).map(f64::from).collect::<Vec<_>>();
            Distance::between(&side(true), &side(false)).expect("both have values")
        };
        let all: Vec<Distance> = (0..256u32).filter(|places| places.count_ones() == 3).map(distance).collect();
        for one in &all {
            let as_far = all.iter().filter(|other| other.apart >= one.apart).count();
            assert!((one.p(Method::Exact) - count(as_far) / count(all.len())).abs() < 1e-14, "{one:?}");
        }
    }

    #[test]
    fn single_values_say_nothing() {
        let one = Distance::between(&[1.0], &[2.0]).expect("both have values");
        assert_eq!((one.p(Method::Exact), one.statistic()), (1.0, 1.0));
    }
}
