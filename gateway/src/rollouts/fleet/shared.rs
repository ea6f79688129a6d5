//! Replicas that meet in Redis. Owns what is asked there in a round, and what a lost Redis means.

use super::Footing;
use crate::rollouts::seat::{Seat, State};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_core::spec::SharedSpec;
use tidegate_route::rollout::course::{Course, Sight};
use tidegate_state::shared::StoreFault;
use tidegate_state::{Course as Pinned, CourseAsk, RedisCourses};
use tokio::sync::Mutex;

/// The replicas of a shared store.
#[derive(Debug)]
pub(crate) struct Fleet {
    name: String,
    courses: Mutex<RedisCourses>,
    is_up: AtomicBool,
}

impl Fleet {
    /// The replicas of this store, of which this one has a name; the store need not be there yet.
    ///
    /// # Errors
    /// This is no address of a store.
    pub(crate) fn begin(spec: &SharedSpec, name: String) -> anyhow::Result<Self> {
        let courses = RedisCourses::at(&spec.url, name.clone()).context("`store.shared`")?;
        Ok(Self { name, courses: Mutex::new(courses), is_up: AtomicBool::new(true) })
    }

    /// Tells what was seen here, hears what others saw and where they are. The seats that went where the others are; `None`
    /// where the store did not answer.
    pub(in crate::rollouts) async fn round(&self, seats: &[Arc<Seat>]) -> Option<Vec<Arc<Seat>>> {
        if seats.is_empty() {
            return Some(Vec::new());
        }
        let told: Vec<Option<String>> = seats.iter().map(|seat| seat.state().untold()).collect();
        let asks: Vec<CourseAsk> =
            seats.iter().zip(&told).map(|(seat, seen)| CourseAsk { key: key(seat), seen: seen.clone() }).collect();
        let answer = self.courses.lock().await.round(&asks).await;
        let pinned = match answer {
            Ok(pinned) => pinned,
            Err(fault) => {
                seats.iter().for_each(|seat| seat.state().footing = Footing::CutOff);
                self.lost(&fault);
                return None;
            }
        };
        if !self.is_up.swap(true, Ordering::Relaxed) {
            tracing::warn!("the shared store answers again: replicas run rollouts together");
        }
        let mut went = Vec::new();
        for ((seat, pinned), told) in seats.iter().zip(pinned).zip(told) {
            let stood = seat.state().rollout.standing().stands();
            let news = self.heard(seat, &pinned, told);
            if let Some((before, course)) = news {
                self.commit(seat, before, &course).await;
            }
            if seat.state().rollout.standing().stands() != stood {
                went.push(Arc::clone(seat));
            }
        }
        Some(went)
    }

    /// Takes what stands in the store; the course to put there, and behind which version, where ours is newer.
    fn heard(&self, seat: &Seat, pinned: &Pinned, told: Option<String>) -> Option<(u64, Course)> {
        let mut state = seat.state();
        state.footing = if pinned.leader == self.name { Footing::Leads } else { Footing::Follows };
        if told.is_some() {
            state.told = told;
        }
        let ours = state.rollout.course();
        let theirs: Option<Course> = pinned.text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        match theirs {
            None if state.footing == Footing::Leads => state.rollout.share_out(),
            Some(theirs) if theirs == ours => state.rollout.is_told(ours.version),
            Some(theirs) if theirs.version >= ours.version || state.rollout.standing().is_ahead => {
                join(seat, &mut state, theirs);
            }
            _ => {}
        }
        let mut seen: BTreeMap<&String, Sight> = BTreeMap::new();
        for (name, text) in &pinned.seen {
            seen.extend(serde_json::from_str(text).ok().map(|sight| (name, sight)));
        }
        // Only what was told before this run: what it told itself is never more than what it knows.
        if let Some(own) = seen.remove(&self.name) {
            state.rollout.recall(own);
        }
        state.rollout.hear(seen.into_values());
        let now = state.rollout.course();
        (now.version > pinned.version).then_some((pinned.version, now))
    }

    /// Puts a course in the place of the one of version `before`; whether nobody else did, or `None` where the store did not
    /// answer.
    pub(in crate::rollouts) async fn commit(&self, seat: &Seat, before: u64, course: &Course) -> Option<bool> {
        // A course has keys of text, which JSON takes.
        let text = serde_json::to_string(course).unwrap_or_default();
        let answer = self.courses.lock().await.commit(&key(seat), (before, course.version), &text).await;
        match answer {
            Ok(is_next) => {
                if is_next {
                    seat.state().rollout.is_told(course.version);
                }
                Some(is_next)
            }
            Err(fault) => {
                seat.state().footing = Footing::CutOff;
                self.lost(&fault);
                None
            }
        }
    }

    fn lost(&self, fault: &StoreFault) {
        if self.is_up.swap(false, Ordering::Relaxed) {
            tracing::error!(%fault, "the shared store does not answer: rollouts stay where they are, or go back");
        }
    }
}

fn join(seat: &Seat, state: &mut State, theirs: Course) {
    let before = state.rollout.standing().stage;
    state.rollout.join(theirs);
    let now = state.rollout.standing();
    if now.stage != before {
        let why = now.turns.last().map_or("", |turn| turn.why.as_str());
        tracing::info!(route = %seat.route, from = before.says(), to = now.stage.says(), why, "a rollout goes where the other replicas are");
        seat.publish(&state.rollout);
    }
}

/// Where the rollout of a seat stands: another change of the same route is another rollout.
fn key(seat: &Seat) -> String {
    format!("tidegate:rollout:{}:{}", seat.route, seat.identity)
}
