//! A state whose probabilities depend on the call: what is published by a learner that regards features. Owns how the
//! features of a call become a vector of probabilities.
//!
//! The vector is reckoned for each call, but from a state that stays, so a propensity is as exact as without features:
//! what is drawn from is what is written down. `linear_thompson` has its random part in the state, drawn once and from the
//! state's own name: in so many parts of the draws as an arm is the best one for these features, it gets the call.

use super::linear::{Estimate, row_of};
use super::mixing::Mixing;
use super::triangle::{Inverse, add, dot};
use tidegate_core::Dice as _;
use tidegate_core::StateId;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::feature::MOST_FEATURES;

/// How many draws of each arm a state has.
pub(super) const DRAWS: usize = 256;

/// What the arms of a route are worth by the features of a call; never changed, only replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextState {
    id: StateId,
    arms: usize,
    features: usize,
    mixing: Mixing,
    scores: Scores,
}

/// How arms are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scores {
    /// Nothing is known that could tell them apart.
    Even,
    /// By upper bounds.
    Bounds(Vec<Bound>),
    /// By draws.
    Draws(Draws),
}

/// The upper bound of an arm, `x · θ + width √(xᵀ A⁻¹ x)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    theta: Vec<f64>,
    inverse: Inverse,
    width: f64,
}

impl Bound {
    pub(super) fn new(Estimate { theta, inverse }: Estimate, width: f64) -> Self {
        Self { theta, inverse, width }
    }

    /// Of a call with `x`; without the mean of all arms' rewards, which is the same for each.
    pub(super) fn at(&self, x: &[f64]) -> f64 {
        dot(&self.theta, x) + self.width * self.inverse.quadratic(x).sqrt()
    }
}

/// What `θ` may be, drawn so many times: for each arm and each of its numbers the numbers of all draws beside one another,
/// so that they are summed up many at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draws {
    numbers: Vec<f64>,
    arms: usize,
}

impl Draws {
    /// Draws from what is known of each arm; the same ones for the same seed.
    pub(super) fn new(arms: &[Estimate], noise: f64, seed: u64) -> Self {
        let dice = SplitMix::seeded(seed);
        let deviation = noise.sqrt();
        let mut numbers = Vec::with_capacity(arms.iter().map(|arm| arm.theta.len() * DRAWS).sum());
        for arm in arms {
            let mut normal = vec![0.0; arm.theta.len() * DRAWS];
            normal
                .chunks_exact_mut(2)
                .for_each(|pair| pair.copy_from_slice(&normal_pair(&dice).map(|z| z * deviation)));
            let mut drawn: Vec<f64> = arm.theta.iter().flat_map(|theta| std::iter::repeat_n(*theta, DRAWS)).collect();
            arm.inverse.spread(&normal, DRAWS, &mut drawn);
            numbers.append(&mut drawn);
        }
        Self { numbers, arms: arms.len() }
    }

    /// In which part of the draws each arm is the best one for `x`; `out` has a place for each.
    pub(super) fn shares(&self, x: &[f64], out: &mut [f64]) {
        let mut most = [f64::NEG_INFINITY; DRAWS];
        let mut best = [0u16; DRAWS];
        let mut scores = [0.0; DRAWS];
        for (arm, numbers) in (0u16..).zip(self.numbers.chunks_exact(x.len() * DRAWS)) {
            scores.fill(0.0);
            for (feature, drawn) in x.iter().zip(numbers.chunks_exact(DRAWS)) {
                add(&mut scores, *feature, drawn);
            }
            for ((score, most), best) in scores.iter().zip(&mut most).zip(&mut best) {
                let is_more = score > most;
                *best = if is_more { arm } else { *best };
                *most = if is_more { *score } else { *most };
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let one = 1.0 / DRAWS as f64;
        out.fill(0.0);
        best.iter().for_each(|arm| out[usize::from(*arm)] += one);
    }
}

/// Two independent standard normal numbers (Marsaglia, Bray: A Convenient Method for Generating Normal Variables, 1964).
fn normal_pair(dice: &SplitMix) -> [f64; 2] {
    loop {
        let (u, v) = (2.0 * dice.unit() - 1.0, 2.0 * dice.unit() - 1.0);
        let square = u * u + v * v;
        if square > 0.0 && square < 1.0 {
            let factor = (-2.0 * square.ln() / square).sqrt();
            return [u * factor, v * factor];
        }
    }
}

impl ContextState {
    pub(super) fn new(id: StateId, (arms, features): (usize, usize), mixing: Mixing, scores: Scores) -> Self {
        Self { id, arms, features, mixing, scores }
    }

    /// Names it in records.
    #[must_use]
    pub const fn id(&self) -> StateId {
        self.id
    }

    /// How many features a call has.
    #[must_use]
    pub const fn features(&self) -> usize {
        self.features
    }

    /// Puts the probability of each arm for a call with these features into `out`; their sum is 1. A feature beyond
    /// `[−1, 1]` counts as the edge; one that is missing, or no number, as 0.
    pub fn shares(&self, features: &[f64], out: &mut Vec<f64>) {
        let mut x = [0.0; MOST_FEATURES + 1];
        let x = row_of(features, self.features + 1, &mut x);
        out.clear();
        out.resize(self.arms, 0.0);
        match &self.scores {
            Scores::Even => {
                #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
                out.fill(1.0 / self.arms as f64);
            }
            Scores::Bounds(bounds) => largest(bounds.iter().map(|bound| bound.at(x)), out),
            Scores::Draws(draws) => draws.shares(x, out),
        }
        self.mixing.apply(out);
    }
}

/// All for the largest, in equal parts where several are.
fn largest(scores: impl Iterator<Item = f64>, out: &mut [f64]) {
    let (mut most, mut sharing) = (f64::NEG_INFINITY, 0.0);
    for (score, to) in scores.zip(out.iter_mut()) {
        *to = score;
        if score > most {
            (most, sharing) = (score, 1.0);
        } else if score >= most {
            sharing += 1.0;
        }
    }
    out.iter_mut().for_each(|score| *score = if *score >= most { 1.0 / sharing } else { 0.0 });
}

#[cfg(test)]
mod tests;
