//! States of learners, reckoned again: shares from what a state knew, by the rule of its configuration. Owns when two are the
//! same: to the bit.

use super::kept::Kept;
use std::sync::Arc;
use tidegate_core::spec::LearnedSpec;
use tidegate_route::learn::{Learner, Tally};
use tidegate_storage::learning::StateEntry;

/// A state that was reckoned again.
#[derive(Debug, Clone)]
pub(crate) struct Reckoned {
    /// The probability of each arm.
    pub(crate) shares: Arc<[f64]>,
    /// Whether its shares and its name are those that were published, to the bit.
    pub(crate) is_same: bool,
}

/// Reckons a state's shares from its tallies; `None` where its configuration is not kept, or has no rule that this program
/// knows.
pub(crate) fn reckoned(kept: &Kept, state: &StateEntry) -> Option<Reckoned> {
    let again = learner_at(&kept.learned()?, state)?.state().ok()?;
    let is_same = again.id() == Some(state.id) && same_bits(again.shares(), &state.shares);
    Some(Reckoned { shares: Arc::clone(again.shares()), is_same })
}

/// A learner that knows what a state knew; `None` where its settings do not fit so many arms.
pub(crate) fn learner_at(learned: &LearnedSpec, state: &StateEntry) -> Option<Learner> {
    crate::learning::learner(learned, tallies(state)).ok()
}

/// What a state knew of each arm.
pub(crate) fn tallies(state: &StateEntry) -> Vec<Tally> {
    state.tallies.iter().map(|[n, sum, squares]| Tally { n: *n, sum: *sum, squares: *squares }).collect()
}

/// Whether numbers are the same to the bit.
pub(crate) fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_core::spec::{RewardSource, RuleSpec};

    fn kept(policy: &serde_json::Value) -> Kept {
        let whole = json!({"routes": {"r": {"policy": policy, "arms": ["a", "b"]}}, "rewards": {}});
        Kept::read(whole, &"r".parse().unwrap()).unwrap()
    }

    fn state(rule: RuleSpec, min_share: f64) -> StateEntry {
        let reward = RewardSource::Call(tidegate_core::spec::Implicit::Error);
        let learned = LearnedSpec { rule, reward, explore: 0.0, min_share, half_life: None };
        let tallies = vec![Tally { n: 10.0, sum: 4.0, squares: 4.0 }, Tally { n: 20.0, sum: 13.0, squares: 13.0 }];
        let state = crate::learning::learner(&learned, tallies.clone()).unwrap().state().unwrap();
        StateEntry {
            at: 1,
            route: "r".parse().unwrap(),
            id: state.id().unwrap(),
            reward: "error".into(),
            variants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            shares: Arc::clone(state.shares()),
            tallies: tallies.iter().map(|tally| [tally.n, tally.sum, tally.squares]).collect(),
        }
    }

    #[test]
    fn a_state_is_the_same_again_also_from_its_line_in_the_log() {
        let thompson = kept(&json!({"thompson": {"reward": "error", "min_share": 0.01}}));
        let line = serde_json::to_string(&state(RuleSpec::Thompson, 0.01)).unwrap();
        let again = reckoned(&thompson, &serde_json::from_str(&line).unwrap()).unwrap();
        assert!(again.is_same && again.shares.len() == 2);
    }

    #[test]
    fn what_was_changed_by_a_bit_shows() {
        let thompson = kept(&json!({"thompson": {"reward": "error", "min_share": 0.01}}));
        let mut one = state(RuleSpec::Thompson, 0.01);
        one.tallies[0][1] = f64::from_bits(one.tallies[0][1].to_bits() + 1);
        assert!(!reckoned(&thompson, &one).unwrap().is_same);
        let mut one = state(RuleSpec::Thompson, 0.01);
        one.shares = one.shares.iter().map(|share| f64::from_bits(share.to_bits() ^ 1)).collect();
        assert!(!reckoned(&thompson, &one).unwrap().is_same);
        let other = kept(&json!({"thompson": {"reward": "error", "min_share": 0.02}}));
        assert!(!reckoned(&other, &state(RuleSpec::Thompson, 0.01)).unwrap().is_same);
        assert!(reckoned(&kept(&json!({"weighted": {"a": 1.0}})), &state(RuleSpec::Thompson, 0.01)).is_none());
    }
}
