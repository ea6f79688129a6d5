//! All rollouts of the configuration in force. Owns when each is looked at, and that each turn is in force first, then on
//! disk, then in the audit log.

use super::fleet::{Fleet, Footing};
use super::seat::Seat;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tidegate_core::port::audit::{Audit, Noted};
use tidegate_core::port::verdicts::Verdicts;
use tidegate_core::spec::{GatewaySpec, PolicySpec, RolloutSpec, RouteSpec};
use tidegate_core::{Clock, Event, Fault, FaultKind, Outcome, RewardName, RouteName, Side, VariantName};
use tidegate_route::StateCell;
use tidegate_route::rollout::evidence::Seen;
use tidegate_route::rollout::stage::{Order, Stage, Turn};
use tidegate_route::rollout::{Reach, Rollout};
use tidegate_storage::rollouts::RolloutShelf;

/// How often it is asked whether one is due.
const TICK: Duration = Duration::from_millis(100);
/// After so many ticks replicas tell each other again …
const ROUND: u32 = 2;
/// … and where their store does not answer, after so many.
const LOST: u32 = 10;

type Seats = HashMap<RouteName, Arc<Seat>>;

/// The rollouts.
#[derive(Debug)]
pub(crate) struct Rollouts {
    seats: ArcSwap<Seats>,
    /// Those of a configuration that is not in force yet.
    coming: Mutex<Seats>,
    shelf: Option<RolloutShelf>,
    /// Held while one is kept, so that the newest is what stays.
    keeping: Mutex<()>,
    audit: OnceLock<Arc<dyn Audit>>,
    verdicts: Arc<dyn Verdicts>,
    clock: Arc<dyn Clock>,
    fleet: Option<Fleet>,
}

impl Rollouts {
    /// Rollouts that are kept in this folder of an event store; without one they begin anew at each start.
    /// With a fleet its replicas run them together.
    pub(crate) fn new(
        events: Option<&Path>,
        verdicts: Arc<dyn Verdicts>,
        clock: Arc<dyn Clock>,
        fleet: Option<Fleet>,
    ) -> Self {
        Self {
            seats: ArcSwap::default(),
            coming: Mutex::default(),
            shelf: events.map(RolloutShelf::at),
            keeping: Mutex::default(),
            audit: OnceLock::new(),
            verdicts,
            clock,
            fleet,
        }
    }

    /// Says where turns are written down, too.
    pub(crate) fn audited(&self, audit: Arc<dyn Audit>) {
        // It is said once, at the start.
        drop(self.audit.set(audit));
    }

    /// The cell that a route draws from: that of its rollout where it runs already, or is kept.
    ///
    /// # Errors
    /// What is kept cannot be read, or the route has no arm.
    pub(crate) fn cell(&self, route: &RouteSpec, spec: &RolloutSpec) -> anyhow::Result<StateCell> {
        let kept = self.shelf.as_ref().map(|shelf| shelf.load(&route.name)).transpose()?.flatten();
        let footing = if self.fleet.is_some() { Footing::CutOff } else { Footing::Alone };
        let mut seat = Arc::new(Seat::open(route, spec, kept.as_deref(), (self.clock.unix_ms(), footing))?);
        if let Some(running) = self.seats.load().get(&route.name)
            && running.identity == seat.identity
            && running.variants == seat.variants
        {
            seat = Arc::clone(running);
        }
        let cell = seat.cell.clone();
        self.coming.lock().unwrap_or_else(PoisonError::into_inner).insert(route.name.clone(), seat);
        Ok(cell)
    }

    /// This configuration is in force from now on.
    pub(crate) fn in_force(&self, spec: &GatewaySpec) {
        let mut coming = std::mem::take(&mut *self.coming.lock().unwrap_or_else(PoisonError::into_inner));
        coming.retain(|name, _| {
            spec.routes.get(name).is_some_and(|route| matches!(route.policy, PolicySpec::Rollout(_)))
        });
        self.seats.store(Arc::new(coming));
    }

    /// Takes a call that ended, where its route has a rollout and its end says something of the arm.
    pub(crate) fn see(&self, event: &Event) {
        let Some((seat, decision)) = self.seats.load().get_of(event) else { return };
        let is_ok = match event.outcome {
            Outcome::Cancelled | Outcome::Panic => return,
            Outcome::Fault(kind) if kind.side() == Side::Client => return,
            Outcome::Ok => true,
            Outcome::Fault(_) => false,
        };
        // An arm whose call another had to answer has failed.
        let drawn = seat.variants.get(decision.arm);
        let is_failed = !is_ok || event.variant.as_ref() != drawn;
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        let seen = Seen {
            is_failed,
            latency: (!is_failed).then(|| seconds(event.total_us)),
            first_token: event.first_us.filter(|_| !is_failed).map(seconds),
        };
        seat.state().rollout.see(decision.arm, &decision.shares, &seen);
    }

