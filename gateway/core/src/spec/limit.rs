//! Limits.

use crate::NanoUsd;
use std::time::Duration;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LimitSpec {
    /// For whom it counts.
    pub per: Per,
    /// Calls in a time.
    pub requests: Option<Rate>,
    /// Tokens in a time.
    pub tokens: Option<Rate>,
    /// Money in a span of the calendar.
    pub cost: Option<Budget>,
    /// What holds when the limit cannot be asked.
    pub failure: OnFailure,
}

/// For whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// Each key.
    Key,
    /// Each tenant.
    Tenant,
    /// Each route.
    Route,
}

impl Per {
    /// Its word in the configuration and in what is kept.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Route => "route",
        }
    }
}

/// So many in a time; up to all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u64,
    /// In which time, more than zero.
    pub every: Duration,
}

/// So much money in each span of the calendar. What is left at a span's end is not carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// How much.
    pub most: NanoUsd,
    /// In which span.
    pub every: Period,
}

/// A span of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From a Monday to the next.
    Week,
    /// From the first of a month to that of the next.
    Month,
}

impl Period {
    /// Its word in the configuration and in what is kept.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "calendar_day",
            Self::Week => "calendar_week",
            Self::Month => "calendar_month",
        }
    }
}

/// What holds when a limit cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Calls pass.
    Open,
    /// Calls are refused.
    Closed,
}
