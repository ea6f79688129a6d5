//! Requests whose turn has not come, by caller: the caller with the fewest answers in work is served first, and among
//! equals they take turns.

use super::sequence::Job;
use std::collections::VecDeque;

/// The queues.
#[derive(Default)]
pub(super) struct Waiting {
    /// A queue for each caller that waits, the one served longest ago first.
    callers: VecDeque<(u64, VecDeque<Job>)>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    pub(super) fn push(&mut self, job: Job) {
        match self.callers.iter_mut().find(|(caller, _)| *caller == job.caller) {
            Some((_, queue)) => queue.push_back(job),
            None => self.callers.push_back((job.caller, VecDeque::from([job]))),
        }
    }

    /// The next request, unless it does not fit yet: then all wait, so that a long prompt is not passed for ever.
    pub(super) fn next(&mut self, running: impl Fn(u64) -> usize, fits: impl Fn(&Job) -> bool) -> Option<Job> {
        let (at, _) = self.callers.iter().enumerate().min_by_key(|(i, (caller, _))| (running(*caller), *i))?;
        if !self.callers[at].1.front().is_some_and(fits) {
            return None;
        }
        let (caller, mut queue) = self.callers.remove(at)?;
        let job = queue.pop_front();
        if !queue.is_empty() {
            self.callers.push_back((caller, queue));
        }
        job
    }

    pub(super) fn drop_cancelled(&mut self) {
        for (_, queue) in &mut self.callers {
            queue.retain(|job| !job.events.is_closed());
        }
        self.callers.retain(|(_, queue)| !queue.is_empty());
    }
}
