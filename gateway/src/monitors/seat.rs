//! One monitor: what it takes of calls, the windows of each version that answers, and what is found of them. Owns which
//! window a call belongs to; when it is asked, and what follows from what is found, are the worker's.

mod saved;
mod shared;
mod shown;

use super::basis::{Baseline, Basis, can_be};
use super::board::Standing;
use super::counts::{Counts, Left};
use super::evaluator::{Evaluate, compares};
use super::extract::{Call, labelled, rewarded};
use super::fleet::{Member, Replica};
use super::watching::{Record, Watching};
use super::window::{Job, Outcome, is_joint, roles};
use saved::{Saved, SavedWatching};
pub(super) use shared::whose;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::port::watcher::{Answered, Later};
use tidegate_core::spec::{ContentPolicy, FieldKind, MonitorSpec, ReferenceSpec, Watched};
use tidegate_core::{InferenceId, MonitorName};
use tidegate_host::World;
use tidegate_watch::{Keep, Shape, Told, Value};

/// So many versions are watched at once.
const MOST_WATCHED: usize = 8;
/// A version that had no call for so long, while another of its model has windows, serves no more; in milliseconds.
const GONE_MS: u64 = 60_000;

/// One monitor.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) spec: Arc<MonitorSpec>,
    /// Tells windows of before a change of the monitor from those after it.
    era: u64,
    judge: Arc<dyn Evaluate>,
    config: String,
    shape: Shape,
    keep: Keep,
    basis: Basis,
    watched: BTreeMap<Watched, Watching>,
    /// Those of before a restart, until there is something to compare them with.
    coming: BTreeMap<Watched, SavedWatching>,
    pub(super) counts: Arc<Counts>,
    content: ContentPolicy,
    /// How it stands among the replicas of a shared store, where there are any.
    pub(super) member: Option<Box<Member>>,
    /// Whether anything changed since it was saved.
    pub(super) is_dirty: bool,
}

/// What was heard of a window.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) watched: Watched,
    pub(super) told: Told,
    /// Whether an evaluation of it is to be written.
    pub(super) evaluates: bool,
}

/// Whether a monitor and the world of its plugin go together.
///
/// # Errors
/// They do not, and how to mend it.
pub(super) fn fits(spec: &MonitorSpec, world: World) -> Result<(), String> {
    let plugin = &spec.plugin;
    match world {
        World::Drift if spec.reference == ReferenceSpec::None => {
            return Err(format!(
                "the plugin `{plugin}` compares windows with something: add `baseline: {{first: 1000}}`, or that of \
                 `models:/NAME@ALIAS`"
            ));
        }
        World::Fairness => {
            roles(&spec.roles).map_err(|why| format!("the plugin `{plugin}` asks for more: {why}"))?;
        }
        World::Rag if spec.roles.question.is_none() || spec.roles.answer.is_none() => {
            return Err(format!("the plugin `{plugin}` needs the roles `question` and `answer`"));
        }
        World::Drift | World::Rag | World::Validator => {}
        other => return Err(format!("the plugin `{plugin}` is of the world `{other}`, which judges no windows")),
    }
    if !compares(world) && spec.reference != ReferenceSpec::None {
        return Err(format!("the plugin `{plugin}` compares windows with nothing: leave `baseline` out"));
    }
    can_be(spec)
}

/// Which rows a window keeps whole: none where each column is looked at by itself.
fn keep(spec: &MonitorSpec, world: World, config: &str) -> Keep {
    let is_whole = |kind: Option<FieldKind>| matches!(kind, Some(FieldKind::Text | FieldKind::Vector));
    let by_column = world == World::Drift && !is_joint(config) && !spec.fields.iter().any(|field| is_whole(field.kind));
    if by_column { Keep::NONE } else { Keep::USUAL }
}

