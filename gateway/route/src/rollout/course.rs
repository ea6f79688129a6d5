//! A rollout that many replicas run as one: where they are agreed that it stands, and what each of them saw. Owns what
//! becomes of one's own standing when others went on; how the words travel is not its concern.
//!
//! A course is only ever replaced by the one after it, so of two replicas that turn at once one is too late. Who is cut
//! off from the others may turn back alone, since that harms nobody, and says so when he is back: going back wins over
//! going on.

use super::Rollout;
use super::evidence::Evidence;
use super::stage::{Stage, Turn};
use serde::{Deserialize, Serialize};

/// Where replicas are agreed that a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// How many turns there were, ever.
    pub version: u64,
    /// The stage.
    pub stage: Stage,
    /// Milliseconds since 1970 at which it began.
    pub since: u64,
    /// Who paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// How it came here, the newest last.
    pub turns: Vec<Turn>,
}

/// What one replica saw at a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// The stage.
    pub stage: Stage,
    /// Since when: two stages of one name are told apart by it.
    pub since: u64,
    /// What was seen of the old arm.
    pub from: Evidence,
    /// What was seen of the new arm.
    pub to: Evidence,
}

impl Rollout {
    /// Where it stands, for others.
    #[must_use]
    pub fn course(&self) -> Course {
        let standing = &self.standing;
        Course {
            version: standing.version,
            stage: standing.stage,
            since: standing.since,
            paused: standing.paused.clone(),
            turns: standing.turns.clone(),
        }
    }

    /// What was seen here, for others.
    #[must_use]
    pub fn sight(&self) -> Sight {
        let standing = &self.standing;
        let (from, to) = (standing.from.clone(), standing.to.clone());
        Sight { stage: standing.stage, since: standing.since, from, to }
    }

    /// Begins to be one that many run: what was agreed on counts from 1.
    pub fn share_out(&mut self) {
        self.standing.version = self.standing.version.max(1);
    }

    /// Goes where the others are. A turn back that they do not know yet is taken again behind theirs; then its course is
    /// the one after theirs, and is to be told.
    pub fn join(&mut self, course: Course) {
        let back =
            (self.standing.is_ahead && self.standing.stage.is_over()).then(|| self.standing.turns.last().cloned());
        let is_new = self.standing.version == 0 && self.standing.stage == course.stage;
        if is_new {
            // It began here a little earlier or later than there: that is the same beginning.
            self.standing.since = course.since;
        } else if (course.stage, course.since) != (self.standing.stage, self.standing.since) {
            self.enter(course.stage, course.since);
        }
        self.standing.version = course.version;
        self.standing.paused = course.paused;
        self.standing.turns = course.turns;
        self.standing.is_ahead = false;
        if let Some(Some(turn)) = back
            && !self.standing.stage.is_over()
        {
            self.turn(turn.to, &turn.by, turn.why, turn.at);
            self.standing.is_ahead = true;
        }
    }

    /// Knows what was seen elsewhere. Of another stage than this one it says nothing.
    pub fn hear(&mut self, sights: impl IntoIterator<Item = Sight>) {
        self.others = Default::default();
        for sight in sights {
            if (sight.stage, sight.since) == (self.standing.stage, self.standing.since) {
                self.others.0.merge(&sight.from);
                self.others.1.merge(&sight.to);
            }
        }
    }

    /// Takes what this replica had told before it ended without keeping it.
    pub fn recall(&mut self, sight: Sight) {
        let is_of_now = (sight.stage, sight.since) == (self.standing.stage, self.standing.since);
        if is_of_now && sight.from.calls + sight.to.calls > self.standing.from.calls + self.standing.to.calls {
            (self.standing.from, self.standing.to) = (sight.from, sight.to);
        }
    }

    /// Others know the course of this version.
    pub const fn is_told(&mut self, version: u64) {
        if self.standing.version <= version {
            self.standing.is_ahead = false;
        }
    }

    /// Its newest turn is one that others do not know.
    pub const fn run_ahead(&mut self) {
        self.standing.is_ahead = true;
    }
}

#[cfg(test)]
mod tests;
