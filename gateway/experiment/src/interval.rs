//! Where a value lies. Owns the order of its ends.

use serde::{Deserialize, Serialize};

/// From `low` to `high`, both included; its ends may be infinite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The smallest value.
    pub low: f64,
    /// The largest one.
    pub high: f64,
}

impl Interval {
    /// Anything.
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// `centre ± margin`.
    #[must_use]
    pub fn around(centre: f64, margin: f64) -> Self {
        Self { low: centre - margin, high: centre + margin }
    }

    /// Whether `value` lies in it.
    #[must_use]
    pub fn has(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// What lies in both; the nearer ends where nothing does.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        Self { low: low.min(high), high: high.max(low) }
    }

    /// How far its ends are apart.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_both() {
        let (a, b) = (Interval { low: 0.0, high: 2.0 }, Interval::around(2.0, 1.0));
        assert_eq!(a.and(&b), Interval { low: 1.0, high: 2.0 });
        assert!(a.has(2.0) && !b.has(0.5));
        assert_eq!(Interval::ALL.and(&a), a);
    }
}