    /// Takes a value that a caller gave for a call.
    pub(crate) fn judge(&self, route: &RouteName, variant: &VariantName, reward: &RewardName, value: f64) {
        if let Some(seat) = self.seats.load().get(route)
            && let Some(arm) = seat.variants.iter().position(|name| name == variant)
        {
            seat.state().rollout.judge(arm, reward, value);
        }
    }

    /// Looks at each rollout when it is due, for as long as somebody holds them.
    pub(crate) fn follow(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut rests = 0_u32;
            loop {
                tokio::time::sleep(TICK).await;
                let Some(this) = this.upgrade() else { return };
                if let Some(fleet) = &this.fleet {
                    rests = rests.saturating_sub(1);
                    if rests == 0 {
                        let seats: Vec<Arc<Seat>> = this.seats.load().values().map(Arc::clone).collect();
                        let went = fleet.round(&seats).await;
                        rests = if went.is_some() { ROUND } else { LOST };
                        for seat in went.into_iter().flatten() {
                            this.keep_or_say(&seat).await;
                        }
                    }
                }
                let due = this.due();
                if !due.is_empty() {
                    this.look(due).await;
                }
            }
        })
    }

    fn due(&self) -> Vec<Arc<Seat>> {
        let now = self.clock.unix_ms();
        self.seats.load().values().filter(|seat| seat.state().due <= now).map(Arc::clone).collect()
    }

    async fn look(self: &Arc<Self>, seats: Vec<Arc<Seat>>) {
        for seat in seats {
            let Some(looked) = self.weigh(&seat) else { continue };
            let turn = match looked {
                Some((next, turn)) => self.take(&seat, &next).await.ok().map(|()| turn),
                None => None,
            };
            self.keep_or_say(&seat).await;
            if let Some(turn) = turn {
                self.tell(&seat, &turn, "rollout.turn").await;
            }
        }
    }

    /// Judges a rollout by what was seen, and what follows, where this replica may say so; nothing of one that is over.
    fn weigh(&self, seat: &Seat) -> Option<Option<(Rollout, Turn)>> {
        let now = self.clock.unix_ms();
        let mut state = seat.state();
        let interval = u64::try_from(state.rollout.spec().interval.as_millis()).unwrap_or(u64::MAX);
        state.due = now.saturating_add(interval.max(1));
        if state.rollout.standing().stage.is_over() {
            return None;
        }
        state.rollout.weigh(&*self.verdicts);
        let reach = match state.footing {
            Footing::Alone | Footing::Leads => Reach::All,
            Footing::CutOff => Reach::Back,
            Footing::Follows => return Some(None),
        };
        let mut next = state.rollout.clone();
        let turn = next.decide(now, reach);
        Some(turn.map(|turn| (next, turn)))
    }

    /// Puts a turn into force: for all replicas, or for this one alone where it is cut off and goes back.
    async fn take(&self, seat: &Seat, next: &Rollout) -> Result<(), Fault> {
        let course = next.course();
        let footing = seat.state().footing;
        let is_told = match (&self.fleet, footing) {
            (Some(fleet), Footing::Leads | Footing::Follows) => {
                fleet.commit(seat, course.version.saturating_sub(1), &course).await
            }
            _ => None,
        };
        let is_shared = self.fleet.is_some();
        let late = || Fault::new(FaultKind::Conflict, "it was turned just now by somebody else: look at it again");
        match is_told {
            Some(false) => return Err(late()),
            None if is_shared && !course.stage.is_back() => {
                let says =
                    "the shared store does not answer, so that other replicas would not hear of it: only `abort` works";
                return Err(Fault::new(FaultKind::Unavailable, says));
            }
            _ => {}
        }
        let mut state = seat.state();
        if state.rollout.standing().version < course.version {
            state.rollout.join(course);
            if is_shared && is_told.is_none() {
                state.rollout.run_ahead();
            }
            seat.publish(&state.rollout);
        } else if is_told.is_none() {
            return Err(late());
        }
        Ok(())
    }

    async fn keep_or_say(self: &Arc<Self>, seat: &Arc<Seat>) {
        if let Err(fault) = self.keep(seat).await {
            tracing::error!(route = %seat.route, %fault, "a rollout cannot be kept");
        }
    }

    async fn keep(self: &Arc<Self>, seat: &Arc<Seat>) -> Result<(), Fault> {
        let (this, seat) = (Arc::clone(self), Arc::clone(seat));
        let keeping = move || match &this.shelf {
            Some(shelf) => {
                let _alone = this.keeping.lock().unwrap_or_else(PoisonError::into_inner);
                shelf.keep(&seat.route, &seat.content())
            }
            None => Ok(()),
        };
        tokio::task::spawn_blocking(keeping).await.map_err(Fault::internal)?.map_err(Fault::internal)
    }

    /// Writes a turn into the log and the audit log.
    async fn tell(&self, seat: &Seat, turn: &Turn, action: &'static str) {
        let (from, to) = (turn.from.says(), turn.to.says());
        if turn.to == Stage::RolledBack {
            tracing::error!(route = %seat.route, from, to, why = turn.why, by = turn.by, "rollout");
        } else {
            tracing::info!(route = %seat.route, from, to, why = turn.why, by = turn.by, "rollout");
        }
        let Some(audit) = self.audit.get() else { return };
        let name = |arm: usize| seat.variants.get(arm).map(VariantName::as_str);
        let detail = {
            let state = seat.state();
            let spec = state.rollout.spec();
            json!({
                "from": from, "to": to, "why": turn.why,
                "variants": {"from": name(spec.from), "to": name(spec.to)},
                "findings": state.rollout.findings(),
            })
        };
        let deed = Noted { by: turn.by.clone(), action, subject: format!("routes:/{}", seat.route), detail };
        if let Err(fault) = audit.enter(deed).await {
            tracing::error!(route = %seat.route, %fault, "a rollout's turn is not in the audit log");
        }
    }

    /// How all of them stand.
    pub(super) fn all(&self) -> Value {
        let now = self.clock.unix_ms();
        let seats = self.seats.load();
        let mut seats: Vec<&Arc<Seat>> = seats.values().collect();
        seats.sort_by(|a, b| a.route.cmp(&b.route));
        json!({"object": "list", "data": seats.iter().map(|seat| seat.shown(now)).collect::<Vec<_>>()})
    }

    /// How the one of a route stands.
    pub(super) fn one(&self, route: &str) -> Result<Value, Fault> {
        Ok(self.seat(route)?.shown(self.clock.unix_ms()))
    }

    fn seat(&self, route: &str) -> Result<Arc<Seat>, Fault> {
        let none = || Fault::new(FaultKind::NotFound, format!("the route `{route}` has no rollout"));
        let seats = self.seats.load();
        seats.iter().find(|(name, _)| name.as_str() == route).map(|(_, seat)| Arc::clone(seat)).ok_or_else(none)
    }

    /// Does what somebody wants, and tells how it stands then.
    pub(crate) async fn order(
        self: &Arc<Self>,
        route: &str,
        order: Order,
        by: &str,
        why: &str,
    ) -> Result<Value, Fault> {
        let seat = self.seat(route)?;
        let mut next = seat.state().rollout.clone();
        let turn = next.order(order, by, why, self.clock.unix_ms());
        let turn = turn.map_err(|fault| Fault::new(FaultKind::Conflict, fault.to_string()))?;
        self.take(&seat, &next).await?;
        self.keep(&seat).await?;
        self.tell(&seat, &turn, action(order)).await;
        Ok(seat.shown(self.clock.unix_ms()))
    }
}

/// The seat and the decision of a call.
trait Find {
    fn get_of<'a>(&self, event: &'a Event) -> Option<(Arc<Seat>, &'a tidegate_core::event::Decision)>;
}

impl Find for Seats {
    fn get_of<'a>(&self, event: &'a Event) -> Option<(Arc<Seat>, &'a tidegate_core::event::Decision)> {
        if self.is_empty() {
            return None;
        }
        Some((Arc::clone(self.get(event.route.as_ref()?)?), event.decision.as_ref()?))
    }
}

const fn action(order: Order) -> &'static str {
    match order {
        Order::Pause => "rollout.pause",
        Order::Resume => "rollout.resume",
        Order::Abort => "rollout.abort",
        Order::Promote => "rollout.promote",
        Order::PromoteFully => "rollout.promote_fully",
        Order::Restart => "rollout.restart",
    }
}
