//! The thread that learns: takes what calls and callers tell, writes it down, folds it, publishes states. Owns the pace of
//! publishing and what becomes of a value that comes too early, too late or twice; which calls it is about is [`finding`]'s,
//! and what nobody learns from [`noting`]'s.

mod ended;
mod finding;
mod noting;
mod passing;

use super::calls::{Arm, Calls};
use super::keys::Keys;
use super::saying::{check, entry, is_young, not_kept, once, unknown};
use super::seat::{Later, Restored, Seat};
use super::told::{Arms, Board};
use crate::rollouts::Rollouts;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::event::Regarded;
use tidegate_core::port::learning::{Feedback, RewardValue, Saying, Taken};
use tidegate_core::port::watcher::Afterwards;
use tidegate_core::spec::route::LearnedSpec;
use tidegate_core::spec::{ContentPolicy, GatewaySpec, RewardSpec, RouteSpec};
use tidegate_core::{Checks, Clock, Fault, FaultKind, InferenceId, RewardName, RouteName, Tenant, VariantName};
use tidegate_route::StateCell;
use tidegate_storage::StoreFault;
use tidegate_storage::learning::{LearningLog, Learnt, RewardEntry};
use tidegate_storage::notes::{NoteLog, notes_at};
use tokio::sync::oneshot;

/// A state is published after so many rewards …
const REWARDS: u32 = 50;
/// … or so long after the first one that it lacks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the thread waits for a message. It is also the least time between two states at thousands of rewards a second:
/// each costs it as much as a thousand rewards do.
const TICK: Duration = Duration::from_millis(50);
/// How long feedback waits for the end of the call that it is about: a caller may have seen the last byte before us.
const EARLY: Duration = Duration::from_secs(2);
/// Room for so many calls that ended is kept.
const ENDED_KEPT: usize = 4096;
/// How often its episode is looked for among the records meanwhile: that reads files.
const LOOK: Duration = Duration::from_millis(250);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Said(Box<Said>),
    /// What other replicas tell of a route's arms, by their names.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there are no others without it"))]
    Heard(RouteName, Arc<str>, BTreeMap<String, Arms>),
    Stop,
}

/// A call that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: InferenceId,
    pub(super) route: RouteName,
    /// The arm that was drawn.
    pub(super) arm: usize,
    /// What of the call was regarded when it was drawn.
    pub(super) regarded: Option<Regarded>,
    /// The arm that answered, or was tried last.
    pub(super) answered: VariantName,
    pub(super) is_ok: bool,
    pub(super) tenant: Option<Tenant>,
    pub(super) episode: Option<Arc<str>>,
    /// Seconds.
    pub(super) latency: f64,
    pub(super) first: Option<f64>,
    /// USD.
    pub(super) cost: Option<f64>,
    pub(super) tokens: Option<f64>,
    /// Whether the form of its answer was right.
    pub(super) checks: Checks,
}

/// A value that a caller gave.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) feedback: Feedback,
    /// Since when it waits for its call's end.
    pub(super) since: Option<Instant>,
    /// When its episode was looked for among the records of calls.
    pub(super) looked: Option<Instant>,
    pub(super) answer: oneshot::Sender<Result<Taken, Fault>>,
}

/// What the thread works on.
#[derive(Debug)]
pub(super) struct Worker {
    seats: BTreeMap<RouteName, Seat>,
    rewards: BTreeMap<RewardName, RewardSpec>,
    /// The arms of all routes.
    routes: HashMap<RouteName, Vec<VariantName>>,
    rollouts: Arc<Rollouts>,
    restored: HashMap<(RouteName, Arc<str>), Restored>,
    calls: Calls,
    early: Vec<Said>,
    keys: Keys,
    log: Option<LearningLog>,
    notes: Option<NoteLog>,
    /// What is kept of content, and how long.
    content: ContentPolicy,
    retention: Option<Duration>,
    /// The day on which notes were last looked through, counted from 1970.
    tidied: u64,
    /// Whether somebody said something since the start that nobody learns from.
    has_notes: bool,
    events: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    is_lost: bool,
    board: Arc<Board>,
    /// Who hears what is said of calls, too.
    pub(super) afterwards: Option<Arc<dyn Afterwards>>,
}

impl Worker {
    pub(super) fn open(
        log: Option<LearningLog>,
        events: Option<&Path>,
        clock: Arc<dyn Clock>,
        rollouts: Arc<Rollouts>,
        board: Arc<Board>,
    ) -> anyhow::Result<Self> {
        let mut worker = Self {
            seats: BTreeMap::new(),
            rewards: BTreeMap::new(),
            routes: HashMap::new(),
            rollouts,
            restored: HashMap::new(),
            calls: Calls::default(),
            early: Vec::new(),
            keys: Keys::default(),
            log: None,
            notes: events.map(notes_at),
            content: ContentPolicy::None,
            retention: None,
            tidied: 0,
            has_notes: false,
            events: events.map(Path::to_owned),
            clock,
            is_lost: false,
            board,
            afterwards: None,
        };
        if let Some(log) = log {
            log.read(|entry| worker.restore(entry))?;
            worker.log = Some(log);
        }
        worker.restore_notes()?;
        Ok(worker)
    }

