//! A provider's stream as runs of whole events. Owns the wait for the first event, the end after `[DONE]` and the
//! faults in between; the borders of events are `sse`'s.

use crate::reading::{Broken, Reading};
use crate::refusal;
use crate::sse::{self, Splitter};
use crate::turn::Turn;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tidegate_core::{EndpointName, Fault, FaultKind};
use tokio::time::Instant;

/// The most bytes of one event.
const EVENT_CAP: usize = 8 << 20;

/// The events of one call.
pub(crate) struct EventFrames {
    /// What was read while waiting for the first event.
    first: Option<Bytes>,
    /// Gone when the stream is done or broken.
    reading: Option<Reading>,
    splitter: Splitter,
    endpoint: EndpointName,
    /// Who is told that the stream broke off.
    turn: Option<Turn>,
}

impl EventFrames {
    /// Waits for the first event with data until `first_by`; it is a fault if that is an error, so that the call can
    /// still go elsewhere.
    pub(crate) async fn open(mut reading: Reading, first_by: Instant, endpoint: EndpointName) -> Result<Self, Fault> {
        reading.first_by(Some(first_by));
        let mut splitter = Splitter::new(EVENT_CAP);
        let mut before = BytesMut::new();
        let first = loop {
            let chunk = match poll_fn(|cx| reading.poll_chunk(cx)).await {
                Some(Ok(chunk)) => chunk,
                Some(Err(because)) => return Err(before_first(&because).at(endpoint)),
                None => {
                    let says = "the provider ended its stream before the first event; try again";
                    return Err(Fault::new(FaultKind::UpstreamFailed, says).at(endpoint));
                }
            };
            let Some(events) = splitter.feed(chunk).map_err(|e| too_long(FaultKind::UpstreamFailed, e.0))? else {
                continue;
            };
            // Heartbeats are events too, but they promise nothing.
            match first_data(&events) {
                Some(data) => {
                    if let Some(fault) = refusal::from_success(data) {
                        return Err(fault.at(endpoint));
                    }
                    break events;
                }
                None if before.len() > EVENT_CAP => return Err(too_long(FaultKind::UpstreamFailed, EVENT_CAP)),
                None => before.extend_from_slice(&events),
            }
        };
        reading.first_by(None);
        let first = if before.is_empty() {
            first
        } else {
            before.extend_from_slice(&first);
            before.freeze()
        };
        Ok(Self { first: Some(first), reading: Some(reading), splitter, endpoint, turn: None })
    }

    /// The same, which tells `turn` when it breaks off.
    pub(crate) fn watched(self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Gives `events` out; the last of them end the stream.
    fn out(&mut self, events: Bytes) -> Option<Result<Bytes, Fault>> {
        if sse::is_done(&events)
            && let Some(reading) = self.reading.take()
        {
            reading.finish();
        }
        Some(Ok(events))
    }

    fn blame(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.broke();
        }
    }

    fn cut(&mut self, fault: Fault) -> Option<Result<Bytes, Fault>> {
        self.reading = None;
        Some(Err(fault.at(self.endpoint.clone())))
    }
}

impl Stream for EventFrames {
    type Item = Result<Bytes, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(this.out(first));
        }
        loop {
            let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
            return Poll::Ready(match ready!(reading.poll_chunk(cx)) {
                Some(Ok(chunk)) => match this.splitter.feed(chunk) {
                    Ok(Some(events)) => this.out(events),
                    Ok(None) => continue,
                    Err(e) => this.cut(too_long(FaultKind::StreamCut, e.0)),
                },
                Some(Err(because)) => {
                    // How long a whole stream may take is no matter of the endpoint.
                    if !matches!(because, Broken::Total) {
                        this.blame();
                    }
                    this.cut(after_first(&because))
                }
                None => {
                    this.blame();
                    let inside = if this.splitter.is_inside() { ", inside an event" } else { "" };
                    let says = "the provider's stream ended before it was done";
                    this.cut(Fault::new(FaultKind::StreamCut, says).because(format_args!("no [DONE]{inside}")))
                }
            });
        }
    }
}

/// The data of the first event that has any.
fn first_data(mut events: &[u8]) -> Option<&[u8]> {
    while !events.is_empty() {
        let (event, rest) = events.split_at(sse::first_border(events));
        if let Some(data) = sse::data(event) {
            return Some(data);
        }
        events = rest;
    }
    None
}

fn too_long(kind: FaultKind, cap: usize) -> Fault {
    Fault::new(kind, format!("the provider sent an event of more than {cap} bytes"))
}

/// A break before anything was given out, which may be tried again.
fn before_first(because: &Broken) -> Fault {
    match because {
        Broken::Cut(fault) => {
            let says = "the provider broke off its stream before the first event; try again";
            Fault::new(FaultKind::UpstreamFailed, says).because(fault_chain(fault))
        }
        Broken::TooLong(cap) => too_long(FaultKind::UpstreamFailed, *cap),
        Broken::NoFirst | Broken::Idle(_) | Broken::Total => {
            let says =
                "the provider did not begin its answer in time; try again, or raise the route's `timeouts.first_token`";
            Fault::new(FaultKind::UpstreamTimeout, says)
        }
    }
}

/// A break after something was given out.
fn after_first(because: &Broken) -> Fault {
    let says = match because {
        Broken::Cut(fault) => {
            let says = "the provider's stream ended before it was done";
            return Fault::new(FaultKind::StreamCut, says).because(fault_chain(fault));
        }
        Broken::TooLong(cap) => return too_long(FaultKind::StreamCut, *cap),
        Broken::Idle(limit) => format!("the provider sent nothing for {limit:?} (`timeouts.idle` of the route)"),
        Broken::NoFirst | Broken::Total => "the stream took longer than `timeouts.total` of the route".to_owned(),
    };
    Fault::new(FaultKind::StreamCut, says)
}

/// An error with its causes, for the log.
pub(crate) fn fault_chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
