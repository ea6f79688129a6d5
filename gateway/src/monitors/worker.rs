//! The thread that looks at calls: feeds monitors, has windows judged, hears what was found and says what follows. Owns the
//! order of that, and when monitors are kept; when other replicas are told is [`round`]'s, the reading of queues and the
//! doing of what follows are the shell's.

mod round;

use super::basis::Baseline;
use super::board::Board;
use super::counts::Counts;
use super::deed::{Deed, Evaluation};
use super::evaluator::Evaluate;
use super::seat::{Heard, Seat};
use super::taker::Taken;
use super::watching::Record;
use super::window::{Job, Outcome};
use round::Rounds;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_core::model_ref::{ModelPick, ModelRef};
use tidegate_core::port::alerts::Alarm;
use tidegate_core::port::parcels::{Answer, Ask};
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::port::watcher::Later;
use tidegate_core::spec::{ContentPolicy, GatewaySpec, MonitorAction, MonitorSpec, Source, Watched};
use tidegate_core::{Clock, InferenceId, ModelName, MonitorName};
use tidegate_storage::monitors::MonitorShelf;
use tidegate_watch::Change;

/// How often windows are asked whether their time is over, in milliseconds.
const TICK_MS: u64 = 250;
/// How often a monitor is kept, in milliseconds; a large one less often.
const KEEP_MS: u64 = 5_000;
const KEEP_LARGE_MS: u64 = 60_000;
/// From so many bytes on one is large.
const LARGE: usize = 4 << 20;
/// What is said of an alarm that nobody remembers.
const FORGOTTEN: &str = "the monitor begins anew, or is no more";
/// So many numbers of a window stand in an evaluation.
const MOST_NUMBERS: usize = 100;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// This was said of a call; by somebody of whom it is not known whether it is his, where he is named.
    Said(InferenceId, Option<u64>, Later),
    /// A window was judged.
    Judged(Box<Outcome>),
    /// The registry answered a monitor.
    Baseline(MonitorName, Result<Baseline, String>),
    /// The store that replicas share answered, or did not.
    Exchanged(Vec<Asked>, Result<Vec<Answer>, String>),
    Stop,
}

/// What is to be done for the thread.
#[derive(Debug)]
pub(super) enum Errand {
    /// Have a window judged.
    Judge(Box<Job>),
    /// Ask the registry for a baseline.
    Ask(MonitorName, ModelRef),
    /// Ask the store that replicas share.
    Exchange(Vec<Asked>, Vec<Ask>),
    /// Something that follows.
    Do(Deed),
}

/// A monitor for which the store is asked, and under which key.
pub(super) type Asked = (MonitorName, String);

/// A monitor that a configuration asks for, and who judges its windows.
pub(super) type Wanted = (MonitorSpec, Arc<dyn Evaluate>, String);

/// What the thread works on.
#[derive(Debug)]
pub(super) struct Worker {
    seats: BTreeMap<MonitorName, Seat>,
    /// The registered models that configured ones are.
    registered: HashMap<ModelName, String>,
    kept_ms: BTreeMap<MonitorName, u64>,
    shelf: Option<MonitorShelf>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    era: u64,
    ticked_ms: u64,
    is_lost: bool,
    rounds: Option<Rounds>,
}

impl Worker {
    pub(super) fn new(shelf: Option<MonitorShelf>, board: Arc<Board>, clock: Arc<dyn Clock>) -> Self {
        Self {
            seats: BTreeMap::new(),
            registered: HashMap::new(),
            kept_ms: BTreeMap::new(),
            shelf,
            board,
            clock,
            era: 0,
            ticked_ms: 0,
            is_lost: false,
            rounds: None,
        }
    }

    /// The same, as one of the replicas of a shared store, of which this one has a name, and this run of it another one.
    pub(super) fn among(mut self, name: String, run: &str) -> Self {
        self.rounds = Some(Rounds::new(name, run));
        self
    }

    /// These monitors are in force from now on; what is to be done because of alarms that hold still.
    pub(super) fn declare(
        &mut self,
        wanted: Vec<Wanted>,
        counts: &BTreeMap<MonitorName, Arc<Counts>>,
        spec: &GatewaySpec,
    ) -> Vec<Deed> {
        self.registered = spec.models.values().filter_map(registered).collect();
        let mut before = std::mem::take(&mut self.seats);
        let mut deeds = Vec::new();
        for (monitor, judge, own) in wanted {
            let content = spec.events.content;
            let old = before.remove(&monitor.name);
            if let Some(old) = &old {
                if !old.goes_on(&monitor, &*judge, &own, content) {
                    deeds.extend(self.forgotten(old));
                } else if old.spec.action != monitor.action {
                    deeds.extend(self.undone(old));
                }
            }
            let begins = old.is_none();
            match self.opened(&monitor, old, (judge, own), counts, content) {
                Ok(seat) => {
                    deeds.extend(held(&seat, begins, self.clock.unix_ms()));
                    self.seats.insert(monitor.name.clone(), seat);
                }
                // It was asked before whether they go together.
                Err(why) => tracing::error!(monitor = %monitor.name, why, "a monitor cannot begin"),
            }
        }
        let before: Vec<Seat> = before.into_values().collect();
        for seat in &before {
            self.keep(seat);
            deeds.extend(self.forgotten(seat));
        }
        self.put_up();
        deeds
    }

