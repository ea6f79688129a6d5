//! The call goes out: the arm that was picked, then, by the plan, again or elsewhere. Owns the loop of attempts and
//! what is spliced into the caller's bytes for each.

use crate::body::Splices;
use crate::path::arrive::Arrived;
use crate::path::cascade::{self, Held, Regarded};
use crate::path::choose::Planned;
use crate::path::copy::Copies;
use crate::path::examine::Examine;
use crate::path::keep::Keep;
use crate::path::parameters;
use crate::path::permit::Admitted;
use crate::path::prompt::{Front, Wanted};
use crate::server::Server;
use crate::snapshot::{Arm, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::event::Attempt;
use tidegate_core::port::backend::{Answer, Call, Deadlines, Frames};
use tidegate_core::port::limits::Standings;
use tidegate_core::spec::RouteSpec;
use tidegate_core::{Api, Caller, EndpointName, Fault, Ledger};
use tidegate_route::{Gauge, Next, Plan, Ride};

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What came.
    pub(crate) sent: Sent,
    /// How the limits stand.
    pub(crate) standings: Standings,
    /// Whether the caller wants the usage chunk of a stream.
    pub(crate) wants_usage: bool,
    /// Tokens of the prompt by our estimate, for a stream that never says.
    pub(crate) prompt_estimate: u64,
    /// What is kept of the content.
    pub(crate) keep: Keep,
    /// What shadows get of it.
    pub(crate) copies: Copies,
    /// Its way at the arm, where the arm is measured.
    pub(crate) ride: Option<Ride>,
    /// What looks at its form, where that is wanted.
    pub(crate) examine: Option<Box<Examine>>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Sent {
    /// A whole answer.
    Whole(Answer),
    /// A stream whose first event is there.
    Stream(Frames),
}

/// Sends the call until an arm answers well enough or the plan gives up.
///
/// # Errors
/// The last fault, when the plan gives up and nothing answered at all.
pub(crate) async fn send(
    server: &Server,
    snapshot: &Arc<Snapshot>,
    planned: Planned,
    headers: &HeaderMap,
    ledger: &mut Ledger,
) -> Result<Answered, Fault> {
    let standings = planned.standings();
    let (admitted, wanted, plan) = (planned.admitted, planned.wanted, planned.plan);
    let (route, arrived) = (&admitted.route, &admitted.arrived);
    let outgoing = server.outgoing(headers, ledger);
    let mut tries =
        Tries { server, snapshot, admitted: &admitted, wanted: &wanted, outgoing: &outgoing, plan, held: None };
    let Got { sent, front, ride } = match tries.walk(ledger).await {
        Ok(got) => got,
        // A poor answer is better than none.
        Err(fault) => tries.held(ledger).ok_or(fault)?,
    };
    let keep = Keep::begin(snapshot.content, &arrived.bytes, ledger);
    let wants_usage = arrived.scan.include_usage;
    let prompt_estimate = arrived.scan.prompt_tokens + front;
    let copies = Copies::of(route, snapshot, arrived, &wanted, &outgoing, &*server.ports().dice);
    let examine = Examine::of(&route.spec, arrived);
    Ok(Answered { sent, standings, wants_usage, prompt_estimate, keep, copies, ride, examine })
}

/// The tries of one call.
struct Tries<'a> {
    server: &'a Server,
    snapshot: &'a Snapshot,
    admitted: &'a Admitted,
    wanted: &'a Wanted,
    outgoing: &'a Arc<HeaderMap>,
    plan: Plan<Arc<RouteSpec>>,
    /// The newest answer that was too poor.
    held: Option<Held>,
}

/// An answer that the caller gets.
struct Got {
    sent: Sent,
    /// Tokens of the prompt that stood before the caller's messages.
    front: u64,
    ride: Option<Ride>,
}

