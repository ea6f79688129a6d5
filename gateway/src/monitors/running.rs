//! All monitors, as the rest of the program sees them: ears at routes, told of what is said later, asked what they found. Owns
//! the thread that looks at calls, the tasks that judge windows, and how many of those run at once.

use super::board::Board;
use super::counts::Counts;
use super::deed::{Book, Deed, Hands};
use super::evaluator::{Evaluate, Evaluators};
use super::seat::fits;
use super::seat::whose;
use super::taker::{Inbox, Taker};
use super::valves::Valves;
use super::window::{Job, Outcome, Past};
use super::worker::{Asked, Errand, Message, Wanted, Worker};
use crate::giving_way::{Allowance, giving_way, measured};
use crate::rollouts::Rollouts;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_core::port::alerts::Alerts;
use tidegate_core::port::parcels::{Ask, Parcels};
use tidegate_core::port::watcher::{Afterwards, Later, Watcher};
use tidegate_core::spec::{FieldFrom, GatewaySpec, MonitorSpec};
use tidegate_core::{Clock, Fault, FaultKind, InferenceId, MonitorName, RouteName, Tenant};
use tidegate_server::observe::monitors::{MonitorCounts, MonitorFigures};
use tidegate_storage::monitors::MonitorShelf;
use tidegate_watch::Share;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many messages may wait for the thread. Room for all of them is made at the start.
const QUEUE: usize = 8_192;
/// How long the thread waits for a message before it looks for calls.
const TICK: Duration = Duration::from_millis(25);
/// How many calls it looks at before others may look at monitors.
const BATCH: usize = 64;
/// How many windows are judged at once, and as many again of plugins that wait for models.
const AT_ONCE: usize = 2;

/// The monitors.
#[derive(Debug)]
pub(crate) struct Monitors {
    worker: Arc<Mutex<Worker>>,
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    inbox: Arc<Inbox>,
    counts: Mutex<BTreeMap<MonitorName, Arc<Counts>>>,
    /// Those of a configuration that is not in force yet.
    coming: Mutex<BTreeMap<MonitorName, Wanted>>,
    hands: Arc<Hands>,
    deeds: UnboundedSender<Deed>,
    /// The labels and rewards that any monitor waits for.
    awaited: Mutex<Vec<FieldFrom>>,
    /// Whether there may be other replicas.
    is_shared: bool,
}

/// What the thread has done for it.
#[derive(Debug)]
struct Shell {
    runtime: Handle,
    queue: SyncSender<Message>,
    deeds: UnboundedSender<Deed>,
    book: Option<Arc<dyn Book>>,
    parcels: Option<Arc<dyn Parcels>>,
    slots: Arc<Semaphore>,
    /// Of those that wait, so that they keep no others waiting.
    waiting: Arc<Semaphore>,
    /// What each monitor's windows may take before they are the last of all.
    allowances: Mutex<BTreeMap<MonitorName, Arc<Allowance>>>,
    clock: Arc<dyn Clock>,
}

