//! The answer goes back: JSON at once, or events as they come. Owns the headers of an answer, the end of a stream and
//! when the ledger closes.

use crate::api::error;
use crate::body::Sniffer;
use crate::path::attempt::Sent;
use crate::path::failed;
use crate::path::filter::Filters;
use crate::path::filter::answer::OnItsWay;
use crate::path::filter::passage::Passage;
use crate::path::send::Answered;
use crate::path::told::Told;
use crate::path::voice::Voice;
use crate::reply::ReplyBody;
use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Frames};
use tidegate_core::port::events::Recorded;
use tidegate_core::port::limits::{Standing, Standings};
use tidegate_core::{Event, Fault, FaultKind, Ledger, Outcome, Usage};
use tidegate_dialect::Sheet;
use tidegate_route::Ride;

/// The end of a stream that is whole.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Sends an answer that has begun.
pub(crate) async fn send(answered: Answered, mut ledger: Ledger, voice: &Voice) -> Response<ReplyBody> {
    ledger.first_byte();
    let Answered { sent, standings, wants_usage, prompt_estimate, mut told, ride, filters, predict } = answered;
    let mut response = match sent {
        Sent::Whole(mut answer) => {
            if let Some(usage) = answer.usage {
                ledger.usage(usage, false);
                if let Some(ride) = &ride {
                    ride.produced(usage.completion);
                }
            }
            if let Some(filters) = filters {
                match filters.whole(answer.body, answer.usage, &mut ledger) {
                    Ok(body) => answer.body = body,
                    Err(fault) => return Box::pin(refuse(&fault, ledger, voice)).await,
                }
            }
            note_reasons(&answer, &mut ledger);
            let sheet = match predict.as_ref().map(|asked| asked.write(&answer, &ledger)).transpose() {
                Ok(sheet) => sheet,
                Err(fault) => return Box::pin(refuse(&fault, ledger, voice)).await,
            };
            told.part(&answer.body);
            told.end(true, &mut ledger);
            let sheet = sheet.unwrap_or_else(|| Sheet::of(answer.body));
            ledger.note(|event| (event.status, event.answer_bytes) = (200, sheet.length() as u64));
            let id = request_id(&ledger);
            if let Err(fault) = settled(ledger.close(Outcome::Ok)).await {
                return named(voice.fault(&fault, shown(id.as_ref())), id);
            }
            named(voice.whole(sheet), id)
        }
        Sent::Stream(frames) => {
            let on_its_way = match filters {
                None => Ok(OnItsWay { frames, passage: None }),
                Some(filters) => on_its_way(&filters, frames, wants_usage, prompt_estimate, &mut ledger).await,
            };
            let OnItsWay { frames, passage } = match on_its_way {
                Ok(on_its_way) => on_its_way,
                Err(fault) => {
                    if let Some(mut ride) = ride {
                        ride.failed(&fault);
                    }
                    return Box::pin(refuse(&fault, ledger, voice)).await;
                }
            };
            ledger.note(|event| event.status = 200);
            let id = request_id(&ledger);
            let stream = EventStream {
                frames: Some(frames),
                sniffer: Sniffer::new(!wants_usage),
                prompt_estimate,
                told,
                ride,
                passage,
                ledger: Some(ledger),
                waiting: None,
            };
            let mut response = Response::new(ReplyBody::Stream(Box::new(stream)));
            let headers = response.headers_mut();
            headers.reserve(USUAL_HEADERS);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            named(response, id)
        }
    };
    show(standings, response.headers_mut());
    response
}

/// Notes why a classic model gave what it gave, where that goes into the record.
fn note_reasons(answer: &Answer, ledger: &mut Ledger) {
    if let Some(reasons) = answer.predicted.as_ref().and_then(|said| said.reasons.clone()) {
        ledger.note(|event| event.reasons = Some(reasons));
    }
}

/// Has the filters look at a stream. Boxed, since it may have to be held, and other calls shall not pay for the room.
fn on_its_way<'a>(
    filters: &'a Filters,
    frames: Frames,
    wants_usage: bool,
    prompt_estimate: u64,
    ledger: &'a mut Ledger,
) -> BoxFuture<'a, Result<OnItsWay, Fault>> {
    Box::pin(filters.stream(frames, wants_usage, prompt_estimate, ledger))
}

