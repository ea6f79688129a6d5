//! A learner: the tallies of a route's arms, and the state that a policy draws from. Owns the fold of a reward, in the
//! order in which rewards come, so that a log of them leads to the same state again.

use super::mixing::Mixing;
use super::rule::Rule;
use super::tally::Tally;
use crate::policy::PolicyState;
use crate::share::{Shares, SharesFault};

/// Folds rewards into tallies, and tallies into states.
#[derive(Debug, Clone)]
pub struct Learner {
    rule: Rule,
    mixing: Mixing,
    /// What the tallies are multiplied by before each reward.
    fading: Option<f64>,
    tallies: Vec<Tally>,
}

impl Learner {
    /// A learner that begins with `tallies`, one for each arm; after `half_life` rewards one counts for a half.
    #[must_use]
    pub fn new(rule: Rule, mixing: Mixing, half_life: Option<f64>, tallies: Vec<Tally>) -> Self {
        Self { rule, mixing, fading: half_life.map(|rewards| (-1.0 / rewards).exp2()), tallies }
    }

    /// Folds a reward of an arm; larger is better. One that is no finite number, or of an arm that is not there, changes
    /// nothing.
    pub fn fold(&mut self, arm: usize, reward: f64) {
        if !reward.is_finite() || arm >= self.tallies.len() {
            return;
        }
        if let Some(by) = self.fading {
            self.tallies.iter_mut().for_each(|tally| tally.fade(by));
        }
        self.tallies[arm].add(&Tally::of(reward));
    }

    /// What it remembers of each arm.
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// The state to publish.
    ///
    /// # Errors
    /// There is no arm.
    pub fn state(&self) -> Result<PolicyState, SharesFault> {
        if self.tallies.is_empty() {
            return Err(SharesFault::Nothing);
        }
        let shares = Shares::new(&self.mixing.applied(&self.rule.shares(&self.tallies)))?;
        let numbers = self.tallies.iter().flat_map(|tally| [tally.n, tally.sum, tally.squares]);
        let knowledge: Vec<u8> = numbers.flat_map(|number| number.to_bits().to_be_bytes()).collect();
        Ok(PolicyState::learnt(shares, &knowledge))
    }

    /// The arm that is known to be the best one, where the rule is one that says so.
    #[must_use]
    pub fn found(&self) -> Option<usize> {
        self.rule.found(&self.tallies)
    }
}

#[cfg(test)]
mod tests;
