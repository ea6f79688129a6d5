//! A request for an interface that an organ brings: who asks and whether he may, and the body handed over in parts.
//! Owns how such an interface meets hyper; its paths and answers are its own.

use crate::api::error;
use crate::listen::Peer;
use crate::path::caller;
use crate::reply::ReplyBody;
use crate::server::Server;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ALLOW, CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::{Caller, Fault, FaultKind, Role};

/// The interface that has this path, and what it says of it.
pub(crate) fn find<'a>(
    mounts: &'a [Arc<dyn Mount>],
    door: Door,
    head: &Parts,
) -> Option<(&'a Arc<dyn Mount>, Passage)> {
    mounts
        .iter()
        .map(|mount| (mount, mount.find(door, &head.method, head.uri.path())))
        .find(|(_, passage)| *passage != Passage::Nothing)
}

/// Serves a request for `mount`.
pub(crate) async fn serve<B>(
    server: &Server,
    mount: &dyn Mount,
    passage: Passage,
    head: Parts,
    body: B,
    peer: &Peer,
) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: std::fmt::Display,
{
    let needs = match passage {
        Passage::Needs(role) => Some(role),
        Passage::Open => None,
        Passage::WrongMethod(allowed) => {
            let says = format!("this path takes {allowed} only");
            let mut response = answer(mount.refuse(&Fault::new(FaultKind::MethodNotAllowed, says)));
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        Passage::Nothing => return answer(mount.refuse(&Fault::new(FaultKind::NotFound, "there is nothing here"))),
    };
    match admitted(server, needs, &head, peer) {
        Ok(caller) => {
            let mut head = head;
            make_absolute(&mut head, peer.terms.is_tls);
            let frames = frames(body, peer.terms.body_timeout);
            answer(mount.serve(caller, peer.reach, Request::from_parts(head, frames)).await)
        }
        Err(fault) => answer(mount.refuse(&fault)),
    }
}

/// What `mount` says to a request that did not reach it.
pub(crate) fn refuse(mount: &dyn Mount, fault: &Fault) -> Response<ReplyBody> {
    answer(mount.refuse(fault))
}

/// The caller, where a role is needed: then he has it.
fn admitted(server: &Server, needs: Option<Role>, head: &Parts, peer: &Peer) -> Result<Option<Caller>, Fault> {
    let snapshot = server.snapshot();
    let keys = snapshot.keys_of(peer.terms.admin);
    let Some(role) = needs else { return Ok(None) };
    let caller = caller::authenticate(keys, &head.headers, peer, server.ports().clock.wall())?;
    if caller.may(role) {
        return Ok(Some(caller));
    }
    let says = format!(
        "this needs the role `{role}`, which the caller `{}` does not have: use a key made with `tidegate key new … \
         --role {role}`",
        caller.0.principal
    );
    Err(Fault::new(FaultKind::Forbidden, says))
}

/// Gives a request the address as the caller wrote it, so that an interface can give him further ones.
fn make_absolute(head: &mut Parts, is_tls: bool) {
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    let host = head.headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority = uri.authority.or(host);
    uri.scheme = uri.authority.is_some().then_some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
    let path = uri.path_and_query.clone();
    // A host that makes no address is left out.
    head.uri = Uri::from_parts(uri).unwrap_or_else(|_| path.map_or_else(Uri::default, Uri::from));
}

/// A body in parts, of which each must follow the one before it within `idle`.
fn frames<B>(body: B, idle: Duration) -> Frames
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: std::fmt::Display,
{
    Box::pin(stream::try_unfold(body, move |mut body| async move {
        loop {
            let next = tokio::time::timeout(idle, body.frame()).await.map_err(|_| {
                Fault::new(FaultKind::RequestTimeout, "the body did not arrive in time: send it without pauses")
            })?;
            let Some(frame) = next else { return Ok(None) };
            let frame = frame.map_err(|e| {
                let says = "the body ended before its declared length, or its framing is wrong";
                Fault::new(FaultKind::InvalidRequest, says).because(e)
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some((data, body)));
            }
        }
    }))
}

/// A fault in OpenAI's form, for interfaces that have none of their own.
#[must_use]
pub fn refusal(fault: &Fault) -> Response<Content> {
    error::respond(fault).map(|body| match body {
        ReplyBody::Whole(bytes) => Content::Whole(bytes),
        // A refusal is one text.
        _ => Content::Whole(Bytes::new()),
    })
}

fn answer(response: Response<Content>) -> Response<ReplyBody> {
    let (mut head, content) = response.into_parts();
    let body = match content {
        Content::Whole(bytes) => ReplyBody::Whole(bytes),
        Content::Parts { length, frames } => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            ReplyBody::Parts { length, frames }
        }
    };
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use http_body_util::StreamBody;

    #[test]
    fn an_interface_sees_the_address_that_the_caller_wrote() {
        let seen = |uri: &str, host: Option<&str>, is_tls| {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let mut head = request.body(()).unwrap().into_parts().0;
            make_absolute(&mut head, is_tls);
            head.uri.to_string()
        };
        assert_eq!(seen("/a?b=c", Some("gate:81"), false), "http://gate:81/a?b=c");
        assert_eq!(seen("/a", Some("gate"), true), "https://gate/a");
        assert_eq!(seen("http://gate/a", None, true), "https://gate/a");
        assert_eq!(seen("/a", None, false), "/a");
        assert_eq!(seen("/a", Some("no host"), false), "/a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_with_a_fault() {
        let parts = stream::iter([Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(b"a")))])
            .chain(stream::pending());
        let mut frames = frames(StreamBody::new(parts), Duration::from_secs(1));
        assert_eq!(frames.next().await.unwrap().unwrap(), "a");
        assert_eq!(frames.next().await.unwrap().unwrap_err().kind, FaultKind::RequestTimeout);
    }
}