    fn restore(&mut self, entry: Learnt) {
        match entry {
            Learnt::State(state) => {
                let of = (state.route.clone(), Arc::clone(&state.reward));
                self.restored.insert(of, Restored::at(state));
            }
            Learnt::Reward(one) => {
                let of = self.restored.entry((one.route.clone(), Arc::clone(&one.reward))).or_default();
                of.later.push(Later::from(one));
            }
            Learnt::Feedback(one) => {
                if let Some(once) = one.once {
                    self.keys.add(once);
                }
            }
        }
    }

    pub(super) fn declare(&mut self, spec: &GatewaySpec) {
        self.rewards.clone_from(&spec.rewards);
        (self.content, self.retention, self.tidied) = (spec.events.content, spec.events.retention, 0);
        let arms = |route: &RouteSpec| route.variants.iter().map(|variant| variant.name.clone()).collect();
        self.routes = spec.routes.iter().map(|(name, route)| (name.clone(), arms(route))).collect();
    }

    pub(super) fn cell(&mut self, route: &RouteSpec, learned: &LearnedSpec) -> anyhow::Result<StateCell> {
        let variants: Vec<VariantName> = route.variants.iter().map(|variant| variant.name.clone()).collect();
        let before = self.seats.get(&route.name);
        if let Some(seat) = before.filter(|seat| seat.learned == *learned && seat.variants == variants) {
            return Ok(seat.cell.clone());
        }
        let reward: Arc<str> = learned.reward.name().into();
        // What is known of an arm is known under any rule, as long as it is of the same reward.
        let known = match before.filter(|seat| seat.learned.reward == learned.reward) {
            Some(seat) => seat.known(),
            None => self.restored.remove(&(route.name.clone(), reward)).unwrap_or_default(),
        };
        let seat = Seat::open(learned, variants, &known)?;
        let cell = seat.cell.clone();
        let entry = seat.entry(&route.name, self.clock.unix_ms());
        self.write(&[entry], false);
        self.board.post(&route.name, &seat);
        self.seats.insert(route.name.clone(), seat);
        Ok(cell)
    }

    /// Works until told to stop.
    pub(super) fn run(this: &Mutex<Self>, messages: &Receiver<Message>, ended: &Mutex<Vec<Ended>>) {
        // Lies in the place of what is taken, so that no call pays for room that is there already.
        let mut taken = Vec::new();
        loop {
            let first = messages.recv_timeout(TICK);
            let mut worker = this.lock().unwrap_or_else(PoisonError::into_inner);
            let mut is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut batch = Vec::new();
            for message in first.into_iter().chain(messages.try_iter().take(1024)) {
                match message {
                    Message::Stop => is_over = true,
                    message => batch.push(message),
                }
            }
            // Taken behind the messages: a value comes after the end of its call.
            std::mem::swap(&mut *ended.lock().unwrap_or_else(PoisonError::into_inner), &mut taken);
            worker.work(&mut taken, batch);
            taken.shrink_to(ENDED_KEPT);
            worker.publish(is_over);
            worker.tidy();
            if is_over {
                return;
            }
        }
    }

    pub(super) fn work(&mut self, ended: &mut Vec<Ended>, batch: Vec<Message>) {
        let mut said = std::mem::take(&mut self.early);
        let mut heard = Vec::new();
        ended.drain(..).for_each(|one| self.ended(one));
        for message in batch {
            match message {
                Message::Said(one) => said.push(*one),
                Message::Heard(route, reward, told) => heard.push((route, reward, told)),
                Message::Stop => {}
            }
        }
        self.learn();
        for (route, reward, told) in heard {
            self.hear(&route, &reward, &told);
        }
        for one in said {
            self.said(one);
        }
    }

    /// Folds what was written down.
    fn fold(&mut self, entries: &[Learnt]) {
        for entry in entries {
            let Learnt::Reward(one) = entry else { continue };
            if let Some(seat) = self.seats.get_mut(&one.route) {
                seat.fold(&one.variant, one.value, one.regarded.as_ref());
            }
        }
    }

    /// Knows what others know, and publishes it at once: the log then says between which rewards it was heard.
    fn hear(&mut self, route: &RouteName, reward: &str, told: &BTreeMap<String, Arms>) {
        let Some(seat) = self.seats.get_mut(route).filter(|seat| seat.learned.reward.name() == reward) else { return };
        let heard = seat.hear(told);
        self.board.heard(heard);
        let now = self.clock.unix_ms();
        let entry = publish(seat, route, now);
        self.board.post(route, seat);
        self.write(entry.as_slice(), false);
    }

