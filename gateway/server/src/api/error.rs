//! Fault to status and body: the only such place. The shape is OpenAI's error envelope, in which every SDK looks for
//! `error.message`, `type`, `param` and `code`.

use crate::reply::{self, ReplyBody};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use std::time::Duration;
use tidegate_core::{Fault, FaultKind};

const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What a kind of fault looks like to a caller: status, `type` and `code`.
#[must_use]
pub(crate) fn face(fault: &Fault) -> (StatusCode, &'static str, Option<&str>) {
    const INVALID: &str = "invalid_request_error";
    match fault.kind {
        FaultKind::InvalidRequest => (StatusCode::BAD_REQUEST, INVALID, None),
        FaultKind::ContextLength => (StatusCode::BAD_REQUEST, INVALID, Some("context_length_exceeded")),
        FaultKind::ContentFilter => (StatusCode::BAD_REQUEST, INVALID, Some("content_filter")),
        FaultKind::Filtered => filtered(fault),
        FaultKind::ContractBroken => (StatusCode::BAD_REQUEST, INVALID, Some("contract_broken")),
        FaultKind::FilterFailed => (StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("filter_failed")),
        FaultKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "authentication_error", Some("invalid_api_key")),
        FaultKind::Forbidden => (StatusCode::FORBIDDEN, "permission_error", Some("permission_denied")),
        FaultKind::NotFound => (StatusCode::NOT_FOUND, INVALID, Some("not_found")),
        FaultKind::ModelNotFound => (StatusCode::NOT_FOUND, INVALID, Some("model_not_found")),
        FaultKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, INVALID, Some("method_not_allowed")),
        FaultKind::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, INVALID, Some("request_timeout")),
        FaultKind::Conflict => (StatusCode::CONFLICT, INVALID, Some("conflict")),
        FaultKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some("request_too_large")),
        FaultKind::UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, Some("unsupported_media_type")),
        FaultKind::HeadTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, INVALID, Some("headers_too_large")),
        FaultKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("rate_limit_exceeded")),
        FaultKind::UpstreamRateLimited => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("upstream_rate_limited"))
        }
        // A local model's queue: who asks less often is served.
        FaultKind::Overloaded if fault.upstream_status == Some(429) => {
            (StatusCode::TOO_MANY_REQUESTS, "overloaded_error", Some("overloaded"))
        }
        FaultKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", Some("overloaded")),
        FaultKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", Some("unavailable")),
        FaultKind::NotDurable => (StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("not_durable")),
        FaultKind::Unreachable => (StatusCode::BAD_GATEWAY, "server_error", Some("upstream_unreachable")),
        FaultKind::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, "timeout_error", Some("upstream_timeout")),
        FaultKind::UpstreamMisconfigured => (StatusCode::BAD_GATEWAY, "server_error", Some("upstream_misconfigured")),
        FaultKind::StreamCut => (StatusCode::BAD_GATEWAY, "server_error", Some("stream_cut")),
        FaultKind::UpstreamRefused => (refused_status(fault), INVALID, Some("upstream_refused")),
        FaultKind::UpstreamFailed if fault.upstream_status == Some(503) => {
            (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", Some("upstream_overloaded"))
        }
        FaultKind::UpstreamFailed => (StatusCode::BAD_GATEWAY, "server_error", Some("upstream_failed")),
        FaultKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some("internal_error")),
    }
}

/// Whether a path is one of the protocols of classic models, whose clients read an error as a text.
#[must_use]
pub(crate) fn is_classic(path: &str) -> bool {
    let below = |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/v2")
        || below("/api/v1.0")
        || matches!(path, "/invocations" | "/ping" | "/version")
        || (below("/v1/models") && (path.ends_with(":predict") || path.ends_with(":explain")))
}

/// The response of a fault to a caller at `path`.
#[must_use]
pub(crate) fn respond_at(path: &str, fault: &Fault) -> Response<ReplyBody> {
    if is_classic(path) { plain(fault) } else { respond(fault) }
}

/// The response of a fault as the protocols of classic models have it: `{"error": "text"}`, beside it what MLflow's clients
/// read.
#[must_use]
pub(crate) fn plain(fault: &Fault) -> Response<ReplyBody> {
    let mut response = respond(fault);
    let code = match response.status().as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "RESOURCE_DOES_NOT_EXIST",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "BAD_REQUEST",
        503 | 504 => "TEMPORARILY_UNAVAILABLE",
        _ => "INTERNAL_ERROR",
    };
    let body = serde_json::json!({"error": fault.says, "error_code": code, "message": fault.says});
    *response.body_mut() = ReplyBody::Whole(Bytes::from(body.to_string()));
    response
}

