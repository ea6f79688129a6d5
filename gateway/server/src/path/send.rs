//! The call goes out: the arm that was picked, then, by the plan, again or elsewhere. Owns the loop of tries and what is
//! spliced into the caller's bytes for each.

use crate::body::Splices;
use crate::classic::Asked;
use crate::path::arrive::Arrived;
use crate::path::attempt::{self, Begun, Sent, deadlines, since};
use crate::path::cascade::{self, Held, Look, Regarded};
use crate::path::choose::Planned;
use crate::path::copy::Copies;
use crate::path::examine::Examine;
use crate::path::filter::Filters;
use crate::path::filter::asked::TextEdit;
use crate::path::filter::made::Known;
use crate::path::hedge::Race;
use crate::path::hold::replayed;
use crate::path::keep::Keep;
use crate::path::parameters;
use crate::path::permit::Admitted;
use crate::path::prompt::{Front, Wanted};
use crate::path::told::Told;
use crate::path::watch::Watching;
use crate::path::withheld;
use crate::server::Server;
use crate::snapshot::{Arm, Route, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::port::aside::Aside;
use tidegate_core::port::backend::{Answer, Call, Deadlines, Frames, Predict, Turn};
use tidegate_core::port::limits::Standings;
use tidegate_core::spec::{Priority, RouteSpec};
use tidegate_core::{Caller, Clock, Dice, EndpointName, Fault, FaultKind, InferenceId, Ledger, Usage};
use tidegate_route::{Next, Plan, Ride};

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
    /// Who is told of it while it goes out.
    pub(crate) told: Told,
    /// Its way at the arm, where the arm is measured.
    pub(crate) ride: Option<Ride>,
    /// The filters that look at it, where there are any.
    pub(crate) filters: Option<Box<Filters>>,
    /// What a classic model was asked, by whose protocol its answer goes out.
    pub(crate) predict: Option<Arc<Asked>>,
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
    let (clock, dice) = (&*server.ports().clock, &*server.ports().dice);
    if let Some(allowance) = &route.allowance {
        allowance.deposit();
    }
    let round = Round { route, stream: arrived.scan.stream, started: clock.now(), clock };
    let filters = Filters::of(&admitted, headers, &server.ports().clock, ledger);
    let mut tries = Tries {
        round,
        dice,
        snapshot,
        admitted: &admitted,
        wanted: &wanted,
        outgoing: &outgoing,
        plan,
        filters,
        held: None,
        id: ledger.event().map(|event| event.id),
    };
    let Got { sent, front, ride, is_replied } = match tries.walk(ledger).await {
        Ok(got) => got,
        Err(fault) if fault.kind == FaultKind::ContractBroken => {
            Watching::refused(&admitted, &fault, ledger);
            return Err(fault);
        }
        // What a filter stops is stopped.
        Err(fault) if matches!(fault.kind, FaultKind::Filtered | FaultKind::FilterFailed) => return Err(fault),
        // A poor answer is better than none.
        Err(fault) => tries.held(ledger).ok_or(fault)?,
    };
    let mut filters = tries.filters.take();
    let keep = Keep::begin(snapshot.content, &arrived.bytes, ledger);
    let wants_usage = arrived.scan.include_usage;
    let prompt_estimate = arrived.scan.prompt_tokens + front;
    if is_replied {
        // No model was asked: there is nothing to compare, to look at or to watch.
        let told = Told { keep, copies: Copies::default(), examine: None, watching: None };
        return Ok(Answered {
            sent,
            standings,
            wants_usage,
            prompt_estimate,
            told,
            ride,
            filters: None,
            predict: None,
        });
    }
    if let Some(filters) = &mut filters {
        filters.answered(ledger);
    }
    let edits = filters.as_deref().map_or(&[][..], Filters::edits);
    let copies = Copies::of(route, snapshot, arrived, (&wanted, edits), &outgoing, dice);
    let (examine, watching) = (Examine::of(&route.spec, arrived), Watching::of(&admitted, violations(&sent), ledger));
    let told = Told { keep, copies, examine, watching };
    let predict = arrived.predict.clone();
    Ok(Answered { sent, standings, wants_usage, prompt_estimate, told, ride, filters, predict })
}

/// How many rules of its contract the inputs of a call break, where a classic model has one.
fn violations(sent: &Sent) -> Option<u32> {
    match sent {
        Sent::Whole(answer) => answer.predicted.as_ref()?.violations,
        Sent::Stream(_) => None,
    }
}

