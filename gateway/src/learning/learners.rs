//! The learners of all routes, as the rest of the program sees them: told of calls, asked for the cells that routes draw
//! from. Owns the queue to the thread that learns.

use super::told::Board;
use super::worker::{Ended, Message, Said, Worker};
use crate::rollouts::Rollouts;
use anyhow::Context as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::learning::{Feedback, Learning, Saying, Taken};
use tidegate_core::port::watcher::Afterwards;
use tidegate_core::spec::route::LearnedSpec;
use tidegate_core::spec::{GatewaySpec, RouteSpec};
use tidegate_core::{Clock, Fault, FaultKind};
use tidegate_route::StateCell;
use tidegate_storage::learning::log_at;

/// How many calls that ended may wait for the thread.
const QUEUE: usize = 65_536;
/// How many messages may: room for all of them is made at the start.
const MESSAGES: usize = 8_192;

/// The learners.
#[derive(Debug)]
pub(crate) struct Learners {
    worker: Arc<Mutex<Worker>>,
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    has_rewards: AtomicBool,
    /// Whether somebody said something since the start that nobody learns from.
    has_notes: AtomicBool,
    /// Calls that ended since the thread looked last. It looks by itself, so that no call pays for waking it.
    ended: Arc<Mutex<Vec<Ended>>>,
    board: Arc<Board>,
}

impl Learners {
    /// Goes on where the log in this folder of an event store ends; without a folder nothing is kept.
    ///
    /// # Errors
    /// The log cannot be read, or the system gives no thread.
    pub(crate) fn start(
        events: Option<&Path>,
        clock: Arc<dyn Clock>,
        rollouts: Arc<Rollouts>,
        board: Arc<Board>,
    ) -> anyhow::Result<Self> {
        let log = events.map(log_at);
        let worker =
            Worker::open(log, events, clock, rollouts, Arc::clone(&board)).context("the log of what was learnt")?;
        let worker = Arc::new(Mutex::new(worker));
        let (queue, messages) = sync_channel(MESSAGES);
        let working = Arc::clone(&worker);
        let thread = std::thread::Builder::new().name("learners".to_owned());
        let ended: Arc<Mutex<Vec<Ended>>> = Arc::default();
        let told = Arc::clone(&ended);
        let thread =
            thread.spawn(move || Worker::run(&working, &messages, &told)).context("a thread for the learners")?;
        Ok(Self {
            worker,
            queue,
            thread: Mutex::new(Some(thread)),
            has_rewards: AtomicBool::new(false),
            has_notes: AtomicBool::new(false),
            ended,
            board,
        })
    }

    /// The cell that a route draws from: the one before where it learns the same, else one that begins with what is known
    /// of its arms.
    ///
    /// # Errors
    /// The route has no arm.
    pub(crate) fn cell(&self, route: &RouteSpec, learned: &LearnedSpec) -> anyhow::Result<StateCell> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).cell(route, learned)
    }

    /// The board on which learners pin what they have to tell, and the way of what others tell.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there are no others without it"))]
    pub(super) fn way(&self) -> (Arc<Board>, SyncSender<Message>) {
        (Arc::clone(&self.board), self.queue.clone())
    }

    /// What the rewards and routes of this configuration are, from now on.
    pub(crate) fn declared(&self, spec: &GatewaySpec) {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).declare(spec);
        self.has_rewards.store(!spec.rewards.is_empty(), Ordering::Relaxed);
    }

    /// Says who hears what is said of calls, too.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without plugins nobody watches"))]
    pub(crate) fn told_afterwards(&self, afterwards: Arc<dyn Afterwards>) {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).afterwards = Some(afterwards);
    }

    /// Whether callers may say of any call how good it was, or say other things of calls: then calls are remembered, so that
    /// they need not be looked for among the records.
    pub(super) fn hears_of_any(&self) -> bool {
        self.has_rewards.load(Ordering::Relaxed) || self.has_notes.load(Ordering::Relaxed)
    }

    /// Tells of a call that ended; never blocks.
    pub(super) fn tell(&self, ended: Ended) {
        let mut waiting = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < QUEUE {
            waiting.push(ended);
        } else {
            tracing::warn!("more calls end than can be learnt from: one is left out");
        }
    }

    /// Ends the thread after what waits; the log is whole then.
    pub(crate) fn close(&self) {
        // Whoever is gone already is closed.
        drop(self.queue.send(Message::Stop));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that learns ended in a panic");
        }
    }
}

impl Learning for Learners {
    fn take(&self, feedback: Feedback) -> BoxFuture<'_, Result<Taken, Fault>> {
        if !matches!(feedback.said, Saying::Reward(..)) {
            self.has_notes.store(true, Ordering::Relaxed);
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        let sent = self.queue.try_send(Message::Said(Box::new(Said { feedback, since: None, looked: None, answer })));
        Box::pin(async move {
            let busy = || Fault::new(FaultKind::Unavailable, "feedback cannot be taken now: send it again in a moment");
            sent.map_err(|_| busy())?;
            answered.await.unwrap_or_else(|_| Err(busy()))
        })
    }
}
