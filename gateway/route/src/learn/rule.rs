//! How tallies become probabilities. Owns one rule each: `epsilon_greedy`, `ucb1`, `thompson`, `track_and_stop`.

use super::allocation;
use super::best::probabilities;
use super::posterior::{beta, student};
use super::tally::Tally;

/// What rewards are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// 0 or 1.
    Booleans,
    /// Any numbers.
    Numbers,
}

/// A rule by which an arm is picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The arm of the largest mean, but for a share that is spread evenly and becomes smaller.
    EpsilonGreedy {
        /// The share at the beginning, in `[0, 1]`.
        epsilon: f64,
        /// After so many rewards it is half as large, after twice as many a third; `None` where it stays.
        decay: Option<f64>,
    },
    /// The arm of the largest upper bound, `mean + √(2 ln N / n)` (Auer, Cesa-Bianchi, Fischer: Finite-time Analysis of
    /// the Multiarmed Bandit Problem, 2002), for rewards in `range`.
    Ucb1 {
        /// The smallest and the largest reward that there can be.
        range: (f64, f64),
    },
    /// Each arm by the probability that it is the best one (Thompson 1933).
    Thompson(Values),
    /// The spread that finds the best arm soonest, until it is known with the confidence `1 − delta`; then that arm.
    TrackAndStop {
        /// The most that the chance of a wrong arm may be, in `(0, 1)`.
        delta: f64,
    },
}

/// Rewards of each arm that `track_and_stop` waits for before it reckons.
const NURSERY: f64 = 10.0;

impl Rule {
    /// The probability of each arm; their sum is 1. `tallies` has at least one arm.
    #[must_use]
    pub fn shares(&self, tallies: &[Tally]) -> Vec<f64> {
        match *self {
            Self::EpsilonGreedy { epsilon, decay } => epsilon_greedy(tallies, epsilon, decay),
            Self::Ucb1 { range } => ucb1(tallies, range),
            Self::Thompson(Values::Booleans) => probabilities(&tallies.iter().map(beta).collect::<Vec<_>>()),
            Self::Thompson(Values::Numbers) => thompson(tallies),
            Self::TrackAndStop { delta } => track_and_stop(tallies, delta),
        }
    }

    /// Whether it is certain of an arm, so that only what is mixed in explores.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        matches!(self, Self::Ucb1 { .. })
    }

    /// The arm that is known to be the best one: only `track_and_stop` says so.
    #[must_use]
    pub fn found(&self, tallies: &[Tally]) -> Option<usize> {
        let Self::TrackAndStop { delta } = *self else { return None };
        let is_enough = tallies.iter().all(|tally| tally.n >= NURSERY);
        (is_enough && allocation::is_known(tallies, delta)).then(|| allocation::optimal(tallies).0)
    }
}

fn epsilon_greedy(tallies: &[Tally], epsilon: f64, decay: Option<f64>) -> Vec<f64> {
    let total: f64 = tallies.iter().map(|tally| tally.n).sum();
    let epsilon = decay.map_or(epsilon, |decay| epsilon / (1.0 + total / decay));
    let even = epsilon / count(tallies);
    let greedy = largest(tallies.iter().map(|tally| tally.mean().unwrap_or(f64::INFINITY)));
    greedy.into_iter().map(|share| even + (1.0 - epsilon) * share).collect()
}

fn ucb1(tallies: &[Tally], (low, high): (f64, f64)) -> Vec<f64> {
    let total: f64 = tallies.iter().map(|tally| tally.n).sum();
    let bound = |tally: &Tally| {
        tally
            .mean()
            .map_or(f64::INFINITY, |mean| (mean - low) / (high - low) + (2.0 * total.max(1.0).ln() / tally.n).sqrt())
    };
    largest(tallies.iter().map(bound))
}

fn thompson(tallies: &[Tally]) -> Vec<f64> {
    let mut pooled = Tally::default();
    tallies.iter().for_each(|tally| pooled.add(tally));
    // Until two different rewards came nothing is known of their scale.
    if pooled.scatter() <= pooled.squares * 1e-12 {
        return vec![1.0 / count(tallies); tallies.len()];
    }
    probabilities(&tallies.iter().map(|tally| student(tally, &pooled)).collect::<Vec<_>>())
}

fn track_and_stop(tallies: &[Tally], delta: f64) -> Vec<f64> {
    let is_young = |tally: &Tally| tally.n < NURSERY;
    if tallies.len() == 1 {
        return vec![1.0];
    }
    if tallies.iter().any(is_young) {
        return largest(tallies.iter().map(|tally| f64::from(u8::from(is_young(tally)))));
    }
    let (best, spread) = allocation::optimal(tallies);
    if !allocation::is_known(tallies, delta) {
        return spread;
    }
    (0..tallies.len()).map(|arm| f64::from(u8::from(arm == best))).collect()
}

/// All for the largest, in equal parts where several are.
fn largest(scores: impl Iterator<Item = f64>) -> Vec<f64> {
    let scores: Vec<f64> = scores.collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_most = |score: &f64| f64::from(u8::from(*score >= most));
    let sharing: f64 = scores.iter().map(is_most).sum();
    scores.iter().map(|score| is_most(score) / sharing).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
fn count(tallies: &[Tally]) -> f64 {
    tallies.len() as f64
}

#[cfg(test)]
mod tests;
