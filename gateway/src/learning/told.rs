//! What replicas tell each other of routes that learn: the words, and the board on which the learners of this one pin what
//! they have to tell. Owns neither the way to others nor what becomes of what they tell.

use super::seat::Seat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::{RouteName, StateId};
use tidegate_storage::learning::SumsEntry;

/// What a replica knows of a route's arms from rewards that it folded itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Arms {
    /// How many rewards it has folded, ever.
    pub(super) folded: u64,
    /// How many it knew of then, those of others among them.
    pub(super) seen: u64,
    /// What is remembered of each arm's rewards, by the arm's name.
    pub(super) tallies: BTreeMap<String, SumsEntry>,
    /// Names the declaration of the features that these are of, where the rule regards any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) features: Option<StateId>,
}

/// A route, and the reward that it learns from.
pub(super) type Topic = (RouteName, Arc<str>);

/// What this replica has to tell, and what came of telling.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Whether there is anybody to tell.
    is_shared: bool,
    posts: Mutex<BTreeMap<Topic, Arms>>,
    pub(super) is_up: AtomicBool,
    pub(super) losses: AtomicU64,
    heard: AtomicU64,
    pub(super) told_late: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Board {
    /// A board that others read, or none does.
    pub(crate) fn new(is_shared: bool) -> Self {
        Self { is_shared, is_up: AtomicBool::new(true), ..Self::default() }
    }

    /// Pins what a seat has to tell.
    pub(super) fn post(&self, route: &RouteName, seat: &Seat) {
        if self.is_shared {
            let topic = (route.clone(), seat.learned.reward.name().into());
            self.posts.lock().unwrap_or_else(PoisonError::into_inner).insert(topic, seat.told());
        }
    }

    /// All that is pinned.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there is no way to others without it"))]
    pub(super) fn posts(&self) -> BTreeMap<Topic, Arms> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many rewards of others are known now.
    pub(super) fn heard(&self, rewards: u64) {
        self.heard.fetch_add(rewards, Ordering::Relaxed);
    }
}

impl tidegate_server::observe::learning::LearningCounts for Board {
    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    fn rewards(&self) -> [(&'static str, u64); 3] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("heard", of(&self.heard)), ("told_late", of(&self.told_late)), ("lost", of(&self.lost))]
    }
}
