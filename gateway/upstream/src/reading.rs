//! The answer of a call while it is read. Owns the deadlines between reads and the return of the connection at the
//! end; what the bytes mean is its readers'. Dropped before the end it closes an HTTP/1 connection or resets an HTTP/2
//! stream, which is how the provider learns that nobody listens any more.

use crate::endpoint::Seat;
use crate::lane::Lane;
use crate::patience::Patience;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::Instant;

/// What `[DONE]` may be followed by before we give the connection up.
const TAIL_CAP: usize = 64 << 10;
/// How long we wait for the end of a body after `[DONE]`.
const TAIL_LIMIT: Duration = Duration::from_millis(500);

/// An answer under way.
pub(crate) struct Reading {
    body: Incoming,
    /// The connection, the seat and the timer; gone when the answer is read or broken.
    held: Option<(Lane, Seat, Patience)>,
    last_read: Instant,
    /// Instead of the idle deadline, until the first event is there.
    first_by: Option<Instant>,
    idle: Duration,
    end_by: Instant,
    /// What came behind the body.
    trailers: Option<HeaderMap>,
}

/// Why an answer did not come to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection ended or was garbled.
    Cut(hyper::Error),
    /// The first event did not come in time.
    NoFirst,
    /// Nothing came for the idle deadline.
    Idle(Duration),
    /// The total deadline passed.
    Total,
    /// There is more than may be held.
    TooLong(usize),
}

impl Reading {
    pub(crate) fn new(
        body: Incoming,
        lane: Lane,
        seat: Seat,
        patience: Patience,
        idle: Duration,
        end_by: Instant,
    ) -> Self {
        let held = Some((lane, seat, patience));
        Self { body, held, last_read: Instant::now(), first_by: None, idle, end_by, trailers: None }
    }

    /// Sets or lifts the deadline of the first event.
    pub(crate) fn first_by(&mut self, deadline: Option<Instant>) {
        self.first_by = deadline;
    }

    /// The next bytes; `None` at the end, when the connection is idle again.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some((lane, _, patience)) = &mut self.held else { return Poll::Ready(None) };
        loop {
            match lane.poll_frame(&mut self.body, cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        self.last_read = Instant::now();
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(self.broken(Broken::Cut(fault))))),
                Poll::Ready(None) => {
                    self.release();
                    return Poll::Ready(None);
                }
                Poll::Pending => break,
            }
        }
        let (stage, because) = match self.first_by {
            Some(first) => (first, Broken::NoFirst),
            None => (self.last_read + self.idle, Broken::Idle(self.idle)),
        };
        ready!(patience.poll_until(cx, stage.min(self.end_by)));
        let because = if self.end_by <= stage { Broken::Total } else { because };
        Poll::Ready(Some(Err(self.broken(because))))
    }

    /// What came behind the body, once that was read to its end.
    pub(crate) fn trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// The whole body, if it is no longer than `cap`.
    pub(crate) async fn whole(&mut self, cap: usize) -> Result<Bytes, Broken> {
        let hint = self.body.size_hint();
        if hint.lower() > cap as u64 {
            return Err(self.broken(Broken::TooLong(cap)));
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.body.is_end_stream() {
            self.release();
            return Ok(first);
        }
        let mut all =
            BytesMut::with_capacity(usize::try_from(hint.exact().unwrap_or(0)).unwrap_or(0).max(first.len() * 2));
        all.extend_from_slice(&first);
        while !self.body.is_end_stream() {
            let Some(chunk) = self.next().await? else { return Ok(all.freeze()) };
            if all.len() + chunk.len() > cap {
                return Err(self.broken(Broken::TooLong(cap)));
            }
            all.extend_from_slice(&chunk);
        }
        self.release();
        Ok(all.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// Ends the reading where nothing of worth can follow, and keeps the connection if its answer ends here or soon.
    pub(crate) fn finish(mut self) {
        let mut quiet = Context::from_waker(Waker::noop());
        // The end of a chunked body mostly came with its last event.
        if !self.end_is_near(&mut quiet)
            && let Some((_, seat, _)) = &self.held
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            self.end_by = Instant::now() + TAIL_LIMIT;
            tracing::trace!(endpoint = %seat.0.name, "waiting for the end of an answer that is done");
            runtime.spawn(async move {
                let mut left = TAIL_CAP;
                while let Ok(Some(chunk)) = self.next().await {
                    left = left.saturating_sub(chunk.len());
                    if left == 0 {
                        break;
                    }
                }
            });
        }
    }

    /// Reads what is there already; whether that was the end.
    fn end_is_near(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..4 {
            let Some((lane, ..)) = &mut self.held else { return true };
            match lane.poll_frame(&mut self.body, cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => {
                    self.release();
                    return true;
                }
                Poll::Ready(Some(Err(_))) => {
                    self.held = None;
                    return true;
                }
                Poll::Pending => return false,
            }
        }
        false
    }

    fn broken(&mut self, because: Broken) -> Broken {
        self.held = None;
        because
    }

    /// Gives the connection back to its pool and frees the seat.
    fn release(&mut self) {
        if let Some((lane, seat, patience)) = self.held.take() {
            seat.0.pool.put(lane, patience, self.last_read);
        }
    }
}
