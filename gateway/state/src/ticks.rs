//! Time as a number. Owns the origin from which limits count, so that a state is one word and not an `Instant`.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::Clock;

/// The longest time that a limit may span, 146 years: beyond it sums could overflow.
pub const LONGEST_NS: u64 = 1 << 62;

/// An injected clock, read in nanoseconds since this value was made.
#[derive(Debug, Clone)]
pub struct Ticks {
    clock: Arc<dyn Clock>,
    origin: Instant,
}

impl Ticks {
    /// Counts from now on.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let origin = clock.now();
        Self { clock, origin }
    }

    /// Nanoseconds since it was made.
    #[must_use]
    pub fn now(&self) -> u64 {
        nanos(self.clock.now().saturating_duration_since(self.origin))
    }
}

/// `time` in nanoseconds, at most [`LONGEST_NS`].
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(LONGEST_NS)
}
