//! The policy picks an arm, and a plan says what comes after it. Owns what a unit is; the choice itself is pure and
//! in the crate `tidegate-route`.

use crate::path::facts::CallFacts;
use crate::path::permit::Admitted;
use crate::path::prompt::{Prepared, Wanted};
use crate::path::steer;
use crate::snapshot::ByCall;
use http::HeaderMap;
use std::sync::Arc;
use tidegate_core::port::limits::Standings;
use tidegate_core::spec::RouteSpec;
use tidegate_core::spec::StickyBy;
use tidegate_core::{Dice, Ledger};
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

/// Picks an arm.
pub(crate) fn plan(prepared: Prepared, headers: &HeaderMap, dice: &dyn Dice, ledger: &mut Ledger) -> Planned {
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
        let shares = match &route.by_call {
            None => None,
            Some(ByCall::Steering(steering)) => steer::shares(steering, &route.arms, &admitted.arrived.scan),
            Some(ByCall::Rules(rules)) => Some(rules.shares(&facts)),
        };
        match shares {
            Some(shares) => route.policy.choose_by(shares, unit, dice),
            None => route.policy.decide(&facts, unit, dice),
        }
    };
    let plan = Plan::new(Arc::clone(&route.spec), decision.arm, &route.budget);
    ledger.note(|event| event.decision = Some(decision));
    Planned { admitted, wanted, plan }
}
