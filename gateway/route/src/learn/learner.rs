//! A learner: the tallies of a route's arms, and the state that a policy draws from. Owns the fold of a reward, in the
//! order in which rewards come, so that a log of them leads to the same state again.

use super::contextual::LinearRule;
use super::fault::LearnFault;
use super::heard::{Heard, Told};
use super::linear::{LinearTally, Regression};
use super::mixing::Mixing;
use super::rule::Rule;
use super::sums::Sums;
use super::tally::Tally;
use crate::policy::PolicyState;
use crate::share::Shares;
use std::collections::BTreeMap;
use tidegate_core::spec::feature::MOST_FEATURES;

/// Folds rewards into tallies, and tallies into states.
#[derive(Debug, Clone)]
pub struct Learner {
    rule: AnyRule,
    mixing: Mixing,
    /// What the tallies are multiplied by before each reward.
    fading: Option<f64>,
    tallies: Vec<Sums>,
    /// How many rewards it has folded itself, ever.
    folded: u64,
    heard: Heard,
}

/// By which an arm is picked.
#[derive(Debug, Clone, Copy)]
enum AnyRule {
    /// Whatever the call.
    Blind(Rule),
    /// For a call with so many features.
    Linear(LinearRule, usize),
}

impl AnyRule {
    /// What of an arm it can go on with.
    fn takes(self, sums: Sums) -> Sums {
        match self {
            Self::Blind(_) => Sums::Plain(sums.plain()),
            Self::Linear(_, features) => Sums::Linear(sums.linear(features)),
        }
    }
}

impl Learner {
    /// A learner that begins with what is known of each arm; after `half_life` rewards one counts for a half.
    #[must_use]
    pub fn new(
        rule: Rule,
        mixing: Mixing,
        half_life: Option<f64>,
        tallies: impl IntoIterator<Item: Into<Sums>>,
    ) -> Self {
        Self::by(AnyRule::Blind(rule), mixing, half_life, tallies)
    }

    /// A learner that regards so many features of calls, and begins with what is known of each arm.
    ///
    /// # Errors
    /// There is no arm, there are too many features, or what is known is of other ones.
    pub fn regarding(
        (rule, features): (LinearRule, usize),
        mixing: Mixing,
        half_life: Option<f64>,
        tallies: Vec<LinearTally>,
    ) -> Result<Self, LearnFault> {
        if tallies.is_empty() {
            return Err(LearnFault::NoArm);
        }
        if features > MOST_FEATURES {
            return Err(LearnFault::TooMany(features));
        }
        if let Some(arm) = tallies.iter().position(|tally| !tally.is_of(features)) {
            return Err(LearnFault::OtherFeatures { arm, features });
        }
        Ok(Self::by(AnyRule::Linear(rule, features), mixing, half_life, tallies))
    }

    fn by(rule: AnyRule, mixing: Mixing, half_life: Option<f64>, tallies: impl IntoIterator<Item: Into<Sums>>) -> Self {
        let fading = half_life.map(|rewards| (-1.0 / rewards).exp2());
        let tallies = tallies.into_iter().map(|sums| rule.takes(sums.into())).collect();
        Self { rule, mixing, fading, tallies, folded: 0, heard: Heard::default() }
    }

    /// The same, where it goes on: it has folded so many rewards, and had heard this.
    #[must_use]
    pub fn going_on(self, folded: u64, heard: Heard) -> Self {
        let heard = Heard { tallies: self.sized(heard.tallies), ..heard };
        Self { folded, heard, ..self }
    }

    fn sized(&self, mut tallies: Vec<Sums>) -> Vec<Sums> {
        if !tallies.is_empty() {
            tallies.resize(self.tallies.len(), Sums::default());
        }
        tallies.into_iter().map(|sums| self.rule.takes(sums)).collect()
    }

    /// What it knows of an arm that has no reward.
    #[must_use]
    pub fn nothing(&self) -> Sums {
        self.rule.takes(Sums::default())
    }

    /// Folds a reward of an arm; larger is better. One that is no finite number, or of an arm that is not there, changes
    /// nothing.
    pub fn fold(&mut self, arm: usize, reward: f64) {
        self.fold_in(&[], arm, reward);
    }

    /// Folds a reward of an arm for a call with these features, which are nothing to a rule that regards none.
    pub fn fold_in(&mut self, features: &[f64], arm: usize, reward: f64) {
        if !reward.is_finite() || arm >= self.tallies.len() {
            return;
        }
        if let Some(by) = self.fading {
            self.tallies.iter_mut().chain(&mut self.heard.tallies).for_each(|tally| tally.fade(by));
        }
        self.tallies[arm].fold(features, reward);
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
        let mut heard = Heard { folded, tallies: vec![self.nothing(); self.tallies.len()] };
        let seen = self.folded.saturating_add(heard.rewards());
        for told in told.values() {
            let by = self.faded(seen.saturating_sub(told.seen));
            for (sum, tally) in heard.tallies.iter_mut().zip(&told.tallies) {
                let mut tally = tally.clone();
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
    pub fn known(&self) -> Vec<Sums> {
        let mut known = self.tallies.clone();
        known.iter_mut().zip(&self.heard.tallies).for_each(|(own, others)| own.add(others));
        known
    }

    /// What it remembers of each arm's rewards that it folded itself.
    #[must_use]
    pub fn tallies(&self) -> &[Sums] {
        &self.tallies
    }

    /// The state to publish.
    ///
    /// # Errors
    /// There is no arm, or what it began with were the sums of no rewards.
    pub fn state(&self) -> Result<PolicyState, LearnFault> {
        match self.rule {
            AnyRule::Blind(rule) => self.blind(rule),
            AnyRule::Linear(rule, features) => {
                let state = rule.state(self.mixing.clone(), features, &self.regressed(features))?;
                Ok(PolicyState::of_context(state)?)
            }
        }
    }

    fn blind(&self, rule: Rule) -> Result<PolicyState, LearnFault> {
        if self.tallies.is_empty() {
            return Err(LearnFault::NoArm);
        }
        let known = self.plain();
        let shares = Shares::new(&self.mixing.applied(&rule.shares(&known)))?;
        let numbers = known.iter().flat_map(|tally| [tally.n, tally.sum, tally.squares]);
        let knowledge: Vec<u8> = numbers.flat_map(|number| number.to_bits().to_be_bytes()).collect();
        Ok(PolicyState::learnt(shares, &knowledge))
    }

    fn plain(&self) -> Vec<Tally> {
        self.known().iter().map(Sums::plain).collect()
    }

    fn regressed(&self, features: usize) -> Vec<LinearTally> {
        self.known().into_iter().map(|sums| sums.linear(features)).collect()
    }

    /// The arm that is known to be the best one, where the rule is one that says so.
    #[must_use]
    pub fn found(&self) -> Option<usize> {
        match self.rule {
            AnyRule::Blind(rule) => rule.found(&self.plain()),
            AnyRule::Linear(..) => None,
        }
    }

    /// What each feature of a call adds to the reward that is expected of each arm, beside the mean of all arms: first what
    /// is the same for all calls, then one number for each feature. `None` where no features are regarded.
    #[must_use]
    pub fn expects(&self, features: &[f64]) -> Option<Vec<Vec<f64>>> {
        let AnyRule::Linear(_, count) = self.rule else { return None };
        let regression = Regression::of(&self.regressed(count)).ok()?;
        let each = |theta: &[f64]| [1.0].iter().chain(features).zip(theta).map(|(x, theta)| x * theta).collect();
        Some(regression.arms.iter().map(|arm| each(&arm.theta)).collect())
    }
}

#[cfg(test)]
mod tests;
