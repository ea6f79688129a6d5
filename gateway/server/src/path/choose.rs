//! The policy picks an arm, and a plan says what comes after it. Owns what a unit is; the choice itself is pure and
//! in the crate `tidegate-route`.

use crate::classic::picked;
use crate::path::advise;
use crate::path::facts::CallFacts;
use crate::path::permit::Admitted;
use crate::path::prompt::{Prepared, Wanted};
use crate::path::steer;
use crate::server::Ports;
use crate::snapshot::ByCall;
use http::HeaderMap;
use std::sync::Arc;
use tidegate_core::port::limits::Standings;
use tidegate_core::spec::RouteSpec;
use tidegate_core::spec::StickyBy;
use tidegate_core::{InferenceId, Ledger};
use tidegate_route::Plan;

/// A call with its plan.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The call.
    pub(crate) admitted: Admitted,
    /// What stands before its messages.
    pub(crate) wanted: Wanted,
    /// Which arm, and what after it.
    pub(crate) plan: Plan<Arc<RouteSpec>>,
}

impl Planned {
    /// How the limits stand.
    #[must_use]
    pub(crate) const fn standings(&self) -> Standings {
        self.admitted.standings
    }
}

/// A call for which an arm is wanted.
#[derive(Debug)]
pub(crate) struct Coming<'a, 'f> {
    /// The call.
    pub(crate) admitted: &'a Admitted,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// What is known of it.
    pub(crate) facts: &'a CallFacts<'f>,
    /// Its id.
    pub(crate) id: InferenceId,
}

/// Picks an arm.
pub(crate) fn plan(prepared: Prepared, headers: &HeaderMap, ports: &Ports, ledger: &mut Ledger) -> Planned {
    let dice = &*ports.dice;
    let Prepared { admitted, wanted } = prepared;
    let route = &admitted.route;
    let decision = {
        let user;
        let unit = match &route.spec.sticky {
            None => None,
            Some(StickyBy::Header(name)) => headers.get(name).map(http::HeaderValue::as_bytes),
            Some(StickyBy::User) => {
                user = admitted.arrived.scan.user_name(&admitted.arrived.bytes);
                user.as_deref().map(str::as_bytes)
            }
            Some(StickyBy::Key) => Some(admitted.caller.0.id.as_str().as_bytes()),
            Some(StickyBy::Tenant) => Some(admitted.caller.0.tenant.as_str().as_bytes()),
        };
        let unix_ms = ledger.event().map_or(0, |event| event.unix_ms);
        let facts = CallFacts::new(&admitted.caller, &admitted.arrived, headers, unix_ms);
        let usual = || route.policy.decide(&facts, unit, dice);
        match &route.by_call {
            None => usual(),
            Some(ByCall::Steering(steering)) => steer::shares(steering, &route.arms, &admitted.arrived.scan)
                .map_or_else(usual, |shares| route.policy.choose_by(shares, unit, dice)),
            Some(ByCall::Rules(rules)) => route.policy.choose_by(rules.shares(&facts), unit, dice),
            Some(ByCall::Router(router)) => {
                let id = ledger.event().map_or_else(|| InferenceId::from_u128(0), |event| event.id);
                let coming = Coming { admitted: &admitted, headers, facts: &facts, id };
                advise::decide(router, &coming, unit, &*ports.clock, dice)
            }
        }
    };
    let pick = admitted.arrived.predict.as_ref().and_then(|asked| asked.pick.as_ref());
    // Permitted, so it is there. What the caller picked was decided by nobody else, and nothing is learnt from it.
    let picked = pick.and_then(|pick| picked(route, pick).ok());
    let arm = picked.unwrap_or(decision.arm);
    if picked.is_none() {
        ledger.note(|event| event.decision = Some(decision));
    }
    let plan = Plan::new(Arc::clone(&route.spec), arm, &route.budget);
    Planned { admitted, wanted, plan }
}
