//! Which calls feedback is about: the newest ones are remembered, older ones and those of before a start are found among the
//! records. Owns that calls of other tenants are not found.

use super::Worker;
use crate::learning::calls::Arm;
use std::collections::BTreeSet;
use tidegate_core::port::learning::{About, Feedback};
use tidegate_core::{Event, InferenceId, Tenant};
use tidegate_storage::EventReader;

impl Worker {
    /// The arms that a value is about: of an episode each once, however many calls it had.
    pub(super) fn arms(&self, feedback: &Feedback, looks: bool) -> Vec<Arm> {
        let mut arms = match &feedback.about {
            About::Inference(id) => match self.calls.of(*id) {
                Some(arm) => vec![arm.clone()],
                None => self.recorded(*id).and_then(|event| self.arm(&event)).into_iter().collect(),
            },
            About::Episode(episode) => {
                let remembered = self.calls.of_episode(episode);
                if remembered.is_empty() && looks {
                    self.recorded_of(episode).iter().filter_map(|event| self.arm(event)).collect()
                } else {
                    remembered
                }
            }
        };
        arms.retain(|arm| is_of(arm.tenant.as_ref(), feedback));
        let mut seen = Vec::new();
        arms.retain(|arm| {
            let of = (arm.route.clone(), arm.variant.clone());
            !seen.contains(&of) && {
                seen.push(of);
                true
            }
        });
        arms
    }

    /// When the newest call that this is about was made, in milliseconds since 1970, whatever became of it; `None` where none
    /// is known.
    pub(super) fn newest(&self, feedback: &Feedback, looks: bool) -> Option<u64> {
        let remembered = match &feedback.about {
            About::Inference(id) => self.calls.of(*id).cloned().into_iter().collect(),
            About::Episode(episode) => self.calls.of_episode(episode),
        };
        if !remembered.is_empty() {
            let ours = remembered.iter().filter(|arm| is_of(arm.tenant.as_ref(), feedback));
            return ours.map(|arm| arm.id.unix_ms()).max();
        }
        let events = match &feedback.about {
            About::Inference(id) => self.recorded(*id).into_iter().collect(),
            About::Episode(episode) if looks => self.recorded_of(episode),
            About::Episode(_) => Vec::new(),
        };
        events.iter().filter(|event| is_of(event.tenant.as_ref(), feedback)).map(|event| event.unix_ms).max()
    }

    /// The calls that this is about: of an episode all of them.
    pub(super) fn ids(&self, feedback: &Feedback, looks: bool) -> Vec<InferenceId> {
        let episode = match &feedback.about {
            About::Inference(id) => return vec![*id],
            About::Episode(episode) => episode,
        };
        // Calls are remembered from the first note on, so an episode may be so in part.
        let (remembered, events) = (self.calls.of_episode(episode), looks.then(|| self.recorded_of(episode)));
        let remembered = remembered.iter().map(|arm| (arm.id, arm.tenant.as_ref()));
        let recorded = events.iter().flatten().map(|event| (event.id, event.tenant.as_ref()));
        let ours = remembered.chain(recorded).filter(|(_, tenant)| is_of(*tenant, feedback));
        ours.map(|(id, _)| id).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The arm of a call that is only recorded.
    fn arm(&self, event: &Event) -> Option<Arm> {
        Arm::of(event, self.routes.get(event.route.as_ref()?)?)
    }

    fn recorded(&self, id: InferenceId) -> Option<Event> {
        EventReader::open(self.events.as_deref()?).ok()?.get(id).ok()?
    }

    fn recorded_of(&self, episode: &str) -> Vec<Event> {
        let read = || EventReader::open(self.events.as_deref()?).ok()?.by_episode(episode).ok();
        read().unwrap_or_default()
    }
}

/// Whether a call is one of those that the giver may speak of; of whom none is known belongs to all.
fn is_of(tenant: Option<&Tenant>, feedback: &Feedback) -> bool {
    tenant.is_none_or(|tenant| *tenant == feedback.by.tenant)
}
