//! A whole answer that the provider's filter of contents has withheld, although its status is 200. Owns the look for it,
//! which only routes pay for that have somewhere else to go then. Of a stream it shows when its bytes are gone already.

use crate::path::attempt::Sent;
use memchr::memmem;
use serde::Deserialize;
use std::borrow::Cow;
use tidegate_core::spec::{Condition, RouteSpec};
use tidegate_core::{Fault, FaultKind, Ledger, Price};

/// The word by which a choice says that it was withheld.
const WORD: &str = "content_filter";

#[derive(Deserialize)]
struct Choices<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

/// The fault that this answer is to a route which falls back then; `None` where it is an answer like any other.
pub(crate) fn fault(route: &RouteSpec, sent: &Sent) -> Option<Fault> {
    let Sent::Whole(answer) = sent else { return None };
    let wanted = Condition::Kind(FaultKind::ContentFilter);
    if !route.fallback.iter().any(|fallback| fallback.when.contains(&wanted)) || !is_withheld(&answer.body) {
        return None;
    }
    let fault = Fault::new(FaultKind::ContentFilter, "the provider's filter of contents withheld its answer");
    // Its own status, so that it is no `400` to other conditions.
    let fault = fault.with_upstream_status(200);
    Some(match &answer.endpoint {
        Some(endpoint) => fault.at(endpoint.clone()),
        None => fault,
    })
}

/// Notes that the try which answered was of no use, and what it cost all the same.
pub(crate) fn note(fault: &Fault, sent: &Sent, price: Option<Price>, ledger: &mut Ledger) {
    let usage = if let Sent::Whole(answer) = sent { answer.usage } else { None };
    ledger.note(|event| {
        if let Some(served) = event.attempts.iter_mut().rfind(|attempt| attempt.fault.is_none() && !attempt.lost) {
            (served.fault, served.status) = (Some(fault.kind), fault.upstream_status);
            served.cost_usd = usage.and_then(|usage| Some(price?.cost(&usage)));
        }
    });
}

/// Whether the filter left none of the choices.
fn is_withheld(json: &[u8]) -> bool {
    if memmem::find(json, WORD.as_bytes()).is_none() {
        return false;
    }
    let Ok(Choices { choices }) = serde_json::from_slice(json) else { return false };
    !choices.is_empty() && choices.iter().all(|choice| choice.finish_reason.as_deref() == Some(WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_withheld_where_no_choice_is_left() {
        for (json, is) in [
            (r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"content_filter"}]}"#, true),
            (r#"{"choices":[{"finish_reason":"content\u005ffilter"}],"x":"content_filter"}"#, true),
            (r#"{"choices":[{"finish_reason":"content_filter"},{"finish_reason":"stop"}]}"#, false),
            (
                r#"{"choices":[{"message":{"content":"\"finish_reason\":\"content_filter\""},"finish_reason":"stop"}]}"#,
                false,
            ),
            (r#"{"choices":[{"finish_reason":null}],"prompt_filter_results":{"content_filter":1}}"#, false),
            (r#"{"choices":[],"x":"content_filter"}"#, false),
            (r#"{"data":[{"embedding":[]}],"x":"content_filter"}"#, false),
            ("content_filter", false),
            ("{}", false),
        ] {
            assert_eq!(is_withheld(json.as_bytes()), is, "{json}");
        }
    }
}
