//! Limits.

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
}

/// So many in a time; up to all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u64,
    /// In which time, more than zero.
    pub every: Duration,
}

/// What holds when a limit cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Calls pass.
    Open,
    /// Calls are refused.
    Closed,
}
