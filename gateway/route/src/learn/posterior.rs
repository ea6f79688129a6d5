//! What an arm's mean reward may be, after its rewards: Beta for booleans, Student's t (of a normal–inverse-gamma
//! posterior) for numbers. Owns the priors and the densities.

use super::density::Density;
use super::tally::Tally;

/// The posterior of a boolean's probability under the uniform prior: `Beta(1 + s, 1 + f)` for `s` successes and `f`
/// failures.
pub(super) fn beta(tally: &Tally) -> Density {
    let successes = tally.sum.clamp(0.0, tally.n);
    let failures = tally.n - successes;
    let (a, b) = (1.0 + successes, 1.0 + failures);
    let whole = a + b;
    let deviation = (a * b / (whole * whole * (whole + 1.0))).sqrt();
    // 0 · ln 0 is 0: without failures the density at 1 is not 0.
    let term = |times: f64, of: f64| if times == 0.0 { 0.0 } else { times * of };
    Density::tabulated(a / whole, deviation, (0.0, 1.0), |x| term(successes, x.ln()) + term(failures, (-x).ln_1p()))
}

/// The posterior of a number's mean under a normal–inverse-gamma prior that weighs as one reward: its mean is that of all
/// arms' rewards, its variance theirs (`μ₀ = pooled mean, κ₀ = 1, α₀ = 1, β₀ = pooled variance`), so that the unit in
/// which a reward is measured decides nothing. The mean's marginal is Student's t with `2αₙ` degrees of freedom around
/// `μₙ`, its scale `√(βₙ / (αₙ κₙ))` (Murphy: Conjugate Bayesian analysis of the Gaussian distribution, 2007, §3).
///
/// `pooled` has a variance above 0.
pub(super) fn student(tally: &Tally, pooled: &Tally) -> Density {
    let prior = pooled.mean().unwrap_or_default();
    let mean = tally.mean().unwrap_or(prior);
    let weight = 1.0 + tally.n;
    let centre = (prior + tally.sum) / weight;
    let alpha = 1.0 + tally.n / 2.0;
    let beta = pooled.variance() + tally.scatter() / 2.0 + tally.n * (mean - prior).powi(2) / (2.0 * weight);
    let scale = (beta / (alpha * weight)).sqrt();
    let freedom = 2.0 * alpha;
    let log = |x: f64| -f64::midpoint(freedom, 1.0) * (((x - centre) / scale).powi(2) / freedom).ln_1p();
    Density::tabulated(centre, scale, (f64::NEG_INFINITY, f64::INFINITY), log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booleans(successes: f64, failures: f64) -> Tally {
        Tally { n: successes + failures, sum: successes, squares: successes }
    }

    #[test]
    fn betas_are_those_of_scipy() {
        // scipy.stats.beta(a, b).cdf(x)
        for (successes, failures, x, below) in [
            (0.0, 0.0, 0.3, 0.3),
            (1.0, 0.0, 0.5, 0.25),
            (0.0, 3.0, 0.1, 0.343_9),
            (7.0, 3.0, 0.6, 0.296_284_262),
            (400.0, 600.0, 0.41, 0.737_505_454),
        ] {
            let got = beta(&booleans(successes, failures)).reader().below(x);
            assert!((got - below).abs() < 2e-6, "{successes} {failures} {x}: {got}");
        }
    }

    #[test]
    fn a_mean_is_known_the_better_the_more_rewards_there_are() {
        let pooled = Tally { n: 200.0, sum: 400.0, squares: 1000.0 };
        let few = student(&Tally { n: 2.0, sum: 4.0, squares: 10.0 }, &pooled);
        let many = student(&Tally { n: 100.0, sum: 200.0, squares: 500.0 }, &pooled);
        assert!((few.reader().below(2.0) - 0.5).abs() < 1e-9 && (many.reader().below(2.0) - 0.5).abs() < 1e-9);
        assert!(few.reader().below(1.5) > 0.2 && many.reader().below(1.5) < 1e-5);
        // In another unit the same.
        let (wide, all) = (Tally { n: 2.0, sum: 4e9, squares: 1e19 }, Tally { n: 200.0, sum: 4e11, squares: 1e21 });
        assert!((student(&wide, &all).reader().below(1.5e9) - few.reader().below(1.5)).abs() < 1e-9);
    }
}
