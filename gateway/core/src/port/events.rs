//! The port to the event store.

use super::BoxFuture;
use crate::{Event, Fault};

/// Takes the records of calls. Never blocks: what cannot be kept is counted as dropped.
pub trait Events: Send + Sync + std::fmt::Debug {
    /// Takes one record.
    fn record(&self, event: Box<Event>) -> Recorded;
}

/// What became of a record.
pub enum Recorded {
    /// It waits in the queue, to be written soon.
    Queued,
    /// It was dropped, and counted under its reason.
    Dropped(DropReason),
    /// The future resolves when it is durable, or with the fault that says it is not.
    Acknowledged(BoxFuture<'static, Result<(), Fault>>),
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "Queued",
            Self::Dropped(_) => "Dropped",
            Self::Acknowledged(_) => "Acknowledged",
        })
    }
}

/// Why a record was dropped: the closed label set of `tidegate_events_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// The store could not write it.
    WriteFailed,
    /// The store was closed.
    Closed,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::WriteFailed, Self::Closed];

    /// Its label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WriteFailed => "write_failed",
            Self::Closed => "closed",
        }
    }
}
