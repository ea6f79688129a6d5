//! States of learners, reckoned again: shares from what a state knew, by the rule of its configuration, and what it knew from
//! the rewards in the log. Owns when two are the same: to the bit.

use super::kept::Kept;
use crate::learning::{Later, carried, entry, fold, learner, sums};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::event::Decision;
use tidegate_core::spec::LearnedSpec;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::{RouteName, StateId, VariantName};
use tidegate_route::PolicyState;
use tidegate_route::learn::{Heard, Learner, Sums, Tally};
use tidegate_storage::learning::{Learnt, StateEntry, SumsEntry, log_at};

/// A state that was reckoned again.
#[derive(Debug, Clone)]
pub(crate) struct Reckoned {
    /// What calls draw from.
    pub(crate) state: PolicyState,
    /// Whether its shares and its name are those that were published, to the bit.
    pub(crate) is_same: bool,
}

impl Reckoned {
    /// The probability of each arm at a call that drew from it.
    pub(crate) fn shares_of(&self, decision: &Decision) -> Arc<[f64]> {
        self.state.shares_in(decision.regarded.as_ref().map_or(&[], |regarded| &regarded.features))
    }
}

/// Reckons a state's shares from its tallies; `None` where its configuration is not kept, or has no rule that this program
/// knows.
pub(crate) fn reckoned(kept: &Kept, state: &StateEntry) -> Option<Reckoned> {
    let again = learner_at(&kept.learned()?, state)?.state().ok()?;
    let is_same = again.id() == Some(state.id) && same_bits(again.shares(), &state.shares);
    Some(Reckoned { state: again, is_same })
}

/// A learner that knows what a state knew; `None` where its settings do not fit so many arms.
pub(crate) fn learner_at(learned: &LearnedSpec, state: &StateEntry) -> Option<Learner> {
    let (own, heard) = (tallies(state), heard(state));
    let known = learner(learned, carried(learned, state.features, own)).ok()?;
    let heard = Heard { tallies: carried(learned, state.features, heard.tallies), ..heard };
    Some(known.going_on(state.folded, heard))
}

/// What came of the states of a route when its log was gone through again.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Refolded {
    /// States of the log.
    pub(crate) states: usize,
    /// Those that are the same to the bit: what they knew follows from the state before and the rewards between, and their
    /// shares from what they knew.
    pub(crate) same: usize,
    /// Those of which neither can be said: nothing tells by which configuration they were reckoned.
    pub(crate) unknown: usize,
    /// The first that is another one.
    pub(crate) other: Option<StateId>,
}

/// A state of the log, and the rewards that came after it.
struct Step {
    state: StateEntry,
    learned: Option<LearnedSpec>,
    later: Vec<Later>,
}

/// Goes through the learning log of a route again. `kept` says what is kept of the configuration under which calls drew from
/// a state; a state that no call drew from is held to the policy before it.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn refolded(
    folder: &Path,
    route: &RouteName,
    kept: impl Fn(StateId) -> Option<Arc<Kept>>,
) -> anyhow::Result<Refolded> {
    let (mut found, mut before) = (Refolded::default(), None::<Step>);
    log_at(folder).read(|entry| match entry {
        Learnt::Reward(one) if one.route == *route => {
            let of_state = before.as_mut().filter(|step| step.state.reward == one.reward);
            if let Some(step) = of_state {
                step.later.push(Later::from(one));
            }
        }
        Learnt::State(state) if state.route == *route => {
            let own = kept(state.id);
            let learned = own.as_ref().and_then(|kept| kept.learned());
            found.states += 1;
            let shares = own.and_then(|kept| reckoned(&kept, &state)).map(|again| again.is_same);
            match both(shares, before.as_ref().and_then(|step| step.leads_to(&state, learned.as_ref()))) {
                Some(true) => found.same += 1,
                Some(false) => found.other = found.other.or(Some(state.id)),
                None => found.unknown += 1,
            }
            let learned = learned.or_else(|| before.take().and_then(|step| step.learned));
            before = Some(Step { state, learned, later: Vec::new() });
        }
        _ => {}
    })?;
    Ok(found)
}

/// Whether all that is known holds.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, None) => None,
    }
}

impl Step {
    /// Whether a state knows what this one knew, with the rewards that came after it; `None` where it learns something else,
    /// or where no policy is known. Rewards that came before a change of the policy fade by either of the two.
    fn leads_to(&self, next: &StateEntry, learned: Option<&LearnedSpec>) -> Option<bool> {
        if next.reward != self.state.reward {
            return None;
        }
        let mut any = None;
        // A policy that regards something else did not reckon it.
        let is_its = |policy: &&LearnedSpec| FeatureSpec::id_of(&policy.features) == next.features;
        for policy in self.learned.iter().chain(learned).filter(is_its) {
            let is_same = self.knows(policy, heard(next)).is_some_and(|learner| {
                let of = |name: &VariantName| {
                    let arm = self.state.variants.iter().position(|known| known == name)?;
                    learner.tallies().get(arm).cloned()
                };
                let expected = next.variants.iter().map(|name| of(name).unwrap_or_else(|| learner.nothing()));
                same_bits(&numbers(expected.map(|sums| entry(&sums))), &numbers(next.tallies.iter().cloned()))
            });
            any = Some(is_same || any.unwrap_or(false));
        }
        any
    }

    /// What is known of each arm with the rewards that came later, and with those of others that fade them.
    fn knows(&self, policy: &LearnedSpec, heard: Heard) -> Option<Learner> {
        let mut learner = learner_at(policy, &self.state)?;
        for Later { variant, value, regarded } in &self.later {
            if let Some(arm) = self.state.variants.iter().position(|name| name == variant) {
                fold(&mut learner, policy, arm, *value, regarded.as_ref());
            }
        }
        learner.hear(heard);
        Some(learner)
    }
}