/// The tries of one call.
struct Tries<'a> {
    round: Round<'a>,
    dice: &'a dyn Dice,
    snapshot: &'a Snapshot,
    admitted: &'a Admitted,
    wanted: &'a Wanted,
    outgoing: &'a Arc<HeaderMap>,
    plan: Plan<Arc<RouteSpec>>,
    /// What looks at what is asked, where the route has that.
    filters: Option<Box<Filters>>,
    /// The newest answer that was too poor.
    held: Option<Held>,
    /// The call.
    id: Option<InferenceId>,
}

/// An answer that the caller gets.
struct Got {
    sent: Sent,
    /// Tokens of the prompt that stood before the caller's messages.
    front: u64,
    ride: Option<Ride>,
    /// Whether it is a filter's, and no arm was asked.
    is_replied: bool,
}

impl Tries<'_> {
    async fn walk(&mut self, ledger: &mut Ledger) -> Result<Got, Fault> {
        let Round { route, .. } = self.round;
        let arrived = &self.admitted.arrived;
        let (mut avoid, mut failed, mut is_first) = (None, None::<Fault>, true);
        loop {
            let index = self.plan.current();
            let arm = &route.arms[index];
            arm.note(ledger);
            // What an arm behind the first cannot be sent is no fault of the call: that of the arm before it is.
            let front = self.wanted.front(self.snapshot, arm, arrived, ledger);
            let front = front.map_err(|fault| failed.take().unwrap_or(fault))?;
            if let Some(filters) = &mut self.filters
                && let Some(text) = filters.request(arm, front.as_ref(), arrived, ledger)?
            {
                return Ok(replied(&text, arm, arrived, ledger));
            }
            let call = self.call(arm, front.as_ref(), avoid.take())?;
            let front = front.as_ref().map_or(0, Front::tokens);
            let aside = call.aside.clone();
            if let Some(aside) = aside.as_ref().filter(|_| arm.backend.is_graph()) {
                ledger.visiting(Arc::clone(aside));
            }
            let tried = self.round.tried(arm, call, is_first, arrived.scan.prompt_tokens + front, ledger).await;
            if let Some(generation) = aside.as_ref().and_then(|aside| aside.adapter.get()) {
                ledger.note(|event| event.adapter_generation = Some(Arc::clone(generation)));
            }
            let tried = shown(tried, arrived);
            let further = self.plan.escalates_to(self.round.spent());
            let look = further.map(|_| self.look(arm, aside));
            let fault = match regarded(tried, look, ledger).await {
                Err(fault) => fault,
                Ok((regarded, ride)) => match (regarded.poor, further) {
                    (Some(why), Some(next)) => {
                        if !regarded.shown.is_empty() {
                            Watching::held_back(self.admitted, &regarded.shown, ledger);
                        }
                        self.held = Some(regarded.held(why, (index, arm), front, ledger));
                        self.plan.escalate(next);
                        is_first = true;
                        continue;
                    }
                    _ => match self.withheld(arm, &regarded.sent, ledger) {
                        Some(fault) => fault,
                        None => return Ok(Got { sent: regarded.sent, front, ride, is_replied: false }),
                    },
                },
            };
            match self.plan.after(&fault, &route.budget, self.dice, self.round.spent()) {
                Next::GiveUp => return Err(fault),
                Next::Again { wait, .. } => {
                    (avoid, is_first) = (fault.endpoint, false);
                    tokio::time::sleep(wait).await;
                }
                Next::Fallback { .. } => (failed, is_first) = (Some(fault), true),
            }
        }
    }

    fn call(&self, arm: &Arm, front: Option<&Front>, avoid: Option<EndpointName>) -> Result<Call, Fault> {
        let (admitted, left) = (self.admitted, deadlines(self.round.route.spec.timeouts, self.round.spent()));
        let edits = self.filters.as_deref().map_or(&[][..], Filters::edits);
        let call = call(arm, &admitted.arrived, (front, edits), Arc::clone(self.outgoing), left)?;
        let wants_sureness = cascade::goes_by_sureness(&admitted.route.spec);
        let is_told = wants_sureness || arm.adapter.is_some() || arm.backend.is_graph();
        let aside = is_told.then(|| Arc::new(Aside { wants_sureness, call: self.id, ..Aside::default() }));
        let turn = turn(&admitted.caller, admitted.route.spec.priority.min(admitted.arrived.most));
        Ok(Call { turn, avoid, aside, ..call })
    }

    /// What an answer of this arm is looked at with.
    fn look<'b>(&'b self, arm: &'b Arm, aside: Option<Arc<Aside>>) -> Look<'b> {
        let Round { route, .. } = self.round;
        let (arrived, filters) = (&self.admitted.arrived, self.filters.as_deref());
        Look {
            route,
            arrived,
            asked: filters.map_or_else(|| arrived.bytes.clone(), |filters| filters.body(arrived)),
            arm,
            filters,
            aside,
            remaining: route.spec.timeouts.total.saturating_sub(self.round.spent()),
        }
    }

    /// The fault that an answer is which a filter withheld, where the call can go elsewhere then.
    fn withheld(&self, arm: &Arm, sent: &Sent, ledger: &mut Ledger) -> Option<Fault> {
        let fault = withheld::fault(&self.round.route.spec, sent)?;
        if !self.plan.has_fallback(&fault, self.round.spent()) {
            return None;
        }
        withheld::note(&fault, sent, arm.price, ledger);
        Some(fault)
    }

    /// The newest poor answer, where there is one.
    fn held(&mut self, ledger: &mut Ledger) -> Option<Got> {
        let held = self.held.take()?;
        let arm = &self.round.route.arms[held.arm];
        let (sent, front) = held.released(arm, ledger);
        Some(Got { sent, front, ride: None, is_replied: false })
    }
}

