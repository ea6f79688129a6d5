//! Finding the best arm with as few calls as can be: how they are spread, and when enough is known. Owns the fixed point
//! of Gaussian arms and the stopping rule of track-and-stop.
//!
//! The spread `w` makes the smallest of `(μ* − μₐ)² / (2 (σ*²/w* + σₐ²/wₐ))` as large as it can be (Garivier, Kaufmann:
//! Optimal Best Arm Identification with Fixed Confidence, COLT 2016; unequal variances as in Jourdan et al., 2022). At
//! the optimum all of them are equal, to `y/2` with `w* = 1`, and `Σ σ*² wₐ² / σₐ² = 1`: one number `y` is searched.

use super::tally::Tally;

/// The least squared gap and variance, as a part of the scale of the rewards: equal arms divide nothing by 0.
const LEAST: f64 = 1e-6;

/// The best arm and the calls' spread over all of them, whose sum is 1; each tally has a reward.
pub(super) fn optimal(tallies: &[Tally]) -> (usize, Vec<f64>) {
    let (means, variances) = scaled(tallies);
    let best = first_largest(&means);
    let gap = |arm: usize| (means[best] - means[arm]).powi(2).max(LEAST);
    let others = || (0..tallies.len()).filter(|arm| *arm != best);
    let weight = |arm: usize, y: f64| variances[arm] / (gap(arm) / y - variances[best]);
    let balance = |y: f64| others().map(|arm| variances[best] / variances[arm] * weight(arm, y).powi(2)).sum::<f64>();
    let most = others().map(gap).fold(f64::INFINITY, f64::min) / variances[best];
    let (mut low, mut high) = (0.0, most);
    for _ in 0..200 {
        let y = f64::midpoint(low, high);
        if balance(y) < 1.0 { low = y } else { high = y }
    }
    let y = low.max(most * 1e-12);
    let raw: Vec<f64> = (0..tallies.len()).map(|arm| if arm == best { 1.0 } else { weight(arm, y) }).collect();
    let sum: f64 = raw.iter().sum();
    (best, raw.into_iter().map(|weight| weight / sum).collect())
}

/// Whether the best arm is known with the confidence `1 − delta`: the smallest generalised likelihood ratio,
/// `(μ* − μₐ)² / (2 (σ*²/n* + σₐ²/nₐ))`, is above `ln((1 + ln N) / δ)`.
pub(super) fn is_known(tallies: &[Tally], delta: f64) -> bool {
    let (means, variances) = scaled(tallies);
    let best = first_largest(&means);
    let total: f64 = tallies.iter().map(|tally| tally.n).sum();
    let threshold = ((1.0 + total.ln()) / delta).ln();
    (0..tallies.len()).filter(|arm| *arm != best).all(|arm| {
        let noise = variances[best] / tallies[best].n + variances[arm] / tallies[arm].n;
        (means[best] - means[arm]).powi(2) / (2.0 * noise) > threshold
    })
}

/// Means and variances in units of the pooled deviation, so that the floors mean the same for every reward.
fn scaled(tallies: &[Tally]) -> (Vec<f64>, Vec<f64>) {
    let mut pooled = Tally::default();
    tallies.iter().for_each(|tally| pooled.add(tally));
    let unit = if pooled.variance() > 0.0 { pooled.variance().sqrt() } else { 1.0 };
    let mean = |tally: &Tally| tally.mean().unwrap_or_default() / unit;
    // Of few rewards the variance is guessed too small by half as often as not: one that is as all of them are is added.
    let variance = |tally: &Tally| ((tally.scatter() / (unit * unit) + 1.0) / (tally.n + 1.0)).max(LEAST);
    (tallies.iter().map(mean).collect(), tallies.iter().map(variance).collect())
}

/// The index of the largest, the first of equal ones.
fn first_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (arm, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = arm;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(n: f64, mean: f64, variance: f64) -> Tally {
        Tally { n, sum: n * mean, squares: n * (variance + mean * mean) }
    }

    #[test]
    fn two_arms_of_one_variance_share_equally_and_the_noisier_one_gets_more() {
        let (best, spread) = optimal(&[arm(1e9, 1.0, 1.0), arm(1e9, 0.0, 1.0)]);
        assert!(best == 0 && (spread[0] - 0.5).abs() < 1e-4, "{spread:?}");
        // In proportion to the deviations.
        let (_, spread) = optimal(&[arm(1e9, 1.0, 1.0), arm(1e9, 0.0, 9.0)]);
        assert!((spread[1] - 0.75).abs() < 1e-4, "{spread:?}");
    }

    #[test]
    fn the_spread_is_the_best_of_all_spreads() {
        let arms = [arm(1e9, 1.0, 1.0), arm(1e9, 0.8, 0.5), arm(1e9, 0.2, 2.0)];
        let value = |w: &[f64]| {
            let challenger = |a: usize, gap: f64, variance: f64| gap * gap / (1.0 / w[0] + variance / w[a]);
            challenger(1, 0.2, 0.5).min(challenger(2, 0.8, 2.0))
        };
        let (_, spread) = optimal(&arms);
        let found = value(&spread);
        for i in 1..100 {
            for j in 1..100 - i {
                let w = [f64::from(i) / 100.0, f64::from(j) / 100.0, f64::from(100 - i - j) / 100.0];
                assert!(value(&w) <= found * 1.001, "{w:?} is better than {spread:?}");
            }
        }
    }

    #[test]
    fn enough_is_known_when_gaps_are_far_above_the_noise() {
        assert!(!is_known(&[arm(10.0, 0.6, 0.24), arm(10.0, 0.5, 0.25)], 0.05));
        assert!(is_known(&[arm(10_000.0, 0.6, 0.24), arm(10_000.0, 0.5, 0.25)], 0.05));
        assert!(
            !is_known(&[arm(10_000.0, 0.6, 0.24), arm(10_000.0, 0.6, 0.24)], 0.05),
            "equal arms are never told apart"
        );
    }
}
