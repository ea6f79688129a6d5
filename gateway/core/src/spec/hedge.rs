//! Hedging: a second request beside one that is slow.

use std::time::Duration;

/// When a second request goes out beside one that is slow, and how many may.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeSpec {
    /// When.
    pub after: HedgeAfter,
    /// The most second requests as a share of calls, in `(0, 1]`.
    pub max_extra: f64,
}

/// How long the first request may be under way alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// As long as so many in a hundred of such requests take until their answer, or until a stream begins.
    Percentile(u8),
    /// As long as this.
    Time(Duration),
}
