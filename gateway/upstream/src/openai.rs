//! A provider that speaks OpenAI's interface. Owns the choice of the endpoint and the steps of one attempt; further
//! attempts are the route's.

use crate::ask::Ask;
use crate::balance::{in_turn, two_choices};
use crate::endpoint::{Endpoint, Seat};
use crate::frames::{EventFrames, fault_chain};
use crate::lane::{Lane, Sent};
use crate::patience::Patience;
use crate::reading::{Broken, Reading};
use crate::turn::{Guard, Turn};
use crate::{BuildFault, TlsRoots, refusal};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, EndpointReport, Frames};
use tidegate_core::spec::provider::{Balance, OpenAiSpec};
use tidegate_core::{Clock, Dice, EndpointName, Fault, FaultKind, ProviderName, Usage};
use tokio::time::Instant;

/// The most bytes of a whole answer.
const ANSWER_CAP: usize = 64 << 20;
/// The most bytes of a refusal that are read.
const REFUSAL_CAP: usize = 64 << 10;
/// When callers shall come again whom no endpoint has room for.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// A provider that speaks OpenAI's interface, with its endpoints and their connections.
#[derive(Debug)]
pub struct OpenAiBackend {
    provider: ProviderName,
    guard: Arc<Guard>,
    balance: Balance,
    count: AtomicUsize,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

/// An answer whose head is there.
struct Opened {
    head: Parts,
    reading: Reading,
    endpoint: EndpointName,
    first_by: Instant,
}

impl OpenAiBackend {
    /// Builds a provider from its checked spec; reads `spec.ca` and connects to nothing.
    ///
    /// # Errors
    /// Something in the spec that only shows when it is used: an address, a proxy, a file of authorities.
    pub fn build(
        provider: &ProviderName,
        spec: &OpenAiSpec,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
        roots: &TlsRoots,
    ) -> Result<Self, BuildFault> {
        let mut config = None;
        let mut tls = || {
            if let Some(config) = &config {
                return Ok(Arc::clone(config));
            }
            let own = spec.ca.as_deref().map(TlsRoots::from_file).transpose()?;
            let built = own.as_ref().unwrap_or(roots).client(&[b"h2", b"http/1.1"])?;
            Ok(Arc::clone(config.insert(built)))
        };
        let build = |e| Endpoint::build(e, spec, &mut tls).map(Arc::new);
        let endpoints = spec.endpoints.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(BuildFault::NoEndpoint);
        }
        let guard = Guard::new(provider.clone(), endpoints, &spec.outlier_detection, Arc::clone(&clock));
        let (provider, guard) = (provider.clone(), Arc::new(guard));
        Ok(Self { provider, guard, balance: spec.balance, count: AtomicUsize::new(0), clock, dice })
    }

    /// Calls under way at each endpoint.
    pub fn loads(&self) -> impl Iterator<Item = (&EndpointName, usize)> {
        self.guard.endpoints.iter().map(|e| (&e.name, e.load()))
    }

    /// A call's turn at an endpoint, and its seat there.
    async fn take(&self, call: &Call) -> Result<(Turn, Seat), Fault> {
        let all = &self.guard.endpoints;
        let avoid = call.avoid.as_ref().and_then(|name| all.iter().position(|e| e.name == *name));
        // A seat may be gone between the look and the hand; whoever has none is passed over the next time.
        for _ in 0..=all.len() {
            let Some(turn) = self.guard.turn(avoid, self.dice.next_u64(), |fit| self.pick(fit)) else { break };
            if let Some(seat) = turn.endpoint().seat(call.deadlines.connect).await {
                if let Some(taken) = &call.taken {
                    // A call is sent once, so nobody was here before.
                    drop(taken.set(seat.0.name.clone()));
                }
                return Ok((turn, seat));
            }
            if turn.endpoint().waits {
                let says = "all connections to the provider are in use; try again";
                let fault = Fault::new(FaultKind::Overloaded, says);
                let name = turn.endpoint().name.clone();
                return Err(fault.because("`max_connections` of the provider is reached").at(name));
            }
        }
        let says = "the provider has as many calls as it may have at once; try again later";
        let fault = Fault::new(FaultKind::Overloaded, says).after(FULL_WAIT);
        Err(fault.because("`max_concurrency` is reached at all endpoints that take calls"))
    }