/// All numbers of entries.
fn numbers(entries: impl Iterator<Item = SumsEntry>) -> Vec<f64> {
    let each = |entry| match entry {
        SumsEntry::Plain(numbers) => numbers.to_vec(),
        SumsEntry::Linear { mut a, b, squares } => {
            a.extend(b);
            a.push(squares);
            a
        }
    };
    entries.flat_map(each).collect()
}

/// What a state knew of each arm from rewards of this replica.
pub(crate) fn tallies(state: &StateEntry) -> Vec<Sums> {
    state.tallies.iter().map(sums).collect()
}

/// What a state knew from other replicas.
pub(crate) fn heard(state: &StateEntry) -> Heard {
    state.heard.as_ref().map_or_else(Heard::default, |heard| Heard {
        folded: heard.folded.clone(),
        tallies: heard.tallies.iter().map(sums).collect(),
    })
}

/// What a state knew of the rewards of each arm in all.
pub(crate) fn known(state: &StateEntry) -> Vec<Tally> {
    let mut known: Vec<Tally> = tallies(state).iter().map(Sums::plain).collect();
    known.iter_mut().zip(heard(state).tallies).for_each(|(own, others)| own.add(&others.plain()));
    known
}

/// Whether numbers are the same to the bit.
pub(crate) fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::{Shop, learnt};
    use serde_json::json;
    use tidegate_core::spec::{RewardSource, RuleSpec};

    fn kept(policy: &serde_json::Value) -> Kept {
        let whole = json!({"routes": {"r": {"policy": policy, "arms": ["a", "b"]}}, "rewards": {}});
        Kept::read(whole, &"r".parse().unwrap()).unwrap()
    }

    fn state(rule: RuleSpec, min_share: f64) -> StateEntry {
        let reward = RewardSource::Call(tidegate_core::spec::Implicit::Error);
        let learned = LearnedSpec {
            rule,
            features: Vec::new(),
            reward,
            explore: 0.0,
            min_share,
            half_life: None,
            cost_share: None,
        };
        let tallies = [Tally { n: 10.0, sum: 4.0, squares: 4.0 }, Tally { n: 20.0, sum: 13.0, squares: 13.0 }];
        let tallies = tallies.map(Sums::from).to_vec();
        let state = learner(&learned, tallies.clone()).unwrap().state().unwrap();
        StateEntry {
            folded: 0,
            heard: None,
            at: 1,
            route: "r".parse().unwrap(),
            id: state.id().unwrap(),
            reward: "error".into(),
            variants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            shares: Arc::clone(state.shares()),
            tallies: tallies.iter().map(entry).collect(),
            features: None,
        }
    }

    #[test]
    fn a_state_is_the_same_again_also_from_its_line_in_the_log() {
        let thompson = kept(&json!({"thompson": {"reward": "error", "min_share": 0.01}}));
        let line = serde_json::to_string(&state(RuleSpec::Thompson, 0.01)).unwrap();
        let again = reckoned(&thompson, &serde_json::from_str(&line).unwrap()).unwrap();
        assert!(again.is_same && again.state.shares().len() == 2);
    }

    #[test]
    fn what_was_changed_by_a_bit_shows() {
        let thompson = kept(&json!({"thompson": {"reward": "error", "min_share": 0.01}}));
        let mut one = state(RuleSpec::Thompson, 0.01);
        let SumsEntry::Plain(numbers) = &mut one.tallies[0] else { panic!("a blind rule") };
        numbers[1] = f64::from_bits(numbers[1].to_bits() + 1);
        assert!(!reckoned(&thompson, &one).unwrap().is_same);
        let mut one = state(RuleSpec::Thompson, 0.01);
        one.shares = one.shares.iter().map(|share| f64::from_bits(share.to_bits() ^ 1)).collect();
        assert!(!reckoned(&thompson, &one).unwrap().is_same);
        let other = kept(&json!({"thompson": {"reward": "error", "min_share": 0.02}}));
        assert!(!reckoned(&other, &state(RuleSpec::Thompson, 0.01)).unwrap().is_same);
        assert!(reckoned(&kept(&json!({"weighted": {"a": 1.0}})), &state(RuleSpec::Thompson, 0.01)).is_none());
    }
    fn refold(log: &[Learnt], half_life: u32) -> Refolded {
        let shop = Shop::new();
        shop.said(log);
        let policy = json!({"thompson": {"reward": "error", "min_share": 0.01, "half_life": half_life}});
        let kept = Arc::new(kept(&policy));
        refolded(shop.folder(), &"r".parse().unwrap(), |_| Some(Arc::clone(&kept))).unwrap()
    }

    #[test]
    fn a_log_leads_to_the_same_states_again() {
        assert_eq!(refold(&learnt(5), 5), Refolded { states: 3, same: 3, unknown: 0, other: None });
    }

    #[test]
    fn a_reward_that_is_missing_or_another_policy_shows() {
        let mut torn = learnt(5);
        torn.remove(3);
        let found = refold(&torn, 5);
        assert!(found.same == 2 && found.other.is_some(), "{found:?}");
        let found = refold(&learnt(5), 6);
        assert!(found.same == 1 && found.other.is_some(), "{found:?}");
        let shop = Shop::new();
        shop.said(&learnt(5));
        let found = refolded(shop.folder(), &"r".parse().unwrap(), |_| None).unwrap();
        assert_eq!(found, Refolded { states: 3, same: 0, unknown: 3, other: None });
    }
}
