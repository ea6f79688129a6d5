//! Which host a request is for: said once, well formed, and the same wherever it is said.

use super::{Refusal, hosts};
use http::header::HeaderMap;
use http::{Uri, Version};

/// Checks `Host` against the version and the target.
pub(super) fn check(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let (host, second) = hosts(headers);
    if second.is_some() {
        return Err(Refusal::closing("the request has more than one host"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    match (host.map(http::HeaderValue::as_bytes), authority) {
        (Some(host), _) if !is_valid(host) => {
            Err(Refusal::closing("host must be a name or address with an optional port"))
        }
        (_, Some(authority)) if !is_valid(authority.as_bytes()) => {
            Err(Refusal::closing("the target's host is malformed"))
        }
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority.as_bytes()) => {
            Err(Refusal::closing("host and the target name different hosts"))
        }
        (None, None) if version >= Version::HTTP_11 => Err(Refusal::closing("the request has no host")),
        // RFC 9112 §3.2: a request in absolute form has a host field all the same.
        (None, Some(_)) if version == Version::HTTP_11 => Err(Refusal::closing("the request has no host")),
        _ => Ok(()),
    }
}

/// `host [":" port]` of RFC 3986, without user information and percent escapes.
fn is_valid(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', ..] => {
            let Some(close) = memchr::memchr(b']', text) else { return false };
            let inside = &text[1..close];
            if inside.is_empty() || !inside.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
                return false;
            }
            (&text[..=close], &text[close + 1..])
        }
        _ => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            let host = &text[..end];
            if !host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~')) {
                return false;
            }
            (host, &text[end..])
        }
    };
    let port_is_valid = match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    (1..=255).contains(&host.len()) && port_is_valid
}
