//! What a caller said: whether a value is one of its reward, what is written down, and by what it is known again.

use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::port::learning::{About, Feedback, Kept, RewardValue, Saying};
use tidegate_core::spec::{ContentPolicy, RewardKind, RewardLevel, RewardSpec};
use tidegate_core::{Fault, FaultKind, InferenceId, RewardName};
use tidegate_storage::learning::FeedbackEntry;
use tidegate_storage::notes::{Note, NoteEntry};

/// Whether a value is one of its reward, and about what that is about.
pub(super) fn check(spec: &RewardSpec, about: &About, value: RewardValue) -> Result<(), Fault> {
    let wrong = |field: &'static str, says: String| Err(Fault::field(field, says));
    match (about, spec.level) {
        (About::Inference(_), RewardLevel::Inference) | (About::Episode(_), RewardLevel::Episode) => {}
        (_, RewardLevel::Inference) => {
            return wrong("inference_id", format!("`{}` is about one call: give its `inference_id`", spec.name));
        }
        (_, RewardLevel::Episode) => {
            return wrong("episode_id", format!("`{}` is about an episode: give its `episode_id`", spec.name));
        }
    }
    match (spec.kind, value) {
        (RewardKind::Boolean, RewardValue::Boolean(_)) | (RewardKind::Float(None), RewardValue::Float(_)) => Ok(()),
        (RewardKind::Float(Some((low, high))), RewardValue::Float(value)) if (low..=high).contains(&value) => Ok(()),
        (RewardKind::Boolean, _) => wrong("value", format!("`{}` is true or false", spec.name)),
        (RewardKind::Float(None), _) => wrong("value", format!("`{}` is a number", spec.name)),
        (RewardKind::Float(Some((low, high))), _) => {
            wrong("value", format!("`{}` is a number from {low} to {high}", spec.name))
        }
    }
}

/// That a reward is none of those that are declared.
pub(super) fn unknown(name: &RewardName, declared: &BTreeMap<RewardName, RewardSpec>) -> Fault {
    let known: Vec<&str> = declared.keys().map(RewardName::as_str).collect();
    let says = format!("there is no reward `{name}`; the configuration declares {}", known.join(", "));
    Fault::field("reward", says)
}

/// That it cannot be written down.
pub(super) fn not_kept() -> Fault {
    Fault::new(FaultKind::Unavailable, "this cannot be kept now: send it again in a moment")
}

/// Whether its call may not have ended yet.
pub(super) fn is_young(feedback: &Feedback, now: u64) -> bool {
    match feedback.about {
        About::Inference(id) => now.saturating_sub(id.unix_ms()) < 600_000,
        About::Episode(_) => true,
    }
}

fn about(feedback: &Feedback) -> (Option<InferenceId>, Option<Arc<str>>) {
    match &feedback.about {
        About::Inference(id) => (Some(*id), None),
        About::Episode(episode) => (None, Some(Arc::clone(episode))),
    }
}

/// What is written down of a reward's value.
pub(super) fn entry(
    feedback: &Feedback,
    reward: &str,
    value: f64,
    at: u64,
    once: Option<(String, String)>,
) -> FeedbackEntry {
    let (id, episode) = about(feedback);
    let by = feedback.by.principal.as_str().to_owned();
    let tenant = Some(feedback.by.tenant.clone());
    FeedbackEntry { at, id, episode, tenant, reward: reward.into(), value, by, once }
}

/// What is written down of what nobody learns from, by what is kept of content; nothing of a reward.
pub(super) fn note(
    feedback: &Feedback,
    policy: ContentPolicy,
    at: u64,
    late: bool,
    once: Option<(String, String)>,
) -> Option<NoteEntry> {
    let said = match &feedback.said {
        Saying::Reward(..) => return None,
        Saying::Label(name, class) => Note::Label { name: name.clone(), class: Arc::clone(class) },
        Saying::Demonstration(answer) => demonstration(answer, policy),
    };
    let (id, episode) = about(feedback);
    let (by, tenant) = (feedback.by.principal.as_str().to_owned(), feedback.by.tenant.clone());
    Some(NoteEntry { at, id, episode, tenant, said, late, by, once })
}

/// How much of a note is kept.
pub(super) const fn kept(note: &Note) -> Kept {
    match note {
        Note::Label { .. } => Kept::Full,
        Note::Demonstration { kept, .. } => *kept,
    }
}

