//! What both interfaces read off a request: who asks and by which key of his own, and a body that is no file. Owns the
//! longest such body, and the port's faults as the registry's.

use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::registry::{Actor, IdempotencyKey};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::request::Parts;
use tidegate_core::digest::Digest;
use tidegate_core::port::mount::Frames;
use tidegate_core::{Caller, Fault, FaultKind, Role};

/// The largest body of a call that is no file.
const LARGEST: usize = 4 * 1024 * 1024;

/// Who asks, and his key for this request where he sent one.
pub(crate) fn actor(caller: &Caller, head: &Parts, body: &Bytes) -> Result<Actor, RegistryFault> {
    let idempotency = match head.headers.get("idempotency-key") {
        None => None,
        Some(value) => {
            // Without the host: the same request may come again to another replica.
            let address = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
            let mut content = format!("{} {address}\n", head.method).into_bytes();
            content.extend_from_slice(body);
            Some(IdempotencyKey::new(value.to_str().unwrap_or_default(), Digest::of(&content))?)
        }
    };
    Ok(Actor { principal: caller.0.principal.as_str().to_owned(), idempotency, approves: caller.may(Role::Approve) })
}

/// Reads a body that is no file.
pub(crate) async fn gather(body: Frames) -> Result<Bytes, RegistryFault> {
    gather_at_most(body, LARGEST).await
}

/// Reads a body of at most so many bytes.
pub(crate) async fn gather_at_most(mut body: Frames, most: usize) -> Result<Bytes, RegistryFault> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.next().await {
        all.extend_from_slice(&frame.map_err(of_port)?);
        if all.len() > most {
            let says = format!("the body of this call is at most {} MiB long", most >> 20);
            return Err(RegistryFault::new(RegistryFaultKind::TooLarge, says));
        }
    }
    Ok(all.freeze())
}

/// The fault of a port as one of the registry.
pub(crate) fn of_port(fault: Fault) -> RegistryFault {
    let kind = match fault.kind {
        FaultKind::InvalidRequest => RegistryFaultKind::Invalid,
        FaultKind::NotFound => RegistryFaultKind::Missing,
        FaultKind::TooLarge => RegistryFaultKind::TooLarge,
        FaultKind::Unavailable => RegistryFaultKind::Unavailable,
        _ => return RegistryFault::internal(fault),
    };
    RegistryFault { kind, says: fault.says, detail: fault.detail.map(String::from) }
}
