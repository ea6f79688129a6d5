//! What a monitor counts of calls on their way to it. Owns the reasons for which one is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// So many calls of a monitor may wait at once …
const PLACES: usize = 4096;

/// What was lacking for a call that was to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A place: too many waited.
    Place,
    /// What it is compared with: that is not known yet.
    Reference,
    /// The model that answered: nobody knows it, or too many are watched.
    Model,
    /// A way to the replica that leads: too much waited for it.
    Way,
    /// Time: its window had ended, or was counted otherwise, when the replica that leads got it.
    Time,
}

impl Left {
    /// Every reason, in the order of their declaration.
    pub(super) const ALL: [Self; 5] = [Self::Place, Self::Reference, Self::Model, Self::Way, Self::Time];

    /// Its label.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Place => "no_place",
            Self::Reference => "no_reference",
            Self::Model => "no_model",
            Self::Way => "no_way",
            Self::Time => "too_late",
        }
    }
}

/// The counters of a monitor, and its places. They outlive a reload.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) places: Arc<Semaphore>,
    rows: AtomicU64,
    left: [AtomicU64; Left::ALL.len()],
}

impl Default for Counts {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), rows: AtomicU64::new(0), left: Default::default() }
    }
}

impl Counts {
    /// A call was taken.
    pub(super) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was left out.
    pub(super) fn left(&self, why: Left) {
        self.left_all(why, 1);
    }

    /// So many calls were left out.
    pub(super) fn left_all(&self, why: Left, calls: u64) {
        self.left[why as usize].fetch_add(calls, Ordering::Relaxed);
    }

    /// How many were taken.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many were left out, by reason.
    pub(super) fn left_out(&self) -> [(&'static str, u64); Left::ALL.len()] {
        Left::ALL.map(|why| (why.label(), self.left[why as usize].load(Ordering::Relaxed)))
    }
}