    fn opened(
        &mut self,
        spec: &MonitorSpec,
        old: Option<Seat>,
        judge: (Arc<dyn Evaluate>, String),
        counts: &BTreeMap<MonitorName, Arc<Counts>>,
        content: ContentPolicy,
    ) -> Result<Seat, String> {
        if let Some(mut old) = old {
            if old.goes_on(spec, &*judge.0, &judge.1, content) {
                old.change(spec, judge, content)?;
                return Ok(old);
            }
            tracing::info!(monitor = %spec.name, "the monitor is another one now: it begins anew");
            return self.begun(spec, None, judge, counts, content);
        }
        let kept = self.shelf.as_ref().map(|shelf| shelf.load(&spec.name)).transpose();
        let kept = kept.unwrap_or_else(|fault| {
            tracing::error!(monitor = %spec.name, %fault, "what was kept of a monitor cannot be read: it begins anew");
            None
        });
        self.begun(spec, kept.flatten().as_deref(), judge, counts, content)
    }

    fn begun(
        &mut self,
        spec: &MonitorSpec,
        kept: Option<&[u8]>,
        judge: (Arc<dyn Evaluate>, String),
        counts: &BTreeMap<MonitorName, Arc<Counts>>,
        content: ContentPolicy,
    ) -> Result<Seat, String> {
        // So far apart that a monitor may begin anew often.
        self.era += 1 << 32;
        let counts = counts.get(&spec.name).cloned().unwrap_or_default();
        let replica = self.rounds.as_mut().map(Rounds::replica);
        Seat::open(spec, judge, kept, counts, (self.era, content, replica))
    }

    /// What was done because of an alarm is taken back, since nobody says so any more.
    fn undone(&self, seat: &Seat) -> Option<Deed> {
        let Verdict::Alarm(_) = seat.verdict() else { return None };
        let now = self.clock.unix_ms();
        let alarm = alarm(&seat.spec, None, false, (FORGOTTEN.to_owned(), now, now), Vec::new());
        Some(Deed::Act(seat.spec.action.clone(), Arc::new(alarm)))
    }

    /// Alarms of a monitor that forgets them are over.
    fn forgotten(&self, seat: &Seat) -> Vec<Deed> {
        let now = self.clock.unix_ms();
        let over = seat.alarms().map(|(watched, record)| {
            let says = (FORGOTTEN.to_owned(), record.since_ms, now);
            let alarm = alarm(&seat.spec, Some(watched), false, says, Vec::new());
            Deed::Tell(seat.spec.alert.clone(), Arc::new(alarm))
        });
        over.chain(self.undone(seat)).collect()
    }

    /// Takes what came; what is to be done.
    pub(super) fn work(&mut self, calls: Vec<Taken>, messages: Vec<Message>) -> Vec<Errand> {
        let now = self.clock.unix_ms();
        let mut errands = Vec::new();
        for taken in calls {
            if let Some(seat) = self.seats.get_mut(&taken.monitor) {
                seat.take(now, &taken.answered);
            }
        }
        for message in messages {
            match message {
                Message::Said(call, who, later) => {
                    self.seats.values_mut().for_each(|seat| seat.said(now, (call, who), &later));
                }
                Message::Judged(outcome) => {
                    let name = outcome.monitor.clone();
                    let deeds = self.judged(now, *outcome);
                    errands.extend(self.held_back(&name, deeds).into_iter().map(Errand::Do));
                }
                Message::Exchanged(asked, answers) => errands.extend(self.exchanged(now, asked, answers)),
                Message::Baseline(monitor, baseline) => {
                    if let Some(seat) = self.seats.get_mut(&monitor) {
                        seat.answered(now, baseline);
                    }
                }
                Message::Stop => {}
            }
        }
        if now.saturating_sub(self.ticked_ms) >= TICK_MS {
            self.ticked_ms = now;
            for seat in self.seats.values_mut() {
                seat.tick(now);
                errands.extend(seat.asks(now).map(|reference| Errand::Ask(seat.name().clone(), reference)));
            }
            self.keep_due(now);
        }
        errands.extend(self.exchange(now));
        errands.extend(self.seats.values_mut().flat_map(Seat::jobs).map(|job| Errand::Judge(Box::new(job))));
        errands
    }

