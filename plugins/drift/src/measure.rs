//! The measures, one a file: numbers in, numbers out. Nothing here knows tables, settings or WASM.
//!
//! What is no number (missing, NaN, infinite) has been left out before: see [`finite`].

pub mod bins;
pub mod chi_square;
pub mod effect;
pub mod jensen_shannon;
pub mod kolmogorov;
pub mod ks;
pub mod mmd;
pub mod multiplicity;
pub mod proportions;
pub mod psi;
pub mod special;
pub mod text;
pub mod wasserstein;

/// The numbers among `values`, in order.
#[must_use]
pub fn finite(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().filter(|value| value.is_finite()).collect()
}

/// A count as a number. Windows have far fewer than 2⁵³ rows.
#[expect(clippy::cast_precision_loss, reason = "windows have far fewer than 2^53 rows")]
#[must_use]
pub const fn count(n: usize) -> f64 {
    n as f64
}

/// The values in ascending order. Their order among equals decides nothing.
#[must_use]
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_measured() {
        let odd = [1.0, f64::NAN, f64::INFINITY, -2.0, f64::NEG_INFINITY];
        assert_eq!(finite(odd), [1.0, -2.0]);
        assert_eq!(sorted(&[3.0, -1.0, 2.0]), [-1.0, 2.0, 3.0]);
    }
}