/// The way to a store that replicas share, the name of this one, and that of this run of it.
pub(crate) type Shared = (Arc<dyn Parcels>, String, String);

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Monitors {
    /// Begins without any. They are kept in this folder of an event store; without one they begin anew at each start. Verdicts
    /// are put up at `board`. Replicas of a shared store have windows together.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        (events, shared): (Option<&Path>, Option<Shared>),
        board: Arc<Board>,
        clock: Arc<dyn Clock>,
        (rollouts, valves): (Arc<Rollouts>, Arc<Valves>),
        book: Option<Arc<dyn Book>>,
    ) -> anyhow::Result<Self> {
        let mut worker = Worker::new(events.map(MonitorShelf::at), board, Arc::clone(&clock));
        let parcels = match shared {
            Some((parcels, name, run)) => {
                worker = worker.among(name, &run);
                Some(parcels)
            }
            None => None,
        };
        let is_shared = parcels.is_some();
        let worker = Arc::new(Mutex::new(worker));
        let (queue, messages) = sync_channel(QUEUE);
        let (deeds, asked) = unbounded_channel();
        let hands = Arc::new(Hands { rollouts, valves, alerts: OnceLock::new(), book: book.clone() });
        let runtime = Handle::current();
        runtime.spawn(follow(Arc::clone(&hands), asked));
        let shell = Shell {
            runtime,
            queue: queue.clone(),
            deeds: deeds.clone(),
            book,
            parcels,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(AT_ONCE)),
            allowances: Mutex::default(),
            clock,
        };
        let inbox: Arc<Inbox> = Arc::default();
        let (working, looked) = (Arc::clone(&worker), Arc::clone(&inbox));
        let thread = std::thread::Builder::new().name("monitors".to_owned());
        let thread =
            thread.spawn(move || shell.run(&working, &messages, &looked)).context("a thread for the monitors")?;
        Ok(Self {
            worker,
            queue,
            thread: Mutex::new(Some(thread)),
            inbox,
            counts: Mutex::default(),
            coming: Mutex::default(),
            hands,
            deeds,
            awaited: Mutex::default(),
            is_shared,
        })
    }

    /// Says who tells of alarms.
    pub(crate) fn told_by(&self, alerts: Arc<dyn Alerts>) {
        // It is said once, at the start.
        drop(self.hands.alerts.set(alerts));
    }

    /// The ears of the monitors of a route; they hear as soon as the configuration is in force.
    ///
    /// # Errors
    /// A monitor's plugin is not loaded, or they do not go together.
    pub(crate) fn watchers(
        &self,
        route: &RouteName,
        spec: &GatewaySpec,
        evaluators: &dyn Evaluators,
    ) -> anyhow::Result<Vec<Arc<dyn Watcher>>> {
        let mut watchers: Vec<Arc<dyn Watcher>> = Vec::new();
        for monitor in spec.monitors.values().filter(|monitor| monitor.route == *route) {
            let (judge, own) = judge_of(monitor, evaluators)?;
            held(&self.coming).insert(monitor.name.clone(), (monitor.clone(), judge, own));
            watchers.push(Arc::new(Taker {
                monitor: monitor.name.clone(),
                share: Share::of(monitor.share),
                takes_refused: monitor.fields.iter().any(|field| field.from == FieldFrom::Violations),
                counts: Arc::clone(held(&self.counts).entry(monitor.name.clone()).or_default()),
                inbox: Arc::clone(&self.inbox),
            }));
        }
        Ok(watchers)
    }

    /// This configuration is in force from now on.
    pub(crate) fn in_force(&self, spec: &GatewaySpec) {
        let mut coming = std::mem::take(&mut *held(&self.coming));
        coming.retain(|name, (monitor, ..)| spec.monitors.get(name) == Some(monitor));
        let fields = coming.values().flat_map(|(monitor, ..)| &monitor.fields).map(|field| &field.from);
        let awaited = fields.filter(|from| matches!(from, FieldFrom::Label(_) | FieldFrom::Reward(_)));
        *held(&self.awaited) = awaited.cloned().collect();
        let counts = held(&self.counts).clone();
        let deeds = held(&self.worker).declare(coming.into_values().collect(), &counts, spec);
        self.act(deeds);
    }

    fn act(&self, deeds: Vec<Deed>) {
        for deed in deeds {
            // Nobody follows at the end of the program alone.
            drop(self.deeds.send(deed));
        }
    }

    /// Ends the thread after what waits; monitors are kept then.
    pub(crate) fn close(&self) {
        // Whoever is gone already is closed.
        drop(self.queue.send(Message::Stop));
        if held(&self.thread).take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the monitors ended in a panic");
        }
    }

    /// All of them, in short.
    pub(super) fn all(&self) -> Value {
        let all: Vec<Value> = held(&self.worker).seats().map(super::seat::Seat::line).collect();
        json!({"object": "list", "data": all})
    }

    /// One of them, with all that is known.
    pub(super) fn one(&self, name: &str) -> Result<Value, Fault> {
        let worker = held(&self.worker);
        worker.seats().find(|seat| seat.name().as_str() == name).map(super::seat::Seat::page).ok_or_else(|| none(name))
    }

    /// Forgets what a monitor has seen, on somebody's word.
    pub(super) fn reset(&self, name: &str, by: &str) -> Result<Value, Fault> {
        let deeds = held(&self.worker).reset(name, by).ok_or_else(|| none(name))?;
        tracing::warn!(monitor = name, by, "a monitor begins anew");
        self.act(deeds);
        self.one(name)
    }
}

/// What is wrong with the monitors of a configuration by what their plugins are.
pub(crate) fn faults(spec: &GatewaySpec, evaluators: &dyn Evaluators) -> Vec<String> {
    let wrong = |monitor: &MonitorSpec| judge_of(monitor, evaluators).err();
    spec.monitors.values().filter_map(wrong).map(|fault| format!("{fault:#}")).collect()
}

/// Who judges the windows of a monitor, with his own settings.
fn judge_of(monitor: &MonitorSpec, evaluators: &dyn Evaluators) -> anyhow::Result<(Arc<dyn Evaluate>, String)> {
    let wrong = |why: String| anyhow::anyhow!("monitor `{}`: {why}", monitor.name);
    let (judge, own) = evaluators
        .evaluator(&monitor.plugin)
        .ok_or_else(|| wrong(format!("the plugin `{}` is not loaded, or judges no windows", monitor.plugin)))?;
    fits(monitor, judge.world()).map_err(wrong)?;
    Ok((judge, own))
}

fn none(name: &str) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no monitor `{name}`"))
}

impl Monitors {
    fn tell(&self, call: InferenceId, who: Option<u64>, later: Later) -> bool {
        let is_awaited = self.awaits(&later);
        let is_told = is_awaited && self.queue.try_send(Message::Said(call, who, later)).is_ok();
        if is_awaited && !is_told {
            tracing::warn!(%call, "more is said of calls than monitors can hear: a value is left out");
        }
        is_told
    }
}

impl Afterwards for Monitors {
    fn awaits(&self, later: &Later) -> bool {
        let is_of = |from: &FieldFrom| match (from, later) {
            (FieldFrom::Label(awaited), Later::Label(name, _)) => awaited == name,
            (FieldFrom::Reward(awaited), Later::Reward(name, _)) => awaited == name,
            _ => false,
        };
        held(&self.awaited).iter().any(is_of)
    }