    fn said(&mut self, mut said: Said) {
        let looks = said.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if looks {
            said.looked = Some(Instant::now());
        }
        match self.take(&said.feedback, looks) {
            Ok(Some(taken)) => drop(said.answer.send(Ok(taken))),
            Ok(None) => {
                let since = *said.since.get_or_insert_with(Instant::now);
                if since.elapsed() < EARLY && is_young(&said.feedback, self.clock.unix_ms()) {
                    self.early.push(said);
                } else if let Some(taken) = self.pass_elsewhere(&said.feedback) {
                    drop(said.answer.send(Ok(taken)));
                } else {
                    let says = "no call is known under this id, or it is another tenant's";
                    drop(said.answer.send(Err(Fault::new(FaultKind::NotFound, says))));
                }
            }
            Err(fault) => drop(said.answer.send(Err(fault))),
        }
    }

    /// Takes what a caller says; `None` where its call is not known. Whether an episode may be looked for in the store.
    fn take(&mut self, feedback: &Feedback, looks: bool) -> Result<Option<Taken>, Fault> {
        match &feedback.said {
            Saying::Reward(reward, value) => self.take_reward(feedback, reward, *value, looks),
            Saying::Label(..) | Saying::Demonstration(_) => self.take_note(feedback, looks),
        }
    }

    fn take_reward(
        &mut self,
        feedback: &Feedback,
        reward: &RewardName,
        value: RewardValue,
        looks: bool,
    ) -> Result<Option<Taken>, Fault> {
        let spec = self.rewards.get(reward).cloned().ok_or_else(|| unknown(reward, &self.rewards))?;
        check(&spec, &feedback.about, value)?;
        let once = once(feedback);
        if self.keys.knows(once.as_ref())? {
            return Ok(Some(Taken { learnt: Vec::new(), was_known: true, noted: None, is_passed_on: false }));
        }
        let arms = self.arms(feedback, looks);
        if arms.is_empty() {
            return Ok(None);
        }
        let (at, value) = (self.clock.unix_ms(), value.number());
        let window = u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX);
        let mut entries = vec![Learnt::Feedback(entry(feedback, reward.as_str(), value, at, once.clone()))];
        let (mut learnt, mut judged) = (Vec::new(), Vec::new());
        for arm in arms {
            let learns = |seat: &Seat| seat.learned.reward.name() == reward.as_str();
            let is_late = at.saturating_sub(arm.id.unix_ms()) > window;
            if is_late {
                continue;
            }
            judged.push((arm.route.clone(), arm.variant.clone()));
            if !self.seats.get(&arm.route).is_some_and(learns) {
                continue;
            }
            learnt.push(arm.route.clone());
            let reward = reward.as_str().into();
            let Arm { route, variant, id, regarded, .. } = arm;
            entries.push(Learnt::Reward(RewardEntry { at, route, variant, reward, value, id, regarded }));
        }
        if !self.write(&entries, true) {
            return Err(not_kept());
        }
        if let Some(once) = once {
            self.keys.add(once);
        }
        for (route, variant) in judged {
            self.rollouts.judge(&route, &variant, reward, value);
        }
        self.fold(&entries);
        self.pass_on(feedback, looks);
        learnt.dedup();
        Ok(Some(Taken { learnt, was_known: false, noted: None, is_passed_on: false }))
    }

    /// Publishes the states that are due.
    fn publish(&mut self, is_over: bool) {
        let mut entries = Vec::new();
        let now = self.clock.unix_ms();
        for (route, seat) in &mut self.seats {
            let is_due = seat.lacks >= REWARDS || seat.since.is_some_and(|since| since.elapsed() >= PAUSE);
            if seat.lacks == 0 || !(is_due || is_over) {
                continue;
            }
            entries.extend(publish(seat, route, now));
            self.board.post(route, seat);
        }
        self.write(&entries, is_over);
    }

    /// Writes entries down; whether that went well. Where nothing is kept, or there is none, it did.
    fn write(&mut self, entries: &[Learnt], is_synced: bool) -> bool {
        let Some(log) = self.log.as_mut().filter(|_| !entries.is_empty()) else { return true };
        let written = log.append(self.clock.unix_ms(), entries, is_synced);
        self.is_lost = is_lost(&written, self.is_lost);
        !self.is_lost
    }
}

/// Whether what is learnt is lost now; says so where that is new.
fn is_lost(written: &Result<(), StoreFault>, was_lost: bool) -> bool {
    match (written, was_lost) {
        (Err(fault), false) => tracing::error!(%fault, "what is learnt cannot be written down"),
        (Ok(()), true) => tracing::info!("what is learnt is written down again"),
        _ => {}
    }
    written.is_err()
}

/// Publishes what a seat knows; what is to be written down of it.
fn publish(seat: &mut Seat, route: &RouteName, now: u64) -> Option<Learnt> {
    match seat.publish() {
        Ok(()) => Some(seat.entry(route, now)),
        Err(fault) => {
            tracing::error!(%route, %fault, "a state cannot be reckoned; the one before stays");
            None
        }
    }
}
