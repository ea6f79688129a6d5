//! What a request asks for: a path that means the same to everybody who reads it.

use super::Refusal;
use http::{Method, Uri};
use tidegate_core::FaultKind;

/// The longest target.
const LONGEST: usize = 8 * 1024;

/// Checks the target of a request. A fragment cannot be seen here: the library has cut it off already.
pub(super) fn check(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    let whole = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    if whole.len() > LONGEST {
        return Err(Refusal::too_large("the target of the request is longer than 8 KiB"));
    }
    let path = uri.path();
    if path == "*" && *method == Method::OPTIONS {
        return Ok(());
    }
    if !whole.starts_with('/') || uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(Refusal::closing("the target must be a path that begins with a slash"));
    }
    // Nearly every path of ours is plain, and then this is all.
    if memchr::memchr2(b'%', b'\\', path.as_bytes()).is_none() && memchr::memmem::find(path.as_bytes(), b"/.").is_none()
    {
        return Ok(());
    }
    if is_plain(path.as_bytes()) {
        Ok(())
    } else {
        let says = "the path holds dot segments, backslashes, control characters or broken percent escapes";
        Err(Refusal::open(FaultKind::InvalidRequest, says))
    }
}

/// Whether the path has one meaning only, its escapes undone.
fn is_plain(path: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let meant = if byte == b'%' {
            let Some(escaped) = escape(path, at) else { return false };
            at += 2;
            escaped
        } else {
            byte
        };
        if meant == b'\\' || meant < 0x20 || meant == 0x7F {
            return false;
        }
        decoded.push(meant);
        at += 1;
    }
    // An escaped slash separates as well for some readers, and `;` ends a segment for some.
    let dots = |segment: &[u8]| matches!(segment.split(|&b| b == b';').next().unwrap_or_default(), b"." | b"..");
    !decoded.split(|&b| b == b'/').any(dots)
}

fn escape(path: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| path.get(at).and_then(|&b| char::from(b).to_digit(16));
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}
