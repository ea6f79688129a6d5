//! The probability that an arm is the best: `∫ fᵢ(x) ∏_{j≠i} Fⱼ(x) dx` over independent posteriors, by quadrature.

use super::density::Density;

/// For each arm the probability that a draw from it is the largest; their sum is 1. The error is below 1e-4.
pub(super) fn probabilities(arms: &[Density]) -> Vec<f64> {
    let one = |i: usize| {
        let others = arms.iter().enumerate().filter(|(j, _)| *j != i);
        let mut others: Vec<_> = others.map(|(_, other)| other.reader()).collect();
        arms[i].mean_of(|x| others.iter_mut().map(|other| other.below(x)).product())
    };
    let raw: Vec<f64> = (0..arms.len()).map(one).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|probability| probability / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::super::posterior::{beta, student};
    use super::super::tally::Tally;
    use super::*;

    fn booleans(successes: f64, failures: f64) -> Tally {
        Tally { n: successes + failures, sum: successes, squares: successes }
    }

    fn of(arms: &[(f64, f64)]) -> Vec<f64> {
        probabilities(&arms.iter().map(|(s, f)| beta(&booleans(*s, *f))).collect::<Vec<_>>())
    }

    #[test]
    fn equal_arms_share_equally_however_many() {
        for count in [2, 3, 8, 32] {
            for share in of(&vec![(30.0, 70.0); count]) {
                assert!((share * count as f64 - 1.0).abs() < 1e-6, "{count}");
            }
        }
    }

    /// Of two betas with whole parameters the probability is a finite sum (Evan Miller, Formulas for Bayesian A/B
    /// Testing, 2015): `P(B > A) = Σ_{i<α_B} B(α_A + i, β_A + β_B) / ((β_B + i) B(1 + i, β_B) B(α_A, β_A))`.
    #[test]
    fn two_arms_are_those_of_the_closed_form() {
        let ln_factorial = |n: u32| (1..=n).map(|i| f64::from(i).ln()).sum::<f64>();
        // B(a, b) of whole a and b, as a logarithm.
        let ln_beta = |a: u32, b: u32| ln_factorial(a - 1) + ln_factorial(b - 1) - ln_factorial(a + b - 1);
        let exact = |a: (u32, u32), b: (u32, u32)| {
            (0..b.0)
                .map(|i| {
                    (ln_beta(a.0 + i, a.1 + b.1) - f64::from(b.1 + i).ln() - ln_beta(1 + i, b.1) - ln_beta(a.0, a.1))
                        .exp()
                })
                .sum::<f64>()
        };
        for (a, b) in
            [((1, 1), (1, 1)), ((1, 1), (2, 1)), ((8, 4), (5, 9)), ((401, 601), (430, 572)), ((2, 900), (1, 40))]
        {
            let arms = [a, b].map(|(s, f)| (f64::from(s - 1), f64::from(f - 1)));
            let (got, wanted) = (of(&arms)[1], exact(a, b));
            assert!((got - wanted).abs() < 1e-5, "{a:?} {b:?}: {got} {wanted}");
        }
    }

    #[test]
    fn arms_of_very_different_certainty_are_compared_right() {
        // An arm that is known to be 0.5 beside one of which nothing is known: a coin.
        let shares = of(&[(500_000.0, 500_000.0), (0.0, 0.0)]);
        assert!((shares[0] - 0.5).abs() < 1e-4, "{shares:?}");
        let shares = of(&[(300_000.0, 700_000.0), (0.0, 0.0), (0.0, 0.0)]);
        // Both unknown ones are below 0.3 with the probability 0.09.
        assert!((shares[0] - 0.09).abs() < 1e-4, "{shares:?}");
        let pooled = Tally { n: 4.0, sum: 8.0, squares: 20.0 };
        let numbers =
            [Tally::default(), Tally { n: 4.0, sum: 8.0, squares: 20.0 }].map(|tally| student(&tally, &pooled));
        let shares = probabilities(&numbers);
        assert!((shares[0] - 0.5).abs() < 1e-4, "{shares:?}");
    }
}
