//! A filter behind its breaker: a call is admitted, done in a warm instance and noted. Owns that order, what is counted, and
//! which failures open the breaker: those of the plugin, not what it says of an input, nor what the host had no place for.

use super::breaker::{Breaker, Passage, Verdict};
use super::instance::{Called, Instance};
use super::linked::Guests;
use super::pool::Pool;
use super::vet::Wrong;
use crate::cell::Cell;
use crate::counts::{Counts, Failures};
use crate::fault::{Fault, Kind};
use crate::lines::Lines;
use crate::plugin::Plugin;
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_core::PluginName;
use tidegate_core::port::filter::Failed;
use wasmtime::Store;

/// The most failures of a filter that are logged a minute.
const LOGGED: usize = 16;

/// What a filter and its streams share.
#[derive(Debug)]
pub(super) struct Warm {
    pub(super) name: PluginName,
    pub(super) shared: Arc<Shared>,
    pool: Pool,
    breaker: Breaker,
    calls: AtomicU64,
    failures: Failures,
    /// What is said of failures, bounded like the plugin's own lines.
    told: Lines,
}

impl Warm {
    pub(super) fn new(plugin: Arc<Plugin>, name: PluginName, config: &str) -> Result<Self, Fault> {
        let label: Arc<str> = name.as_str().into();
        let (kv, limits) = (plugin.house().kv(&name), Arc::clone(plugin.limits()));
        let shared = Arc::new(Shared::new(Arc::clone(&label), kv, limits.log_lines, limits.metrics));
        let pool = Pool::new(plugin, label, config.to_owned(), Arc::clone(&shared))?;
        let (breaker, calls, failures) = Default::default();
        Ok(Self { name, shared, pool, breaker, calls, failures, told: Lines::new(LOGGED) })
    }

    pub(super) const fn plugin(&self) -> &Arc<Plugin> {
        self.pool.plugin()
    }

    pub(super) fn rests(&self) -> bool {
        self.breaker.rests(|| self.plugin().house().outside.clock.now())
    }

    pub(super) fn counts(&self) -> Counts {
        let (alive, idle) = self.pool.alive();
        let (dropped_lines, dropped_metrics) = self.shared.dropped();
        Counts {
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.counted(),
            alive,
            idle,
            made: self.pool.made(),
            is_tripped: self.breaker.is_open(),
            dropped_lines,
            dropped_metrics,
        }
    }

    /// A call in an instance that is lent for it alone.
    pub(super) fn call<T, U>(
        &self,
        work: impl FnOnce(&mut Store<Cell>, &Guests) -> Called<T>,
        vet: impl FnOnce(T) -> Result<U, Wrong>,
    ) -> Result<U, Failed> {
        self.admitted(|| {
            let mut instance = self.pool.lend()?;
            let done = instance.call(self.plugin().house(), self.plugin().limits().deadline, work, vet);
            self.pool.give_back(instance);
            done
        })
    }

    /// A call in an instance that is kept, if it gave something.
    pub(super) fn call_and_keep<T>(
        &self,
        work: impl FnOnce(&mut Store<Cell>, &Guests) -> Called<Option<T>>,
    ) -> Result<Option<(Instance, T)>, Failed> {
        self.admitted(|| {
            let mut instance = self.pool.lend()?;
            match instance.call(self.plugin().house(), self.plugin().limits().deadline, work, Ok) {
                Ok(Some(given)) => Ok(Some((instance, given))),
                done => {
                    self.pool.give_back(instance);
                    done.map(|_| None)
                }
            }
        })
    }

    /// A call in an instance that was kept. The breaker does not keep a stream from its end, but learns from it.
    pub(super) fn call_in<T, U>(
        &self,
        instance: &mut Instance,
        deadline: Duration,
        work: impl FnOnce(&mut Store<Cell>, &Guests) -> Called<T>,
        vet: impl FnOnce(T) -> Result<U, Wrong>,
    ) -> Result<U, Failed> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut noting = Noting { warm: self, passage: Passage::Usual, verdict: Verdict::Unknown };
        self.noted(&mut noting, instance.call(self.plugin().house(), deadline, work, vet))
    }

    /// Takes back an instance that was kept.
    pub(super) fn give_back(&self, instance: Instance) {
        self.pool.give_back(instance);
    }

    fn admitted<T>(&self, does: impl FnOnce() -> Result<T, Fault>) -> Result<T, Failed> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let passage = self.breaker.admit(|| self.plugin().house().outside.clock.now()).map_err(|left| {
            let ms = left.as_millis();
            self.failed(Fault::new(Kind::Tripped, format!("it failed too often and is not called for {ms} ms")))
        })?;
        let mut noting = Noting { warm: self, passage, verdict: Verdict::Unknown };
        self.noted(&mut noting, does())
    }

    fn noted<T>(&self, noting: &mut Noting<'_>, done: Result<T, Fault>) -> Result<T, Failed> {
        noting.verdict = match &done {
            Ok(_) => Verdict::Well,
            Err(fault) => judged(fault.kind),
        };
        done.map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault) -> Failed {
        let Fault { kind, says } = fault;
        self.failures.count(kind);
        // That it is not called any more was said when that began.
        if kind != Kind::Tripped {
            let (is_told, dropped) = self.told.admit(self.plugin().house().outside.clock.now());
            if is_told {
                tracing::warn!(plugin = self.name.as_str(), kind = kind.as_str(), untold = dropped, "{says}");
            }
        }
        Failed { plugin: self.name.clone(), kind: kind.as_str(), says }
    }
}

/// What a failure means to the breaker.
const fn judged(kind: Kind) -> Verdict {
    match kind {
        Kind::Refused(_) | Kind::BadInput => Verdict::Well,
        Kind::Busy | Kind::Host | Kind::Tripped => Verdict::Unknown,
        _ => Verdict::Badly,
    }
}

/// A call that was let through; it is noted whatever ends it.
struct Noting<'a> {
    warm: &'a Warm,
    passage: Passage,
    verdict: Verdict,
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        let now = || self.warm.plugin().house().outside.clock.now();
        if let Some(pause) = self.warm.breaker.note(self.passage, self.verdict, now) {
            let (plugin, ms) = (self.warm.name.as_str(), pause.as_millis());
            tracing::error!(plugin, pause_ms = ms, "the plugin failed too often and is not called for a while");
        }
    }
}
