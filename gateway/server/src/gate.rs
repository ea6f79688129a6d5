//! The strict gate: what a request's head must be before anything looks at it. Owns the rules that the HTTP library
//! leaves open (RFC 9112, RFC 9110), and which of a caller's headers may go on. Pure: heads in, verdicts out.

mod host;
mod target;

#[cfg(test)]
mod tests;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Uri, Version};
use tidegate_core::{Fault, FaultKind};

/// The most header fields of a request.
const MOST_HEADERS: usize = 100;
/// The most bytes of all header fields.
const MOST_HEADER_BYTES: usize = 32 * 1024;

/// Why a head is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// For the caller.
    pub(crate) fault: Fault,
    /// Whether the connection must close: its framing cannot be trusted.
    pub(crate) close: bool,
}

impl Refusal {
    fn open(kind: FaultKind, says: &'static str) -> Self {
        Self { fault: Fault::new(kind, says), close: false }
    }

    fn closing(says: &'static str) -> Self {
        Self { fault: Fault::new(FaultKind::InvalidRequest, says), close: true }
    }

    fn too_large(says: &'static str) -> Self {
        Self { fault: Fault::new(FaultKind::HeadTooLarge, says), close: true }
    }
}

/// Checks a head.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check(method: &Method, uri: &Uri, version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        let refusal = Refusal::open(FaultKind::MethodNotAllowed, "CONNECT and TRACE are not served here");
        return Err(Refusal { close: true, ..refusal });
    }
    sizes(headers)?;
    framing(version, headers)?;
    host::check(uri, version, headers)?;
    target::check(method, uri)
}

fn sizes(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.len() > MOST_HEADERS {
        return Err(Refusal::too_large("the request has more than 100 header fields"));
    }
    let mut bytes = 0;
    for (name, value) in headers {
        // `: ` and CRLF are counted too.
        bytes += name.as_str().len() + value.len() + 4;
        if poses_as_framing(name.as_str()) {
            return Err(Refusal::closing("a header field imitates one of HTTP's own with an underscore"));
        }
    }
    if bytes > MOST_HEADER_BYTES {
        return Err(Refusal::too_large("the header fields are larger than 32 KiB"));
    }
    Ok(())
}

/// Servers behind us may read `_` as `-`: such a field could frame the request anew.
fn poses_as_framing(name: &str) -> bool {
    matches!(name.len(), 14 | 17) && matches!(name, "transfer_encoding" | "content_length")
}

/// How the body is delimited must be said once, and in one way.
fn framing(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if version != Version::HTTP_11 {
            return Err(Refusal::closing("transfer-encoding belongs to HTTP/1.1 alone"));
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::closing("transfer-encoding must be `chunked` and nothing else"));
        }
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::closing("transfer-encoding and content-length exclude each other"));
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    if let Some(length) = lengths.next() {
        let counts = !length.is_empty() && length.len() <= 19 && length.iter().all(u8::is_ascii_digit);
        if !counts || lengths.any(|other| other != length) {
            return Err(Refusal::closing("content-length must be given once, in digits"));
        }
    }
    Ok(())
}

/// What a caller may send through to a provider. A list of what may pass, since one of what may not is never whole:
/// keys, cookies, hop-by-hop fields and SDK telemetry stay here. The trace context is added by its owner.
const PASSING: [HeaderName; 4] = [
    HeaderName::from_static("x-client-request-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("baggage"),
];

/// The caller's headers that go on to a provider.
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in &PASSING {
        if !headers.contains_key(name) || is_for_this_hop(headers, name) {
            continue;
        }
        for value in headers.get_all(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Whether `Connection` names the field, so that it ends here (RFC 9110 §7.6.1).
fn is_for_this_hop(headers: &HeaderMap, name: &HeaderName) -> bool {
    let named = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    headers.get_all(CONNECTION).iter().any(named)
}

/// The values of `Host`, at most two: a third says no more than a second.
fn hosts(headers: &HeaderMap) -> (Option<&HeaderValue>, Option<&HeaderValue>) {
    let mut all = headers.get_all(HOST).iter();
    (all.next(), all.next())
}
