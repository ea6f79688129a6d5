//! A value that a caller gave: whether it is one of its reward, what of it is written down, and by what it is known again.

use std::sync::Arc;
use tidegate_core::Fault;
use tidegate_core::digest::Digest;
use tidegate_core::port::learning::{About, Feedback, RewardValue};
use tidegate_core::spec::{RewardKind, RewardLevel, RewardSpec};
use tidegate_storage::learning::FeedbackEntry;

/// Whether a value is one of its reward, and about what that is about.
pub(super) fn check(spec: &RewardSpec, feedback: &Feedback) -> Result<(), Fault> {
    let wrong = |field: &'static str, says: String| Err(Fault::field(field, says));
    match (&feedback.about, spec.level) {
        (About::Inference(_), RewardLevel::Inference) | (About::Episode(_), RewardLevel::Episode) => {}
        (_, RewardLevel::Inference) => {
            return wrong("inference_id", format!("`{}` is about one call: give its `inference_id`", spec.name));
        }
        (_, RewardLevel::Episode) => {
            return wrong("episode_id", format!("`{}` is about an episode: give its `episode_id`", spec.name));
        }
    }
    match (spec.kind, feedback.value) {
        (RewardKind::Boolean, RewardValue::Boolean(_)) | (RewardKind::Float(None), RewardValue::Float(_)) => Ok(()),
        (RewardKind::Float(Some((low, high))), RewardValue::Float(value)) if (low..=high).contains(&value) => Ok(()),
        (RewardKind::Boolean, _) => wrong("value", format!("`{}` is true or false", spec.name)),
        (RewardKind::Float(None), _) => wrong("value", format!("`{}` is a number", spec.name)),
        (RewardKind::Float(Some((low, high))), _) => {
            wrong("value", format!("`{}` is a number from {low} to {high}", spec.name))
        }
    }
}

/// Whether its call may not have ended yet.
pub(super) fn is_young(feedback: &Feedback, now: u64) -> bool {
    match feedback.about {
        About::Inference(id) => now.saturating_sub(id.unix_ms()) < 600_000,
        About::Episode(_) => true,
    }
}

/// What is written down of it.
pub(super) fn entry(feedback: &Feedback, at: u64, once: Option<(String, String)>) -> FeedbackEntry {
    let (id, episode) = match &feedback.about {
        About::Inference(id) => (Some(*id), None),
        About::Episode(episode) => (None, Some(Arc::clone(episode))),
    };
    let reward = feedback.reward.as_str().into();
    let by = feedback.by.principal.as_str().to_owned();
    let tenant = Some(feedback.by.tenant.clone());
    FeedbackEntry { at, id, episode, tenant, reward, value: feedback.value.number(), by, once }
}

/// A caller's key, and what he said under it.
pub(super) fn once(feedback: &Feedback) -> Option<(String, String)> {
    let key = feedback.key.as_ref()?;
    let who = feedback.by.principal.as_str();
    let key = Digest::of(format!("{}\n{who}\n{key}", who.len()).as_bytes()).short();
    let said = format!("{:?} {} {:?}", feedback.about, feedback.reward, feedback.value);
    Some((key, Digest::of(said.as_bytes()).short()))
}