    fn pick(&self, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
        let all = &self.guard.endpoints;
        match (all.as_slice(), self.balance) {
            ([_], _) => Some(0).filter(|only| eligible(*only)),
            (_, Balance::P2c) => {
                let draws = (self.dice.next_u64(), self.dice.next_u64());
                two_choices(all.len(), eligible, |i| all[i].load(), draws)
            }
            (_, Balance::RoundRobin) => in_turn(all.len(), eligible, self.count.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Takes a connection, sends the call and waits for the head of its answer.
    async fn open(&self, call: &Call, ask: Option<&Ask>, seat: Seat, is_stream: bool) -> Result<Opened, Fault> {
        let start = Instant::now();
        let end_by = start + call.deadlines.total;
        let endpoint = &Arc::clone(&seat.0);
        let at = |fault: Fault| fault.at(endpoint.name.clone());
        let (mut lane, timer, mut is_reused) = match endpoint.pool.take(start) {
            Some((lane, timer)) => (lane, timer, true),
            None => (self.connect(endpoint, call).await?, None, false),
        };
        let mut patience = timer.unwrap_or_else(|| Patience::until(end_by));
        loop {
            let sent_at = if is_reused { start } else { Instant::now() };
            let first_by = sent_at + call.deadlines.first_token;
            let request = endpoint.request(call, ask, &lane, is_stream);
            match lane.send(request, &mut patience, first_by.min(end_by)).await {
                Sent::Answered(response) => {
                    let (head, body) = response.into_parts();
                    let opened = Opening { lane, seat, patience, first_by, end_by };
                    return opened.judged(self, call, head, body).await.map_err(at);
                }
                // The server may have closed an idle connection just when we took it: once more on a fresh one.
                Sent::Lost(fault) if is_reused => {
                    tracing::debug!(provider = %self.provider, endpoint = %endpoint.name, %fault, "stale connection");
                    if lane.is_h2() {
                        endpoint.pool.unshare();
                    }
                    (lane, is_reused) = (self.connect(endpoint, call).await?, false);
                }
                Sent::Lost(fault) | Sent::Garbled(fault) => {
                    if lane.is_h2() {
                        endpoint.pool.unshare();
                    }
                    let says = "the connection to the provider ended before an answer; try again";
                    return Err(at(Fault::new(FaultKind::UpstreamFailed, says).because(fault_chain(&fault))));
                }
                Sent::Late => return Err(at(late())),
            }
        }
    }

    /// A fresh connection.
    async fn connect(&self, endpoint: &Arc<Endpoint>, call: &Call) -> Result<Lane, Fault> {
        Box::pin(endpoint.connect(call.deadlines.connect)).await.map_err(|fault| {
            let says = "the provider cannot be reached; try again";
            Fault::new(FaultKind::Unreachable, says).because(fault_chain(&fault)).at(endpoint.name.clone())
        })
    }

    async fn whole(&self, call: Call) -> Result<Answer, Fault> {
        let (mut turn, seat) = self.take(&call).await?;
        let answer = self.whole_at(&call, seat).await;
        turn.judge(&answer);
        answer
    }

    async fn whole_at(&self, call: &Call, seat: Seat) -> Result<Answer, Fault> {
        let Opened { mut reading, endpoint, .. } = self.open(call, None, seat, false).await?;
        let body = match reading.whole(ANSWER_CAP).await {
            Ok(body) => body,
            Err(because) => return Err(unfinished(&because).at(endpoint)),
        };
        if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            return Err(no_json(&start).at(endpoint));
        }
        Ok(Answer { usage: Usage::from_openai(&body), body, endpoint: Some(endpoint), predicted: None })
    }

    /// Asks at a path of another protocol: what `read` makes of the answer's head (with its trailers) and body, and who gave it. What it
    /// cannot read counts against the endpoint as an answer that makes no sense.
    pub(crate) async fn ask<T>(
        &self,
        call: &Call,
        ask: &Ask,
        read: impl FnOnce(&HeaderMap, Bytes) -> Result<T, Fault>,
    ) -> Result<(T, EndpointName), Fault> {
        let (mut turn, seat) = self.take(call).await?;
        let answer = self.ask_at(call, ask, seat, read).await;
        turn.judge(&answer);
        answer
    }

    async fn ask_at<T>(
        &self,
        call: &Call,
        ask: &Ask,
        seat: Seat,
        read: impl FnOnce(&HeaderMap, Bytes) -> Result<T, Fault>,
    ) -> Result<(T, EndpointName), Fault> {
        let Opened { mut head, mut reading, endpoint, .. } = self.open(call, Some(ask), seat, false).await?;
        let body = match reading.whole(ANSWER_CAP).await {
            Ok(body) => body,
            Err(because) => return Err(unfinished(&because).at(endpoint)),
        };
        head.headers.extend(reading.trailers().unwrap_or_default());
        match read(&head.headers, body) {
            Ok(read) => Ok((read, endpoint)),
            Err(fault) => Err(fault.at(endpoint)),
        }
    }

    async fn events(&self, call: Call) -> Result<Frames, Fault> {
        let (mut turn, seat) = self.take(&call).await?;
        let frames = self.events_at(&call, seat).await;
        turn.judge(&frames);
        let frames = frames?;
        Ok(Frames { endpoint: Some(turn.endpoint().name.clone()), frames: Box::pin(frames.watched(turn)) })
    }

    async fn events_at(&self, call: &Call, seat: Seat) -> Result<EventFrames, Fault> {
        let Opened { head, mut reading, endpoint, first_by } = self.open(call, None, seat, true).await?;
        let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], http::HeaderValue::as_bytes);
        if kind.len() >= 16 && kind[..16].eq_ignore_ascii_case(b"application/json") {
            let body = reading.whole(REFUSAL_CAP).await.unwrap_or_default();
            let fault = refusal::from_success(&body).unwrap_or_else(|| {
                let says = "the provider answered without a stream; its server may not support `stream`";
                Fault::new(FaultKind::UpstreamFailed, says)
            });
            return Err(fault.at(endpoint));
        }
        EventFrames::open(reading, first_by, endpoint).await
    }
}

