//! A call as a span, by the OpenTelemetry GenAI conventions. Owns the port and the attributes; sending spans somewhere
//! is the program's.

use tidegate_core::dice::mix;
use tidegate_core::{Event, FaultKind, Outcome, SpanId, TraceId, Visit};

/// Where spans go. Never blocks: what cannot be taken is dropped.
pub trait Spans: Send + Sync + std::fmt::Debug {
    /// Takes the span of one call.
    fn export(&self, span: SpanRecord);

    /// Sends what waits and takes nothing more. Blocks, a few seconds at most.
    fn close(&self);
}

/// One finished span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRecord {
    /// The trace.
    pub trace_id: TraceId,
    /// The span, which the call's own id gives.
    pub span_id: SpanId,
    /// The caller's span, where it is known.
    pub parent: Option<SpanId>,
    /// Whether the caller records the trace, where it is his.
    pub sampled: Option<bool>,
    /// `{operation} {route}`.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Nanoseconds since 1970.
    pub end_unix_ns: u64,
    /// By the GenAI conventions, and ours under `tidegate.`.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, where it did.
    pub error: Option<&'static str>,
    /// Whether it is within another span of ours; its parent is then no caller's.
    pub is_within: bool,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A claim.
    Bool(bool),
}

impl SpanRecord {
    /// The span of a recorded call. A call that was refused before it had a trace gets one from its id.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let start_unix_ns = event.unix_ms.saturating_mul(1_000_000);
        let operation = event.api.operation();
        Self {
            trace_id: event.trace_id.unwrap_or_else(|| TraceId::from_random(event.id.as_u128())),
            span_id: SpanId::of(event.id),
            parent: event.parent_span,
            sampled: event.sampled,
            name: event.route.as_ref().map_or_else(|| operation.to_owned(), |route| format!("{operation} {route}")),
            start_unix_ns,
            end_unix_ns: start_unix_ns.saturating_add(event.total_us.saturating_mul(1_000)),
            attributes: attributes(event),
            error: error(event.outcome),
            is_within: false,
        }
    }

    /// The spans of what a call came by in a graph, within the call's own. Their ids follow from the call's; what was given up
    /// ends with the call.
    #[must_use]
    pub fn of_visits(event: &Event) -> Vec<Self> {
        if event.visits.is_empty() {
            return Vec::new();
        }
        let call = Self::of(event);
        let id = |nth: u64| SpanId::new(mix(call.span_id.bits() ^ mix(nth + 1))).unwrap_or(call.span_id);
        let of = |(nth, visit): (usize, &Visit)| {
            let start = call.start_unix_ns.saturating_add(visit.from_us.saturating_mul(1_000));
            let took = visit.us.map(|us| start.saturating_add(us.saturating_mul(1_000)));
            Self {
                span_id: id(nth as u64),
                parent: Some(visit.within.map_or(call.span_id, |within| id(within.into()))),
                name: format!("{} {}", visit.kind(), visit.name()),
                start_unix_ns: start,
                end_unix_ns: took.unwrap_or(call.end_unix_ns).max(start),
                attributes: visited(visit, event),
                error: visit.fault.map(fault).or(visit.us.is_none().then_some("cancelled")),
                is_within: true,
                ..call.clone()
            }
        };
        event.visits.iter().enumerate().map(of).collect()
    }
}

fn visited(visit: &Visit, event: &Event) -> Vec<(&'static str, Value)> {
    let name = Value::Text(visit.name().to_owned());
    let kind = match visit.kind() {
        "node" => "tidegate.graph.node",
        "model" => "gen_ai.response.model",
        _ => "tidegate.graph.plugin",
    };
    let mut all = vec![(kind, name), ("tidegate.inference_id", Value::Text(event.id.to_string()))];
    all.extend(visit.branch.map(|branch| ("tidegate.graph.branch", Value::Integer(branch.into()))));
    all.extend(visit.fault.map(|kind| ("error.type", Value::Text(fault(kind).to_owned()))));
    all
}

