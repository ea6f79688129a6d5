//! One request for something small: bounded in bytes and time, redirected to nobody who could be overheard. Owns that
//! credentials go to the server that they are for and to no other.

use crate::pull::transport::{Body, Transport, TransportFault};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::spec::is_this_machine;

/// Until when a connection must be there.
const CONNECT: Duration = Duration::from_secs(10);
/// Until when all of an answer must be there.
const WHOLE: Duration = Duration::from_secs(60);
/// How often a server may send us on.
const REDIRECTS: u32 = 5;

/// Sends such requests.
#[derive(Debug)]
pub(super) struct Asker {
    transport: Arc<dyn Transport>,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// What kinds of answers are taken.
    pub(super) accept: &'static str,
    /// What is sent, and of what kind it is.
    pub(super) body: Option<(&'static str, Bytes)>,
    /// The most bytes of an answer that are taken.
    pub(super) most: usize,
}

impl Asked {
    /// For what lies there.
    pub(super) const fn get(uri: Uri, accept: &'static str, most: usize) -> Self {
        Self { method: Method::GET, uri, accept, body: None, most }
    }
}

/// An answer. The body is there where the status is a good one.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Who gave it: another one than was asked, after a redirect.
    pub(super) uri: Uri,
}

impl Asker {
    pub(super) const fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// The answer, whatever its status. `shown` goes to the server of the address alone.
    pub(super) async fn send(&self, asked: &Asked, shown: Option<&HeaderValue>) -> Result<Answer, String> {
        let late = |_| format!("{} did not give it within {} s", host_of(&asked.uri), WHOLE.as_secs());
        tokio::time::timeout(WHOLE, self.follow(asked, shown)).await.map_err(late)?
    }

    async fn follow(&self, asked: &Asked, shown: Option<&HeaderValue>) -> Result<Answer, String> {
        let mut uri = asked.uri.clone();
        for _ in 0..=REDIRECTS {
            let shown = shown.filter(|_| is_same_server(&uri, &asked.uri));
            let request = request(asked, &uri, shown)?;
            let response = self.transport.send(request, CONNECT).await.map_err(|fault| match fault {
                TransportFault::Unreachable(why) => format!("{} cannot be reached: {why}", host_of(&uri)),
                TransportFault::Failed(why) => format!("{} gave no answer: {why}", host_of(&uri)),
            })?;
            let (is_redirect, status) = (response.status().is_redirection(), response.status());
            if !is_redirect || asked.method != Method::GET {
                let headers = response.headers().clone();
                let body = if status.is_success() { whole(response, &uri, asked.most).await? } else { Bytes::new() };
                return Ok(Answer { status, headers, body, uri });
            }
            uri = next(&uri, response.headers())?;
        }
        Err(format!("{} redirects more than {REDIRECTS} times", host_of(&asked.uri)))
    }
}

fn request(asked: &Asked, uri: &Uri, shown: Option<&HeaderValue>) -> Result<Request<Bytes>, String> {
    let mut request = Request::builder()
        .method(asked.method.clone())
        .uri(uri.clone())
        .header(header::ACCEPT, asked.accept)
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(shown) = shown {
        request = request.header(header::AUTHORIZATION, shown);
    }
    let body = match &asked.body {
        Some((kind, body)) => {
            request = request.header(header::CONTENT_TYPE, *kind);
            body.clone()
        }
        None => Bytes::new(),
    };
    request.body(body).map_err(|e| format!("{uri} cannot be asked: {e}"))
}

async fn whole(response: Response<Body>, uri: &Uri, most: usize) -> Result<Bytes, String> {
    let too_large = || format!("what {} has is larger than the {most} bytes that are taken", host_of(uri));
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > most) {
        return Err(too_large());
    }
    let (mut body, mut all) = (response.into_body(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| format!("the answer of {} broke off: {e}", host_of(uri)))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// Where a server that was asked for `from` sends us on.
pub(super) fn next(from: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| crate::pull::join(from, location));
    let next = next.ok_or_else(|| format!("{} sends us on to no address", host_of(from)))?;
    if may_follow(from, &next) {
        return Ok(next);
    }
    Err(format!("{} sends us on to {}, where we could be overheard; that is not followed", host_of(from), next))
}

/// Whether one who was asked for `from` may name `next` in its place: nobody overhears it there, and no server of the net
/// sends us to one of this machine.
pub(super) fn may_follow(from: &Uri, next: &Uri) -> bool {
    let is_here = |uri: &Uri| uri.host().is_some_and(is_this_machine);
    next.scheme_str() == Some("https") && (is_here(from) || !is_here(next))
        || next.scheme_str() == Some("http") && is_here(from) && is_here(next)
}

/// Whether two addresses are of one server.
pub(super) fn is_same_server(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

/// Who is meant, in a message.
pub(super) fn host_of(uri: &Uri) -> &str {
    uri.authority().map_or("", http::uri::Authority::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sends_us_where_we_are_overheard_or_onto_this_machine() {
        let may = |from: &str, next: &str| may_follow(&from.parse().unwrap(), &next.parse().unwrap());
        for (from, next) in [
            ("https://a/x", "https://b/x"),
            ("http://127.0.0.1:1/x", "http://localhost:2/x"),
            ("http://127.0.0.1:1/x", "https://cdn/x"),
            ("https://localhost/x", "http://127.0.0.1/x"),
        ] {
            assert!(may(from, next), "{from} {next}");
        }
        for (from, next) in [
            ("https://a/x", "http://a/x"),
            ("https://a/x", "http://127.0.0.1/x"),
            ("https://a/x", "https://127.0.0.1/x"),
            ("https://a/x", "https://[::1]/x"),
            ("http://127.0.0.1/x", "http://a/x"),
        ] {
            assert!(!may(from, next), "{from} {next}");
        }
    }
}
