//! From calls to windows: they wait for what is said of them later, the first ones make a reference where one is wanted of
//! them, the others fill panes. Owns that order; when a window ends is [`open`]'s.
//!
//! Where several replicas see parts of the traffic, each collects ([`Windows::collecting`]) and hands over what came
//! ([`Windows::drain`]), and one of them judges ([`Windows::judging`]): it takes the parts ([`Windows::absorb`]), and windows
//! end at it alone. Calls that wait or are gathered are handed over as rows, so that all wait and are gathered there.

pub mod open;

pub use open::{Closed, Ended, TooMany};

use crate::gathering::Gathering;
use crate::pane::{Packed, Pane};
use crate::plan::{Keep, Plan, Unlike};
use crate::reference::Reference;
use crate::reservoir::Kept;
use crate::shape::Shape;
use crate::value::Value;
use crate::waiting::{Room, Waited, Waiting};
use open::{Ends, Open};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::InferenceId;
use tidegate_core::spec::WindowSpec;

/// The version of the form of [`Saved`].
const FORM: u32 = 1;

/// Makes windows of calls.
#[derive(Debug)]
pub struct Windows {
    plan: Arc<Plan>,
    spec: WindowSpec,
    room: Room,
    waits: bool,
    waiting: Waiting,
    gathering: Option<Gathering>,
    open: Open,
    counts: Counts,
}

/// What became of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Calls that went into a window.
    pub taken: u64,
    /// Calls that went into the reference.
    pub gathered: u64,
    /// Calls whose window had ended before.
    pub late: u64,
    /// Calls that said they came from the future, and were taken for those of now.
    pub skewed: u64,
}

/// What came since the last time, of one window: for the one who judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which window.
    pub slot: u64,
    /// What came.
    pub pane: Packed,
}

/// All that has to outlive a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    windows: u32,
    /// The reference that the first calls made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Arc<Reference>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gathering: Option<Gathering>,
    waiting: Waiting,
    open: open::Saved,
    counts: Counts,
}

impl Windows {
    /// Windows of this plan that end here. A call may come so much later than it was accepted, and may say that it was
    /// accepted so much later than now.
    ///
    /// # Errors
    /// Too many windows would be open at a time.
    pub fn new(plan: Arc<Plan>, spec: WindowSpec, lateness: Duration) -> Result<Self, TooMany> {
        Self::with(plan, spec, lateness, Ends::Here)
    }

    /// Windows that are only collected for the one who judges: none ends here.
    ///
    /// # Errors
    /// Too many windows would be open at a time.
    pub fn collecting(plan: Arc<Plan>, spec: WindowSpec, lateness: Duration) -> Result<Self, TooMany> {
        Self::with(plan, spec, lateness, Ends::Elsewhere)
    }

    /// Windows of what others collect: they end here, and time is over for them when [`Self::tick`] says so, not before. So
    /// what was on its way for long is not late as long as nobody ticks.
    ///
    /// # Errors
    /// Too many windows would be open at a time.
    pub fn judging(plan: Arc<Plan>, spec: WindowSpec, lateness: Duration) -> Result<Self, TooMany> {
        Self::with(plan, spec, lateness, Ends::AtTicks)
    }

    fn with(plan: Arc<Plan>, spec: WindowSpec, lateness: Duration, ends: Ends) -> Result<Self, TooMany> {
        let shape = plan.shape();
        let waits = !spec.wait.is_zero() && (0..shape.len()).any(|at| shape.is_later(at));
        let open = Open::new(spec, lateness, waits, ends)?;
        // What windows keep is divided among those that are open at a time.
        let plan = open.divided(plan)?;
        Ok(Self {
            plan,
            spec,
            room: Room::USUAL,
            waits,
            waiting: Waiting::default(),
            gathering: None,
            open,
            counts: Counts::default(),
        })
    }

    /// The same, where so many calls that come first make the reference. Where the plan has one, it stays.
    #[must_use]
    pub fn first(mut self, calls: u64) -> Self {
        if self.plan.reference().is_none() {
            self.gathering = Some(Gathering::new(self.plan.shape(), calls, self.keep()));
        }
        self
    }

