//! A stream of calls (`ModelStreamInfer`): each message is a call of its own, with its own record, and is answered by one, in
//! their order. Owns how messages are put together from the body, and when the stream ends: what is wrong with one call is said
//! in its answer, and the next may be right; what is wrong with the stream ends it.

use super::face::{begun, trailers};
use super::timeout;
use crate::listen::Peer;
use crate::path::{self, Entry};
use crate::reply::{Cut, ReplyBody};
use crate::server::Server;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream;
use http::Response;
use http::request::Parts;
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::{Fault, FaultKind};
use tidegate_dialect::{Wrong, grpc};
use tokio::time::{Instant, sleep_until};

/// A stream without a deadline of its caller's: longer than any lives.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Begins a stream of calls.
pub(super) fn begin(server: &Arc<Server>, head: Box<Parts>, body: Incoming, peer: &Peer) -> Response<ReplyBody> {
    let limit = timeout(&head.headers);
    let exchange = Exchange {
        server: Arc::clone(server),
        peer: peer.clone(),
        until: Instant::now() + limit.unwrap_or(FOREVER).min(FOREVER),
        limit,
        head,
        body,
        buffer: BytesMut::new(),
        is_over: false,
    };
    begun(ReplyBody::Exchange(Box::pin(stream::unfold(exchange, Exchange::next))))
}

struct Exchange {
    server: Arc<Server>,
    peer: Peer,
    head: Box<Parts>,
    body: Incoming,
    /// What came and is no whole message yet.
    buffer: BytesMut,
    /// Until when the caller waits.
    until: Instant,
    limit: Option<Duration>,
    is_over: bool,
}

impl Exchange {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Cut>, Self)> {
        if self.is_over {
            return None;
        }
        let ended = match self.message().await {
            Ok(Some(message)) => return Some((Ok(Frame::data(self.answer(message).await)), self)),
            Ok(None) => None,
            Err(fault) => {
                // Of a message that had begun there is a record, as of any call whose body is wrong; between two there is no call.
                if !self.buffer.is_empty() {
                    drop(Box::pin(path::refuse(&self.server, &self.head, &self.peer, &fault)).await);
                }
                Some(fault)
            }
        };
        self.is_over = true;
        Some((Ok(Frame::trailers(trailers(ended.as_ref()))), self))
    }

    /// The next message; none where the caller has no more.
    async fn message(&mut self) -> Result<Option<Bytes>, Fault> {
        if Instant::now() >= self.until {
            return Err(self.late(self.until));
        }
        let mut begun_at = None;
        loop {
            if self.buffer.first() == Some(&1)
                && self.head.headers.get("grpc-encoding").is_some_and(|coding| coding != "identity")
            {
                let says = "compressed messages are not taken: send them with the encoding identity";
                return Err(Fault::new(FaultKind::UnsupportedMedia, says));
            }
            if let Some(head) = grpc::Head::of(&self.buffer).map_err(Wrong::of_caller)? {
                let most = self.peer.terms.max_body;
                if head.length as u64 > most {
                    let says =
                        format!("a message says that it has {} bytes, and this listener takes {most}", head.length);
                    return Err(Fault::new(FaultKind::TooLarge, says));
                }
                if self.buffer.len() - grpc::HEAD >= head.length {
                    self.buffer.advance(grpc::HEAD);
                    return Ok(Some(self.buffer.split_to(head.length).freeze()));
                }
            }
            if !self.buffer.is_empty() && begun_at.is_none() {
                begun_at = Some(Instant::now());
            }
            match self.frame(begun_at).await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    let says = format!("the stream ended within a message: {} bytes of it came", self.buffer.len());
                    return Err(Fault::new(FaultKind::InvalidRequest, says));
                }
            }
        }
    }

    /// The next part of the body; a message that has begun must come in time.
    async fn frame(&mut self, begun_at: Option<Instant>) -> Result<Option<Bytes>, Fault> {
        let late = begun_at.map_or(self.until, |at| self.until.min(at + self.peer.terms.body_timeout));
        loop {
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = sleep_until(late) => return Err(self.late(late)),
                () = self.server.drained(), if begun_at.is_none() => {
                    let says = "the gateway is stopping: open the stream anew";
                    return Err(Fault::new(FaultKind::Unavailable, says));
                }
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(why)) => {
                    let says = "the stream was broken off, or its framing is wrong";
                    return Err(Fault::new(FaultKind::InvalidRequest, says).because(why));
                }
            }
        }
    }

    fn late(&self, late: Instant) -> Fault {
        match self.limit {
            Some(limit) if late == self.until => path::late(limit),
            _ => Fault::new(FaultKind::RequestTimeout, "a message did not arrive in time: send it without pauses"),
        }
    }

    /// The answer to one message.
    async fn answer(&self, message: Bytes) -> Bytes {
        let snapshot = self.server.snapshot();
        let limit = self.limit.map(|_| self.until.saturating_duration_since(Instant::now()));
        // Boxed, since it would else be moved with the stream.
        let served = Box::pin(path::serve(
            &self.server,
            snapshot,
            Entry::<Incoming>::Streamed(message),
            &self.head,
            &self.peer,
            limit,
        ));
        match served.await.into_body() {
            ReplyBody::Whole(answer) => answer,
            _ => Bytes::new(),
        }
    }
}
