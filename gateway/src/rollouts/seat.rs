//! One rollout that runs: its state machine, the cell that its route draws from, and what of it is on disk.

use super::fleet::Footing;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::digest::Digest;
use tidegate_core::spec::{RolloutKind, RolloutSpec, RouteSpec};
use tidegate_core::{RouteName, VariantName};
use tidegate_route::rollout::stage::Turn;
use tidegate_route::rollout::{Rollout, Standing};
use tidegate_route::share::{Shares, SharesFault};
use tidegate_route::{PolicyState, StateCell};

/// One rollout.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) route: RouteName,
    /// What it is a rollout of: another change of the same route is another rollout.
    pub(super) identity: String,
    pub(super) variants: Vec<VariantName>,
    pub(super) cell: StateCell,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rollout: Rollout,
    /// Milliseconds since 1970 at which it is looked at next.
    pub(super) due: u64,
    /// How this replica stands to it.
    pub(super) footing: Footing,
    /// What others were told last, in JSON.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there are no others without it"))]
    pub(super) told: Option<String>,
}

impl State {
    /// What is to be told others, in JSON, where it is new.
    #[cfg(feature = "redis")]
    pub(super) fn untold(&self) -> Option<String> {
        // What was told before this run is asked for first: it may be more than what was kept.
        if self.footing == Footing::CutOff && self.told.is_none() {
            return None;
        }
        let now = serde_json::to_string(&self.rollout.sight()).ok();
        if now == self.told { None } else { now }
    }
}

/// What is kept of it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<S> {
    identity: String,
    standing: S,
}

impl Seat {
    /// The rollout of a route: the one that is kept, where it is the same, else one that begins now.
    ///
    /// # Errors
    /// The route has no arm.
    pub(super) fn open(
        route: &RouteSpec,
        spec: &RolloutSpec,
        kept: Option<&[u8]>,
        (now, footing): (u64, Footing),
    ) -> Result<Self, SharesFault> {
        let identity = identity(route, spec);
        let kept: Option<Kept<Standing>> = kept.and_then(|kept| serde_json::from_slice(kept).ok());
        let arms = route.variants.len();
        let rollout = match kept {
            Some(kept) if kept.identity == identity => Rollout::resumed(spec.clone(), arms, kept.standing),
            _ => Rollout::begun(spec.clone(), arms, now),
        };
        let cell = StateCell::new(state(&rollout)?);
        Ok(Self {
            route: route.name.clone(),
            identity,
            variants: route.variants.iter().map(|variant| variant.name.clone()).collect(),
            cell,
            state: Mutex::new(State { rollout, due: now, footing, told: None }),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the shares of now into force.
    pub(super) fn publish(&self, rollout: &Rollout) {
        match state(rollout) {
            Ok(state) => self.cell.publish(state),
            Err(fault) => tracing::error!(route = %self.route, %fault, "the shares of a rollout are none"),
        }
    }

    /// What is to be kept of it.
    pub(super) fn content(&self) -> Vec<u8> {
        let standing = self.state().rollout.standing().clone();
        let kept = Kept { identity: self.identity.clone(), standing };
        // Maps have keys of text or numbers here, which JSON takes.
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// How it stands, for people and programs.
    pub(super) fn shown(&self, now: u64) -> Value {
        let state = self.state();
        let (rollout, spec, standing) = (&state.rollout, state.rollout.spec(), state.rollout.standing());
        let (from, to) = rollout.seen();
        let name = |arm: usize| self.variants.get(arm).map(VariantName::as_str);
        let seen = |of: &tidegate_route::rollout::evidence::Evidence| json!({"calls": of.calls, "failed": of.failed, "latency_p95": of.latency.quantile(0.95)});
        json!({
            "object": "rollout",
            "route": self.route,
            "kind": if spec.kind == RolloutKind::Canary { "canary" } else { "blue_green" },
            "from": name(spec.from),
            "to": name(spec.to),
            "stage": standing.stage.says(),
            "is_over": standing.stage.is_over(),
            "steps": spec.steps,
            "share": rollout.share(),
            "since_ms": standing.since,
            "paused_by": standing.paused,
            "waits_for": rollout.waits_for(now),
            "findings": rollout.findings(),
            "seen": {"from": seen(&from), "to": seen(&to)},
            "replica": state.footing.name(),
            "turns": standing.turns.iter().map(turned).collect::<Vec<_>>(),
        })
    }
}

fn turned(turn: &Turn) -> Value {
    json!({"at_ms": turn.at, "from": turn.from.says(), "to": turn.to.says(), "by": turn.by, "why": turn.why})
}

fn state(rollout: &Rollout) -> Result<PolicyState, SharesFault> {
    Shares::new(&rollout.shares()).map(PolicyState::fixed)
}

/// Two rollouts are the same where they lead from and to the same in the same way.
fn identity(route: &RouteSpec, spec: &RolloutSpec) -> String {
    let arms = (route.variants.get(spec.from), route.variants.get(spec.to));
    Digest::of(format!("{arms:?} {spec:?}").as_bytes()).short()
}