    /// The same, with so much room for calls that wait.
    #[must_use]
    pub const fn room(mut self, room: Room) -> Self {
        self.room = room;
        self
    }

    fn keep(&self) -> Keep {
        self.plan.keep()
    }

    /// For what panes are made now.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// With what windows are compared, once that is known.
    #[must_use]
    pub fn reference(&self) -> Option<&Arc<Reference>> {
        self.plan.reference()
    }

    /// How far the gathering of a reference is: so many calls of so many.
    #[must_use]
    pub fn gathering(&self) -> Option<(u64, u64)> {
        self.gathering.as_ref().map(|gathering| (gathering.rows(), gathering.calls()))
    }

    /// Compares with this one from now on, such as one that another replica made first; what was gathered, and what was
    /// seen in the bins of another one, is let go.
    ///
    /// # Errors
    /// It was made for other columns.
    pub fn adopt(&mut self, reference: Arc<Reference>) -> Result<(), Unlike> {
        if self.reference().is_some_and(|mine| mine.id() == reference.id()) {
            return Ok(());
        }
        self.plan = Arc::new(Plan::new(self.plan.shape().clone(), Some(reference), self.keep())?);
        self.gathering = None;
        self.open.clear();
        Ok(())
    }

    /// Takes a call that was accepted at `unix_ms`: a value for each column, where those that are said later are missing.
    #[must_use]
    pub fn take(&mut self, now_ms: u64, call: InferenceId, unix_ms: u64, row: &[Value<'_>]) -> Vec<Closed> {
        self.take_of(now_ms, (call, None), unix_ms, row)
    }

    /// The same of a call of somebody; see [`Self::said_by`].
    #[must_use]
    pub fn take_of(
        &mut self,
        now_ms: u64,
        (call, whose): (InferenceId, Option<u64>),
        unix_ms: u64,
        row: &[Value<'_>],
    ) -> Vec<Closed> {
        if !self.waits {
            return self.go_on(now_ms, call, unix_ms, row);
        }
        let values = (0..self.plan.shape().len()).map(|at| row.get(at).unwrap_or(&Value::Missing));
        let row = values.enumerate().map(|(at, value)| value.to_kept(self.plan.kind(at))).collect();
        let due_ms = unix_ms.min(now_ms).saturating_add(millis(self.spec.wait));
        let kept = Kept { call, unix_ms, row };
        let gone = self.waiting.put(self.plan.shape(), self.room, (due_ms, whose), kept);
        self.all_go_on(now_ms, gone)
    }

    /// This was said of a call, in this column ([`Shape::of_label`], [`Shape::of_reward`]).
    #[must_use]
    pub fn said(&mut self, now_ms: u64, call: InferenceId, at: usize, value: &Value<'_>) -> Vec<Closed> {
        self.said_by(now_ms, (call, None), at, value)
    }

    /// The same, said by somebody of whom nobody knows yet whether the call is his: of another one's call it says nothing.
    /// `None` where that is known.
    #[must_use]
    pub fn said_by(
        &mut self,
        now_ms: u64,
        (call, who): (InferenceId, Option<u64>),
        at: usize,
        value: &Value<'_>,
    ) -> Vec<Closed> {
        let gone = if self.waits { self.waiting.said(self.plan.shape(), now_ms, (call, who), at, value) } else { None };
        self.all_go_on(now_ms, gone)
    }

    /// What time alone brings: calls that waited long enough, windows whose time is over.
    #[must_use]
    pub fn tick(&mut self, now_ms: u64) -> Vec<Closed> {
        let gone = self.waiting.tick(now_ms);
        let mut closed = self.all_go_on(now_ms, gone);
        closed.extend(self.open.tick(now_ms));
        closed
    }

    fn all_go_on(&mut self, now_ms: u64, gone: impl IntoIterator<Item = Kept>) -> Vec<Closed> {
        let mut closed = Vec::new();
        for kept in gone {
            closed.extend(self.go_on(now_ms, kept.call, kept.unix_ms, &kept.row));
        }
        closed
    }

    /// A call of which all is known.
    fn go_on(&mut self, now_ms: u64, call: InferenceId, unix_ms: u64, row: &[Value<'_>]) -> Vec<Closed> {
        if let Some(gathering) = &mut self.gathering {
            gathering.take(self.plan.shape(), call, unix_ms, row);
            self.counts.gathered += 1;
            if gathering.is_full() {
                self.gathered();
            }
            return Vec::new();
        }
        self.open.take(&self.plan, &mut self.counts, now_ms, (call, unix_ms), row)
    }

    /// The first calls make the reference.
    fn gathered(&mut self) {
        let Some(gathering) = self.gathering.take() else { return };
        let shape: Shape = self.plan.shape().clone();
        let reference = Arc::new(gathering.finish(&shape));
        // It was gathered for these columns.
        if let Ok(plan) = Plan::new(shape, Some(reference), self.keep()) {
            self.plan = Arc::new(plan);
        }
    }

    /// What came since the last time, window by window: they begin anew.
    #[must_use]
    pub fn drain(&mut self) -> Vec<Part> {
        self.drain_within(usize::MAX)
    }

    /// The same, with whole rows of so many bytes a window at most.
    #[must_use]
    pub fn drain_within(&mut self, bytes: usize) -> Vec<Part> {
        let part = |(slot, mut pane): (u64, Pane)| {
            pane.fit(bytes);
            Part { slot, pane: pane.packed() }
        };
        self.open.drain().into_iter().map(part).collect()
    }

    /// Lets the oldest windows go where more than so many are open; the calls that were in them. For those who collect and
    /// cannot hand over.
    pub fn let_go(&mut self, most: usize) -> u64 {
        self.open.let_go(most)
    }

    /// Whether calls wait for what is said of them later.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.waits
    }

    /// Takes what came elsewhere.
    ///
    /// # Errors
    /// It was made for something else, or is damaged; then nothing is taken.
    pub fn absorb(&mut self, now_ms: u64, part: Part) -> Result<Vec<Closed>, Unlike> {
        let pane = part.pane.open(&self.plan)?;
        self.open.absorb(&self.plan, &mut self.counts, now_ms, part.slot, &pane)
    }

    /// What became of calls.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What became of those that waited.
    #[must_use]
    pub const fn waited(&self) -> Waited {
        self.waiting.waited
    }

    /// How many calls wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many calls are in windows that have not ended.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.open.rows()
    }

    /// Its bytes: the reference, which many share, is not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.waiting.bytes() + self.open.bytes() + self.gathering.as_ref().map_or(0, Gathering::bytes)
    }

