//! The event store's port with an ear: what ended is told to learners and rollouts on its way to the store. Owns
//! what of a record is told.

use super::worker::Ended;
use crate::wire::Deciders;
use std::sync::Arc;
use tidegate_core::port::events::{Events, Recorded};
use tidegate_core::{Event, Outcome, Side};

/// Passes records on.
#[derive(Debug)]
pub(crate) struct Watched {
    store: Arc<dyn Events>,
    deciders: Deciders,
}

impl Watched {
    /// Passes records on to `store`, and tells `deciders`.
    pub(crate) const fn new(store: Arc<dyn Events>, deciders: Deciders) -> Self {
        Self { store, deciders }
    }
}

impl Events for Watched {
    fn record(&self, event: Box<Event>) -> Recorded {
        if event.is_by_filter() {
            return self.store.record(event);
        }
        self.deciders.rollouts.see(&event);
        if let Some(ended) = ended(&event, self.deciders.learners.hears_of_any()) {
            self.deciders.learners.tell(ended);
        }
        self.store.record(event)
    }
}

/// What is told of a call; `None` where its route does not learn and nobody says anything of it, or where its end says nothing of
/// the arm: the caller left, or was wrong himself.
fn ended(event: &Event, any: bool) -> Option<Ended> {
    let decision = event.decision.as_ref().filter(|decision| any || decision.state.is_some())?;
    match event.outcome {
        Outcome::Cancelled | Outcome::Panic => return None,
        Outcome::Fault(kind) if kind.side() == Side::Client => return None,
        Outcome::Ok | Outcome::Fault(_) => {}
    }
    let seconds = |us: u64| std::time::Duration::from_micros(us).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    let tokens = event.usage.map(|usage| usage.total() as f64);
    Some(Ended {
        id: event.id,
        route: event.route.clone()?,
        arm: decision.arm,
        regarded: decision.regarded.clone(),
        answered: event.variant.clone()?,
        is_ok: event.outcome == Outcome::Ok,
        tenant: event.tenant.clone(),
        episode: event.episode.clone(),
        latency: seconds(event.total_us),
        first: event.first_us.map(seconds),
        cost: event.cost_usd,
        tokens,
        checks: event.checks.unwrap_or_default(),
    })
}