/// A filter's own status and code, with the type that OpenAI gives such a status.
fn filtered(fault: &Fault) -> (StatusCode, &'static str, Option<&str>) {
    let face = fault.face.as_deref();
    let own = face.and_then(|face| StatusCode::from_u16(face.status).ok()).filter(StatusCode::is_client_error);
    let status = own.unwrap_or(StatusCode::BAD_REQUEST);
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        _ => "invalid_request_error",
    };
    (status, kind, Some(face.map_or("filtered", |face| face.code.as_str())))
}

fn refused_status(fault: &Fault) -> StatusCode {
    let own = fault.upstream_status.and_then(|status| StatusCode::from_u16(status).ok());
    own.filter(StatusCode::is_client_error).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The error envelope, as one line of JSON.
#[must_use]
pub(crate) fn envelope(fault: &Fault) -> String {
    let (_, kind, code) = face(fault);
    serde_json::json!({"error": {"message": fault.says, "type": kind, "param": fault.param, "code": code}}).to_string()
}

/// The error as the last event of a stream that cannot go on.
#[must_use]
pub(crate) fn event(fault: &Fault) -> Bytes {
    Bytes::from(format!("data: {}\n\n", envelope(fault)))
}

/// The response to a fault.
#[must_use]
pub(crate) fn respond(fault: &Fault) -> Response<ReplyBody> {
    let mut response = reply::whole(face(fault).0, "application/json", envelope(fault));
    let headers = response.headers_mut();
    if let Some(retry) = should_retry(fault.kind) {
        headers.insert(X_SHOULD_RETRY, HeaderValue::from_static(retry));
    }
    if let Some(wait) = fault.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    }
    response
}

/// SDKs retry by the status alone unless told otherwise: here we know better.
const fn should_retry(kind: FaultKind) -> Option<&'static str> {
    match kind {
        FaultKind::RateLimited | FaultKind::UpstreamRateLimited | FaultKind::Overloaded | FaultKind::Unavailable => {
            Some("true")
        }
        // The answer was made and is billed: asking again would pay twice.
        FaultKind::NotDurable => Some("false"),
        // It fails until somebody mends the configuration.
        FaultKind::UpstreamMisconfigured => Some("false"),
        _ => None,
    }
}

/// Rounded up: a caller that comes too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::filter::Refused;

    #[test]
    fn a_clients_fault_is_never_a_5xx_and_ours_never_a_4xx() {
        use tidegate_core::Side;
        for kind in [
            FaultKind::InvalidRequest,
            FaultKind::TooLarge,
            FaultKind::RateLimited,
            FaultKind::UpstreamRefused,
            FaultKind::ContentFilter,
            FaultKind::Filtered,
            FaultKind::FilterFailed,
            FaultKind::Internal,
            FaultKind::NotDurable,
            FaultKind::Unreachable,
            FaultKind::StreamCut,
        ] {
            let fault = Fault::new(kind, "x").with_upstream_status(422);
            let status = face(&fault).0;
            assert_eq!(status.is_client_error(), kind.side() == Side::Client, "{kind:?} is {status}");
        }
    }

    #[test]
    fn the_envelope_has_all_four_members_and_escapes_what_it_says() {
        let fault = Fault::field("model", "no \"such\"\nmodel").because("secret detail");
        let doc: serde_json::Value = serde_json::from_str(&envelope(&fault)).unwrap();
        assert_eq!(
            doc["error"],
            serde_json::json!({"message": "no \"such\"\nmodel", "type": "invalid_request_error", "param": "model", "code": null})
        );
    }

    #[test]
    fn a_filter_refuses_with_a_status_and_a_code_of_its_own() {
        let refused = |status| Refused { status, code: "pii".to_owned(), message: "no names, please".to_owned() };
        let shown = |status| {
            let fault = Fault::filtered(refused(status));
            let doc: serde_json::Value = serde_json::from_str(&envelope(&fault)).unwrap();
            (face(&fault).0.as_u16(), doc["error"]["type"].as_str().unwrap().to_owned(), doc["error"]["code"].clone())
        };
        assert_eq!(shown(422), (422, "invalid_request_error".to_owned(), "pii".into()));
        assert_eq!(shown(403), (403, "permission_error".to_owned(), "pii".into()));
        assert_eq!(shown(200).0, 400, "no refusal is a success");
    }

    #[test]
    fn a_full_queue_here_is_a_429_and_elsewhere_a_503() {
        let full = Fault::new(FaultKind::Overloaded, "x");
        assert_eq!(face(&full).0.as_u16(), 503);
        assert_eq!(face(&full.with_upstream_status(429)).0.as_u16(), 429);
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let response = respond(&Fault::new(FaultKind::RateLimited, "x").after(Duration::from_millis(1200)));
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["retry-after-ms"], "1200");
        assert_eq!(response.headers()["x-should-retry"], "true");
    }
}
