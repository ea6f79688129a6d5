//! What is remembered of an arm whose reward depends on the call: the sums of a linear regression. Owns the sums, that
//! they add up in any order, and the estimate that they lead to.
//!
//! A reward is `x · θ` and noise, where `x` is 1 followed by the call's features. Each arm has its own `θ`, estimated by
//! ridge regression around the mean of all arms' rewards: `A = I + Σ x xᵀ`, `θ = A⁻¹ Σ x (r − μ)`. So an arm that nobody
//! tried is taken to be as all of them are, with the weight of one reward, and the unit and the origin of the rewards
//! decide nothing; the same prior as that of a number without features.

use super::tally::Tally;
use super::triangle::{self, Inverse, add, dot, row};
use serde::{Deserialize, Serialize};
use tidegate_core::spec::feature::MOST_FEATURES;

/// The weight of the prior, where features lie in `[−1, 1]`.
const RIDGE: f64 = 1.0;

/// The rewards of one arm with the features of their calls, after discounting. Two tallies of different rewards add up to
/// the tally of all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearTally {
    /// The lower triangle of `Σ x xᵀ`, row by row (which is the upper one, column by column); its first number is how many
    /// rewards there are, where an old one counts as a part of one.
    pub a: Vec<f64>,
    /// `Σ x r`; its first number is the sum of the rewards.
    pub b: Vec<f64>,
    /// The sum of their squares.
    pub squares: f64,
}

impl LinearTally {
    /// The tally of an arm that has no reward yet.
    #[must_use]
    pub fn empty(features: usize) -> Self {
        let size = features + 1;
        Self { a: vec![0.0; triangle::numbers(size)], b: vec![0.0; size], squares: 0.0 }
    }

    /// Adds a reward of a call with these features.
    pub fn fold(&mut self, features: &[f64], reward: f64) {
        let mut x = [0.0; MOST_FEATURES + 1];
        let x = row_of(features, self.b.len(), &mut x);
        for i in 0..x.len() {
            add(&mut self.a[row(i)..=row(i) + i], x[i], x);
        }
        add(&mut self.b, reward, x);
        self.squares += reward * reward;
    }

    /// Adds other rewards of calls with the same features.
    pub fn add(&mut self, other: &Self) {
        add(&mut self.a, 1.0, &other.a);
        add(&mut self.b, 1.0, &other.b);
        self.squares += other.squares;
    }

    /// Makes what is known count for less: `by` in `[0, 1]`.
    pub fn fade(&mut self, by: f64) {
        self.a.iter_mut().chain(&mut self.b).for_each(|number| *number *= by);
        self.squares *= by;
    }

    /// The rewards without the features.
    #[must_use]
    pub fn plain(&self) -> Tally {
        let first = |of: &[f64]| of.first().copied().unwrap_or_default();
        Tally { n: first(&self.a), sum: first(&self.b), squares: self.squares }
    }

    /// Whether it is of so many features.
    pub(super) fn is_of(&self, features: usize) -> bool {
        self.b.len() == features + 1 && self.a.len() == triangle::numbers(self.b.len())
    }
}

/// The numbers that regressions of `size` are made of: 1, then the features. A feature beyond `[−1, 1]` counts as the edge,
/// one that is missing or no number as 0.
pub(super) fn row_of<'a>(features: &[f64], size: usize, out: &'a mut [f64; MOST_FEATURES + 1]) -> &'a [f64] {
    out[0] = 1.0;
    for (to, feature) in out[1..].iter_mut().zip(features) {
        *to = if feature.is_nan() { 0.0 } else { feature.clamp(-1.0, 1.0) };
    }
    &out[..size.min(MOST_FEATURES + 1)]
}

/// What an arm's tally says of its `θ`: normal around `theta`, with the covariance `A⁻¹` times the variance of the noise.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    pub(super) theta: Vec<f64>,
    pub(super) inverse: Inverse,
}

/// What the tallies of all arms say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Regression {
    pub(super) arms: Vec<Estimate>,
    /// The variance of the noise, the same for all arms; 0 where no two rewards differ.
    pub(super) noise: f64,
}

impl Regression {
    /// Their regression; else the arm whose sums are those of no rewards.
    pub(super) fn of(tallies: &[LinearTally]) -> Result<Self, usize> {
        let mut pooled = Tally::default();
        tallies.iter().for_each(|tally| pooled.add(&tally.plain()));
        let centre = pooled.mean().unwrap_or_default();
        // Until two different rewards came nothing is known of their scale.
        let is_known = pooled.scatter() > pooled.squares * 1e-12;
        let variance = if is_known { pooled.variance() } else { 0.0 };
        // The prior weighs as one reward whose variance is that of all of them, as it does without features.
        let (mut freedom, mut residual) = (2.0, 2.0 * variance);
        let mut arms = Vec::with_capacity(tallies.len());
        for (arm, tally) in tallies.iter().enumerate() {
            let (estimate, rest) = estimate(tally, centre).ok_or(arm)?;
            freedom += tally.plain().n;
            residual += rest;
            arms.push(estimate);
        }
        Ok(Self { arms, noise: if is_known { residual / freedom } else { 0.0 } })
    }
}

/// The estimate of an arm, and what it leaves unexplained: `Σ (r − μ)² − (θ A θ)`, at least 0.
fn estimate(tally: &LinearTally, centre: f64) -> Option<(Estimate, f64)> {
    let size = tally.b.len();
    let inverse = Inverse::of(&tally.a, RIDGE, size)?;
    // The first of each row is Σ x.
    let b: Vec<f64> = (0..size).map(|i| tally.b[i] - centre * tally.a[row(i)]).collect();
    let theta = inverse.solved(&b);
    let plain = tally.plain();
    let squares = plain.squares - 2.0 * centre * plain.sum + centre * centre * plain.n;
    let rest = (squares - dot(&theta, &b)).max(0.0);
    let is_sound = squares.is_finite() && plain.n >= 0.0 && theta.iter().all(|number| number.is_finite());
    is_sound.then_some((Estimate { theta, inverse }, rest))
}

#[cfg(test)]
pub(super) mod tests;
