//! The Open Inference Protocol over gRPC, on the listeners of callers: HTTP/2 requests with its type. Owns which method means what
//! and which role it needs, and how faults are said; calls to models walk `path` as any. gRPC is a head of five bytes before a
//! message and a status behind it, so hyper carries it as it is: a server of its own would read messages before anybody asked
//! who calls, and make all of their parts before anybody could count them.

mod about;
mod exchange;
mod face;
mod method;
mod timeout;

pub(crate) use face::{Meant, answered, refused, status};
pub(crate) use timeout::timeout;

use crate::listen::Peer;
use crate::path::{self, caller};
use crate::reply::ReplyBody;
use crate::server::Server;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method as Verb, Response, Version};
use hyper::body::Incoming;
use method::Method;
use std::sync::Arc;
use tidegate_core::{Caller, Fault, FaultKind, Role};

/// Whether a request is one of gRPC.
pub(crate) fn is_call(head: &Parts) -> bool {
    let value = head.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let essence = value.and_then(|value| value.split(|byte| *byte == b';').next()).map(<[u8]>::trim_ascii);
    let is_ours = |essence: &[u8]| {
        essence.eq_ignore_ascii_case(b"application/grpc") || essence.eq_ignore_ascii_case(b"application/grpc+proto")
    };
    head.version == Version::HTTP_2 && essence.is_some_and(is_ours)
}

/// Answers a call of gRPC.
pub(crate) async fn serve(server: &Arc<Server>, head: Box<Parts>, body: Incoming, peer: &Peer) -> Response<ReplyBody> {
    let found = if head.method == Verb::POST { Method::of(head.uri.path()) } else { None };
    let Some(row) = found.filter(|_| !peer.terms.admin) else {
        return refused(&Fault::new(FaultKind::MethodNotAllowed, method::NONE));
    };
    match row.method {
        Method::ModelInfer => {
            let limit = timeout(&head.headers);
            path::serve(server, server.snapshot(), path::Entry::Message(body), &head, peer, limit).await
        }
        Method::ModelStreamInfer => match admitted(server, row.role, &head, peer) {
            Ok(_) => exchange::begin(server, head, body, peer),
            // A stream that is not begun is a call that failed.
            Err(fault) => path::refuse(server, &head, peer, &fault).await,
        },
        method => {
            let answered = match admitted(server, row.role, &head, peer) {
                Ok(caller) => about::answer(server, method, caller.as_ref(), &head, body, peer).await,
                Err(fault) => Err(fault),
            };
            answered.unwrap_or_else(|fault| refused(&fault))
        }
    }
}

/// Who asks, where a role is needed: then he has it.
fn admitted(server: &Server, needs: Option<Role>, head: &Parts, peer: &Peer) -> Result<Option<Caller>, Fault> {
    let Some(role) = needs else { return Ok(None) };
    let snapshot = server.snapshot();
    let caller = caller::authenticate(&snapshot.keys, &head.headers, peer, server.ports().clock.wall())?;
    if caller.may(role) {
        return Ok(Some(caller));
    }
    Err(Fault::new(FaultKind::Forbidden, format!("this key does not have the role `{role}` that this call needs")))
}