impl Seat {
    /// The monitor of a configuration, judged by this plugin with these settings; it goes on where it was kept.
    ///
    /// # Errors
    /// It does not go together with its plugin.
    pub(super) fn open(
        spec: &MonitorSpec,
        (judge, own): (Arc<dyn Evaluate>, String),
        kept: Option<&[u8]>,
        counts: Arc<Counts>,
        (era, content, replica): (u64, ContentPolicy, Option<Replica>),
    ) -> Result<Self, String> {
        fits(spec, judge.world())?;
        let config = spec.config.clone().unwrap_or(own);
        let (shape, keep) = (Shape::of(&spec.fields), keep(spec, judge.world(), &config));
        let replica = replica.filter(|_| may_be_kept(spec, content));
        let keep = if replica.is_some() { shared::less(keep) } else { keep };
        let member = replica.map(|replica| shared::member(spec, &shape, keep, replica)).transpose()?;
        let saved = kept.and_then(|kept| Saved::read(kept, spec));
        let (reference, coming, marks) =
            saved.map_or_else(Default::default, |saved| (saved.reference, saved.watched, saved.marks));
        let mut seat = Self {
            spec: Arc::new(spec.clone()),
            era,
            judge,
            config,
            basis: shared::basis(Basis::open(&spec.reference, &shape, reference), member.is_some()),
            shape,
            keep,
            member,
            watched: BTreeMap::new(),
            coming: coming.into_iter().map(|one| (one.watched(), one)).collect(),
            counts,
            content,
            is_dirty: false,
        };
        seat.member.iter_mut().for_each(|member| member.marks.clone_from(&marks));
        seat.restore();
        Ok(seat)
    }

    /// Whether windows of the new spec, judged so, are those of this one.
    pub(super) fn goes_on(&self, spec: &MonitorSpec, judge: &dyn Evaluate, own: &str, content: ContentPolicy) -> bool {
        let config = spec.config.as_deref().unwrap_or(own);
        // Replicas go on sharing it, or do not.
        let stays = self.member.is_none() || may_be_kept(spec, content);
        let keeps = keep(spec, judge.world(), config).rows == self.keep.rows;
        saved::identity(&self.spec) == saved::identity(spec) && keeps && stays
    }

    /// Goes on with another plugin, other settings or another way to tell; windows stay.
    ///
    /// # Errors
    /// The monitor does not go together with the plugin.
    pub(super) fn change(
        &mut self,
        spec: &MonitorSpec,
        (judge, own): (Arc<dyn Evaluate>, String),
        content: ContentPolicy,
    ) -> Result<(), String> {
        fits(spec, judge.world())?;
        self.config = spec.config.clone().unwrap_or(own);
        (self.judge, self.spec, self.content) = (judge, Arc::new(spec.clone()), content);
        Ok(())
    }

    /// The same, which has seen nothing.
    ///
    /// # Errors
    /// Its windows cannot be.
    pub(super) fn anew(&self, era: u64) -> Result<Self, String> {
        let judge = (Arc::clone(&self.judge), self.config.clone());
        let mut anew = Self::open(&self.spec, judge, None, Arc::clone(&self.counts), (era, self.content, None))?;
        anew.is_dirty = true;
        Ok(anew)
    }

    /// Its name.
    pub(super) fn name(&self) -> &MonitorName {
        &self.spec.name
    }

    /// Takes a call that was answered.
    pub(super) fn take(&mut self, now_ms: u64, answered: &Answered) {
        if self.spec.variant.is_some() && self.spec.variant != answered.variant {
            return;
        }
        let Some(model) = &answered.model else { return self.counts.left(Left::Model) };
        let watched = Watched { model: model.clone(), version: answered.model_version };
        let row = Call::read(answered, &self.spec.fields).row(&self.spec.fields, &self.spec.roles);
        let taken = match &mut self.member {
            Some(member) => {
                let whose = shared::whose(&answered.caller.0.tenant);
                member.collector.take(now_ms, &watched, (answered.id, whose), &row)
            }
            None => self.put(now_ms, &watched, (answered.id, None), now_ms, &row),
        };
        match taken {
            Ok(()) => self.counts.row(),
            Err(why) => self.counts.left(why),
        }
    }

