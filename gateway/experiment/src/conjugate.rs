//! How probable a yes is, looked at after each answer, by a mixture that is tightest after a chosen number of answers.
//! Exact, as [`crate::bernoulli`] is, which needs no choice.
//!
//! The likelihood of the answers under a beta prior whose mean is the probability asked about, over their likelihood under
//! that probability (the beta-binomial mixture of Howard, Ramdas, McAuliffe, Sekhon 2021; confseq's
//! `conjmix_bernoulli_cs`).

use crate::alpha::Alpha;
use crate::bernoulli::edge;
use crate::boundary::mixed_over;
use crate::gamma::ln_beta;
use crate::interval::Interval;

/// The logarithm of the evidence of so many yes and no against the probability `p` of a yes: above `ln(1/α)` ever with a
/// probability of at most `α`, where `p` is true. Tuned for `tuned` answers and for two ends of which each errs with half
/// of `alpha`.
#[must_use]
pub fn ln_evidence(yes: f64, no: f64, p: f64, alpha: Alpha, tuned: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        let excluded = (p <= 0.0 && yes > 0.0) || (p >= 1.0 && no > 0.0);
        return if excluded { f64::INFINITY } else { 0.0 };
    }
    let (q, spread) = (1.0 - p, p * (1.0 - p));
    let prior = (mixed_over(spread * tuned, alpha.get() / 2.0) - spread).max(1e-3 * spread);
    let (some, other) = (prior / q, prior / p);
    ln_beta(some + yes, other + no) - ln_beta(some, other) - yes * p.ln() - no * (-p).ln_1p()
}

/// Where the probability lies after so many yes and no, at all looks together but for `alpha`.
#[must_use]
pub fn sequence(yes: f64, no: f64, alpha: Alpha, tuned: f64) -> Interval {
    let all = yes + no;
    if all <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let may_be = |p: f64| ln_evidence(yes, no, p, alpha, tuned) < -alpha.get().ln();
    // At the share of yes among the answers it always may, as their likelihood is the largest there.
    Interval { low: edge(yes / all, 0.0, may_be), high: edge(yes / all, 1.0, may_be) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bernoulli;

    #[test]
    fn it_is_about_as_wide_as_the_uniform_mixture_and_narrower_where_tuned() {
        let tuned = sequence(300.0, 700.0, Alpha::FIVE_PERCENT, 1_000.0);
        let uniform = bernoulli::sequence(300.0, 700.0, Alpha::FIVE_PERCENT);
        assert!(tuned.has(0.3) && tuned.width() < uniform.width() && tuned.width() > 0.8 * uniform.width());
        for p in [tuned.low, tuned.high] {
            let at = ln_evidence(300.0, 700.0, p, Alpha::FIVE_PERCENT, 1_000.0);
            assert!((at - 20f64.ln()).abs() < 1e-9, "{at}");
        }
    }

    #[test]
    fn ends_that_cannot_be_are_excluded() {
        assert_eq!(sequence(0.0, 0.0, Alpha::FIVE_PERCENT, 50.0), Interval { low: 0.0, high: 1.0 });
        assert_eq!(ln_evidence(1.0, 0.0, 0.0, Alpha::FIVE_PERCENT, 50.0), f64::INFINITY);
        assert_eq!(ln_evidence(1.0, 0.0, 1.0, Alpha::FIVE_PERCENT, 50.0), 0.0);
        let none = sequence(0.0, 500.0, Alpha::FIVE_PERCENT, 50.0);
        assert!(none.low == 0.0 && none.high < 0.05, "{none:?}");
    }
}
