//! What is kept of the content, by the policy: nothing, digests, redacted or full texts. Owns the redaction.

use bytes::Bytes;
use serde_json::Value;
use tidegate_core::digest::Digest;
use tidegate_core::event::Content;
use tidegate_core::spec::ContentPolicy;
use tidegate_core::{Event, Ledger};

/// The most that is kept of one answer, in bytes; a longer one is kept up to here.
const MOST: usize = 4 * 1024 * 1024;

/// Collects what is kept of one call.
#[derive(Debug)]
pub(crate) struct Keep {
    policy: ContentPolicy,
    answer: Vec<u8>,
}

impl Keep {
    /// Notes what is kept of the request.
    #[must_use]
    pub(crate) fn begin(policy: ContentPolicy, request: &[u8], ledger: &mut Ledger) -> Self {
        match policy {
            ContentPolicy::None => {}
            ContentPolicy::Hash => {
                ledger.note(|event| content(event).request_sha256 = Some(Digest::of(request).to_string()));
            }
            ContentPolicy::Redacted => ledger.note(|event| content(event).request = redact(request)),
            ContentPolicy::Full => {
                ledger.note(|event| content(event).request = Some(String::from_utf8_lossy(request).into_owned()));
            }
        }
        Self { policy, answer: Vec::new() }
    }

    /// Takes a part of the answer.
    pub(crate) fn part(&mut self, bytes: &Bytes) {
        if self.policy != ContentPolicy::None {
            let room = MOST.saturating_sub(self.answer.len()).min(bytes.len());
            self.answer.extend_from_slice(&bytes[..room]);
        }
    }

    /// Notes what is kept of the answer.
    pub(crate) fn end(&mut self, ledger: &mut Ledger) {
        let answer = std::mem::take(&mut self.answer);
        match self.policy {
            ContentPolicy::None => {}
            ContentPolicy::Hash => {
                ledger.note(|event| content(event).answer_sha256 = Some(Digest::of(&answer).to_string()));
            }
            ContentPolicy::Redacted => {
                ledger.note(|event| content(event).answer = redact(&answer).or_else(|| Some(redact_events(&answer))));
            }
            ContentPolicy::Full => {
                ledger.note(|event| content(event).answer = Some(String::from_utf8_lossy(&answer).into_owned()));
            }
        }
    }
}

fn content(event: &mut Event) -> &mut Content {
    event.content.get_or_insert_default()
}

/// JSON with every text but those of a closed set of structural members replaced by its length.
fn redact(json: &[u8]) -> Option<String> {
    let mut doc: Value = serde_json::from_slice(json).ok()?;
    redact_value(&mut doc, "");
    Some(doc.to_string())
}

fn redact_events(stream: &[u8]) -> String {
    let lines = stream.split(|b| *b == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    lines.filter_map(redact).map(|json| format!("data: {json}\n\n")).collect()
}

fn redact_value(value: &mut Value, member: &str) {
    const STRUCTURE: [&str; 8] =
        ["model", "role", "type", "object", "id", "finish_reason", "tool_choice", "encoding_format"];
    match value {
        Value::String(text) if !STRUCTURE.contains(&member) => *text = format!("[{} characters]", text.chars().count()),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_value(item, "")),
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| redact_value(value, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_keeps_the_structure_and_no_text() {
        let got =
            redact(br#"{"model":"m","messages":[{"role":"user","content":"my card is 4111"}],"stop":["x"],"n":1}"#)
                .unwrap();
        let doc: Value = serde_json::from_str(&got).unwrap();
        assert_eq!(
            doc,
            serde_json::json!({"model":"m","messages":[{"role":"user","content":"[15 characters]"}],"stop":["[1 characters]"],"n":1})
        );
        let events = redact_events(b"data: {\"choices\":[{\"delta\":{\"content\":\"secret\"}}]}\n\ndata: [DONE]\n\n");
        assert!(!events.contains("secret") && events.contains("[6 characters]"), "{events}");
    }
}
