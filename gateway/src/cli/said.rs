//! What callers said of a call, read from the logs beside its record. Owns which of it is about the call, and how it is shown.

use super::when;
use crate::terminal::harmless;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::port::learning::Kept;
use tidegate_core::{Event, InferenceId, Tenant};
use tidegate_storage::learning::{FeedbackEntry, Learnt, log_at};
use tidegate_storage::notes::{Note, NoteEntry, notes_at};

/// One thing that was said.
#[derive(Debug)]
pub(super) enum Saying {
    Reward(FeedbackEntry),
    Note(NoteEntry),
}

/// All that was said of a call or of its episode since it began, in the order of time.
pub(super) fn said_of(folder: &Path, event: &Event) -> anyhow::Result<Vec<Saying>> {
    let mut all = Vec::new();
    log_at(folder).read_since(event.unix_ms, |entry| match entry {
        Learnt::Feedback(one) if is_of(event, one.at, one.id, one.episode.as_ref(), one.tenant.as_ref()) => {
            all.push((one.at, Saying::Reward(one)));
        }
        _ => {}
    })?;
    notes_at(folder).read_since(event.unix_ms, |one| {
        if is_of(event, one.at, one.id, one.episode.as_ref(), Some(&one.tenant)) {
            all.push((one.at, Saying::Note(one)));
        }
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

fn is_of(event: &Event, at: u64, id: Option<InferenceId>, episode: Option<&Arc<str>>, tenant: Option<&Tenant>) -> bool {
    let theirs = match (tenant, &event.tenant) {
        (Some(said), Some(called)) => said == called,
        _ => true,
    };
    match (id, episode) {
        (Some(id), _) => id == event.id,
        (None, Some(episode)) => event.episode.as_ref() == Some(episode) && theirs && at >= event.unix_ms,
        (None, None) => false,
    }
}

impl Saying {
    /// As JSON, without what only knows it again.
    pub(super) fn json(&self) -> Value {
        fn without(entry: &impl Serialize) -> Value {
            let mut value = json!(entry);
            value.as_object_mut().map(|members| members.remove("once"));
            value
        }
        match self {
            Self::Reward(one) => without(one),
            Self::Note(one) => without(one),
        }
    }

    /// As a line for people.
    pub(super) fn line(&self) -> String {
        let (at, by, of_call, says) = match self {
            Self::Reward(one) => (one.at, &one.by, one.id.is_some(), format!("`{}` was {}", one.reward, one.value)),
            Self::Note(one) => {
                let late = if one.late { ", late" } else { "" };
                (one.at, &one.by, one.id.is_some(), format!("{}{late}", noted(&one.said)))
            }
        };
        let of = if of_call { "" } else { " of its episode" };
        format!("  {} said{of} at {}: {}\n", harmless(by), when::utc(at), harmless(&says).replace('\n', " "))
    }
}

fn noted(note: &Note) -> String {
    match note {
        Note::Label { name, class } => format!("{name} is `{class}`"),
        Note::Demonstration { kept, sha256, content } => {
            let kept = match (kept, sha256, content) {
                (Kept::Hash, Some(sha256), _) => format!("SHA-256 {sha256}"),
                (Kept::Full | Kept::Redacted, _, Some(Value::String(text))) => text.clone(),
                (Kept::Full | Kept::Redacted, _, Some(content)) => content.to_string(),
                _ => "nothing of it is kept".to_owned(),
            };
            format!("what would have been right: {kept}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        serde_json::from_value(json!({
            "id": "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "unix_ms": 5_000, "api": "chat_completions", "config": "c",
            "episode": "e", "tenant": "red", "attempts": [], "stream": true, "outcome": "ok", "status": 200,
            "request_bytes": 1, "answer_bytes": 2, "total_us": 1
        }))
        .unwrap()
    }

    fn note(said: &Value, more: &Value) -> NoteEntry {
        let mut entry = json!({"at": 6_000, "tenant": "red", "said": said, "by": "ann", "once": ["k", "s"]});
        for (name, value) in more.as_object().unwrap() {
            entry[name] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn what_was_said_of_a_call_or_its_episode_is_found_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let id = event().id;
        let label = |class: &str, more: Value| note(&json!({"label": {"name": "topic", "class": class}}), &more);
        let notes = [
            label("billing", json!({"id": id, "at": 9_000})),
            label("of another tenant", json!({"episode": "e", "tenant": "blue"})),
            label("of before", json!({"episode": "e", "at": 4_000})),
            label("of another call", json!({"id": "01931c2e-8f10-7cc3-98c4-dc0c0c073990"})),
            note(&json!({"demonstration": {"kept": "nothing"}}), &json!({"episode": "e", "late": true})),
        ];
        notes_at(folder.path()).append(9_000, &notes, true).unwrap();
        let reward = json!({"feedback": {"at": 7_000, "id": id, "tenant": "red", "reward": "solved", "value": 1.0, "by": "bob"}});
        let reward: Learnt = serde_json::from_value(reward).unwrap();
        log_at(folder.path()).append(9_000, &[reward], true).unwrap();
        let all = said_of(folder.path(), &event()).unwrap();
        let lines: Vec<String> = all.iter().map(Saying::line).collect();
        let expected = [
            "  ann said of its episode at 1970-01-01 00:00:06.000: what would have been right: nothing of it is kept, late\n",
            "  bob said at 1970-01-01 00:00:07.000: `solved` was 1\n",
            "  ann said at 1970-01-01 00:00:09.000: topic is `billing`\n",
        ];
        assert_eq!(lines, expected);
        let shown = all[2].json();
        assert!(shown.get("once").is_none() && shown["said"]["label"]["class"] == "billing", "{shown}");
    }
}