    fn judged(&mut self, now: u64, outcome: Outcome) -> Vec<Deed> {
        let name = outcome.monitor.clone();
        let Some(seat) = self.seats.get_mut(&name) else { return Vec::new() };
        let Some(heard) = seat.judged(now, outcome) else { return Vec::new() };
        let Some(record) = seat.record(&heard.watched) else { return Vec::new() };
        let mut deeds = told(&seat.spec, &heard, record, now);
        if matches!(seat.verdict(), Verdict::Alarm(_)) {
            // That of another version holds still, and what follows from it does.
            deeds.retain(|deed| !matches!(deed, Deed::Act(_, alarm) if !alarm.firing));
        }
        if heard.evaluates {
            deeds.extend(self.evaluation(&name, &heard));
        }
        let Some(seat) = self.seats.get_mut(&name) else { return deeds };
        for (watched, record) in seat.retire(now, &heard.watched) {
            if record.judge.firing() {
                let says = ("another version answers now".to_owned(), record.since_ms, now);
                let alarm = Arc::new(alarm(&seat.spec, Some(&watched), false, says, Vec::new()));
                tracing::info!(monitor = %name, model = %watched.model, version = watched.version, "an alarm is over: another version answers now");
                deeds.push(Deed::Tell(seat.spec.alert.clone(), Arc::clone(&alarm)));
                if !matches!(seat.verdict(), Verdict::Alarm(_)) {
                    deeds.push(Deed::Act(seat.spec.action.clone(), alarm));
                }
            }
        }
        self.put_up();
        deeds
    }

    /// What is written into the registry: of the version that answered, or where that is not from there, of the one that the
    /// configuration names, else of the one whose baseline it is compared with.
    fn evaluation(&self, monitor: &MonitorName, heard: &Heard) -> Option<Deed> {
        let seat = self.seats.get(monitor)?;
        let of_registry = self.registered.get(&heard.watched.model).zip(heard.watched.version);
        let version =
            |(name, version): (&str, u32)| ModelRef { name: name.to_owned(), pick: ModelPick::Version(version) };
        let of = of_registry.map(|(name, number)| version((name.as_str(), number)));
        let of = of.or_else(|| seat.spec.evaluates.clone()).or_else(|| seat.compared_with().map(version))?;
        let record = seat.record(&heard.watched)?;
        let newest = record.past.back()?;
        let mut numbers: Vec<_> = newest.found.measurements.iter().collect();
        numbers.sort_by_key(|one| !one.breached);
        let details = json!({
            "summary": heard.told.summary,
            "breached_windows": heard.told.breaches,
            "of_windows": heard.told.of,
            "window": {"id": newest.id, "start_ms": newest.start_ms, "end_ms": newest.end_ms, "rows": newest.rows},
            "answered_by": {"model": heard.watched.model, "version": heard.watched.version},
            "measurements": numbers.into_iter().take(MOST_NUMBERS).map(short).collect::<Vec<_>>(),
        });
        Some(Deed::Evaluate(Evaluation { of, monitor: seat.name().clone(), passed: !record.judge.firing(), details }))
    }

    fn put_up(&self) {
        self.board.put_up(self.seats.iter().map(|(name, seat)| (name.clone(), seat.standing())).collect());
    }

    /// Keeps those of which something is new, now and then.
    fn keep_due(&mut self, now: u64) {
        let due = |seat: &Seat, kept: Option<&u64>| {
            let each = if seat.bytes() > LARGE { KEEP_LARGE_MS } else { KEEP_MS };
            seat.is_dirty && kept.is_none_or(|kept| now.saturating_sub(*kept) >= each)
        };
        let names = self.seats.iter().filter(|(name, seat)| due(seat, self.kept_ms.get(*name)));
        let names: Vec<MonitorName> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.kept_ms.insert(name.clone(), now);
            if let Some(mut seat) = self.seats.remove(&name) {
                seat.is_dirty = !self.keep(&seat);
                self.seats.insert(name, seat);
            }
        }
    }

    /// Keeps all.
    pub(super) fn keep_all(&mut self) {
        let seats = std::mem::take(&mut self.seats);
        for seat in seats.values().filter(|seat| seat.is_dirty) {
            self.keep(seat);
        }
        self.seats = seats;
    }

    /// Keeps one; whether that went well. Where nothing is kept, it did.
    fn keep(&mut self, seat: &Seat) -> bool {
        let Some(shelf) = &self.shelf else { return true };
        let kept =
            seat.content().and_then(|content| shelf.keep(seat.name(), &content).map_err(|fault| fault.to_string()));
        match (&kept, self.is_lost) {
            (Err(why), false) => tracing::error!(monitor = %seat.name(), why, "a monitor cannot be kept"),
            (Ok(()), true) => tracing::info!("monitors are kept again"),
            _ => {}
        }
        self.is_lost = kept.is_err();
        kept.is_ok()
    }

    /// Forgets all windows and alarms of a monitor, and what was done because of them; whether there is such a one.
    pub(super) fn reset(&mut self, name: &str, by: &str) -> Option<Vec<Deed>> {
        if let Some(member) = &mut self.seats.get_mut(name)?.member {
            // All are told, and it begins anew where windows end.
            member.collector.begin_anew(by);
            return Some(Vec::new());
        }
        let (name, old) = self.seats.remove_entry(name)?;
        let deeds = self.forgotten(&old);
        self.era += 1 << 32;
        let anew = old.anew(self.era);
        match anew {
            Ok(seat) => {
                self.keep(&seat);
                self.seats.insert(name, seat);
            }
            Err(why) => {
                tracing::error!(monitor = %name, why, "a monitor cannot begin anew");
                self.seats.insert(name, old);
            }
        }
        self.put_up();
        Some(deeds)
    }

    /// All monitors.
    pub(super) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values()
    }
}

