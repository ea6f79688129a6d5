//! What runs on the engine's thread: it takes orders, steps the scheduler, and lets go of the model and takes it up again.

use super::Told;
use crate::error::{GenerateError, LoadError, RestError};
use crate::generation::GenerationEvent;
use crate::model::CausalModel;
use crate::scheduler::{Job, Scheduler};
use crate::threads;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::Clock;
use tidegate_core::memory::MemoryShare;
use tidegate_core::port::backend::EngineReport;
use tokio::sync::oneshot;

/// What the thread is told.
pub(super) enum Order {
    /// To answer a call, awake or not.
    Answer(Box<Job>),
    /// To give weights and cache back.
    Sleep(oneshot::Sender<Result<(), RestError>>),
    /// To take them up again.
    Wake(oneshot::Sender<Result<(), RestError>>),
}

/// A model in memory, with its cache and its calls.
pub(super) struct Awake<M> {
    pub(super) scheduler: Scheduler<M>,
    /// What it has of the memory that it shares with others. Behind the scheduler, so that it is given back after what it
    /// stands for.
    #[expect(dead_code, reason = "held while the model is in memory, never looked at")]
    pub(super) share: Option<MemoryShare>,
}

/// Reads the model again.
pub(super) type Raise<M> = Box<dyn FnMut() -> Result<Awake<M>, LoadError> + Send>;

/// The thread's own.
pub(super) struct Worker<M> {
    pub(super) awake: Option<Awake<M>>,
    pub(super) raise: Raise<M>,
    /// What was done until it went to sleep last.
    pub(super) counts: EngineReport,
    pub(super) inbox: Receiver<Order>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) told: Arc<Mutex<Told>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) nice: u8,
}

impl<M: CausalModel> Worker<M> {
    /// Until the engine is dropped. What is unfinished then is dropped with its channels, which its callers see as a
    /// failure.
    pub(super) fn run(mut self) {
        threads::stand_back(self.nice);
        while !self.stopping.load(Ordering::Acquire) {
            if self.awake.as_ref().is_none_or(|awake| awake.scheduler.is_idle()) {
                // Until there is work.
                let Ok(order) = self.inbox.recv() else { return };
                self.obey(order);
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if let Some(awake) = &mut self.awake {
                awake.scheduler.step(&*self.clock);
            }
            self.tell();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Answer(job) => match self.wake() {
                Ok(awake) => awake.scheduler.add(*job),
                Err(why) => drop(job.events.send(GenerationEvent::Failed(GenerateError::Asleep(why)))),
            },
            Order::Sleep(done) => {
                let slept = self.sleep();
                self.tell();
                // Who asked may have gone.
                drop(done.send(slept));
            }
            Order::Wake(done) => {
                let woken = self.wake().map(|_| ()).map_err(RestError::Asleep);
                self.tell();
                drop(done.send(woken));
            }
        }
    }

    fn sleep(&mut self) -> Result<(), RestError> {
        let Some(awake) = &self.awake else { return Ok(()) };
        if !awake.scheduler.is_idle() {
            return Err(RestError::Busy);
        }
        let (report, _) = awake.scheduler.report();
        let without = EngineReport { running: 0, blocks: 0, blocks_held: 0, blocks_kept: 0, ..report };
        self.counts = EngineReport { weight_bytes: 0, cache_bytes: 0, ..without };
        self.awake = None;
        tracing::info!("a language model sleeps: its weights and its cache are given back");
        Ok(())
    }

    fn wake(&mut self) -> Result<&mut Awake<M>, Asleep> {
        // Not `if let`, since that would hold what is then filled.
        if self.awake.is_none() {
            let began = self.clock.now();
            let mut awake = (self.raise)().map_err(|why| {
                tracing::error!(error = %why, "a language model that sleeps cannot be woken");
                Asleep { no_room: matches!(why, LoadError::NoMemory(_)), why: why.to_string() }
            })?;
            let took = self.clock.now().saturating_duration_since(began);
            self.counts.wakes += 1;
            self.counts.wake_time += took;
            awake.scheduler.go_on(self.counts);
            self.awake = Some(awake);
            tracing::info!(ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "a language model is awake");
        }
        self.awake.as_mut().ok_or_else(|| Asleep { no_room: false, why: "it is not there".into() })
    }

    /// Tells how it stands.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.awake {
            Some(awake) => {
                (told.report, told.pace) = awake.scheduler.report();
                let idle = awake.scheduler.is_idle();
                told.idle = idle.then(|| self.clock.now());
            }
            None => {
                told.report = EngineReport { asleep: true, ..self.counts };
                told.idle = None;
            }
        }
    }
}

/// Why a model sleeps on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Asleep {
    /// Whether others have the memory that it would need.
    pub no_room: bool,
    /// Why.
    pub why: String,
}
