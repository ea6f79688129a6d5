//! The first Wasserstein distance: how far, on average, the mass of one sample has to be moved to become the other
//! (Vallender 1974: in one dimension, the area between the distribution functions).

use super::{count, effect, sorted};

/// Below this a standard deviation is taken for it, as Evidently does: a reference that hardly varies, or whose unit is
/// large, practically never drifts by the normed distance.
pub const LEAST_DEVIATION: f64 = 0.001;

/// The distance in the values' own unit; none where a sample is empty.
#[must_use]
pub fn raw(reference: &[f64], current: &[f64]) -> Option<f64> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let (a, b) = (sorted(reference), sorted(current));
    let (n, m) = (count(a.len()), count(b.len()));
    let (mut i, mut j) = (0, 0);
    let mut area = 0.0;
    let mut here = a[0].min(b[0]);
    loop {
        while a.get(i).is_some_and(|value| *value <= here) {
            i += 1;
        }
        while b.get(j).is_some_and(|value| *value <= here) {
            j += 1;
        }
        let Some(next) = [a.get(i), b.get(j)].into_iter().flatten().copied().reduce(f64::min) else {
            return Some(area);
        };
        area += (count(i) / n - count(j) / m).abs() * (next - here);
        here = next;
    }
}

/// The distance in standard deviations of the reference (of its population, at least [`LEAST_DEVIATION`]).
#[must_use]
pub fn normed(reference: &[f64], current: &[f64]) -> Option<f64> {
    let (_, variance) = effect::moments(reference)?;
    Some(raw(reference, current)? / variance.sqrt().max(LEAST_DEVIATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_its_own_length() {
        let a: Vec<f64> = (0..50u32).map(|i| f64::from(i * i % 17)).collect();
        let b: Vec<f64> = a.iter().rev().map(|value| value + 2.5).collect();
        assert!(raw(&a, &b).is_some_and(|distance| (distance - 2.5).abs() < 1e-12));
        assert_eq!(raw(&a, &a), Some(0.0));
        assert_eq!(raw(&[], &a), None);
    }

    #[test]
    fn sizes_may_differ() {
        // scipy.stats.wasserstein_distance([0, 1, 3], [5, 6, 8]) = 5; ([0, 1], [0]) = 0.5
        assert_eq!(raw(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]), Some(5.0));
        assert_eq!(raw(&[0.0, 1.0], &[0.0]), Some(0.5));
    }

    #[test]
    fn a_constant_reference_is_measured_by_the_least_deviation() {
        assert_eq!(normed(&[1.0, 1.0], &[2.0]), Some(1.0 / LEAST_DEVIATION));
        assert_eq!(normed(&[1.0, 3.0], &[4.0, 2.0]), Some(1.0));
    }
}
