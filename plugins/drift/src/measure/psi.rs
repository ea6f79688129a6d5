//! The population stability index: `Σ (q − p) ln(q / p)` over bins with the shares `p` of the reference and `q` of the
//! window; the symmetrised divergence of Kullback and Leibler (Jeffreys 1946), as Siddiqi (Credit risk scorecards, 2006)
//! uses it.

use super::bins::Pair;

/// What an empty bin's share is taken for.
const LEAST: f64 = 1e-4;

/// How much the shares of two samples differ; 0 where they do not. An empty bin's share is taken for 0.0001, or for a
/// millionth of the sample's smallest where that is no more than 0.0001, without scaling the others (Evidently's rule).
#[must_use]
pub fn psi(pair: &Pair) -> f64 {
    let (p, q) = (filled(pair.reference_shares()), filled(pair.current_shares()));
    p.iter().zip(q).map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

/// Shares without a 0.
#[must_use]
pub fn filled(mut shares: Vec<f64>) -> Vec<f64> {
    let smallest = shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
    let least = if smallest <= LEAST { smallest / 1e6 } else { LEAST };
    for share in &mut shares {
        if *share == 0.0 {
            *share = least;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_nothing_for_equal_shares_and_the_formula_for_others() {
        let same = Pair { reference: vec![10, 30], current: vec![1, 3], edges: Vec::new() };
        assert_eq!(psi(&same), 0.0);
        let half = Pair { reference: vec![1, 1], current: vec![1, 3], edges: Vec::new() };
        assert!((psi(&half) - 0.25 * 3f64.ln()).abs() < 1e-15);
        let swapped = Pair { reference: vec![1, 3], current: vec![1, 1], edges: Vec::new() };
        assert!((psi(&half) - psi(&swapped)).abs() < 1e-15);
    }

    #[test]
    fn empty_bins_are_filled_without_scaling_the_rest() {
        assert_eq!(filled(vec![0.0, 0.4, 0.6]), [1e-4, 0.4, 0.6]);
        assert_eq!(filled(vec![0.0, 1e-5, 0.5]), [1e-5 / 1e6, 1e-5, 0.5]);
        assert!(psi(&Pair { reference: vec![5, 0], current: vec![0, 5], edges: Vec::new() }) > 10.0);
    }
}
