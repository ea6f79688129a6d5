//! The event store's settings.

use std::path::PathBuf;
use std::time::Duration;

/// The event store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsSpec {
    /// The folder of segments, index and tables; `None` keeps no events (they are then counted as neither kept nor lost).
    pub folder: Option<PathBuf>,
    /// When a record counts as kept.
    pub durability: Durability,
    /// What is kept of requests and answers.
    pub content: ContentPolicy,
    /// How long records are kept; `None` for ever.
    pub retention: Option<Duration>,
    /// Whose data a call is.
    pub subject: Option<SubjectSpec>,
}

/// When a record counts as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is in the queue: written each 10 ms, synced each second.
    Queue,
    /// When its group is synced; the last byte of the answer waits for it.
    Ack,
}

/// What is kept of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentPolicy {
    /// Nothing.
    None,
    /// SHA-256 digests.
    Hash,
    /// The bodies with every text replaced by its length.
    Redacted,
    /// The bodies.
    Full,
}

/// Where the subject of a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectSpec {
    /// In a header, its name in lower case.
    Header(String),
}