fn demonstration(answer: &serde_json::Value, policy: ContentPolicy) -> Note {
    let (kept, sha256, content) = match policy {
        ContentPolicy::None => (Kept::Nothing, None, None),
        ContentPolicy::Hash => (Kept::Hash, Some(digest(answer)), None),
        ContentPolicy::Redacted => (Kept::Redacted, None, Some(redacted(answer))),
        ContentPolicy::Full => (Kept::Full, None, Some(answer.clone())),
    };
    Note::Demonstration { kept, sha256, content }
}

/// Of a text itself, else of its JSON with its members sorted: whether maps sort them is another crate's choice.
fn digest(answer: &serde_json::Value) -> Digest {
    let Some(text) = answer.as_str() else {
        let mut sorted = answer.clone();
        sorted.sort_all_objects();
        return Digest::of(sorted.to_string().as_bytes());
    };
    Digest::of(text.as_bytes())
}

/// With each text replaced by its length: none of a demonstration is structure, since nobody knows its form.
fn redacted(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(format!("[{} characters]", text.chars().count())),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), redacted(value))).collect(),
        other => other.clone(),
    }
}

/// A caller's key, and what he said under it. A demonstration is digested with its key, which is kept nowhere, so that nobody
/// can tell from the log whether a text was it.
pub(super) fn once(feedback: &Feedback) -> Option<(String, String)> {
    let own = feedback.key.as_ref()?;
    let who = feedback.by.principal.as_str();
    let key = Digest::of(format!("{}\n{who}\n{own}", who.len()).as_bytes()).short();
    let about = &feedback.about;
    let said = match &feedback.said {
        Saying::Reward(name, value) => format!("{about:?} {name} {value:?}"),
        Saying::Label(name, class) => format!("{about:?} label {name} {class:?}"),
        Saying::Demonstration(answer) => format!("{about:?} demonstration {own:?} {answer}"),
    };
    Some((key, Digest::of(said.as_bytes()).short()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_core::port::learning::Giver;

    fn said(said: Saying, key: Option<&str>) -> Feedback {
        let by = Giver { id: "k".parse().unwrap(), principal: "ann".parse().unwrap(), tenant: "t".parse().unwrap() };
        Feedback { about: About::Episode("e".into()), said, key: key.map(Into::into), by }
    }

    fn of(answer: serde_json::Value, policy: ContentPolicy) -> String {
        let note = note(&said(Saying::Demonstration(answer), None), policy, 1, false, None).unwrap();
        serde_json::to_string(&note.said).unwrap()
    }

    #[test]
    fn of_a_demonstration_so_much_is_kept_as_of_any_content() {
        let answer = || json!({"id": "4111", "n": 1, "parts": ["a secret", null]});
        assert_eq!(of(answer(), ContentPolicy::None), r#"{"demonstration":{"kept":"nothing"}}"#);
        let redacted = r#"{"id":"[4 characters]","n":1,"parts":["[8 characters]",null]}"#;
        let expected = format!(r#"{{"demonstration":{{"kept":"redacted","content":{redacted}}}}}"#);
        assert_eq!(of(answer(), ContentPolicy::Redacted), expected);
        let digest = Digest::of(br#"{"id":"4111","n":1,"parts":["a secret",null]}"#);
        let expected = format!(r#"{{"demonstration":{{"kept":"hash","sha256":"{digest}"}}}}"#);
        assert_eq!(of(answer(), ContentPolicy::Hash), expected);
        assert!(of(json!("plain"), ContentPolicy::Hash).contains(&Digest::of(b"plain").to_string()));
        assert_eq!(of(json!("x"), ContentPolicy::Full), r#"{"demonstration":{"kept":"full","content":"x"}}"#);
    }

    #[test]
    fn what_was_said_is_known_again_by_its_key_and_its_digest_needs_the_key() {
        let label = |class: &str| Saying::Label("topic".parse().unwrap(), class.into());
        let known = |saying: Saying, key: &str| once(&said(saying, Some(key))).unwrap();
        assert_eq!(known(label("a"), "1"), known(label("a"), "1"));
        assert!(
            known(label("a"), "1").0 == known(label("b"), "1").0 && known(label("a"), "1") != known(label("b"), "1")
        );
        let shown = |key: &str| known(Saying::Demonstration(json!("yes")), key).1;
        assert_ne!(shown("1"), shown("2"));
        assert_eq!(once(&said(label("a"), None)), None);
    }
}
