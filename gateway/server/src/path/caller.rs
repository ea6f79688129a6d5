//! Who calls: the key of the request, or the client's certificate. Nothing of the body has been read yet.

use crate::listen::Peer;
use crate::snapshot::{Keyring, Snapshot};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_core::spec::SubjectSpec;
use tidegate_core::{Caller, Fault, FaultKind, Ledger, Role};

/// Finds the caller and notes him in the ledger.
///
/// # Errors
/// No key, an unknown one or an expired one, which look alike; or one that may not call models.
pub(crate) fn identify(
    snapshot: &Snapshot,
    headers: &HeaderMap,
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Caller, Fault> {
    let caller = authenticate(
        &snapshot.keys,
        headers,
        peer,
        SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(now_ms(ledger)),
    )?;
    ledger.note(|event| {
        event.key = Some(caller.0.id.clone());
        event.principal = Some(caller.0.principal.clone());
        event.tenant = Some(caller.0.tenant.clone());
        event.client_request_id = text(headers, "x-client-request-id").map(Arc::from);
        event.episode = text(headers, "x-tidegate-episode").map(Arc::from);
        if let Some(SubjectSpec::Header(name)) = &snapshot.subject {
            event.subject = text(headers, name).map(Arc::from);
        }
    });
    if !caller.may(Role::Infer) {
        return Err(Fault::new(
            FaultKind::Forbidden,
            "this key does not have the role `infer` that calls to models need",
        ));
    }
    Ok(caller)
}

fn now_ms(ledger: &Ledger) -> u64 {
    ledger.event().map_or(0, |event| event.unix_ms)
}

/// The caller of these headers on this connection.
///
/// # Errors
/// No key, an unknown one or an expired one.
pub(crate) fn authenticate(keys: &Keyring, headers: &HeaderMap, peer: &Peer, now: SystemTime) -> Result<Caller, Fault> {
    if let Keyring::Open(anybody) = keys {
        return Ok(peer.certified.as_ref().unwrap_or(anybody).clone());
    }
    let found = match secret(headers)? {
        Some(secret) => keys.find(secret),
        None => match &peer.certified {
            Some(caller) => return Ok(caller.clone()),
            None => return Err(refused("no API key was given: send it as `Authorization: Bearer KEY`")),
        },
    };
    let valid = found.filter(|caller| caller.0.expires.is_none_or(|until| now < until));
    valid.cloned().ok_or_else(|| refused("the API key is unknown, revoked or expired"))
}

/// The secret that the headers carry: `Authorization: Bearer`, or the header that Anthropic's or Azure's clients use.
fn secret(headers: &HeaderMap) -> Result<Option<&[u8]>, Fault> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        if given.next().is_some() {
            return Err(refused("more than one Authorization header was given: send one"));
        }
        return bearer(value.as_bytes())
            .map(Some)
            .ok_or_else(|| refused("the Authorization header is not of the form `Bearer KEY`"));
    }
    let other = headers.get("x-api-key").or_else(|| headers.get("api-key"));
    Ok(other.map(http::HeaderValue::as_bytes))
}

/// The token after a scheme of `Bearer`, in whatever case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

fn refused(says: &'static str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, says)
}

/// A header's value where it is short, printable text: what goes into records must not forge any.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty() && text.len() <= 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case_and_nothing_else_is_a_bearer() {
        assert_eq!(bearer(b"Bearer k"), Some(&b"k"[..]));
        assert_eq!(bearer(b"bEARER  k"), Some(&b"k"[..]));
        for bad in [&b"Bearer"[..], b"Bearer ", b"Basic k", b"k", b"", b"Bearerk"] {
            assert_eq!(bearer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn two_authorizations_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, "Bearer a".parse().unwrap());
        headers.append(AUTHORIZATION, "Bearer b".parse().unwrap());
        assert!(secret(&headers).is_err());
    }
}