fn attributes(event: &Event) -> Vec<(&'static str, Value)> {
    let text = |text: &dyn std::fmt::Display| Value::Text(text.to_string());
    let count = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let mut all = vec![
        ("gen_ai.operation.name", text(&event.api.operation())),
        ("http.response.status_code", Value::Integer(event.status.into())),
        ("tidegate.inference_id", text(&event.id)),
        ("tidegate.config", text(&event.config)),
        ("tidegate.stream", Value::Bool(event.stream)),
        ("tidegate.attempts", count(event.attempts.len() as u64)),
    ];
    let mut put = |name, value: Option<Value>| all.extend(value.map(|value| (name, value)));
    put("gen_ai.request.model", event.route.as_ref().map(|name| text(name)));
    put("gen_ai.response.model", event.model.as_ref().map(|name| text(name)));
    put("gen_ai.provider.name", event.provider.as_ref().map(|name| text(name)));
    put("tidegate.variant", event.variant.as_ref().map(|name| text(name)));
    put("tidegate.tenant", event.tenant.as_ref().map(|name| text(name)));
    put("gen_ai.usage.input_tokens", event.usage.map(|usage| count(usage.prompt)));
    put("gen_ai.usage.output_tokens", event.usage.map(|usage| count(usage.completion)));
    put("tidegate.first_byte_us", event.first_us.map(count));
    put("tidegate.cost_usd", event.cost_usd.map(Value::Number));
    put("error.type", error(event.outcome).map(|kind| Value::Text(kind.to_owned())));
    all
}

/// The outcome as `error.type`: a closed set.
pub(super) const fn error(outcome: Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Ok => return None,
        Outcome::Cancelled => "cancelled",
        Outcome::Panic => "panic",
        Outcome::Fault(kind) => fault(kind),
    })
}

/// The fault's name, as the records spell it.
pub(super) const fn fault(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::InvalidRequest => "invalid_request",
        FaultKind::Unauthenticated => "unauthenticated",
        FaultKind::Forbidden => "forbidden",
        FaultKind::NotFound => "not_found",
        FaultKind::ModelNotFound => "model_not_found",
        FaultKind::MethodNotAllowed => "method_not_allowed",
        FaultKind::RequestTimeout => "request_timeout",
        FaultKind::Conflict => "conflict",
        FaultKind::TooLarge => "too_large",
        FaultKind::UnsupportedMedia => "unsupported_media",
        FaultKind::HeadTooLarge => "head_too_large",
        FaultKind::ContextLength => "context_length",
        FaultKind::ContentFilter => "content_filter",
        FaultKind::Filtered => "filtered",
        FaultKind::ContractBroken => "contract_broken",
        FaultKind::FilterFailed => "filter_failed",
        FaultKind::RateLimited => "rate_limited",
        FaultKind::Overloaded => "overloaded",
        FaultKind::Unavailable => "unavailable",
        FaultKind::NotDurable => "not_durable",
        FaultKind::Unreachable => "unreachable",
        FaultKind::UpstreamTimeout => "upstream_timeout",
        FaultKind::UpstreamRefused => "upstream_refused",
        FaultKind::UpstreamMisconfigured => "upstream_misconfigured",
        FaultKind::UpstreamRateLimited => "upstream_rate_limited",
        FaultKind::UpstreamFailed => "upstream_failed",
        FaultKind::StreamCut => "stream_cut",
        FaultKind::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_spans_within_the_call_and_within_each_other() {
        let event: Event = serde_json::from_value(serde_json::json!({
            "id": "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "unix_ms": 1_700_000_000_000_u64, "api": "predict", "config": "c",
            "stream": false, "outcome": "ok", "status": 200, "request_bytes": 1, "answer_bytes": 1, "total_us": 500,
            "visits": [
                {"node": "panel", "branch": 1, "from_us": 10, "us": 400},
                {"model": "a", "within": 0, "from_us": 20, "us": 30, "fault": "upstream_failed"},
                {"plugin": "p", "within": 0, "from_us": 40},
            ],
        }))
        .unwrap();
        let (call, spans) = (SpanRecord::of(&event), SpanRecord::of_visits(&event));
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["node panel", "model a", "plugin p"]);
        let parents: Vec<Option<SpanId>> = spans.iter().map(|span| span.parent).collect();
        assert_eq!(parents, [Some(call.span_id), Some(spans[0].span_id), Some(spans[0].span_id)]);
        assert_eq!(spans[1].start_unix_ns - call.start_unix_ns, 20_000);
        assert_eq!(spans[1].end_unix_ns - spans[1].start_unix_ns, 30_000);
        assert_eq!(spans[2].end_unix_ns, call.end_unix_ns);
        assert_eq!(
            spans.iter().map(|span| span.error).collect::<Vec<_>>(),
            [None, Some("upstream_failed"), Some("cancelled")]
        );
        let ids: std::collections::HashSet<_> = spans.iter().chain([&call]).map(|span| span.span_id.bits()).collect();
        assert!(ids.len() == 4 && spans.iter().all(|span| span.trace_id == call.trace_id && span.is_within));
    }
}
