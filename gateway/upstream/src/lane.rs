//! One connection as a call uses it. An HTTP/1 connection has no task of its own: the call that uses it drives it, so
//! a byte that arrives wakes one task, not two. An HTTP/2 connection is shared and has its own task.

use crate::dial::DialFault;
use crate::io::Io;
use crate::nudge::Nudge;
use crate::patience::Patience;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// The body of a request.
pub(crate) type Out = Full<Bytes>;

/// What came of a request.
pub(crate) enum Sent {
    /// The head of its answer.
    Answered(Response<Incoming>),
    /// The connection ended before the first byte of an answer.
    Lost(hyper::Error),
    /// What came back is no HTTP.
    Garbled(hyper::Error),
    /// Nothing came in time.
    Late,
}

/// How often an idle HTTP/2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// What a server may send ahead on one HTTP/2 stream.
const WINDOW: u32 = 1 << 20;

/// A connection in use.
pub(crate) enum Lane {
    H1(Box<H1>),
    H2(http2::SendRequest<Out>),
}

/// An HTTP/1 connection: the sender, and the state machine that we drive ourselves until it has ended.
pub(crate) struct H1 {
    send: http1::SendRequest<Out>,
    machine: Option<http1::Connection<Io, Out>>,
    nudge: Nudge,
}

impl H1 {
    pub(crate) async fn over(io: Io) -> Result<Self, DialFault> {
        let (send, machine) = http1::handshake(io).await?;
        Ok(Self { send, machine: Some(machine), nudge: Nudge::new() })
    }

    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &Context<'_>) {
        if let Some(machine) = &mut self.machine
            && self.nudge.poll(cx, |cx| Pin::new(machine).poll(cx)).is_ready()
        {
            // Its error, if any, has gone to the sender or the body; what is left is a closed socket.
            self.machine = None;
        }
    }

    /// Whether it can carry another call: the last answer is read to its end and the server has not closed it.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.drive(&Context::from_waker(Waker::noop()));
        self.machine.is_some() && self.send.is_ready()
    }
}

/// An HTTP/2 connection over `io`, driven by a task of its own.
pub(crate) async fn h2_over(io: Io) -> Result<http2::SendRequest<Out>, DialFault> {
    let (send, machine) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 4)
        .handshake(io)
        .await?;
    tokio::spawn(async move {
        if let Err(fault) = machine.await {
            tracing::debug!(%fault, "an HTTP/2 connection ended");
        }
    });
    Ok(send)
}

impl Lane {
    /// Whether requests on it name the server by `:authority` instead of `Host`.
    pub(crate) fn is_h2(&self) -> bool {
        matches!(self, Self::H2(_))
    }

    /// Sends a request and waits for the head of its answer until `until`.
    pub(crate) async fn send(&mut self, request: Request<Out>, patience: &mut Patience, until: Instant) -> Sent {
        let sent = match self {
            Self::H1(h1) => {
                // Unheard, since the turn that follows takes the request up; it would wake the task of the last call.
                let mut answer = pin!(h1.nudge.unheard(|| h1.send.try_send_request(request)));
                let mut is_driven = false;
                poll_fn(|cx| {
                    // The task is woken for reasons of its caller's connection too; those do not concern this one.
                    if !is_driven || h1.nudge.rang(cx) {
                        is_driven = true;
                        h1.drive(cx);
                        if let Poll::Ready(sent) = h1.nudge.quietly(cx, |quiet| answer.as_mut().poll(quiet)) {
                            return Poll::Ready(Some(sent));
                        }
                    }
                    patience.poll_until(cx, until).map(|()| None)
                })
                .await
            }
            Self::H2(send) => {
                let mut answer = pin!(send.try_send_request(request));
                poll_fn(|cx| match answer.as_mut().poll(cx) {
                    Poll::Pending => patience.poll_until(cx, until).map(|()| None),
                    Poll::Ready(sent) => Poll::Ready(Some(sent)),
                })
                .await
            }
        };
        match sent {
            None => Sent::Late,
            Some(Ok(response)) => Sent::Answered(response),
            Some(Err(fault)) => match fault.into_error() {
                fault if fault.is_parse() || fault.is_user() => Sent::Garbled(fault),
                fault => Sent::Lost(fault),
            },
        }
    }

    /// The next part of the answer's body.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::H1(h1) => {
                // What was read already needs no turn of the connection.
                if let Poll::Ready(frame) = h1.nudge.quietly(cx, |quiet| Pin::new(&mut *body).poll_frame(quiet)) {
                    return Poll::Ready(frame);
                }
                h1.drive(cx);
                h1.nudge.quietly(cx, |quiet| Pin::new(body).poll_frame(quiet))
            }
            Self::H2(_) => Pin::new(body).poll_frame(cx),
        }
    }
}
