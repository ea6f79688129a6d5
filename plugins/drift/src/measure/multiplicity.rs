//! Many tests at once: against what each p-value is to be held so that the whole errs no more than one test would.

use super::{count, sorted};

/// What is kept below the error rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Each test by itself: of 20 that find nothing, one is expected to say that it did.
    None,
    /// The probability that any test errs (Bonferroni 1936).
    Bonferroni,
    /// The share of the findings that are none (Benjamini and Hochberg 1995); for tests that are independent or lean the
    /// same way.
    BenjaminiHochberg,
}

/// The threshold for all of these p-values: those at or below it are findings. Under Benjamini and Hochberg it is
/// `alpha i / n` for the largest rank `i` whose p-value is at or below its own, and `alpha` itself where there is none;
/// no p-value is at or below the result then but ones that are no findings, so ask [`found`]. What is no number is left out.
#[must_use]
pub fn threshold(ps: &[f64], alpha: f64, correction: Correction) -> f64 {
    let ps = sorted(&super::finite(ps.iter().copied()));
    let all = count(ps.len()).max(1.0);
    match correction {
        Correction::None => alpha,
        Correction::Bonferroni => alpha / all,
        Correction::BenjaminiHochberg => {
            let ranks = ps.iter().enumerate().map(|(at, p)| (p, alpha * count(at + 1) / all));
            ranks.rev().find(|(p, own)| *p <= own).map_or(alpha * all / all, |(_, own)| own)
        }
    }
}

/// Whether each p-value is a finding, in the order in which they came.
#[must_use]
pub fn found(ps: &[f64], alpha: f64, correction: Correction) -> Vec<bool> {
    let line = threshold(ps, alpha, correction);
    let any = match correction {
        Correction::BenjaminiHochberg => {
            let known = sorted(&super::finite(ps.iter().copied()));
            let all = count(known.len());
            known.iter().enumerate().any(|(at, p)| *p <= alpha * count(at + 1) / all)
        }
        Correction::None | Correction::Bonferroni => true,
    };
    ps.iter().map(|p| any && *p <= line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bonferroni_divides_and_benjamini_hochberg_steps_up() {
        let ps = [0.04, 0.01, 0.03, 0.005, 0.5];
        assert_eq!(threshold(&ps, 0.05, Correction::None), 0.05);
        assert_eq!(found(&ps, 0.05, Correction::Bonferroni), [false, true, false, true, false]);
        // Ranks: 0.005 ≤ 0.01, 0.01 ≤ 0.02, 0.03 ≤ 0.03, 0.04 ≤ 0.04, 0.5 > 0.05.
        assert_eq!(threshold(&ps, 0.05, Correction::BenjaminiHochberg), 0.05 * 4.0 / 5.0);
        assert_eq!(found(&ps, 0.05, Correction::BenjaminiHochberg), [true, true, true, true, false]);
    }

    #[test]
    fn nothing_is_found_where_no_rank_is_reached() {
        // 0.04 is below alpha, but alone among ten.
        let ps = [0.04, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9];
        assert_eq!(found(&ps, 0.05, Correction::BenjaminiHochberg), [false; 10]);
        assert!(found(&[], 0.05, Correction::BenjaminiHochberg).is_empty());
        assert_eq!(found(&[f64::NAN, 0.02], 0.05, Correction::Bonferroni), [false, true]);
    }
}
