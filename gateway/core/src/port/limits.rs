//! The port to limits: reserve before, settle after.

use super::BoxFuture;
use crate::{Caller, NanoUsd, RouteName};
use std::time::Duration;

/// Holds callers to their limits.
pub trait Limits: Send + Sync + std::fmt::Debug {
    /// Reserves one request and the amounts of `call` in every limit that applies, or in none, by what is known here:
    /// it never waits.
    ///
    /// # Errors
    /// Says which limit is reached and when to come again, or that another store might have room.
    fn reserve(&self, call: &Demand<'_>) -> Result<Reservation, Denied>;

    /// Where [`Limits::reserve`] says [`Why::Short`]: the same, after asking the store that replicas share; it waits a few milliseconds at most.
    ///
    /// # Errors
    /// As [`Limits::reserve`], but never [`Why::Short`].
    fn ask<'a>(&'a self, call: &'a Demand<'a>) -> BoxFuture<'a, Result<Reservation, Denied>> {
        Box::pin(std::future::ready(self.reserve(call)))
    }
}

/// A call that asks for room.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// Which route.
    pub route: &'a RouteName,
    /// What it may take.
    pub amounts: Amounts,
}

/// What a call takes beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Prompt and completion tokens.
    pub tokens: u64,
    /// Money.
    pub cost: NanoUsd,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Calls.
    Requests,
    /// Prompt and completion tokens.
    Tokens,
    /// Money.
    Cost,
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

/// The tightest standing of each quantity, for the `x-ratelimit-*` headers. Money is not shown to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standings {
    /// Of requests.
    pub requests: Option<Standing>,
    /// Of tokens.
    pub tokens: Option<Standing>,
}

/// Why a call is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The limit is reached.
    Reached,
    /// What this replica holds of the limit does not cover it; the shared store may have more.
    Short,
    /// The shared store cannot be asked, and the limit is closed then.
    Unknown,
}

/// A call is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub why: Why,
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
    /// `reserved` was taken before, `used` was needed.
    fn settle(&self, reserved: Amounts, used: Amounts);
}

/// What is held for a call; settles exactly once, at the latest when dropped.
pub struct Reservation {
    /// How the limits stand after it.
    pub standings: Standings,
    reserved: Amounts,
    used: Amounts,
    settle: Option<Box<dyn Settle>>,
}

impl Reservation {
    /// A reservation of `reserved`; `settle` is `None` where nothing is to be settled.
    #[must_use]
    pub fn new(standings: Standings, reserved: Amounts, settle: Option<Box<dyn Settle>>) -> Self {
        Self { standings, reserved, used: Amounts::default(), settle }
    }

    /// Notes what was used so far.
    pub fn note_used(&mut self, used: Amounts) {
        self.used = used;
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
