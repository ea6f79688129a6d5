//! What a filter sees, in the types of the contract: the texts are borrowed from the call, so that each is copied once, into
//! the guest.

use crate::bindings::filters::exports::tidegate::plugin::stream_filter;
use crate::bindings::filters::tidegate::plugin::{types, view};
use std::time::Duration;
use tidegate_core::Api;
use tidegate_core::port::filter::{Message, PartKind, Place, Seen};

/// The id of a call as text.
pub(super) struct Id([u8; 36]);

impl Id {
    pub(super) fn of(call: &Seen<'_>) -> Self {
        Self(call.id.encode())
    }

    fn as_str(&self) -> &str {
        // Hexadecimal digits and hyphens are always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The facts of a call.
pub(super) fn context<'a>(id: &'a Id, call: &Seen<'a>, deadline: Duration) -> types::RequestContext<'a> {
    types::RequestContext {
        request_id: id.as_str(),
        route: call.route.as_str(),
        tenant: call.tenant.map(AsRef::as_ref),
        api_kind: match call.api {
            Api::ChatCompletions => types::ApiKind::Chat,
            // No plugin looks at classic models.
            Api::Completions | Api::Predict => types::ApiKind::Completion,
            Api::Embeddings => types::ApiKind::Embedding,
            Api::Rerank => types::ApiKind::Rerank,
        },
        model: call.model,
        affinity: 0,
        prompt_version: call.prompt_version,
        deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
    }
}

/// The parts of messages, one behind the other.
pub(super) fn parts<'a>(messages: &'a [Message<'_>]) -> Vec<view::Part<'a>> {
    let all = messages.iter().flat_map(|message| &message.parts);
    all.map(|part| view::Part { kind: kind(part.kind), text: &part.text, untrusted: part.is_untrusted }).collect()
}

/// Messages over their parts.
pub(super) fn messages<'a>(messages: &'a [Message<'_>], mut parts: &'a [view::Part<'a>]) -> Vec<view::Message<'a>> {
    let view = messages.iter().map(|message| {
        let (own, rest) = parts.split_at(message.parts.len().min(parts.len()));
        parts = rest;
        view::Message { role: &message.role, parts: own }
    });
    view.collect()
}

/// What a part is.
const fn kind(kind: PartKind) -> view::PartKind {
    match kind {
        PartKind::Text => view::PartKind::Text,
        PartKind::ToolArguments => view::PartKind::ToolArguments,
        PartKind::ToolResult => view::PartKind::ToolResult,
        PartKind::Reasoning => view::PartKind::Reasoning,
        PartKind::Refusal => view::PartKind::Refusal,
        PartKind::Other => view::PartKind::Other,
    }
}

/// Where a text of a stream belongs.
pub(super) const fn place(place: Place) -> stream_filter::Place {
    stream_filter::Place { choice: place.choice, kind: kind(place.kind), index: place.index }
}

/// And back.
pub(super) const fn place_of(place: stream_filter::Place) -> Place {
    let kind = match place.kind {
        view::PartKind::Text => PartKind::Text,
        view::PartKind::ToolArguments => PartKind::ToolArguments,
        view::PartKind::ToolResult => PartKind::ToolResult,
        view::PartKind::Reasoning => PartKind::Reasoning,
        view::PartKind::Refusal => PartKind::Refusal,
        view::PartKind::Other => PartKind::Other,
    };
    Place { choice: place.choice, kind, index: place.index }
}