    /// All that has to outlive a restart.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved {
            windows: FORM,
            reference: self.plan.reference().cloned(),
            gathering: self.gathering.clone(),
            waiting: self.waiting.clone(),
            open: self.open.saved(),
            counts: self.counts,
        }
    }

    /// The same without the reference, where that is kept elsewhere.
    #[must_use]
    pub fn saved_without_reference(&self) -> Saved {
        let reference = None;
        Saved { reference, ..self.saved() }
    }

    /// Goes on from what was saved. Where the plan has a reference of its own (of the registry), that stays, and what was
    /// seen in the bins of another one is let go.
    ///
    /// # Errors
    /// It was saved for something else, or is damaged; then nothing is changed.
    pub fn restore(&mut self, saved: Saved) -> Result<(), Unlike> {
        if saved.windows != FORM {
            return Err(Unlike::Form);
        }
        let shape = self.plan.shape();
        if !saved.waiting.fits(shape) || !saved.gathering.as_ref().is_none_or(|gathering| gathering.fits(shape)) {
            return Err(Unlike::Columns);
        }
        let plan = match (self.plan.reference(), saved.reference) {
            (None, Some(reference)) if self.gathering.is_some() => {
                Arc::new(Plan::new(shape.clone(), Some(reference), self.keep())?)
            }
            _ => Arc::clone(&self.plan),
        };
        self.open.restore(&plan, saved.open)?;
        self.gathering = match self.gathering.take() {
            Some(_) if plan.reference().is_some() => None,
            Some(empty) => Some(saved.gathering.unwrap_or(empty)),
            None => None,
        };
        self.plan = plan;
        self.waiting = saved.waiting;
        self.counts = saved.counts;
        Ok(())
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
