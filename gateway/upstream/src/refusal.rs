//! What a provider's refusal means. Owns the reading of error bodies and the mapping of statuses to faults; what a
//! caller then sees is the server's.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tidegate_core::{Fault, FaultKind};

/// The most bytes of a provider's message that go on to a caller or the log.
const MESSAGE_CAP: usize = 1 << 10;
/// What stands for the middle of a message that is longer.
const GAP: &str = " \u{2026} ";
/// The most fields of which a message tells.
const MOST_FIELDS: usize = 8;

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    message: Option<String>,
    code: Option<String>,
    kind: Option<String>,
    param: Option<String>,
}

/// The fault that an answer with this status, these headers and this body is.
pub(crate) fn from_status(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Fault {
    let said = serde_json::from_slice(body).map(|json| Said::of(&json)).unwrap_or_default();
    let mut fault = said.fault(kind_of(status), Some(status));
    if said.message.is_none() && !body.is_empty() {
        fault = fault.because(format_args!("status {status}, body {:?}", clean(&String::from_utf8_lossy(body))));
    }
    if let Some(wait) = retry_after(headers, now) {
        fault = fault.after(wait);
    }
    fault.with_upstream_status(status.as_u16())
}

/// The fault that `json`, an answer or event with status 200, is; `None` where it is no error.
pub(crate) fn from_success(json: &[u8]) -> Option<Fault> {
    // A string search first: parsing each first event would cost more than all else.
    memchr::memmem::find(json, b"\"error\"")?;
    let json: Value = serde_json::from_slice(json).ok()?;
    let error = json.get("error")?;
    let is_error = match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    if !is_error {
        return None;
    }
    let said = Said::of(&json);
    let by_number = said.code.as_deref().and_then(|c| c.parse().ok()).and_then(|c| StatusCode::from_u16(c).ok());
    let kind = match (by_number, said.kind.as_deref(), said.code.as_deref()) {
        (Some(status), ..) if status.as_u16() >= 400 => kind_of(status),
        (_, Some("rate_limit_error" | "insufficient_quota" | "too_many_requests"), _)
        | (_, _, Some("rate_limit_exceeded" | "insufficient_quota")) => FaultKind::UpstreamRateLimited,
        (_, Some("invalid_request_error"), _) => FaultKind::UpstreamRefused,
        _ if said.is_content_filter() => FaultKind::UpstreamRefused,
        (_, Some("authentication_error" | "permission_error" | "not_found_error"), _) => {
            FaultKind::UpstreamMisconfigured
        }
        (_, Some("timeout" | "timeout_error"), _) => FaultKind::UpstreamTimeout,
        _ => FaultKind::UpstreamFailed,
    };
    Some(said.fault(kind, None))
}

fn kind_of(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        408 | 504 => FaultKind::UpstreamTimeout,
        429 => FaultKind::UpstreamRateLimited,
        401..=405 => FaultKind::UpstreamMisconfigured,
        400..500 => FaultKind::UpstreamRefused,
        300..400 => FaultKind::UpstreamMisconfigured,
        _ => FaultKind::UpstreamFailed,
    }
}

