//! What learners of one route tell each other, so that many of them know what one would know that saw all rewards. Owns the
//! words; how they travel is not its concern.
//!
//! Each learner tells of its own rewards only, and all of them, so that what is told twice, late or in another order
//! changes nothing: sums of different rewards add up in any order. Where rewards fade, what is told says at which count of
//! all rewards it was true, and fades on from there.

use super::sums::Sums;
use std::collections::BTreeMap;

/// What one learner tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// How many rewards it has folded itself, ever.
    pub folded: u64,
    /// How many rewards it knew of then, those of others among them.
    pub seen: u64,
    /// Its own rewards, for each arm.
    pub tallies: Vec<Sums>,
}

/// What a learner heard from all others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// How many rewards each of them has folded, by its name. None is forgotten, so that a silence is no new reward when
    /// it ends.
    pub folded: BTreeMap<String, u64>,
    /// The sum of what they know, for each arm; empty where there is nothing.
    pub tallies: Vec<Sums>,
}

impl Heard {
    /// How many rewards all of them folded.
    #[must_use]
    pub fn rewards(&self) -> u64 {
        self.folded.values().fold(0, |sum, folded| sum.saturating_add(*folded))
    }

    /// How many of these were not heard of `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> u64 {
        self.rewards().saturating_sub(before.rewards())
    }
}
