//! The thread that learns: takes what calls and callers tell, writes it down, folds it, publishes states. Owns the pace of
//! publishing and what becomes of a value that comes too early, too late or twice.

use super::calls::{Arm, Calls};
use crate::rollouts::Rollouts;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::digest::Digest;
use tidegate_core::port::learning::{About, Feedback, RewardValue, Taken};
use tidegate_core::spec::route::{LearnedSpec, RuleSpec};
use tidegate_core::spec::{GatewaySpec, Implicit, RewardKind, RewardLevel, RewardSource, RewardSpec, RouteSpec};
use tidegate_core::{Clock, Fault, FaultKind, InferenceId, RewardName, RouteName, Tenant, VariantName};
use tidegate_route::StateCell;
use tidegate_route::learn::{Learner, Mixing, MixingFault, Rule, Tally, Values};
use tidegate_storage::EventReader;
use tidegate_storage::learning::{FeedbackEntry, LearningLog, Learnt, RewardEntry, StateEntry};
use tokio::sync::oneshot;

/// A state is published after so many rewards …
const REWARDS: u32 = 50;
/// … or so long after the first one that it lacks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the thread waits for a message.
const TICK: Duration = Duration::from_millis(20);
/// How long feedback waits for the end of the call that it is about: a caller may have seen the last byte before us.
const EARLY: Duration = Duration::from_secs(2);
/// How many keys of feedback are known again.
const KEYS: usize = 100_000;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Said(Box<Said>),
    Stop,
}

/// A call that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: InferenceId,
    pub(super) route: RouteName,
    /// The arm that was drawn.
    pub(super) arm: usize,
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
}

/// A value that a caller gave.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) feedback: Feedback,
    /// Since when it waits for its call's end.
    pub(super) since: Option<Instant>,
    pub(super) answer: oneshot::Sender<Result<Taken, Fault>>,
}

/// A route that learns.
#[derive(Debug)]
struct Seat {
    learned: LearnedSpec,
    variants: Vec<VariantName>,
    learner: Learner,
    cell: StateCell,
    /// Rewards that the published state lacks, and since when.
    lacks: u32,
    since: Option<Instant>,
}

/// What the log knows of a route's arms.
#[derive(Debug, Default)]
struct Restored {
    tallies: HashMap<VariantName, Tally>,
    /// Rewards after that state.
    later: Vec<(VariantName, f64)>,
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
    keys: HashMap<String, String>,
    order: VecDeque<String>,
    log: Option<LearningLog>,
    events: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    is_lost: bool,
}

impl Worker {
    pub(super) fn open(
        log: Option<LearningLog>,
        events: Option<&Path>,
        clock: Arc<dyn Clock>,
        rollouts: Arc<Rollouts>,
    ) -> anyhow::Result<Self> {
        let mut worker = Self {
            seats: BTreeMap::new(),
            rewards: BTreeMap::new(),
            routes: HashMap::new(),
            rollouts,
            restored: HashMap::new(),
            calls: Calls::default(),
            early: Vec::new(),
            keys: HashMap::new(),
            order: VecDeque::new(),
            log: None,
            events: events.map(Path::to_owned),
            clock,
            is_lost: false,
        };
        if let Some(log) = log {
            log.read(|entry| worker.restore(entry))?;
            worker.log = Some(log);
        }
        Ok(worker)
    }

    fn restore(&mut self, entry: Learnt) {
        match entry {
            Learnt::State(state) => {
                let tally = |[n, sum, squares]: [f64; 3]| Tally { n, sum, squares };
                let tallies = state.variants.into_iter().zip(state.tallies.into_iter().map(tally)).collect();
                self.restored.insert((state.route, state.reward), Restored { tallies, later: Vec::new() });
            }
            Learnt::Reward(one) => {
                let of = self.restored.entry((one.route, one.reward)).or_default();
                of.later.push((one.variant, one.value));
            }
            Learnt::Feedback(one) => {
                if let Some((key, content)) = one.once {
                    self.note_key(key, content);
                }
            }
        }
    }

