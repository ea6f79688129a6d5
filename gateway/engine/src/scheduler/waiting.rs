//! Calls whose turn has not come, by priority and by caller: of the highest priority, the caller with the fewest answers
//! in work is served first, and among equals they take turns; of one caller, what must be answered soonest.

use super::sequence::Job;
use std::collections::VecDeque;
use std::time::Instant;
use tidegate_core::spec::Priority;

/// The queues.
#[derive(Default)]
pub(super) struct Waiting {
    /// One for each priority, the lowest first.
    lanes: [Lane; Priority::ALL.len()],
}

/// Those of one priority.
#[derive(Default)]
struct Lane {
    /// A queue for each caller that waits, the one served longest ago first.
    callers: VecDeque<(u64, VecDeque<Job>)>,
}

/// Where the next one stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) priority: Priority,
    caller: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.callers.is_empty())
    }

    pub(super) fn push(&mut self, job: Job) {
        let callers = &mut self.lanes[job.request.priority as usize].callers;
        match callers.iter_mut().find(|(caller, _)| *caller == job.caller) {
            Some((_, queue)) => {
                let at = queue.partition_point(|other| due(other) <= due(&job));
                queue.insert(at, job);
            }
            None => callers.push_back((job.caller, VecDeque::from([job]))),
        }
    }

    /// Whose turn is next. Who does not fit yet is not passed, or a long prompt would wait for ever.
    pub(super) fn next(&self, running: impl Fn(u64) -> usize) -> Option<Place> {
        let (lane, priority) = self.lanes.iter().zip(Priority::ALL).rev().find(|(lane, _)| !lane.callers.is_empty())?;
        let least = lane.callers.iter().enumerate().min_by_key(|(i, (caller, _))| (running(*caller), *i));
        least.map(|(caller, _)| Place { priority, caller })
    }

    pub(super) fn at(&self, place: Place) -> Option<&Job> {
        self.lanes[place.priority as usize].callers.get(place.caller)?.1.front()
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Job> {
        let callers = &mut self.lanes[place.priority as usize].callers;
        let (caller, mut queue) = callers.remove(place.caller)?;
        let job = queue.pop_front();
        if !queue.is_empty() {
            callers.push_back((caller, queue));
        }
        job
    }

    /// Keeps those of whom `stays` says so.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&Job) -> bool) {
        for lane in &mut self.lanes {
            for (_, queue) in &mut lane.callers {
                queue.retain(&mut stays);
            }
            lane.callers.retain(|(_, queue)| !queue.is_empty());
        }
    }
}

/// When it must be answered; what never must comes last.
fn due(job: &Job) -> (bool, Option<Instant>) {
    (job.request.deadline.is_none(), job.request.deadline)
}
