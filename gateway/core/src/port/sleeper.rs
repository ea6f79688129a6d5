//! The port to a local model that gives its memory back while nobody calls it.

use super::BoxFuture;
use crate::Fault;
use std::time::Instant;

/// A model that can sleep. A call wakes it by itself, and waits for that.
pub trait Sleeper: Send + Sync + std::fmt::Debug {
    /// Gives its weights and its cache back to the system.
    ///
    /// # Errors
    /// It has calls in work.
    fn sleep(&self) -> BoxFuture<'_, Result<(), Fault>>;

    /// Reads its weights again, so that the next call need not wait for that.
    ///
    /// # Errors
    /// There is no room for them, or their files are not those that were loaded.
    fn wake(&self) -> BoxFuture<'_, Result<(), Fault>>;

    /// How it stands.
    fn rest(&self) -> Rest;
}

/// How a model stands that can sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It has calls in work.
    Busy,
    /// It has none.
    Idle {
        /// Since when.
        since: Instant,
    },
    /// It has given its memory back.
    Asleep,
}

impl Rest {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Idle { .. } => "idle",
            Self::Asleep => "asleep",
        }
    }
}
