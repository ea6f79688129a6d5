//! May this caller call this route, and is there room in its limits? Owns the route's look-up and the reservation.

use crate::api::models;
use crate::path::arrive::Arrived;
use crate::snapshot::{Route, Snapshot};
use std::sync::Arc;
use tidegate_core::port::limits::{Denied, Standings};
use tidegate_core::{Api, Caller, Fault, FaultKind, Ledger};

/// Tokens reserved for an answer whose caller sets no limit: settled with what it really takes.
const UNSTATED_ANSWER: u64 = 256;

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
pub(crate) fn admit(
    snapshot: &Snapshot,
    caller: Caller,
    arrived: Arrived,
    ledger: &mut Ledger,
) -> Result<Admitted, Fault> {
    let name = arrived.scan.model_name(&arrived.bytes);
    let found = snapshot.routes.get_key_value(&*name).filter(|(name, _)| caller.may_call(name));
    let (name, route) = found.ok_or_else(|| models::unknown(&name))?;
    ledger.note(|event| event.route = Some(name.clone()));
    let reservation = snapshot.limits.reserve(&caller, estimate(&arrived)).map_err(|d| denied(&d))?;
    let standings = reservation.standings;
    ledger.hold(reservation);
    Ok(Admitted { caller, route: Arc::clone(route), arrived, standings })
}

fn estimate(arrived: &Arrived) -> u64 {
    arrived.scan.token_bound(if arrived.api == Api::Embeddings { 0 } else { UNSTATED_ANSWER })
}

fn denied(denied: &Denied) -> Fault {
    let says =
        format!("the limit of {} is reached: come again in {:.1} s", denied.limit, denied.retry_after.as_secs_f64());
    Fault::new(FaultKind::RateLimited, says).after(denied.retry_after)
}
