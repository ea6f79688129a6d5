//! May this caller call this route, and is there room in its limits? Owns the route's look-up and the reservation.

use crate::api::models;
use crate::classic::picked;
use crate::path::arrive::Arrived;
use crate::snapshot::{Route, Snapshot};
use std::sync::Arc;
use tidegate_core::port::limits::{Amounts, Demand, Denied, Standings, Why};
use tidegate_core::spec::ContentPolicy;
use tidegate_core::{Caller, Fault, FaultKind, Ledger, NanoUsd, Usage};

/// Tokens reserved for an answer whose caller sets no limit: settled with what it really takes.
const UNSTATED_ANSWER: u64 = 256;

/// Tokens whose price is reserved for such an answer, where its model's context is not shorter: money that was spent
/// beyond a budget cannot be got back, so more is held meanwhile than of tokens. A longer answer overspends.
const UNSTATED_PAID_ANSWER: u64 = 4096;

/// A call that may be served.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Who.
    pub(crate) caller: Caller,
    /// What.
    pub(crate) arrived: Arrived,
    /// By which route.
    pub(crate) route: Arc<Route>,
    /// How the limits stand.
    pub(crate) standings: Standings,
}

/// Finds the route and reserves room in the limits; the ledger keeps the reservation.
///
/// # Errors
/// There is no such route for this caller, or a limit is reached.
pub(crate) async fn admit(
    snapshot: &Snapshot,
    caller: Caller,
    mut arrived: Arrived,
    ledger: &mut Ledger,
) -> Result<Admitted, Fault> {
    let name = arrived.route();
    // What a route exposes is called by another name, and is the route's all the same.
    let found = snapshot.routes.get(&*name).filter(|route| caller.may_call(&route.spec.name));
    let route = found.ok_or_else(|| models::unknown(&name))?;
    let name = &route.spec.name;
    ledger.note(|event| event.route = Some(name.clone()));
    suits(&arrived, route)?;
    let call = Demand { caller: &caller, route: name, amounts: estimate(&arrived, route) };
    let reservation = match snapshot.limits.reserve(&call) {
        Err(short) if short.why == Why::Short => snapshot.limits.ask(&call).await,
        known => known,
    };
    let reservation = reservation.map_err(|d| denied(&d))?;
    let standings = reservation.standings;
    ledger.hold(reservation);
    let route = Arc::clone(route);
    if let Some(asked) = &arrived.predict
        && (snapshot.content != ContentPolicy::None || route.is_looked_at())
    {
        arrived.bytes = asked.as_json();
    }
    Ok(Admitted { caller, route, arrived, standings })
}

/// Whether the interface is one of the route's models.
fn suits(arrived: &Arrived, route: &Route) -> Result<(), Fault> {
    let name = &route.spec.name;
    match (&arrived.predict, route.is_classic()) {
        (None, true) => {
            let says = format!("`{name}` is a classic model: ask it at /v2/models/{name}/infer");
            Err(Fault::field("model", says))
        }
        (Some(_), false) => {
            let says = format!("`{name}` is a language model: ask it at /v1/chat/completions");
            Err(Fault { param: Some("model".into()), ..Fault::new(FaultKind::ModelNotFound, says) })
        }
        (Some(asked), true) => asked.pick.as_ref().map_or(Ok(()), |pick| picked(route, pick).map(|_| ())),
        (None, false) => Ok(()),
    }
}

/// What is reserved: about the tokens asked for, and the most that the dearest arm may ask for them.
fn estimate(arrived: &Arrived, route: &Route) -> Amounts {
    let scan = &arrived.scan;
    let makes_text = arrived.api.makes_text();
    let cost = route.arms.iter().filter_map(|arm| {
        let unstated = arm.context_length.map_or(UNSTATED_PAID_ANSWER, |most| UNSTATED_PAID_ANSWER.min(most.into()));
        let produced = scan.max_tokens.unwrap_or(if makes_text { unstated } else { 0 }).saturating_mul(scan.n);
        // A token is a byte at least, and the guess at the prompt's tokens is a quarter of its bytes.
        let prompt = scan.prompt_tokens.saturating_mul(4);
        let usage = Usage { prompt, completion: produced, ..Usage::default() };
        Some(NanoUsd::from_usd(arm.price?.cost(&usage)))
    });
    Amounts {
        tokens: scan.token_bound(if makes_text { UNSTATED_ANSWER } else { 0 }),
        cost: cost.max().unwrap_or_default(),
    }
}

fn denied(denied: &Denied) -> Fault {
    let (limit, wait) = (&denied.limit, denied.retry_after);
    if denied.why == Why::Unknown {
        let says = format!("the store of limits cannot be asked for the limit of {limit}, so that no call passes");
        return Fault::new(FaultKind::Unavailable, says).after(wait);
    }
    let says = format!("the limit of {limit} is reached: come again in {:.1} s", wait.as_secs_f64());
    Fault::new(FaultKind::RateLimited, says).after(wait)
}
