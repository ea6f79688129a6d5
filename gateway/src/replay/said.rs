//! What callers said of the calls of a route. Owns which value belongs to which call: of an episode each arm is judged once,
//! by values of the same tenant that came after the call and within the reward's window.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::spec::{RewardSource, RewardSpec};
use tidegate_core::{Event, InferenceId, RouteName, StateId, Tenant, VariantName};
use tidegate_storage::learning::{FeedbackEntry, Learnt, StateEntry, log_at};

/// Values, each with the moment at which it was known, in milliseconds since 1970.
pub(crate) type Values = Vec<(u64, f64)>;

/// A value about an episode.
#[derive(Debug, Clone)]
struct OfEpisode {
    at: u64,
    value: f64,
    /// For whom it was said; older entries do not tell.
    tenant: Option<Tenant>,
}

/// What a state is of: one of many that are alike, kept once.
#[derive(Debug, PartialEq)]
pub(crate) struct Learning {
    /// The reward's name.
    pub(crate) reward: Arc<str>,
    /// The arms, in the order of the route.
    pub(crate) variants: Vec<VariantName>,
}

/// What callers said, and what the states of routes are of.
#[derive(Debug, Default)]
pub(super) struct Said {
    of_call: HashMap<(usize, InferenceId), Values>,
    of_episode: HashMap<(usize, Arc<str>), Vec<OfEpisode>>,
    /// Arms of episodes that were judged.
    told: HashSet<(usize, Arc<str>, Option<Tenant>, usize)>,
    pub(super) states: HashMap<StateId, Arc<Learning>>,
}

impl Said {
    /// Reads the log: what was said of these rewards since a moment, and all states.
    pub(super) fn read(
        folder: &Path,
        routes: &[RouteName],
        rewards: &[RewardSource],
        since: u64,
    ) -> anyhow::Result<Self> {
        let mut said = Self::default();
        let mut last: Option<Arc<Learning>> = None;
        log_at(folder).read(|entry| match entry {
            Learnt::State(state) if routes.contains(&state.route) => said.name(state, &mut last),
            // What was said before the first call is about none of them.
            Learnt::Feedback(one) if one.at >= since => said.take(&one, rewards),
            _ => {}
        })?;
        Ok(said)
    }

    fn name(&mut self, state: StateEntry, last: &mut Option<Arc<Learning>>) {
        let StateEntry { id, reward, variants, .. } = state;
        let of = Learning { reward, variants };
        let known = match last.take().filter(|known| **known == of) {
            Some(known) => known,
            None => Arc::new(of),
        };
        self.states.insert(id, Arc::clone(&known));
        *last = Some(known);
    }

    fn take(&mut self, one: &FeedbackEntry, rewards: &[RewardSource]) {
        let is_asked = |(_, reward): &(usize, &RewardSource)| *one.reward == *reward.name();
        for (nth, _) in rewards.iter().enumerate().filter(is_asked) {
            match (one.id, &one.episode) {
                (Some(id), _) => self.of_call.entry((nth, id)).or_default().push((one.at, one.value)),
                (None, Some(episode)) => {
                    let value = OfEpisode { at: one.at, value: one.value, tenant: one.tenant.clone() };
                    self.of_episode.entry((nth, Arc::clone(episode))).or_default().push(value);
                }
                (None, None) => {}
            }
        }
    }

    /// What was said of a call by the reward in this place; each call is asked for once.
    pub(super) fn of(&mut self, nth: usize, spec: &RewardSpec, event: &Event, arm: usize) -> Values {
        let began = event.id.unix_ms();
        let mut values = self.of_call.remove(&(nth, event.id)).unwrap_or_default();
        if let Some(episode) = &event.episode
            && self.told.insert((nth, Arc::clone(episode), event.tenant.clone(), arm))
        {
            let all = self.of_episode.get(&(nth, Arc::clone(episode))).into_iter().flatten();
            let is_ours = |one: &&OfEpisode| match (&one.tenant, &event.tenant) {
                (Some(said), Some(called)) => said == called,
                _ => true,
            };
            values.extend(all.filter(is_ours).filter(|one| one.at >= began).map(|one| (one.at, one.value)));
        }
        let window = u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX);
        values.retain(|(at, _)| at.saturating_sub(began) <= window);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::{Call, Shop};
    use std::time::Duration;
    use tidegate_core::spec::{Goal, RewardKind, RewardLevel};

