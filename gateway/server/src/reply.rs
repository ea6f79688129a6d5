//! The body of a response: nothing, a whole text, a stream of events, messages of gRPC or a file in parts. Owns how they meet hyper.

use crate::path::reply::EventStream;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::Fault;
use tidegate_core::port::mount::Frames;
use tidegate_dialect::Sheet;

/// A body of known length failed in its midst: the connection is cut, so that nobody takes what came for all of it.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early: {0}")]
pub(crate) struct Cut(Fault);

/// The body of a response.
pub(crate) enum ReplyBody {
    /// All of it at once.
    Whole(Bytes),
    /// All of it, part by part.
    InParts(std::vec::IntoIter<Bytes>),
    /// Server-sent events.
    Stream(Box<EventStream>),
    /// A message of gRPC, and the status behind it.
    Message {
        /// It, as it stands in a body.
        message: Bytes,
        /// The status, until it is sent.
        trailers: Option<HeaderMap>,
    },
    /// Messages of gRPC, and the status behind them.
    Exchange(Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Cut>> + Send>>),
    /// A file.
    Parts {
        /// How many bytes there are.
        length: u64,
        /// They.
        frames: Frames,
    },
}

impl ReplyBody {
    /// An answer as it was written.
    pub(crate) fn of(sheet: Sheet) -> Self {
        if sheet.behind.is_empty() {
            return Self::Whole(sheet.body);
        }
        let parts: Vec<Bytes> = [sheet.body].into_iter().chain(sheet.behind).filter(|part| !part.is_empty()).collect();
        Self::InParts(parts.into_iter())
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::InParts(_) => "InParts",
            Self::Stream(_) => "Stream",
            Self::Message { .. } => "Message",
            Self::Exchange(_) => "Exchange",
            Self::Parts { .. } => "Parts",
        })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::InParts(parts) => Poll::Ready(parts.next().map(|part| Ok(Frame::data(part)))),
            Self::Stream(stream) => stream.poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Message { message, .. } if !message.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(message)))))
            }
            Self::Message { trailers, .. } => Poll::Ready(trailers.take().map(|status| Ok(Frame::trailers(status)))),
            Self::Exchange(frames) => frames.as_mut().poll_next(cx),
            Self::Parts { frames, .. } => {
                frames.as_mut().poll_next(cx).map(|next| next.map(|part| part.map(Frame::data).map_err(Cut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::InParts(parts) => parts.as_slice().is_empty(),
            Self::Message { message, trailers } => message.is_empty() && trailers.is_none(),
            Self::Stream(_) | Self::Exchange(_) | Self::Parts { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::InParts(parts) => SizeHint::with_exact(parts.as_slice().iter().map(|part| part.len() as u64).sum()),
            Self::Stream(_) | Self::Message { .. } | Self::Exchange(_) => SizeHint::default(),
            Self::Parts { length, .. } => SizeHint::with_exact(*length),
        }
    }
}

/// A whole response of this type.
#[must_use]
pub(crate) fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A whole response in JSON.
#[must_use]
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response<ReplyBody> {
    whole(status, "application/json", body.to_string())
}

/// A response without a body.
#[must_use]
pub(crate) fn empty(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Bytes::new()));
    *response.status_mut() = status;
    response
}
