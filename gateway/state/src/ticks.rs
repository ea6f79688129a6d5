//! Time as a number. Owns the origin from which limits count, so that a state is one word and not an `Instant`.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::Clock;

/// The longest time that a limit may span, 146 years: beyond it sums could overflow.
pub const LONGEST_NS: u64 = 1 << 62;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since the limits were made, for what refills.
    pub ns: u64,
    /// Milliseconds since 1970, for spans of the calendar.
    pub unix_ms: u64,
}

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

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            ns: nanos(self.clock.now().saturating_duration_since(self.origin)),
            unix_ms: self.clock.unix_ms().min(LONGEST_NS),
        }
    }
}

/// `time` in nanoseconds, at most [`LONGEST_NS`].
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(LONGEST_NS)
}