/// What holds a call together while its answer begins.
struct Opening {
    lane: Lane,
    seat: Seat,
    patience: Patience,
    first_by: Instant,
    end_by: Instant,
}

impl Opening {
    /// Goes on with a success; reads what a refusal says.
    async fn judged(self, from: &OpenAiBackend, call: &Call, head: Parts, body: Incoming) -> Result<Opened, Fault> {
        let Self { lane, seat, patience, first_by, end_by } = self;
        let endpoint = seat.0.name.clone();
        let mut reading = Reading::new(body, lane, seat, patience, call.deadlines.idle, end_by);
        if head.status.is_success() {
            return Ok(Opened { head, reading, endpoint, first_by });
        }
        let body = reading.whole(REFUSAL_CAP).await.unwrap_or_default();
        Err(refusal::from_status(head.status, &head.headers, &body, from.clock.wall()))
    }
}

impl Backend for OpenAiBackend {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.whole(call))
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(self.events(call))
    }

    fn ready(&self) -> bool {
        self.guard.ward().is_ready()
    }

    fn has_other(&self, than: &EndpointName) -> bool {
        let index = self.guard.endpoints.iter().position(|e| e.name == *than);
        index.is_some_and(|index| self.guard.ward().has_other(index))
    }

    fn endpoints(&self) -> Vec<EndpointReport> {
        let ward = self.guard.ward();
        let report = |(index, endpoint): (usize, &Arc<Endpoint>)| {
            let (state, ejections) = ward.stand(index)?;
            Some(EndpointReport { name: endpoint.name.clone(), state, load: endpoint.load(), ejections })
        };
        self.guard.endpoints.iter().enumerate().filter_map(report).collect()
    }
}

fn late() -> Fault {
    let says = "the provider did not answer in time; try again, or raise `timeouts.first_token` of the route";
    Fault::new(FaultKind::UpstreamTimeout, says)
}

fn no_json(start: &str) -> Fault {
    let says = "the provider's answer is no JSON; its url may be wrong";
    Fault::new(FaultKind::UpstreamFailed, says).because(format_args!("it begins with {start:?}"))
}

/// A whole answer that did not come to its end.
fn unfinished(because: &Broken) -> Fault {
    match because {
        Broken::Cut(fault) => {
            let says = "the provider broke off its answer; try again";
            Fault::new(FaultKind::UpstreamFailed, says).because(fault_chain(fault))
        }
        Broken::TooLong(cap) => {
            Fault::new(FaultKind::UpstreamFailed, format!("the provider's answer is longer than {cap} bytes"))
        }
        Broken::Idle(limit) => {
            let says = format!("the provider sent nothing for {limit:?} (`timeouts.idle` of the route)");
            Fault::new(FaultKind::UpstreamTimeout, says)
        }
        Broken::NoFirst | Broken::Total => {
            let says = "the answer took longer than `timeouts.total` of the route";
            Fault::new(FaultKind::UpstreamTimeout, says)
        }
    }
}
