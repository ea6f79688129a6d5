//! A learner: the tallies of a route's arms, and the state that a policy draws from. Owns the fold of a reward, in the
//! order in which rewards come, so that a log of them leads to the same state again.

use super::heard::{Heard, Told};
use super::mixing::Mixing;
use super::rule::Rule;
use super::tally::Tally;
use crate::policy::PolicyState;
use crate::share::{Shares, SharesFault};
use std::collections::BTreeMap;

/// Folds rewards into tallies, and tallies into states.
#[derive(Debug, Clone)]
pub struct Learner {
    rule: Rule,
    mixing: Mixing,
    /// What the tallies are multiplied by before each reward.
    fading: Option<f64>,
    tallies: Vec<Tally>,
    /// How many rewards it has folded itself, ever.
    folded: u64,
    heard: Heard,
}

impl Learner {
    /// A learner that begins with `tallies`, one for each arm; after `half_life` rewards one counts for a half.
    #[must_use]
    pub fn new(rule: Rule, mixing: Mixing, half_life: Option<f64>, tallies: Vec<Tally>) -> Self {
        let fading = half_life.map(|rewards| (-1.0 / rewards).exp2());
        Self { rule, mixing, fading, tallies, folded: 0, heard: Heard::default() }
    }

    /// The same, where it goes on: it has folded so many rewards, and had heard this.
    #[must_use]
    pub fn going_on(self, folded: u64, heard: Heard) -> Self {
        let heard = Heard { tallies: self.sized(heard.tallies), ..heard };
        Self { folded, heard, ..self }
    }

    fn sized(&self, mut tallies: Vec<Tally>) -> Vec<Tally> {
        if !tallies.is_empty() {
            tallies.resize(self.tallies.len(), Tally::default());
        }
        tallies
    }

    /// Folds a reward of an arm; larger is better. One that is no finite number, or of an arm that is not there, changes
    /// nothing.
    pub fn fold(&mut self, arm: usize, reward: f64) {
        if !reward.is_finite() || arm >= self.tallies.len() {
            return;
        }
        if let Some(by) = self.fading {
            self.tallies.iter_mut().chain(&mut self.heard.tallies).for_each(|tally| tally.fade(by));
        }
        self.tallies[arm].add(&Tally::of(reward));
        self.folded += 1;
    }

    /// What it has to tell others.
    #[must_use]
    pub fn told(&self) -> Told {
        let seen = self.folded.saturating_add(self.heard.rewards());
        Told { folded: self.folded, seen, tallies: self.tallies.clone() }
    }

    /// What others tell, by their names, as one. One who told before and is silent now is no longer in the sum.
    #[must_use]
    pub fn pooled(&self, told: &BTreeMap<String, Told>) -> Heard {
        let mut folded = self.heard.folded.clone();
        for (name, told) in told {
            let known = folded.entry(name.clone()).or_default();
            *known = told.folded.max(*known);
        }
        let mut heard = Heard { folded, tallies: vec![Tally::default(); self.tallies.len()] };
        let seen = self.folded.saturating_add(heard.rewards());
        for told in told.values() {
            let by = self.faded(seen.saturating_sub(told.seen));
            for (sum, tally) in heard.tallies.iter_mut().zip(&told.tallies) {
                let mut tally = *tally;
                tally.fade(by);
                sum.add(&tally);
            }
        }
        heard
    }

    /// Knows from now on what others know; its own rewards fade by those that others folded meanwhile, as if all were its
    /// own.
    pub fn hear(&mut self, heard: Heard) {
        let by = self.faded(heard.since(&self.heard));
        self.tallies.iter_mut().for_each(|tally| tally.fade(by));
        self.heard = Heard { tallies: self.sized(heard.tallies), ..heard };
    }

    /// What it has heard.
    #[must_use]
    pub const fn heard(&self) -> &Heard {
        &self.heard
    }

    /// How many rewards it has folded itself, ever.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }

    /// What so many rewards leave of one that was there before them.
    fn faded(&self, rewards: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of rewards are far below 2^53")]
        self.fading.map_or(1.0, |by| by.powf(rewards as f64))
    }

    /// What is known of each arm: its own rewards and those of others.
    #[must_use]
    pub fn known(&self) -> Vec<Tally> {
        let mut known = self.tallies.clone();
        known.iter_mut().zip(&self.heard.tallies).for_each(|(own, others)| own.add(others));
        known
    }

    /// What it remembers of each arm's rewards that it folded itself.
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
        let known = self.known();
        let shares = Shares::new(&self.mixing.applied(&self.rule.shares(&known)))?;
        let numbers = known.iter().flat_map(|tally| [tally.n, tally.sum, tally.squares]);
        let knowledge: Vec<u8> = numbers.flat_map(|number| number.to_bits().to_be_bytes()).collect();
        Ok(PolicyState::learnt(shares, &knowledge))
    }

    /// The arm that is known to be the best one, where the rule is one that says so.
    #[must_use]
    pub fn found(&self) -> Option<usize> {
        self.rule.found(&self.known())
    }
}

#[cfg(test)]
mod tests;
