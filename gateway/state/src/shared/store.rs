//! The store that leases are drawn from, as the feeder sees it. Owns the words of an exchange.

use std::time::Duration;

/// What one holder says of one quantity, and asks for. Exchanges of one holder are numbered: one that arrives behind a
/// newer one changes nothing, so an exchange without an answer is not repeated but followed by the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whose account in which limit, and which span.
    pub key: String,
    /// Who holds: one life of one lease in one replica.
    pub holder: String,
    /// The number of this exchange, above those of all earlier ones.
    pub seq: u64,
    /// All that he drew so far and did not give back.
    pub drawn: u64,
    /// How much of it calls used that ended.
    pub settled: u64,
    /// The same as of the last exchange that was answered.
    pub acked: u64,
    /// The least that a call needs that waits.
    pub least: u64,
    /// What all calls need that wait.
    pub need: u64,
    /// What he would like to have in store.
    pub like: u64,
    /// The most of the quantity.
    pub most: u64,
    /// In how many microseconds that refills; 0 where it is a budget.
    pub every_us: u64,
    /// When the budget's span ends, in milliseconds since 1970; 0 where it is none.
    pub until_ms: u64,
    /// For how many milliseconds the lease holds.
    pub hold_ms: u64,
}

/// What became of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A newer one was there before it.
    Stale,
    /// It counts.
    Done,
    /// The span is over by the store's clock.
    Over,
}

/// The store's answer to an [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What became of it.
    pub verdict: Verdict,
    /// How much is lent in addition.
    pub granted: u64,
    /// How much is free then; below zero where more was used than there was.
    pub level: i64,
    /// After which time there may be enough, where nothing was lent to those who wait.
    pub wait: Duration,
    /// Whether another holder wants more than he got.
    pub is_wanted: bool,
    /// The store's clock, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreFault(pub String);

/// Where leases are drawn from.
pub trait Store: Send + 'static {
    /// Exchanges all of `asks` in one round trip; it connects where it is not connected, and gives up in time.
    ///
    /// # Errors
    /// Nobody knows which of them the store took.
    fn exchange(&mut self, asks: &[Ask]) -> impl Future<Output = Result<Vec<Answer>, StoreFault>> + Send;
}