    fn note_key(&mut self, key: String, content: String) {
        self.order.push_back(key.clone());
        self.keys.insert(key, content);
        if self.order.len() > KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    pub(super) fn declare(&mut self, spec: &GatewaySpec) {
        self.rewards.clone_from(&spec.rewards);
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
            Some(seat) => {
                let tallies = seat.variants.iter().cloned().zip(seat.learner.tallies().iter().copied()).collect();
                Restored { tallies, later: Vec::new() }
            }
            None => self.restored.remove(&(route.name.clone(), reward)).unwrap_or_default(),
        };
        let tallies: Vec<Tally> =
            variants.iter().map(|name| known.tallies.get(name).copied().unwrap_or_default()).collect();
        let mut learner = learner(learned, tallies)?;
        for (variant, value) in known.later {
            if let Some(arm) = variants.iter().position(|name| *name == variant) {
                learner.fold(arm, learned.reward.oriented(value));
            }
        }
        let cell = StateCell::new(learner.state()?);
        let seat = Seat { learned: learned.clone(), variants, learner, cell: cell.clone(), lacks: 0, since: None };
        let entry = seat.entry(&route.name, self.clock.unix_ms());
        self.write(&[entry], false);
        self.seats.insert(route.name.clone(), seat);
        Ok(cell)
    }