/// What an arm is asked.
fn call(
    arm: &Arm,
    arrived: &Arrived,
    put: (Option<&Front>, &[TextEdit]),
    headers: Arc<HeaderMap>,
    deadlines: Deadlines,
) -> Result<Call, Fault> {
    Ok(Call {
        api: arrived.api,
        model: arm.model.clone(),
        adapter: arm.adapter.clone(),
        body: splice(arrived, arm, put.0, put.1)?,
        headers,
        turn: Turn::default(),
        deadlines,
        avoid: None,
        taken: None,
        predict: predict(arm, arrived),
        aside: None,
    })
}

/// What a classic model is asked, where it is one.
pub(crate) fn predict(arm: &Arm, arrived: &Arrived) -> Option<Predict> {
    let asked = arrived.predict.as_ref()?;
    let (request, written) = (Arc::clone(asked.sent()), asked.written());
    Some(Predict { request, model: arm.upstream.as_str().into(), written })
}

/// The tensors of an answer as JSON too, where anybody looks at it as he did at what was asked.
fn shown(tried: Result<Begun, Fault>, arrived: &Arrived) -> Result<Begun, Fault> {
    let mut begun = tried?;
    if let (Some(asked), Sent::Whole(answer), false) = (&arrived.predict, &mut begun.sent, arrived.bytes.is_empty()) {
        answer.body = asked.answer_as_json(answer);
    }
    Ok(begun)
}

/// The answer that a filter gives.
fn replied(text: &str, arm: &Arm, arrived: &Arrived, ledger: &Ledger) -> Got {
    let api = arrived.api;
    let known = ledger.event().map_or_else(Known::default, |event| Known::ours(api, event, &arm.upstream));
    let usage = Some(Usage::default());
    let sent = if arrived.scan.stream {
        Sent::Stream(Frames { endpoint: None, frames: replayed(vec![known.events(api, text, usage)]) })
    } else {
        Sent::Whole(Answer { body: known.whole(api, text, usage), usage, endpoint: None, predicted: None })
    };
    Got { sent, front: 0, ride: None, is_replied: true }
}

/// Looks at an answer that another variant could better.
async fn regarded(
    tried: Result<Begun, Fault>,
    look: Option<Look<'_>>,
    ledger: &mut Ledger,
) -> Result<(Regarded, Option<Ride>), Fault> {
    let Begun { sent, ride } = tried?;
    let Some(look) = look else { return Ok((Regarded::passed(sent), ride)) };
    let regarded = look.regard(sent).await;
    match &regarded {
        Ok(regarded) => ledger.beside(regarded.judge),
        Err(fault) => cascade::broke(fault, ledger),
    }
    Ok((regarded?, ride))
}

/// What all tries of a call have in common.
struct Round<'a> {
    route: &'a Route,
    stream: bool,
    started: Instant,
    clock: &'a dyn Clock,
}

impl Round<'_> {
    /// How long the call took so far.
    fn spent(&self) -> Duration {
        since(self.clock, self.started)
    }

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

