//! What happened to shared limits, for the metrics. Owns the counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// By which way it was decided whether a call has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the lease at hand.
    Local,
    /// By asking the store.
    Asked,
    /// Let through because the store did not answer.
    Open,
    /// Refused because the store did not answer.
    Closed,
}

impl Way {
    /// Every way, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Local, Self::Asked, Self::Open, Self::Closed];

    /// Its label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Asked => "asked",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What happened to shared limits.
#[derive(Debug, Default)]
pub struct SharedCounts {
    pub(super) up: AtomicBool,
    pub(super) losses: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) ways: [AtomicU64; Way::ALL.len()],
    pub(super) reconciled: AtomicU64,
}

impl SharedCounts {
    /// Nothing happened yet, and the store is thought to be there.
    pub(super) fn presumed_up() -> Self {
        Self { up: AtomicBool::new(true), ..Self::default() }
    }

    /// Whether the store answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// How often it was lost.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Round trips to the store, answered and not.
    #[must_use]
    pub fn calls(&self) -> [u64; 2] {
        [&self.answered, &self.unanswered].map(|count| count.load(Ordering::Relaxed))
    }

    /// How many calls were decided on this way.
    #[must_use]
    pub fn decided(&self, way: Way) -> u64 {
        self.ways[way as usize].load(Ordering::Relaxed)
    }

    /// How often an account told the store of what was used beyond its leases.
    #[must_use]
    pub fn reconciled(&self) -> u64 {
        self.reconciled.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, way: Way) {
        self.ways[way as usize].fetch_add(1, Ordering::Relaxed);
    }
}
