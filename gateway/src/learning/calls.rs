//! The calls of routes that learn, as long as feedback for them may come soon. Owns how many are remembered; older ones are
//! found among the records of calls.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tidegate_core::event::Regarded;
use tidegate_core::{Event, InferenceId, RouteName, Tenant, VariantName};

/// How many calls are remembered.
const MOST: usize = 100_000;

/// What feedback for a call is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    pub(super) id: InferenceId,
    pub(super) route: RouteName,
    /// The arm that was drawn, whichever answered in the end: what is judged is the decision.
    pub(super) variant: VariantName,
    /// For whom the call was made.
    pub(super) tenant: Option<Tenant>,
    /// What of the call was regarded when it was drawn.
    pub(super) regarded: Option<Regarded>,
}

impl Arm {
    /// The arm of a recorded call of a route with these variants.
    pub(super) fn of(event: &Event, variants: &[VariantName]) -> Option<Self> {
        let decision = event.decision.as_ref()?;
        let (variant, regarded) = (variants.get(decision.arm)?.clone(), decision.regarded.clone());
        Some(Self { id: event.id, route: event.route.clone()?, variant, tenant: event.tenant.clone(), regarded })
    }
}

/// The newest calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    arms: HashMap<InferenceId, Arm>,
    episodes: HashMap<Arc<str>, Vec<InferenceId>>,
    order: VecDeque<(InferenceId, Option<Arc<str>>)>,
}

impl Calls {
    pub(super) fn add(&mut self, arm: Arm, episode: Option<Arc<str>>) {
        if let Some(episode) = &episode {
            self.episodes.entry(Arc::clone(episode)).or_default().push(arm.id);
        }
        self.order.push_back((arm.id, episode));
        self.arms.insert(arm.id, arm);
        if self.order.len() > MOST
            && let Some((id, episode)) = self.order.pop_front()
        {
            self.arms.remove(&id);
            if let Some(episode) = episode
                && let Some(ids) = self.episodes.get_mut(&episode)
            {
                ids.retain(|one| *one != id);
                if ids.is_empty() {
                    self.episodes.remove(&episode);
                }
            }
        }
    }

    pub(super) fn of(&self, id: InferenceId) -> Option<&Arm> {
        self.arms.get(&id)
    }

    pub(super) fn of_episode(&self, episode: &str) -> Vec<Arm> {
        let ids = self.episodes.get(episode).into_iter().flatten();
        ids.filter_map(|id| self.arms.get(id)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(n: u128) -> Arm {
        let (route, variant) = ("r".parse().unwrap(), "a".parse().unwrap());
        Arm { id: InferenceId::from_u128(n), route, variant, tenant: None, regarded: None }
    }

    #[test]
    fn the_newest_calls_are_known_and_the_oldest_go() {
        let mut calls = Calls::default();
        for n in 0..=MOST as u128 {
            calls.add(arm(n), (n % 2 == 0).then(|| "e".into()));
        }
        assert!(calls.of(InferenceId::from_u128(0)).is_none() && calls.of(InferenceId::from_u128(1)).is_some());
        assert_eq!(calls.of_episode("e").len(), MOST / 2);
        assert!(calls.of_episode("f").is_empty());
    }
}