impl Said {
    /// Reads OpenAI's shape, and those of servers that put the same words elsewhere.
    fn of(json: &Value) -> Self {
        let error = json.get("error").unwrap_or(json);
        let text = |value: Option<&Value>| match value? {
            Value::String(text) => Some(clean(text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let member = |name: &str| text(error.get(name)).or_else(|| text(json.get(name)));
        let message = text(Some(error)).or_else(|| member("message")).or_else(|| member("detail"));
        let message = with_fields(message, json.get("detail"));
        Self {
            message: message.filter(|m| !m.is_empty()),
            code: member("code"),
            kind: member("type"),
            param: member("param"),
        }
    }

    fn is_context_length(&self) -> bool {
        self.code.as_deref() == Some("context_length_exceeded")
            || matches!(self.kind.as_deref(), Some("context_length_exceeded" | "exceed_context_size_error"))
    }

    /// OpenAI's words and Azure's for what their rules for content refuse.
    fn is_content_filter(&self) -> bool {
        [&self.code, &self.kind]
            .into_iter()
            .any(|word| matches!(word.as_deref(), Some("content_filter" | "content_policy_violation")))
    }

    fn fault(&self, kind: FaultKind, status: Option<StatusCode>) -> Fault {
        let kind = match kind {
            FaultKind::UpstreamRefused if self.is_context_length() => FaultKind::ContextLength,
            FaultKind::UpstreamRefused if self.is_content_filter() => FaultKind::ContentFilter,
            kind => kind,
        };
        let mut fault = match (&self.message, kind) {
            // What providers say about our own credentials is not for callers.
            (_, FaultKind::UpstreamMisconfigured) | (None, _) => Fault::new(kind, plain_words(kind)),
            (Some(message), _) => Fault::new(kind, message.clone()),
        };
        let parts = [("type", &self.kind), ("code", &self.code), ("message", &self.message)];
        let mut detail = status.map_or_else(|| "an error with status 200".to_owned(), |s| format!("status {s}"));
        for (name, part) in parts {
            if let Some(part) = part {
                detail.push_str(&format!(", {name} {part:?}"));
            }
        }
        fault.param = self.param.clone().map(Into::into);
        fault.because(detail)
    }
}

/// A message with what pydantic says of each field beside it, as FastAPI and BentoML pass it on:
/// `{"detail": [{"loc": ["rows"], "msg": "Field required"}]}`.
fn with_fields(message: Option<String>, detail: Option<&Value>) -> Option<String> {
    let one = |field: &Value| {
        let says = field.get("msg")?.as_str()?.to_owned();
        let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        let place: Vec<String> = field.get("loc").and_then(Value::as_array).into_iter().flatten().map(part).collect();
        Some(if place.is_empty() { says } else { format!("{}: {says}", place.join(".")) })
    };
    let list = detail.and_then(Value::as_array).into_iter().flatten();
    let fields: Vec<String> = list.filter_map(one).take(MOST_FIELDS).collect();
    if fields.is_empty() {
        return message;
    }
    Some(clean(&message.into_iter().chain(fields).collect::<Vec<_>>().join("; ")))
}

pub(crate) const fn plain_words(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::UpstreamTimeout => "the provider did not answer in time; try again",
        FaultKind::UpstreamRateLimited => "the provider limits the gateway's calls; try again later",
        FaultKind::UpstreamMisconfigured => {
            "the provider does not take the gateway's calls for this route; its operator must check the provider's url, credentials and model name"
        }
        FaultKind::UpstreamRefused => "the provider refused the call and did not say why",
        FaultKind::ContextLength => "the prompt is longer than the model's context; shorten it",
        FaultKind::ContentFilter => "the provider's filter of contents refuses this call; change what it says",
        _ => "the provider failed to answer; try again",
    }
}

/// How long the provider asks us to wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let seconds = |n: f64| Duration::try_from_secs_f64(n).ok();
    if let Some(ms) = text("retry-after-ms").and_then(number) {
        return seconds(ms / 1e3);
    }
    let after = text("retry-after")?;
    match number(after) {
        Some(n) => seconds(n),
        None => Some(httpdate::parse_http_date(after).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// A foreign text made fit for a message: no control characters, not too long. What is cut is the middle: some begin with all that
/// they were sent, and say at the end what was wrong with it.
pub(crate) fn clean(text: &str) -> String {
    let is_kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let plain = |c| if matches!(c, '\n' | '\t') { ' ' } else { c };
    let mut begin = String::with_capacity(text.len().min(MESSAGE_CAP));
    let mut chars = text.trim().chars().filter(is_kept).map(plain);
    let mut size = 0;
    // What may be the whole is read first, and is cut only where more comes.
    while size <= MESSAGE_CAP {
        let Some(c) = chars.next() else { return begin };
        size += c.len_utf8();
        begin.push(c);
    }
    let cut = |cap: usize, chars: &mut dyn Iterator<Item = char>| -> Vec<char> {
        let mut left = cap;
        let fits = |c: &char| left.checked_sub(c.len_utf8()).map(|rest| left = rest).is_some();
        chars.take_while(fits).collect()
    };
    let first = cut(MESSAGE_CAP / 2, &mut begin.chars());
    let last =
        cut(MESSAGE_CAP - MESSAGE_CAP / 2 - GAP.len(), &mut text.trim().chars().rev().filter(is_kept).map(plain));
    first.into_iter().chain(GAP.chars()).chain(last.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests;
