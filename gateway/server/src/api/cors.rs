//! What pages of browsers may do here. Owns the `access-control-*` headers.

use crate::reply::{self, ReplyBody};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use http::{Response, StatusCode};
use tidegate_core::spec::CorsSpec;

const EXPOSED: &str = "x-request-id, retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
     x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

/// The answer to a preflight: no key is asked for, since browsers send none with it.
#[must_use]
pub(crate) fn preflight(headers: &HeaderMap, allowed: &str) -> Response<ReplyBody> {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    let out = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(allowed) {
        out.insert(ALLOW, methods.clone());
        out.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    // Echoed, since `*` does not cover `authorization`, and SDKs send a changing set of `x-stainless-*`.
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Adds what lets a page of an allowed origin read this response.
pub(crate) fn allow(spec: &CorsSpec, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
    let Some(origin) = origin else { return };
    let allowed = match spec {
        CorsSpec::Off => return,
        CorsSpec::Any => HeaderValue::from_static("*"),
        CorsSpec::Origins(origins) if origins.iter().any(|known| known.as_bytes() == origin.as_bytes()) => {
            origin.clone()
        }
        CorsSpec::Origins(_) => return,
    };
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    out.append(VARY, HeaderValue::from_name(ORIGIN));
}