    /// Works until told to stop.
    pub(super) fn run(this: &Mutex<Self>, messages: &Receiver<Message>, ended: &Mutex<Vec<Ended>>) {
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
            let ended = std::mem::take(&mut *ended.lock().unwrap_or_else(PoisonError::into_inner));
            worker.work(ended, batch);
            worker.publish(is_over);
            if is_over {
                return;
            }
        }
    }

    fn work(&mut self, ended: Vec<Ended>, batch: Vec<Message>) {
        let mut said = std::mem::take(&mut self.early);
        let entries: Vec<Learnt> = ended.into_iter().filter_map(|ended| self.ended(ended)).collect();
        for message in batch {
            match message {
                Message::Said(one) => said.push(*one),
                Message::Stop => {}
            }
        }
        self.write(&entries, false);
        self.fold(&entries);
        for one in said {
            self.said(one);
        }
    }

    /// Remembers a call; its reward, where its route learns from calls themselves.
    fn ended(&mut self, ended: Ended) -> Option<Learnt> {
        let variant = self.routes.get(&ended.route)?.get(ended.arm)?.clone();
        let arm = Arm { id: ended.id, route: ended.route.clone(), variant: variant.clone(), tenant: ended.tenant };
        self.calls.add(arm, ended.episode);
        let seat = self.seats.get(&ended.route)?;
        let value = match &seat.learned.reward {
            RewardSource::Feedback(_) => None,
            // The decision is judged: an arm whose call another had to answer has failed.
            RewardSource::Call(Implicit::Error) => Some(f64::from(u8::from(!ended.is_ok || ended.answered != variant))),
            RewardSource::Call(_) if !ended.is_ok => None,
            RewardSource::Call(Implicit::Latency) => Some(ended.latency),
            RewardSource::Call(Implicit::FirstToken) => ended.first,
            RewardSource::Call(Implicit::Cost) => ended.cost,
            RewardSource::Call(Implicit::Tokens) => ended.tokens,
        };
        let reward = seat.learned.reward.name().into();
        let (route, id, at) = (ended.route, ended.id, self.clock.unix_ms());
        value.map(|value| Learnt::Reward(RewardEntry { at, route, variant, reward, value, id }))
    }

    /// Folds what was written down.
    fn fold(&mut self, entries: &[Learnt]) {
        for entry in entries {
            let Learnt::Reward(one) = entry else { continue };
            let Some(seat) = self.seats.get_mut(&one.route) else { continue };
            if let Some(arm) = seat.variants.iter().position(|name| *name == one.variant) {
                seat.learner.fold(arm, seat.learned.reward.oriented(one.value));
                seat.lacks += 1;
                seat.since.get_or_insert_with(Instant::now);
            }
        }
    }

    fn said(&mut self, mut said: Said) {
        match self.take(&said.feedback) {
            Ok(Some(taken)) => drop(said.answer.send(Ok(taken))),
            Ok(None) => {
                let since = *said.since.get_or_insert_with(Instant::now);
                if since.elapsed() < EARLY && is_young(&said.feedback, self.clock.unix_ms()) {
                    self.early.push(said);
                } else {
                    let says = "no call is known under this id, or it is another tenant's";
                    drop(said.answer.send(Err(Fault::new(FaultKind::NotFound, says))));
                }
            }
            Err(fault) => drop(said.answer.send(Err(fault))),
        }
    }

    /// Takes a value; `None` where its call is not known.
    fn take(&mut self, feedback: &Feedback) -> Result<Option<Taken>, Fault> {
        let spec = self.rewards.get(&feedback.reward).cloned().ok_or_else(|| self.unknown(&feedback.reward))?;
        check(&spec, feedback)?;
        let once = once(feedback);
        if let Some((key, content)) = &once
            && let Some(before) = self.keys.get(key)
        {
            if before == content {
                return Ok(Some(Taken { learnt: Vec::new(), was_known: true }));
            }
            let says = "this idempotency key was sent with another value before: take a new one for each";
            return Err(Fault::new(FaultKind::Conflict, says));
        }
        let arms = self.arms(feedback);
        if arms.is_empty() {
            return Ok(None);
        }
        let (at, value) = (self.clock.unix_ms(), feedback.value.number());
        let window = u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX);
        let mut entries = vec![Learnt::Feedback(entry(feedback, at, once.clone()))];
        let (mut learnt, mut judged) = (Vec::new(), Vec::new());
        for arm in arms {
            let learns = |seat: &Seat| seat.learned.reward.name() == feedback.reward.as_str();
            let is_late = at.saturating_sub(arm.id.unix_ms()) > window;
            if is_late {
                continue;
            }
            judged.push((arm.route.clone(), arm.variant.clone()));
            if !self.seats.get(&arm.route).is_some_and(learns) {
                continue;
            }
            learnt.push(arm.route.clone());
            let reward = feedback.reward.as_str().into();
            let (route, variant, id) = (arm.route, arm.variant, arm.id);
            entries.push(Learnt::Reward(RewardEntry { at, route, variant, reward, value, id }));
        }
        if !self.write(&entries, true) {
            let says = "the value cannot be kept now: send it again in a moment";
            return Err(Fault::new(FaultKind::Unavailable, says));
        }
        if let Some((key, content)) = once {
            self.note_key(key, content);
        }
        for (route, variant) in judged {
            self.rollouts.judge(&route, &variant, &feedback.reward, value);
        }
        self.fold(&entries);
        learnt.dedup();
        Ok(Some(Taken { learnt, was_known: false }))
    }

    fn unknown(&self, name: &RewardName) -> Fault {
        let known: Vec<&str> = self.rewards.keys().map(RewardName::as_str).collect();
        let says = format!("there is no reward `{name}`; the configuration declares {}", known.join(", "));
        Fault::field("reward", says)
    }

    /// The arms that a value is about: of an episode each once, however many calls it had.
    fn arms(&self, feedback: &Feedback) -> Vec<Arm> {
        let mut arms = match &feedback.about {
            About::Inference(id) => self.calls.of(*id).cloned().or_else(|| self.recorded(*id)).into_iter().collect(),
            About::Episode(episode) => self.calls.of_episode(episode),
        };
        arms.retain(|arm| arm.tenant.as_ref().is_none_or(|tenant| *tenant == feedback.by.tenant));
        let mut seen = Vec::new();
        arms.retain(|arm| {
            let of = (arm.route.clone(), arm.variant.clone());
            !seen.contains(&of) && {
                seen.push(of);
                true
            }
        });
        arms
    }

    /// The arm of a call that is only recorded.
    fn recorded(&self, id: InferenceId) -> Option<Arm> {
        let event = EventReader::open(self.events.as_deref()?).ok()?.get(id).ok()??;
        Arm::of(&event, self.routes.get(event.route.as_ref()?)?)
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
            (seat.lacks, seat.since) = (0, None);
            match seat.learner.state() {
                Ok(state) => {
                    seat.cell.publish(state);
                    entries.push(seat.entry(route, now));
                }
                Err(fault) => tracing::error!(%route, %fault, "a state cannot be reckoned; the one before stays"),
            }
        }
        self.write(&entries, is_over);
    }

    /// Writes entries down; whether that went well. Where nothing is kept it did.
    fn write(&mut self, entries: &[Learnt], is_synced: bool) -> bool {
        let Some(log) = &mut self.log else { return true };
        let written = log.append(self.clock.unix_ms(), entries, is_synced);
        match (&written, self.is_lost) {
            (Err(fault), false) => tracing::error!(%fault, "what is learnt cannot be written down"),
            (Ok(()), true) => tracing::info!("what is learnt is written down again"),
            _ => {}
        }
        self.is_lost = written.is_err();
        written.is_ok()
    }
}

