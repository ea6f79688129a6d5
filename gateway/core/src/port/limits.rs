//! The port to limits: reserve before, settle after.

use crate::Caller;
use std::time::Duration;

/// Holds callers to their limits.
pub trait Limits: Send + Sync + std::fmt::Debug {
    /// Reserves one request and about `tokens` tokens for `caller`, in every limit that applies, or in none.
    ///
    /// # Errors
    /// Says which limit is reached and when to come again.
    fn reserve(&self, caller: &Caller, tokens: u64) -> Result<Reservation, Denied>;
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Calls.
    Requests,
    /// Prompt and completion tokens.
    Tokens,
}

/// How one limit stands for one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The most that fits.
    pub limit: u64,
    /// What is left.
    pub remaining: u64,
    /// Until it is full again.
    pub reset: Duration,
}

/// The tightest standing of each quantity, for the `x-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standings {
    /// Of requests.
    pub requests: Option<Standing>,
    /// Of tokens.
    pub tokens: Option<Standing>,
}

/// A limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Of what.
    pub quantity: Quantity,
    /// The limit in words, such as `600 requests per minute for this key`.
    pub limit: String,
    /// When enough will be there again.
    pub retry_after: Duration,
    /// How the limits stand.
    pub standings: Standings,
}

/// Gives back what a reservation did not use, or takes what it used beyond.
pub trait Settle: Send {
    /// `reserved` tokens were taken before, `used` were needed.
    fn settle(&self, reserved: u64, used: u64);
}

/// Tokens that are held for a call; settles exactly once, at the latest when dropped.
pub struct Reservation {
    /// How the limits stand after it.
    pub standings: Standings,
    reserved: u64,
    used: u64,
    settle: Option<Box<dyn Settle>>,
}

impl Reservation {
    /// A reservation of `reserved` tokens; `settle` is `None` where no limit counts tokens.
    #[must_use]
    pub fn new(standings: Standings, reserved: u64, settle: Option<Box<dyn Settle>>) -> Self {
        Self { standings, reserved, used: 0, settle }
    }

    /// Notes what was used so far.
    pub fn note_used(&mut self, tokens: u64) {
        self.used = tokens;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.settle(self.reserved, self.used);
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation")
            .field("reserved", &self.reserved)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}
