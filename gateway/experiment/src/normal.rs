//! The standard normal distribution's tail and its inverse.

use crate::gamma;

/// The probability of more than `z`.
#[must_use]
pub fn tail(z: f64) -> f64 {
    let beyond = 0.5 * gamma::above(0.5, z * z / 2.0);
    if z >= 0.0 { beyond } else { 1.0 - beyond }
}

/// What is exceeded with the probability `p`; infinite at 0 and 1. By halving, to all digits that matter.
#[must_use]
pub fn exceeded(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::INFINITY;
    }
    if p >= 1.0 {
        return f64::NEG_INFINITY;
    }
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if tail(middle) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_their_inverse_are_those_of_tables() {
        // scipy.stats.norm.isf
        for (p, z) in
            [(0.5, 0.0), (0.025, 1.959_963_984_540_054), (0.2, 0.841_621_233_572_914), (1e-9, 5.997_807_015_007_686)]
        {
            assert!((exceeded(p) - z).abs() < 1e-9, "{p}: {}", exceeded(p));
            assert!((tail(z) / p - 1.0).abs() < 1e-9 && (tail(-z) - (1.0 - p)).abs() < 1e-12);
        }
        assert_eq!((exceeded(0.0), exceeded(1.0)), (f64::INFINITY, f64::NEG_INFINITY));
    }
}