    /// Puts a call into the windows of its version.
    fn put(
        &mut self,
        now_ms: u64,
        watched: &Watched,
        call: (InferenceId, Option<u64>),
        unix_ms: u64,
        row: &[Value<'_>],
    ) -> Result<(), Left> {
        let min = self.spec.window.min;
        let watching = self.watching(now_ms, watched)?;
        watching.last_ms = now_ms;
        let closed = watching.windows.take_of(now_ms, call, unix_ms, row);
        watching.ended(closed, min);
        self.is_dirty = true;
        self.spread();
        Ok(())
    }

    /// What one version gathered is what all are compared with.
    fn spread(&mut self) {
        if self.basis.spread(self.watched.values_mut().map(|watching| &mut watching.windows)) {
            tracing::info!(monitor = %self.spec.name, "the calls that came first are gathered: windows are compared with them");
        }
    }

    /// The windows of a version, which begin with its first call.
    fn watching(&mut self, now_ms: u64, watched: &Watched) -> Result<&mut Watching, Left> {
        if !self.watched.contains_key(watched) {
            if !self.basis.is_ready() {
                return Err(Left::Reference);
            }
            if self.watched.len() >= MOST_WATCHED {
                let idle = self.watched.iter().filter(|(_, watching)| watching.is_idle());
                // An alarm that nobody remembers would never be over.
                let oldest = idle.min_by_key(|(_, watching)| (watching.record.judge.firing(), watching.last_ms));
                let oldest = oldest.map(|(watched, _)| watched.clone());
                self.watched.remove(&oldest.ok_or(Left::Model)?);
            }
            let windows = self.basis.windows(&self.shape, self.keep, self.spec.window).map_err(|why| {
                tracing::error!(monitor = %self.spec.name, why, "a monitor cannot have its windows");
                Left::Reference
            })?;
            self.watched.insert(watched.clone(), Watching::new(windows, Record::default(), now_ms));
        }
        self.watched.get_mut(watched).ok_or(Left::Model)
    }

    /// Takes what is said of a call; by somebody of whom it is not known whether it is his, where he is named.
    pub(super) fn said(&mut self, now_ms: u64, (call, who): (InferenceId, Option<u64>), later: &Later) {
        let places: Vec<usize> = match later {
            Later::Label(name, _) => self.shape.of_label(name).collect(),
            Later::Reward(name, _) => self.shape.of_reward(name).collect(),
        };
        for at in places {
            let value = match later {
                Later::Label(_, class) => labelled(class, self.shape.kind(at)),
                Later::Reward(_, value) => rewarded(*value, self.shape.kind(at)),
            };
            match &mut self.member {
                Some(member) => {
                    if !member.collector.say(call, at, &value, who) {
                        tracing::warn!(monitor = %self.spec.name, %call, "more is said of calls than can be handed over: a value is left out");
                    }
                }
                None => self.hear(now_ms, (call, who), at, &value),
            }
        }
        self.spread();
    }

    /// Hears what is said of a call.
    fn hear(&mut self, now_ms: u64, call: (InferenceId, Option<u64>), at: usize, value: &Value<'_>) {
        let min = self.spec.window.min;
        self.is_dirty = true;
        for watching in self.watched.values_mut() {
            let closed = watching.windows.said_by(now_ms, call, at, value);
            watching.ended(closed, min);
        }
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now_ms: u64) {
        match &mut self.member {
            // Time passes where all meet.
            Some(member) => self.counts.left_all(Left::Way, member.collector.tidy()),
            None => self.pass(now_ms),
        }
    }

    /// Ends the windows whose time is over.
    fn pass(&mut self, now_ms: u64) {
        let min = self.spec.window.min;
        for watching in self.watched.values_mut() {
            let closed = watching.windows.tick(now_ms);
            self.is_dirty |= !closed.is_empty();
            watching.ended(closed, min);
        }
        self.spread();
    }

    /// Of which version the registry is to be asked for the baseline now.
    pub(super) fn asks(&mut self, now_ms: u64) -> Option<ModelRef> {
        // Others hear it from the one who leads.
        let asks = self.member.as_ref().is_none_or(|member| member.is_leader);
        if asks { self.basis.due(now_ms) } else { None }
    }

    /// What the registry answered. With another baseline windows begin anew.
    pub(super) fn answered(&mut self, now_ms: u64, baseline: Result<Baseline, String>) {
        let windows = self.watched.values_mut().map(|watching| &mut watching.windows);
        match self.basis.answered(now_ms, baseline, &self.shape, windows) {
            Ok(()) => self.restore(),
            // What was compared with before goes on.
            Err(why) => tracing::warn!(monitor = %self.spec.name, why, "a baseline cannot be had"),
        }
    }

    /// Takes up the windows of before a restart, as soon as there is something to compare them with.
    fn restore(&mut self) {
        if self.coming.is_empty() || !self.basis.is_ready() {
            return;
        }
        for (watched, saved) in std::mem::take(&mut self.coming) {
            let (kept, record, last_ms, unjudged) = saved.open();
            let fresh = self.basis.windows(&self.shape, self.keep, self.spec.window);
            let Ok(mut windows) = fresh else { continue };
            if let Some(Err(fault)) = kept.map(|kept| windows.restore(kept)) {
                tracing::info!(monitor = %self.spec.name, %fault, "windows of before a restart begin anew");
            }
            self.watched.entry(watched).or_insert_with(|| {
                let mut watching = Watching::new(windows, record, last_ms);
                watching.take_up(unjudged);
                watching
            });
        }
    }

    /// The windows that are to be judged now.
    pub(super) fn jobs(&mut self) -> Vec<Job> {
        let is_shared = self.member.is_some();
        let jobs = self.watched.iter_mut().filter_map(|(watched, watching)| {
            Some(Job {
                monitor: self.spec.name.clone(),
                watched: watched.clone(),
                era: self.era,
                spec: Arc::clone(&self.spec),
                closed: watching.next(is_shared)?,
                judge: Arc::clone(&self.judge),
                config: self.config.clone(),
                keeps_texts: self.content == ContentPolicy::Full,
            })
        });
        jobs.collect()
    }

    /// A window was judged; what was heard, where it belongs here still.
    pub(super) fn judged(&mut self, now_ms: u64, outcome: Outcome) -> Option<Heard> {
        if outcome.era != self.era {
            return None;
        }
        self.is_dirty = true;
        if let Some(member) = &mut self.member {
            member.is_new = true;
        }
        let watching = self.watched.get_mut(&outcome.watched)?;
        if let Some(why) = &outcome.past.fault {
            tracing::warn!(monitor = %self.spec.name, model = %outcome.watched.model, why, "a window was not judged");
        }
        let told = watching.judged(outcome.past, self.spec.alarm, now_ms)?;
        let evaluates = watching.is_to_be_evaluated(now_ms);
        Some(Heard { watched: outcome.watched, told, evaluates })
    }

    /// Forgets versions that serve no more: those without a call lately whose model has windows of another one. Whose alarm
    /// is over by that.
    pub(super) fn retire(&mut self, now_ms: u64, by: &Watched) -> Vec<(Watched, Record)> {
        let is_gone = |watched: &Watched, watching: &Watching| {
            watched.model == by.model
                && watched.version != by.version
                && watching.is_idle()
                && now_ms.saturating_sub(watching.last_ms) > GONE_MS
        };
        let gone = self.watched.extract_if(.., |watched, watching| is_gone(watched, watching));
        gone.map(|(watched, watching)| (watched, watching.record)).collect()
    }

    /// The version of the registry with whose baseline windows are compared.
    pub(super) fn compared_with(&self) -> Option<(&str, u32)> {
        self.basis.version()
    }

    /// What was found of a version.
    pub(super) fn record(&self, watched: &Watched) -> Option<&Record> {
        self.watched.get(watched).map(|watching| &watching.record)
    }

    /// The versions of which there is an alarm, and what was found of each.
    pub(super) fn alarms(&self) -> impl Iterator<Item = (&Watched, &Record)> {
        self.all().filter(|(_, record)| record.judge.firing())
    }

    /// All versions, and what was found of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Watched, &Record)> {
        let now = self.watched.iter().map(|(watched, watching)| (watched, &watching.record));
        now.chain(self.coming.iter().map(|(watched, saved)| (watched, saved.record())))
    }

