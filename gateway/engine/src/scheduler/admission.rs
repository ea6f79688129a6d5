//! Whose turn it is, and whose blocks are taken for it: the highest priority first; of the same one, those that were
//! robbed before those that wait.

use super::sequence::Sequence;
use super::waiting::Place;
use super::{Scheduler, needs};
use crate::error::GenerateError;
use crate::generation::GenerationEvent;
use crate::model::CausalModel;
use std::cmp::Reverse;
use std::time::Instant;
use tidegate_core::spec::Priority;

/// Who is next.
#[derive(Clone, Copy)]
enum Next {
    /// One that was robbed, by its place among those.
    Again(usize),
    /// One that waits.
    Fresh(Place),
}

impl<M: CausalModel> Scheduler<M> {
    /// Lets go those who left, and tells those whose time has passed.
    pub(super) fn drop_departed(&mut self, now: Instant) {
        let late = &mut self.counts.late;
        self.waiting.retain(|job| {
            let is_late = job.request.deadline.is_some_and(|deadline| deadline <= now);
            if is_late && !job.events.is_closed() {
                let waited = now.saturating_duration_since(job.since);
                drop(job.events.send(GenerationEvent::Failed(GenerateError::Late { waited })));
                *late += 1;
            }
            !is_late && !job.events.is_closed()
        });
        self.preempted.retain(|s| !s.is_cancelled());
        let kv = &mut self.kv;
        self.running.retain_mut(|sequence| {
            let stays = !sequence.is_cancelled();
            if !stays {
                sequence.free(kv);
            }
            stays
        });
    }

    /// Begins as many as there is room for.
    pub(super) fn admit(&mut self, now: Instant) {
        while let Some(next) = self.next() {
            let Some((priority, cost)) = self.weigh(next) else { return };
            if self.has_room(cost) {
                self.begin(next, now);
            } else if !self.rob_below(priority, cost) {
                return;
            }
        }
    }

    fn next(&self) -> Option<Next> {
        let counts = |caller| self.running.iter().filter(|s| s.caller == caller).count();
        let fresh = self.waiting.next(counts);
        let again = self.preempted.iter().enumerate().max_by_key(|(i, s)| (s.priority, Reverse(*i)));
        match (again, fresh) {
            (Some((_, again)), Some(fresh)) if again.priority < fresh.priority => Some(Next::Fresh(fresh)),
            (Some((i, _)), _) => Some(Next::Again(i)),
            (None, fresh) => fresh.map(Next::Fresh),
        }
    }

    /// Its priority, and the blocks that it takes from those that nobody holds: one more than it needs, so that it is not
    /// robbed again at once.
    fn weigh(&self, next: Next) -> Option<(Priority, usize)> {
        let cost = |tokens: usize, shareable: usize| (needs(tokens) + 1).saturating_sub(shareable);
        match next {
            Next::Again(i) => {
                let sequence = self.preempted.get(i)?;
                Some((sequence.priority, cost(sequence.tokens.len(), self.kv.shareable(sequence.prefix.keys()))))
            }
            Next::Fresh(place) => {
                let job = self.waiting.at(place)?;
                let keys = if job.wants_prompt_scores() { &[] } else { job.prefix.keys() };
                Some((place.priority, cost(job.tokens.len(), self.kv.shareable(keys))))
            }
        }
    }

    fn has_room(&self, cost: usize) -> bool {
        self.running.is_empty() || (self.running.len() < self.limits.max_batch && cost <= self.room())
    }

    /// Blocks that nobody holds and that no prompt in work will need.
    fn room(&self) -> usize {
        let promised = |s: &Sequence| needs(s.tokens.len()).saturating_sub(s.blocks.len());
        self.kv.available().saturating_sub(self.running.iter().map(promised).sum())
    }

    /// Takes the blocks of one answer of a lower priority, if those of all such make the room.
    fn rob_below(&mut self, priority: Priority, cost: usize) -> bool {
        let below = |s: &&Sequence| s.priority < priority;
        let gain: usize = self.running.iter().filter(below).map(|s| needs(s.tokens.len())).sum();
        let is_enough = self.running.iter().any(|s| below(&s)) && cost <= self.room() + gain;
        let victim = self.victim().filter(|_| is_enough);
        victim.is_some_and(|victim| {
            self.rob(victim);
            true
        })
    }

    /// Who is robbed next: of the lowest priority, the latest to come.
    pub(super) fn victim(&self) -> Option<usize> {
        let all = self.running.iter().enumerate();
        all.min_by_key(|(i, s)| (s.priority, Reverse(*i))).map(|(i, _)| i)
    }

    /// Takes an answer's blocks; it goes on later, from what the cache still has of it.
    pub(super) fn rob(&mut self, victim: usize) {
        let mut robbed = self.running.remove(victim);
        robbed.free(&mut self.kv);
        self.counts.preemptions += 1;
        self.preempted.push_front(robbed);
    }

    fn begin(&mut self, next: Next, now: Instant) {
        match next {
            Next::Again(i) => {
                let Some(mut sequence) = self.preempted.remove(i) else { return };
                sequence.adopt(&mut self.kv);
                self.running.push(sequence);
            }
            Next::Fresh(place) => {
                let Some(job) = self.waiting.take(place) else { return };
                self.pace.turn(now);
                self.begin_fresh(Sequence::begin(job, self.isa));
            }
        }
    }

    fn begin_fresh(&mut self, mut begun: Sequence) {
        if !begun.needs_nothing() {
            begun.adopt(&mut self.kv);
        }
        self.counts.prompt_tokens += begun.prompt as u64;
        self.counts.cached_tokens += begun.computed as u64;
        begun.send(GenerationEvent::Started { prompt_tokens: begun.prompt, cached_tokens: begun.computed });
        begun.echo_text();
        if begun.needs_nothing() {
            begun.finish_empty();
        } else {
            self.running.push(begun);
        }
    }
}