impl Tries<'_> {
    async fn walk(&mut self, ledger: &mut Ledger) -> Result<Got, Fault> {
        let (server, route, arrived) = (self.server, &self.admitted.route, &self.admitted.arrived);
        let started = server.ports().clock.now();
        let (mut avoid, mut failed) = (None, None::<Fault>);
        loop {
            let index = self.plan.current();
            let arm = &route.arms[index];
            arm.note(ledger);
            // What an arm behind the first cannot be sent is no fault of the call: that of the arm before it is.
            let front = self.wanted.front(self.snapshot, arm, arrived, ledger);
            let front = front.map_err(|fault| failed.take().unwrap_or(fault))?;
            let call = Call {
                api: arrived.api,
                model: arm.model.clone(),
                body: splice(arrived, arm, front.as_ref())?,
                headers: Arc::clone(self.outgoing),
                caller: turn(&self.admitted.caller),
                deadlines: deadlines(route.spec.timeouts, since(server, started)),
                avoid: avoid.take(),
                taken: None,
            };
            let began = server.ports().clock.now();
            let sent = dispatch(arm, call, arrived.scan.stream).await;
            let spent = since(server, started);
            let further = self.plan.escalates_to(spent);
            match regarded(self.admitted, sent, further.map(|_| spent)).await {
                Ok((regarded, ride)) => {
                    ledger.beside(regarded.judge);
                    let tried = attempt(arm, regarded.sent.endpoint().cloned(), None, since(server, began));
                    let front = front.map_or(0, |front| front.tokens());
                    match (regarded.poor, further) {
                        (Some(why), Some(next)) => {
                            let cost_usd = regarded.usd(arm);
                            ledger.attempt(Attempt { poor: Some(why), cost_usd, ..tried }, arm.price);
                            self.held = Some(regarded.held((index, arm), front, ledger));
                            self.plan.escalate(next);
                        }
                        _ => {
                            ledger.attempt(tried, arm.price);
                            return Ok(Got { sent: regarded.sent, front, ride });
                        }
                    }
                }
                Err(fault) => {
                    ledger.attempt(attempt(arm, fault.endpoint.clone(), Some(&fault), since(server, began)), arm.price);
                    tracing::debug!(variant = %arm.name, fault = %fault, "attempt failed");
                    match self.plan.after(&fault, &route.budget, &*server.ports().dice, since(server, started)) {
                        Next::GiveUp => return Err(fault),
                        Next::Again { wait, .. } => {
                            avoid = fault.endpoint;
                            tokio::time::sleep(wait).await;
                        }
                        Next::Fallback { .. } => failed = Some(fault),
                    }
                }
            }
        }
    }

    /// The newest poor answer, where there is one.
    fn held(&mut self, ledger: &mut Ledger) -> Option<Got> {
        let held = self.held.take()?;
        let arm = &self.admitted.route.arms[held.arm];
        let (sent, front) = held.released(arm, ledger);
        Some(Got { sent, front, ride: None })
    }
}

/// Looks at an answer, `spent` after the call began, where another variant could give a better one.
async fn regarded(
    admitted: &Admitted,
    sent: Result<(Sent, Option<Ride>), Fault>,
    spent: Option<Duration>,
) -> Result<(Regarded, Option<Ride>), Fault> {
    let (sent, ride) = sent?;
    let route = &admitted.route;
    let regarded = match spent {
        None => Regarded::passed(sent),
        Some(spent) => {
            let remaining = route.spec.timeouts.total.saturating_sub(spent);
            cascade::regard(route, &admitted.arrived, sent, remaining).await?
        }
    };
    Ok((regarded, ride))
}

/// Sends it to an arm, which is measured where that matters; a call that is dropped on the way is measured too.
async fn dispatch(arm: &Arm, call: Call, stream: bool) -> Result<(Sent, Option<Ride>), Fault> {
    let mut ride = arm.gauge.as_ref().map(Gauge::begin);
    let sent = if stream {
        arm.backend.stream(call).await.map(Sent::Stream)
    } else {
        arm.backend.complete(call).await.map(Sent::Whole)
    };
    match (&sent, &mut ride) {
        (Ok(_), Some(ride)) => ride.answered(),
        (Err(fault), Some(ride)) => ride.failed(fault),
        (_, None) => {}
    }
    sent.map(|sent| (sent, ride))
}

/// Callers take turns at a local model by their key: the first bytes of its digest tell them apart.
fn turn(caller: &Caller) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *caller.0.digest.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The caller's bytes with the model's name at the provider, and for a stream with the wish for its usage, without
/// which nothing could be billed, behind the prompt where there is one, and with what the arm and the prompt say of how to
/// generate. Everything else stays as it came.
///
/// # Errors
/// The body is no JSON object, which the scan of it should have found.
pub(crate) fn splice(arrived: &Arrived, arm: &Arm, front: Option<&Front>) -> Result<Bytes, Fault> {
    let members = parameters::added(arrived, arm, front)?;
    let mut splices = Splices::new();
    if let Some(front) = front {
        front.splice(arrived, &mut splices);
    }
    for (name, json) in members {
        splices.insert(&arrived.scan, name, json);
    }
    splices.model(&arrived.scan, &arm.upstream);
    if arrived.scan.stream && !arrived.scan.include_usage && arrived.api != Api::Embeddings {
        splices.ask_usage(&arrived.scan);
    }
    Ok(splices.apply(&arrived.bytes))
}

pub(crate) fn deadlines(spec: tidegate_core::spec::TimeoutSpec, spent: Duration) -> Deadlines {
    let total = spec.total.saturating_sub(spent);
    Deadlines { connect: spec.connect.min(total), first_token: spec.first_token.min(total), idle: spec.idle, total }
}

fn since(server: &Server, then: Instant) -> Duration {
    server.ports().clock.now().saturating_duration_since(then)
}

fn attempt(arm: &Arm, endpoint: Option<EndpointName>, fault: Option<&Fault>, took: Duration) -> Attempt {
    Attempt {
        variant: arm.name.clone(),
        endpoint,
        fault: fault.map(|fault| fault.kind),
        status: fault.and_then(|fault| fault.upstream_status),
        us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        poor: None,
        cost_usd: None,
    }
}

impl Sent {
    /// Which endpoint it came from.
    #[must_use]
    pub(crate) const fn endpoint(&self) -> Option<&EndpointName> {
        match self {
            Self::Whole(answer) => answer.endpoint.as_ref(),
            Self::Stream(frames) => frames.endpoint.as_ref(),
        }
    }
}