fn registered(model: &tidegate_core::spec::ModelSpec) -> Option<(ModelName, String)> {
    match &model.source {
        Some(Source::Registry(reference)) => Some((model.name.clone(), reference.name.clone())),
        _ => None,
    }
}

/// An alarm that holds since before a restart is told again, since those who were told may not know any more; and whatever
/// follows from it holds again after a reload.
fn held(seat: &Seat, begins: bool, now: u64) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if seat.member.as_ref().is_some_and(|member| !member.is_leader) {
        // The one who leads tells it; what follows here holds still.
        return if let Verdict::Alarm(_) = seat.verdict() {
            round::followed(seat, now).into_iter().collect()
        } else {
            deeds
        };
    }
    for (watched, record) in seat.alarms() {
        let says = (record.summary.clone(), record.since_ms, now);
        let alarm = Arc::new(alarm(&seat.spec, Some(watched), true, says, record.out_of_bounds()));
        if begins {
            deeds.push(Deed::Tell(seat.spec.alert.clone(), Arc::clone(&alarm)));
        }
        if matches!(seat.spec.action, MonitorAction::DisableVariant(_)) {
            deeds.push(Deed::Act(seat.spec.action.clone(), alarm));
        }
    }
    deeds
}

/// What follows where an alarm began or is over.
fn told(spec: &MonitorSpec, heard: &Heard, record: &Record, now: u64) -> Vec<Deed> {
    let Heard { watched, told, .. } = heard;
    let (model, version) = (&watched.model, watched.version);
    let says = told.summary.as_str();
    match told.change {
        Change::Same => {
            tracing::debug!(monitor = %spec.name, %model, version, says, "a window was judged");
            return Vec::new();
        }
        Change::Raised => tracing::error!(monitor = %spec.name, route = %spec.route, %model, version, says, "alarm"),
        Change::Cleared => {
            tracing::info!(monitor = %spec.name, route = %spec.route, %model, version, says, "the alarm is over");
        }
    }
    let firing = told.change == Change::Raised;
    let since = told.since_ms.unwrap_or(now);
    let alarm = Arc::new(alarm(spec, Some(watched), firing, (says.to_owned(), since, now), record.out_of_bounds()));
    vec![Deed::Tell(spec.alert.clone(), Arc::clone(&alarm)), Deed::Act(spec.action.clone(), alarm)]
}

fn alarm(
    spec: &MonitorSpec,
    watched: Option<&Watched>,
    firing: bool,
    (summary, since_ms, at_ms): (String, u64, u64),
    measurements: Vec<tidegate_core::port::alerts::Measured>,
) -> Alarm {
    Alarm {
        monitor: spec.name.clone(),
        firing,
        route: spec.route.clone(),
        variant: spec.variant.clone(),
        model: watched.map(|watched| watched.model.clone()),
        model_version: watched.and_then(|watched| watched.version),
        summary,
        since_ms,
        at_ms,
        dedup_key: dedup_key(spec, watched),
        measurements,
    }
}

/// Names an alarm.
fn dedup_key(spec: &MonitorSpec, watched: Option<&Watched>) -> String {
    let of = watched.map(|watched| {
        let version = watched.version.map(|version| format!("/{version}")).unwrap_or_default();
        format!(":{}{version}", watched.model)
    });
    format!("tidegate:{}{}", spec.name, of.unwrap_or_default())
}

fn short(one: &super::found::Number) -> Value {
    json!({
        "name": one.name, "value": one.value, "threshold": one.threshold, "p_value": one.p_value,
        "breached": one.breached,
    })
}

#[cfg(test)]
mod tests;
