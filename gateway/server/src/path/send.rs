//! The call goes out: the arm that was picked, then, by the plan, again or elsewhere. Owns the loop of tries and what is
//! spliced into the caller's bytes for each.

use crate::body::Splices;
use crate::path::arrive::Arrived;
use crate::path::attempt::{self, Begun, Sent, deadlines, since};
use crate::path::choose::Planned;
use crate::path::copy::Copies;
use crate::path::hedge::Race;
use crate::path::keep::Keep;
use crate::path::parameters;
use crate::path::prompt::Front;
use crate::path::withheld;
use crate::server::Server;
use crate::snapshot::{Arm, Route, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::port::backend::Call;
use tidegate_core::port::limits::Standings;
use tidegate_core::{Api, Caller, Clock, Fault, Ledger};
use tidegate_route::{Next, Ride};

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
}

/// Sends the call until an arm answers or the plan gives up.
///
/// # Errors
/// The last fault, when the plan gives up.
pub(crate) async fn send(
    server: &Server,
    snapshot: &Arc<Snapshot>,
    planned: Planned,
    headers: &HeaderMap,
    ledger: &mut Ledger,
) -> Result<Answered, Fault> {
    let standings = planned.standings();
    let (admitted, wanted, mut plan) = (planned.admitted, planned.wanted, planned.plan);
    let (route, arrived) = (&admitted.route, &admitted.arrived);
    let outgoing = server.outgoing(headers, ledger);
    let (clock, dice) = (&*server.ports().clock, &*server.ports().dice);
    let round = Round { route, stream: arrived.scan.stream, started: clock.now(), clock };
    if let Some(allowance) = &route.allowance {
        allowance.deposit();
    }
    let (mut avoid, mut failed, mut is_first) = (None, None, true);
    loop {
        let arm = &route.arms[plan.current()];
        name(arm, ledger);
        // What an arm behind the first cannot be sent is no fault of the call: that of the arm before it is.
        let front = wanted.front(snapshot, arm, arrived, ledger).map_err(|fault| failed.take().unwrap_or(fault))?;
        let prompt_estimate = arrived.scan.prompt_tokens + front.as_ref().map_or(0, Front::tokens);
        let call = Call {
            api: arrived.api,
            model: arm.model.clone(),
            body: splice(arrived, arm, front.as_ref())?,
            headers: Arc::clone(&outgoing),
            caller: turn(&admitted.caller),
            deadlines: deadlines(route.spec.timeouts, since(clock, round.started)),
            avoid: avoid.take(),
            taken: None,
        };
        let fault = match round.tried(arm, call, is_first, prompt_estimate, ledger).await {
            Err(fault) => fault,
            Ok(begun) => match withheld::fault(&route.spec, &begun.sent) {
                Some(fault) if plan.has_fallback(&fault, since(clock, round.started)) => {
                    withheld::note(&fault, &begun.sent, arm.price, ledger);
                    fault
                }
                _ => {
                    let Begun { sent, ride } = begun;
                    let keep = Keep::begin(snapshot.content, &arrived.bytes, ledger);
                    let copies = Copies::of(route, snapshot, arrived, &wanted, &outgoing, dice);
                    let wants_usage = arrived.scan.include_usage;
                    return Ok(Answered { sent, standings, wants_usage, prompt_estimate, keep, copies, ride });
                }
            },
        };
        match plan.after(&fault, &route.budget, dice, since(clock, round.started)) {
            Next::GiveUp => return Err(fault),
            Next::Again { wait, .. } => {
                (avoid, is_first) = (fault.endpoint, false);
                tokio::time::sleep(wait).await;
            }
            Next::Fallback { .. } => (failed, is_first) = (Some(fault), true),
        }
    }
}

/// What all tries of a call have in common.
struct Round<'a> {
    route: &'a Route,
    stream: bool,
    started: Instant,
    clock: &'a dyn Clock,
}

impl Round<'_> {
    /// One try at an arm; of the first one there, a second request may go out beside it.
    async fn tried(
        &self,
        arm: &Arm,
        call: Call,
        is_first: bool,
        prompt_estimate: u64,
        ledger: &mut Ledger,
    ) -> Result<Begun, Fault> {
        let &Round { route, stream, started, clock } = self;
        let (Some(pace), Some(allowance), true) = (&arm.pace, &route.allowance, is_first) else {
            return attempt::once(arm, call, stream, clock, ledger).await;
        };
        let timeouts = route.spec.timeouts;
        let race = Race { arm, pace, allowance, timeouts, started, prompt_estimate, stream, clock };
        // Two calls under way need room that others shall not pay for.
        Box::pin(race.run(call, ledger)).await
    }
}

/// Notes which arm is tried.
fn name(arm: &Arm, ledger: &mut Ledger) {
    ledger.note(|event| {
        event.variant = Some(arm.name.clone());
        event.model = Some(arm.model.clone());
        event.model_version = arm.version;
        event.provider = Some(arm.provider.clone());
    });
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
