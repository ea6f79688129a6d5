//! A call's turn at an endpoint: what came of it goes to the ward, once, on whatever way the call ends. Owns the lock
//! around the ward, the log of its changes and the probes; what follows from a verdict is the ward's.

use crate::breaker::{Change, Verdict, millis};
use crate::endpoint::Endpoint;
use crate::ward::{Ask, Chosen, Ward};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::port::backend::EjectReason;
use tidegate_core::spec::provider::OutlierSpec;
use tidegate_core::{Clock, Fault, FaultKind, ProviderName};

/// How long a probe may take to connect.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// The endpoints of a provider and how they stand.
#[derive(Debug)]
pub(crate) struct Guard {
    provider: ProviderName,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    ward: Mutex<Ward>,
    clock: Arc<dyn Clock>,
    born: Instant,
}

impl Guard {
    pub(crate) fn new(
        provider: ProviderName,
        endpoints: Vec<Arc<Endpoint>>,
        spec: &OutlierSpec,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let ward = Mutex::new(Ward::new(spec, endpoints.len()));
        let born = clock.now();
        Self { provider, endpoints, ward, clock, born }
    }

    pub(crate) fn ward(&self) -> MutexGuard<'_, Ward> {
        self.ward.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        millis(self.clock.now().saturating_duration_since(self.born))
    }

    /// Whose turn it is to take a call; see [`Ward::choose`].
    pub(crate) fn turn(
        self: &Arc<Self>,
        avoid: Option<usize>,
        bits: u64,
        pick: impl Fn(&dyn Fn(usize) -> bool) -> Option<usize>,
    ) -> Option<Turn> {
        let ask = Ask { now: self.now(), avoid, bits };
        let has_room = |i: usize| self.endpoints[i].has_room();
        let (chosen, due) = {
            let mut ward = self.ward();
            (ward.choose(ask, has_room, pick), ward.probes_due(ask.now))
        };
        if let Some(index) = due {
            self.probe(index);
        }
        Some(Turn { guard: Arc::clone(self), chosen: chosen?, is_open: true })
    }

    /// Connects to an ejected endpoint, beside all calls: none of them is risked while nobody is there.
    fn probe(self: &Arc<Self>, index: usize) {
        let guard = Arc::clone(self);
        tokio::spawn(async move {
            let is_there = guard.endpoints[index].connect(PROBE_LIMIT).await.is_ok();
            let change = guard.ward().probed(index, is_there, guard.now());
            guard.tell(index, change);
        });
    }

    fn note(&self, chosen: Chosen, verdict: Option<Verdict>) {
        let change = self.ward().note(chosen, verdict, self.now());
        self.tell(chosen.index, change);
    }

    fn tell(&self, index: usize, change: Option<Change>) {
        let (provider, endpoint) = (&self.provider, &self.endpoints[index].name);
        match change {
            None => {}
            Some(Change::Ejected(why, for_ms)) => {
                tracing::warn!(%provider, %endpoint, reason = why.label(), for_ms, "endpoint ejected");
            }
            Some(Change::OnTrial) => tracing::info!(%provider, %endpoint, "endpoint on trial: the next call tries it"),
            Some(Change::Back) => tracing::info!(%provider, %endpoint, "endpoint takes calls again"),
        }
    }
}

/// A call's turn at an endpoint. Dropped without a verdict, it tells nothing.
#[derive(Debug)]
pub(crate) struct Turn {
    guard: Arc<Guard>,
    chosen: Chosen,
    is_open: bool,
}

impl Turn {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.guard.endpoints[self.chosen.index]
    }

    /// Tells what came of the call so far.
    pub(crate) fn judge<T>(&mut self, result: &Result<T, Fault>) {
        let verdict = match result {
            Ok(_) => Some(Verdict::Good),
            Err(fault) => verdict(fault),
        };
        self.is_open = false;
        self.guard.note(self.chosen, verdict);
    }

    /// Tells that a stream that had begun broke off.
    pub(crate) fn broke(&self) {
        self.guard.note(Chosen { is_trial: false, ..self.chosen }, Some(Verdict::Bad(EjectReason::Broken)));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_open {
            self.guard.note(self.chosen, None);
        }
    }
}

/// What a fault says of its endpoint. One that limits or refuses calls is there and works.
fn verdict(fault: &Fault) -> Option<Verdict> {
    let bad = |why| Some(Verdict::Bad(why));
    match fault.kind {
        FaultKind::Unreachable => bad(EjectReason::Connect),
        FaultKind::UpstreamTimeout => bad(EjectReason::Timeout),
        // What it has not it cannot have failed at, and callers decide what it is asked.
        FaultKind::UpstreamFailed if fault.upstream_status == Some(501) => Some(Verdict::Good),
        FaultKind::UpstreamFailed | FaultKind::StreamCut => {
            bad(if fault.upstream_status.is_some() { EjectReason::Status } else { EjectReason::Broken })
        }
        // All seats were taken: the endpoint was not asked.
        FaultKind::Overloaded => None,
        _ => Some(Verdict::Good),
    }
}