    fn said(&self, call: InferenceId, later: Later) {
        self.tell(call, None, later);
    }

    fn said_elsewhere(&self, call: InferenceId, by: &Tenant, later: Later) -> bool {
        self.is_shared && self.tell(call, Some(whose(by)), later)
    }
}

impl MonitorCounts for Monitors {
    fn figures(&self) -> Vec<MonitorFigures> {
        held(&self.worker).seats().map(super::seat::Seat::figures).collect()
    }
}

/// Does what follows, one after the other: the end of an alarm must not be told before its begin.
async fn follow(hands: Arc<Hands>, mut deeds: UnboundedReceiver<Deed>) {
    while let Some(deed) = deeds.recv().await {
        hands.act(deed).await;
    }
}

impl Shell {
    /// Looks at calls until told to stop.
    fn run(&self, worker: &Mutex<Worker>, messages: &Receiver<Message>, inbox: &Inbox) {
        loop {
            let first = messages.recv_timeout(TICK);
            let mut is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut batch: Vec<Message> = first.into_iter().chain(messages.try_iter().take(1024)).collect();
            is_over |= batch.iter().any(|message| matches!(message, Message::Stop));
            // Taken behind the messages: what is said of a call comes after its end.
            let mut calls = inbox.empty();
            loop {
                let more = calls.split_off(calls.len().min(BATCH));
                // What is said is heard when all calls are that came before it.
                let said = if more.is_empty() { std::mem::take(&mut batch) } else { Vec::new() };
                let errands = held(worker).work(calls, said);
                errands.into_iter().for_each(|errand| self.run_errand(errand));
                if more.is_empty() {
                    break;
                }
                calls = more;
            }
            if is_over {
                self.leave(worker);
                return held(worker).keep_all();
            }
        }
    }

    /// Hands over what came last, and leads no more.
    fn leave(&self, worker: &Mutex<Worker>) {
        let Some((asked, asks)) = held(worker).last_exchange() else { return };
        let Some(parcels) = &self.parcels else { return };
        let answers = self.runtime.block_on(parcels.exchange(asks));
        let errands = held(worker).exchanged(self.clock.unix_ms(), asked, answers);
        errands.into_iter().for_each(|errand| self.run_errand(errand));
    }

    /// Asks the store that replicas share.
    fn exchange(&self, asked: Vec<Asked>, asks: Vec<Ask>) {
        let (parcels, queue) = (self.parcels.clone(), self.queue.clone());
        self.runtime.spawn(async move {
            let answers = match parcels {
                Some(parcels) => parcels.exchange(asks).await,
                None => Err("there is no shared store".to_owned()),
            };
            tell(queue, Message::Exchanged(asked, answers)).await;
        });
    }

    fn run_errand(&self, errand: Errand) {
        match errand {
            Errand::Exchange(asked, asks) => self.exchange(asked, asks),
            Errand::Judge(job) => {
                let slots = Arc::clone(if job.judge.waits() { &self.waiting } else { &self.slots });
                let allowance = Arc::clone(held(&self.allowances).entry(job.monitor.clone()).or_default());
                drop(self.runtime.spawn(judged(*job, (slots, allowance), self.queue.clone(), Arc::clone(&self.clock))));
            }
            Errand::Ask(monitor, reference) => {
                let (book, queue) = (self.book.clone(), self.queue.clone());
                self.runtime.spawn(async move {
                    let baseline = match &book {
                        Some(book) => book.baseline(&reference).await,
                        None => {
                            Err("there is no registry: set `store.registry`, and start the gateway again".to_owned())
                        }
                    };
                    tell(queue, Message::Baseline(monitor, baseline)).await;
                });
            }
            Errand::Do(deed) => drop(self.deeds.send(deed)),
        }
    }
}

/// Has a window judged on a thread that may block and gives way to what serves, when one of few slots is free.
async fn judged(
    job: Job,
    (slots, allowance): (Arc<Semaphore>, Arc<Allowance>),
    queue: SyncSender<Message>,
    clock: Arc<dyn Clock>,
) {
    // It is closed with the program alone.
    let Ok(slot) = slots.acquire_owned().await else { return };
    let broken = Outcome {
        monitor: job.monitor.clone(),
        watched: job.watched.clone(),
        era: job.era,
        past: Past::silent(&job.closed, "what judges windows broke down".to_owned()),
    };
    let run = move || {
        let (outcome, took) = giving_way(allowance.place(Instant::now()), || measured(|| job.run(&*clock)));
        allowance.charge(took, Instant::now());
        outcome
    };
    let outcome = tokio::task::spawn_blocking(run).await.unwrap_or(broken);
    drop(slot);
    tell(queue, Message::Judged(Box::new(outcome))).await;
}

/// The queue may be full for a moment.
async fn tell(queue: SyncSender<Message>, message: Message) {
    // At the end of the program nobody listens any more.
    drop(tokio::task::spawn_blocking(move || queue.send(message).is_ok()).await);
}
