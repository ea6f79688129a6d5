//! What is counted of a view: look-ups, the entities of them, and how values were served. Owns the closed sets of their labels.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_core::port::enrich::ViewReport;
use tidegate_core::served::{Lack, ServedFeature};
use tidegate_core::{Fault, FaultKind, ViewName};

/// Why a store could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Late,
    Unreachable,
    Refused,
    Failed,
}

impl Why {
    const ALL: [Self; 4] = [Self::Late, Self::Unreachable, Self::Refused, Self::Failed];

    pub(super) const fn of(fault: &Fault) -> Self {
        match fault.kind {
            FaultKind::UpstreamTimeout => Self::Late,
            FaultKind::Unreachable | FaultKind::Overloaded => Self::Unreachable,
            FaultKind::UpstreamRefused | FaultKind::UpstreamMisconfigured | FaultKind::UpstreamRateLimited => {
                Self::Refused
            }
            _ => Self::Failed,
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// How values are served.
const SERVED: [&str; 6] = ["fresh", "flagged", "missing", "stale", "failed", "unfit"];

/// What is counted of a view.
#[derive(Debug, Default)]
pub(super) struct Counts {
    found: AtomicU64,
    failed: [AtomicU64; Why::ALL.len()],
    us: AtomicU64,
    asked: AtomicU64,
    remembered: AtomicU64,
    served: [AtomicU64; SERVED.len()],
}

impl Counts {
    pub(super) fn looked_up(&self, failed: Option<Why>, took: Duration) {
        match failed {
            None => &self.found,
            Some(why) => &self.failed[why as usize],
        }
        .fetch_add(1, Relaxed);
        self.us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn entities(&self, asked: usize, remembered: usize) {
        self.asked.fetch_add(asked as u64, Relaxed);
        self.remembered.fetch_add(remembered as u64, Relaxed);
    }

    pub(super) fn served<'a>(&self, values: impl Iterator<Item = &'a ServedFeature>) {
        let mut counted = [0u64; SERVED.len()];
        for value in values {
            let place = match (value.lacks, value.stale) {
                (None, false) => 0,
                (None, true) => 1,
                (Some(Lack::Missing), _) => 2,
                (Some(Lack::Stale), _) => 3,
                (Some(Lack::Failed), _) => 4,
                (Some(Lack::Unfit), _) => 5,
            };
            counted[place] += 1;
        }
        for (counter, count) in self.served.iter().zip(counted).filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn report(&self, view: &ViewName) -> ViewReport {
        let failed = Why::ALL.iter().map(|why| (why.label(), self.failed[*why as usize].load(Relaxed)));
        ViewReport {
            view: view.clone(),
            lookups: std::iter::once(("ok", self.found.load(Relaxed))).chain(failed).collect(),
            time: Duration::from_micros(self.us.load(Relaxed)),
            asked: self.asked.load(Relaxed),
            remembered: self.remembered.load(Relaxed),
            values: SERVED.iter().zip(&self.served).map(|(label, count)| (*label, count.load(Relaxed))).collect(),
        }
    }
}