    fn spec(level: RewardLevel) -> RewardSpec {
        let window = Duration::from_secs(10);
        RewardSpec { name: "solved".parse().unwrap(), kind: RewardKind::Boolean, goal: Goal::Maximize, level, window }
    }

    fn values(shop: &Shop, level: RewardLevel, calls: &[Call]) -> Vec<Values> {
        let spec = spec(level);
        let rewards = [RewardSource::Feedback(spec.clone())];
        let mut said = Said::read(shop.folder(), &["r".parse().unwrap()], &rewards, 0).unwrap();
        calls.iter().map(|call| said.of(0, &spec, &call.event(), call.arm)).collect()
    }

    #[test]
    fn a_call_has_what_was_said_of_it_within_the_window() {
        let shop = Shop::new();
        let (one, other) = (Call::at(1_000), Call::at(2_000));
        shop.said(&[
            one.judged(1_500, 1.0),
            one.judged(11_000, 0.0),
            one.judged(11_001, 0.5),
            other.judged(2_000, 0.25),
            Learnt::Feedback(FeedbackEntry { reward: "another".into(), ..feedback(3_000) }),
        ]);
        let found = values(&shop, RewardLevel::Inference, &[one, other, Call::at(3_000)]);
        assert_eq!(found, [vec![(1_500, 1.0), (11_000, 0.0)], vec![(2_000, 0.25)], vec![]]);
    }

    fn feedback(at: u64) -> FeedbackEntry {
        let (id, episode) = (None, Some("e".into()));
        FeedbackEntry {
            at,
            id,
            episode,
            tenant: None,
            reward: "solved".into(),
            value: 1.0,
            by: String::new(),
            once: None,
        }
    }

    #[test]
    fn of_an_episode_each_arm_is_judged_once_by_what_came_after_it() {
        let shop = Shop::new();
        shop.said(&[Learnt::Feedback(feedback(5_000))]);
        let of = |at: u64, arm: usize| Call { arm, episode: Some("e"), ..Call::at(at) };
        let calls = [of(1_000, 0), of(2_000, 0), of(3_000, 1), of(6_000, 2)];
        let found = values(&shop, RewardLevel::Episode, &calls);
        assert_eq!(found, [vec![(5_000, 1.0)], vec![], vec![(5_000, 1.0)], vec![]]);
    }

    #[test]
    fn an_episode_of_another_tenant_is_another_one() {
        let shop = Shop::new();
        let of = |tenant: &str, value: f64| {
            let tenant = Some(tenant.parse().unwrap());
            Learnt::Feedback(FeedbackEntry { tenant, value, ..feedback(5_000) })
        };
        shop.said(&[of("red", 1.0), of("blue", 0.0)]);
        let by = |tenant: Option<&'static str>, at: u64| Call { episode: Some("e"), tenant, ..Call::at(at) };
        let found = values(&shop, RewardLevel::Episode, &[by(Some("blue"), 1), by(Some("red"), 2), by(Some("red"), 3)]);
        assert_eq!(found, [vec![(5_000, 0.0)], vec![(5_000, 1.0)], vec![]]);
    }

    #[test]
    fn states_that_are_alike_are_kept_once() {
        let shop = Shop::new();
        shop.said(&[shop.state(b"1", [0.5, 0.5]), shop.state(b"2", [0.25, 0.75])]);
        let said = Said::read(shop.folder(), &["r".parse().unwrap()], &[], 0).unwrap();
        let (one, two) = (&said.states[&StateId::of(b"1")], &said.states[&StateId::of(b"2")]);
        assert!(Arc::ptr_eq(one, two) && one.variants.len() == 2);
    }
}