    /// What it says now of each version, and of all.
    pub(super) fn standing(&self) -> Standing {
        if let Some(member) = self.member.as_ref().filter(|member| !member.is_leader) {
            return member.standing().clone();
        }
        let of = self.verdicts().map(|(watched, verdict)| (watched.clone(), verdict));
        Standing { all: self.verdict(), of: of.collect() }
    }

    fn verdicts(&self) -> impl Iterator<Item = (&Watched, Verdict)> {
        let now = self.watched.iter().map(|(watched, watching)| (watched, watching.record.verdict()));
        now.chain(self.coming.iter().map(|(watched, saved)| (watched, saved.verdict())))
    }

    /// What it says now: an alarm of any version is one.
    pub(super) fn verdict(&self) -> Verdict {
        if let Some(member) = self.member.as_ref().filter(|member| !member.is_leader) {
            return member.standing().all.clone();
        }
        self.verdicts().map(|(_, verdict)| verdict).fold(Verdict::Unknown, |all, one| match (all, one) {
            (Verdict::Alarm(says), _) | (_, Verdict::Alarm(says)) => Verdict::Alarm(says),
            (Verdict::Well, _) | (_, Verdict::Well) => Verdict::Well,
            _ => Verdict::Unknown,
        })
    }

    /// The memory that its windows take.
    pub(super) fn bytes(&self) -> usize {
        self.watched.values().map(|watching| watching.windows.bytes()).sum()
    }

    /// Whether windows may be kept.
    fn may_save_windows(&self) -> bool {
        may_be_kept(&self.spec, self.content)
    }
}

/// Whether windows of a monitor may be kept: their texts must not be, where content is not.
fn may_be_kept(spec: &MonitorSpec, content: ContentPolicy) -> bool {
    content == ContentPolicy::Full || !spec.fields.iter().any(|field| field.kind == Some(FieldKind::Text))
}

#[cfg(test)]
mod tests;