/// Callers take turns at a local model by their key: the first bytes of its digest tell them apart.
fn turn(caller: &Caller, priority: Priority) -> Turn {
    let [a, b, c, d, e, f, g, h, ..] = *caller.0.digest.as_bytes();
    let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    Turn { caller: number, tenant: Some(caller.0.tenant.clone()), priority }
}

/// The caller's bytes with the model's name at the provider, and for a stream with the wish for its usage, without
/// which nothing could be billed, behind the prompt where there is one, with what the arm and the prompt say of how to
/// generate, and with the texts that filters put in. Everything else stays as it came.
///
/// # Errors
/// The body is no JSON object, which the scan of it should have found.
pub(crate) fn splice(arrived: &Arrived, arm: &Arm, front: Option<&Front>, edits: &[TextEdit]) -> Result<Bytes, Fault> {
    if arrived.predict.is_some() {
        return Ok(Bytes::new());
    }
    let members = parameters::added(arrived, arm, front)?;
    let mut splices = Splices::new();
    for (range, text) in edits {
        splices.text(range.clone(), text);
    }
    if let Some(front) = front {
        front.splice(arrived, &mut splices);
    }
    for (name, json) in members {
        splices.insert(&arrived.scan, name, json);
    }
    splices.model(&arrived.scan, &arm.upstream);
    if arrived.scan.stream && !arrived.scan.include_usage && arrived.api.makes_text() {
        splices.ask_usage(&arrived.scan);
    }
    Ok(splices.apply(&arrived.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;
    use std::sync::Mutex;
    use tidegate_core::clock::SystemClock;
    use tidegate_core::dice::SplitMix;
    use tidegate_core::port::BoxFuture;
    use tidegate_core::port::backend::{Answer, Backend, Frames};
    use tidegate_core::port::events::{Events, Recorded};
    use tidegate_core::{AdapterName, Api, Event, Outcome};

    /// A base model with adapters: it notes which one it was asked for.
    #[derive(Debug, Default)]
    struct Adapted(Mutex<Vec<Option<AdapterName>>>);

    impl Backend for Adapted {
        fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
            self.0.lock().unwrap().push(call.adapter);
            Box::pin(async {
                Ok(Answer { body: Bytes::from_static(b"{}"), usage: None, endpoint: None, predicted: None })
            })
        }

        fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
            Box::pin(async { Err(Fault::internal("no stream is asked for")) })
        }

        fn ready(&self) -> bool {
            true
        }
    }

    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<Event>>);

    impl Events for Noted {
        fn record(&self, event: Box<Event>) -> Recorded {
            self.0.lock().unwrap().push(*event);
            Recorded::Queued
        }
    }

    #[tokio::test]
    async fn variants_of_one_model_ask_it_for_their_own_adapters() {
        let (backend, noted) = (Arc::new(Adapted::default()), Arc::new(Noted::default()));
        let bytes = Bytes::from_static(br#"{"model":"r","messages":[{"role":"user","content":"x"}]}"#);
        let arrived = Arrived {
            api: Api::ChatCompletions,
            scan: body::scan(Api::ChatCompletions, &bytes).unwrap(),
            bytes,
            predict: None,
            most: tidegate_core::spec::Priority::High,
        };
        let second = Duration::from_secs(1);
        let left = Deadlines { connect: second, first_token: second, idle: second, total: second };
        for adapter in [Some("support-v3"), None] {
            let arm = Arm {
                name: "a".parse().unwrap(),
                model: "base".parse().unwrap(),
                adapter: adapter.map(|name| name.parse().unwrap()),
                upstream: "base".to_owned(),
                provider: "here".parse().unwrap(),
                version: None,
                prompt: None,
                parameters: Vec::new(),
                price: None,
                context_length: None,
                backend: Arc::<Adapted>::clone(&backend),
                gauge: None,
                pace: None,
            };
            let events = Arc::<Noted>::clone(&noted);
            let mut ledger =
                Ledger::open(Api::ChatCompletions, "c".into(), events, Arc::new(SystemClock), &SplitMix::seeded(1));
            arm.note(&mut ledger);
            let call = call(&arm, &arrived, (None, &[]), Arc::default(), left).unwrap();
            attempt::once(&arm, call, false, &SystemClock, &mut ledger).await.unwrap();
            drop(ledger.close(Outcome::Ok));
        }
        let wanted = [Some("support-v3".parse().unwrap()), None];
        assert_eq!(*backend.0.lock().unwrap(), wanted);
        assert_eq!(noted.0.lock().unwrap().iter().map(|event| event.adapter.clone()).collect::<Vec<_>>(), wanted);
    }
}