/// Refuses a call: the ledger closes with its fault.
pub(crate) async fn refuse(fault: &Fault, mut ledger: Ledger, voice: &Voice) -> Response<ReplyBody> {
    tell(fault, ledger.event());
    // That of HTTP, whatever the caller speaks.
    ledger.note(|event| event.status = error::face(fault).0.as_u16());
    let id = request_id(&ledger);
    let lost = settled(ledger.close(failed(fault))).await.err();
    named(voice.fault(lost.as_ref().unwrap_or(fault), shown(id.as_ref())), id)
}

/// An id as a text.
fn shown(id: Option<&HeaderValue>) -> &str {
    id.and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// Waits for a durable record; any other is settled already.
async fn settled(recorded: Recorded) -> Result<(), Fault> {
    match recorded {
        Recorded::Acknowledged(wait) => wait.await,
        Recorded::Queued | Recorded::Dropped(_) => Ok(()),
    }
}

/// Writes a fault to the log, at the level of its side.
fn tell(fault: &Fault, event: Option<&Event>) {
    use tidegate_core::Side;
    let id = event.map(|event| tracing::field::display(event.id));
    let route = event.and_then(|event| event.route.as_ref()).map(tracing::field::display);
    match fault.side() {
        Side::Client => tracing::debug!(id, route, kind = ?fault.kind, says = %fault.says, "call refused"),
        Side::Upstream => {
            tracing::warn!(id, route, kind = ?fault.kind, says = %fault.says, detail = fault.detail, status = fault.upstream_status, "upstream failed");
        }
        Side::Us => {
            tracing::error!(id, route, kind = ?fault.kind, says = %fault.says, detail = fault.detail, "call failed");
        }
    }
}

fn request_id(ledger: &Ledger) -> Option<HeaderValue> {
    ledger.event().and_then(|event| HeaderValue::from_bytes(&event.id.encode()).ok())
}

fn named(mut response: Response<ReplyBody>, id: Option<HeaderValue>) -> Response<ReplyBody> {
    if let Some(id) = id {
        response.headers_mut().insert(crate::server::X_REQUEST_ID, id);
    }
    response
}

/// Answers have this many headers or a few less; room for them is made once.
pub(crate) const USUAL_HEADERS: usize = 12;

fn show(standings: Standings, headers: &mut HeaderMap) {
    const REQUESTS: [HeaderName; 3] = [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ];
    const TOKENS: [HeaderName; 3] = [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ];
    let mut put = |[limit, remaining, reset]: [HeaderName; 3], standing: Standing| {
        headers.insert(limit, HeaderValue::from(standing.limit));
        headers.insert(remaining, HeaderValue::from(standing.remaining));
        headers.insert(reset, spelled(standing.reset));
    };
    if let Some(standing) = standings.requests {
        put(REQUESTS, standing);
    }
    if let Some(standing) = standings.tokens {
        put(TOKENS, standing);
    }
}

/// A time as OpenAI spells it: `12ms`, `1s`, `6m0s`.
fn spelled(time: Duration) -> HeaderValue {
    let text = match time.as_secs() {
        // What a key that is far from its limit always reads.
        0 if time.as_millis() == 0 => return HeaderValue::from_static("0ms"),
        0 => format!("{}ms", time.as_millis()),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds => format!("{}m{}s", seconds / 60, seconds % 60),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0ms"))
}

/// A stream of events on its way to the caller. Dropped before its end, it closes the ledger as cancelled.
pub(crate) struct EventStream {
    frames: Option<Frames>,
    sniffer: Sniffer,
    prompt_estimate: u64,
    told: Told,
    ride: Option<Ride>,
    /// How it goes through filters, where it does.
    passage: Option<Box<Passage>>,
    ledger: Option<Ledger>,
    waiting: Option<(BoxFuture<'static, Result<(), Fault>>, Bytes)>,
}

impl EventStream {
    /// The next events.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.waiting.is_some() {
            return self.poll_record(cx);
        }
        loop {
            let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
            match std::task::ready!(frames.frames.as_mut().poll_next(cx)) {
                Some(Ok(frame)) => {
                    let mut sniffed = self.sniffer.pass(frame);
                    if let Some(passage) = &mut self.passage {
                        let is_last = sniffed.done || self.sniffer.error().is_some();
                        let passed = passage.pass(sniffed.bytes, is_last, self.sniffer.usage());
                        if let Some(fault) = passed.fault {
                            return self.cut(cx, &fault, &passed.bytes);
                        }
                        sniffed.bytes = passed.bytes;
                    }
                    if let Some(said) = self.sniffer.error().map(str::to_owned) {
                        return self.broken(cx, sniffed.bytes, &said);
                    }
                    if sniffed.done {
                        return self.finish(cx, sniffed.bytes);
                    }
                    if !sniffed.bytes.is_empty() {
                        self.count(&sniffed.bytes);
                        return Poll::Ready(Some(sniffed.bytes));
                    }
                }
                Some(Err(fault)) => return self.cut(cx, &fault, b""),
                // A backend's stream ends with `[DONE]` or a fault; an end without either is its mistake.
                None => return self.cut(cx, &Fault::internal("a backend ended its stream without saying how"), b""),
            }
        }
    }

    fn count(&mut self, bytes: &Bytes) {
        self.told.part(bytes);
        if let Some(ledger) = &mut self.ledger {
            ledger.note(|event| event.answer_bytes += bytes.len() as u64);
        }
    }

    /// The last events are there: they go out when the record of the call is safe.
    fn finish(&mut self, cx: &mut Context<'_>, last: Bytes) -> Poll<Option<Bytes>> {
        self.frames = None;
        self.count(&last);
        self.close(cx, Outcome::Ok, last)
    }

    /// The provider said within the stream that it failed: its own words are the last event, and there is no `[DONE]`.
    fn broken(&mut self, cx: &mut Context<'_>, mut frame: Bytes, said: &str) -> Poll<Option<Bytes>> {
        self.frames = None;
        let fault = Fault::new(FaultKind::UpstreamFailed, "the provider failed within its stream").because(said);
        self.failed(&fault);
        if let Some(before) = frame.strip_suffix(DONE) {
            frame.truncate(before.len());
        }
        self.count(&frame);
        self.close(cx, failed(&fault), frame)
    }

    /// The stream is cut behind these events: the caller learns it by an error event, and there is no `[DONE]`.
    fn cut(&mut self, cx: &mut Context<'_>, fault: &Fault, before: &[u8]) -> Poll<Option<Bytes>> {
        self.frames = None;
        self.failed(fault);
        let mut last = error::event(fault);
        if !before.is_empty() {
            last = Bytes::from([before, &last[..]].concat());
        }
        self.count(&last);
        self.close(cx, failed(fault), last)
    }

    fn failed(&mut self, fault: &Fault) {
        tell(fault, self.ledger.as_ref().and_then(Ledger::event));
        if let Some(ride) = &mut self.ride {
            ride.failed(fault);
        }
    }

    fn close(&mut self, cx: &mut Context<'_>, outcome: Outcome, last: Bytes) -> Poll<Option<Bytes>> {
        let Some(mut ledger) = self.ledger.take() else { return Poll::Ready(Some(last)) };
        self.account(&mut ledger);
        if let (Some(ride), true) = (self.ride.take(), outcome == Outcome::Ok) {
            ride.produced(ledger.event().and_then(|event| event.usage).unwrap_or_default().completion);
        }
        self.told.end(outcome == Outcome::Ok, &mut ledger);
        match ledger.close(outcome) {
            Recorded::Acknowledged(wait) => {
                self.waiting = Some((wait, last));
                self.poll_record(cx)
            }
            Recorded::Queued | Recorded::Dropped(_) => Poll::Ready(Some(last)),
        }
    }

    /// Notes the tokens, the provider's count, or ours where it gave none, and what filters did.
    fn account(&self, ledger: &mut Ledger) {
        if let Some(passage) = &self.passage {
            passage.note(ledger);
        }
        match self.sniffer.usage() {
            Some(usage) => ledger.usage(usage, false),
            None => ledger.usage(
                Usage { prompt: self.prompt_estimate, completion: self.sniffer.content_events(), ..Usage::default() },
                true,
            ),
        }
    }

    /// Waits for the durable record; where it fails, the stream must not look whole.
    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some((wait, _)) = &mut self.waiting else { return Poll::Ready(None) };
        let outcome = std::task::ready!(wait.as_mut().poll(cx));
        let Some((_, last)) = self.waiting.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(match outcome {
            Ok(()) => last,
            Err(fault) => {
                let before = last.strip_suffix(DONE).unwrap_or_default();
                Bytes::from([before, &error::event(&fault)[..]].concat())
            }
        }))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(mut ledger) = self.ledger.take() {
            self.account(&mut ledger);
            self.told.end(false, &mut ledger);
            // Unclosed: it closes itself as cancelled, or as a panic.
            drop(ledger);
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_openai_does() {
        assert_eq!(spelled(Duration::from_millis(12)), "12ms");
        assert_eq!(spelled(Duration::from_millis(1500)), "1s");
        assert_eq!(spelled(Duration::from_secs(360)), "6m0s");
    }
}