impl Seat {
    fn entry(&self, route: &RouteName, at: u64) -> Learnt {
        let state = self.cell.state();
        Learnt::State(StateEntry {
            at,
            route: route.clone(),
            id: state.id().unwrap_or_else(|| tidegate_core::StateId::of(b"")),
            reward: self.learned.reward.name().into(),
            variants: self.variants.clone(),
            shares: Arc::clone(state.shares()),
            tallies: self.learner.tallies().iter().map(|tally| [tally.n, tally.sum, tally.squares]).collect(),
        })
    }
}

/// A learner that knows nothing yet of so many arms.
///
/// # Errors
/// The least shares of all arms are more than all calls.
pub(crate) fn learner_of(learned: &LearnedSpec, arms: usize) -> Result<Learner, MixingFault> {
    learner(learned, vec![Tally::default(); arms])
}

/// A learner that knows this of its arms.
///
/// # Errors
/// The least shares of all arms are more than all calls.
pub(crate) fn learner(learned: &LearnedSpec, tallies: Vec<Tally>) -> Result<Learner, MixingFault> {
    let mixing = Mixing::new(learned.explore, learned.min_share, tallies.len())?;
    Ok(Learner::new(rule(learned), mixing, learned.half_life.map(f64::from), tallies))
}

fn rule(learned: &LearnedSpec) -> Rule {
    let values = match learned.reward.kind() {
        RewardKind::Boolean => Values::Booleans,
        RewardKind::Float(_) => Values::Numbers,
    };
    match learned.rule {
        RuleSpec::EpsilonGreedy { epsilon, decay } => Rule::EpsilonGreedy { epsilon, decay: decay.map(f64::from) },
        // The configuration's check saw to it that there is a range.
        RuleSpec::Ucb1 => Rule::Ucb1 { range: learned.reward.range().unwrap_or((0.0, 1.0)) },
        RuleSpec::Thompson => Rule::Thompson(values),
        RuleSpec::TrackAndStop { delta } => Rule::TrackAndStop { delta },
    }
}

/// Whether a value is one of its reward, and about what that is about.
fn check(spec: &RewardSpec, feedback: &Feedback) -> Result<(), Fault> {
    let wrong = |field: &'static str, says: String| Err(Fault::field(field, says));
    match (&feedback.about, spec.level) {
        (About::Inference(_), RewardLevel::Inference) | (About::Episode(_), RewardLevel::Episode) => {}
        (_, RewardLevel::Inference) => {
            return wrong("inference_id", format!("`{}` is about one call: give its `inference_id`", spec.name));
        }
        (_, RewardLevel::Episode) => {
            return wrong("episode_id", format!("`{}` is about an episode: give its `episode_id`", spec.name));
        }
    }
    match (spec.kind, feedback.value) {
        (RewardKind::Boolean, RewardValue::Boolean(_)) | (RewardKind::Float(None), RewardValue::Float(_)) => Ok(()),
        (RewardKind::Float(Some((low, high))), RewardValue::Float(value)) if (low..=high).contains(&value) => Ok(()),
        (RewardKind::Boolean, _) => wrong("value", format!("`{}` is true or false", spec.name)),
        (RewardKind::Float(None), _) => wrong("value", format!("`{}` is a number", spec.name)),
        (RewardKind::Float(Some((low, high))), _) => {
            wrong("value", format!("`{}` is a number from {low} to {high}", spec.name))
        }
    }
}

fn is_young(feedback: &Feedback, now: u64) -> bool {
    match feedback.about {
        About::Inference(id) => now.saturating_sub(id.unix_ms()) < 600_000,
        About::Episode(_) => true,
    }
}

fn entry(feedback: &Feedback, at: u64, once: Option<(String, String)>) -> FeedbackEntry {
    let (id, episode) = match &feedback.about {
        About::Inference(id) => (Some(*id), None),
        About::Episode(episode) => (None, Some(Arc::clone(episode))),
    };
    let reward = feedback.reward.as_str().into();
    let by = feedback.by.principal.as_str().to_owned();
    let tenant = Some(feedback.by.tenant.clone());
    FeedbackEntry { at, id, episode, tenant, reward, value: feedback.value.number(), by, once }
}

/// A caller's key, and what he said under it.
fn once(feedback: &Feedback) -> Option<(String, String)> {
    let key = feedback.key.as_ref()?;
    let who = feedback.by.principal.as_str();
    let key = Digest::of(format!("{}\n{who}\n{key}", who.len()).as_bytes()).short();
    let said = format!("{:?} {} {:?}", feedback.about, feedback.reward, feedback.value);
    Some((key, Digest::of(said.as_bytes()).short()))
}
