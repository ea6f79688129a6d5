//! What one replica holds of one limit for one caller: a lease of each quantity. Owns the lock around them and whether
//! the feeder knows of the account; the arithmetic is the lease's.

use super::lease::{Lease, Room, Terms};
use crate::ticks::Now;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_core::port::limits::{Amounts, Quantity};

/// What a call takes of each quantity of a limit, in the order of [`QUANTITIES`].
pub(super) type Wants = [u64; QUANTITIES.len()];

/// For which exchange of each lease a call waits.
pub(super) type Tickets = [Option<u64>; QUANTITIES.len()];

/// The order of the leases.
pub(super) const QUANTITIES: [Quantity; 3] = [Quantity::Requests, Quantity::Tokens, Quantity::Cost];

/// What a call with `amounts` takes.
pub(super) const fn wants(amounts: Amounts) -> Wants {
    [1, amounts.tokens, amounts.cost.0]
}

/// What one replica holds of one limit for one caller.
#[derive(Debug)]
pub(super) struct Account {
    /// The key of each lease in the store; that of a budget is followed by where its span begins.
    pub(super) keys: [String; QUANTITIES.len()],
    held: Mutex<Held>,
    is_called: AtomicBool,
}

/// What lies under the lock.
#[derive(Debug)]
pub(super) struct Held {
    /// In the order of [`QUANTITIES`]; none where the limit does not count it.
    pub(super) leases: [Option<Lease>; QUANTITIES.len()],
    /// Whether the feeder looks after it.
    pub(super) is_fed: bool,
}

/// How much room there is for a call, and of which quantity too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) quantity: Quantity,
    pub(super) room: Room,
}

impl Account {
    /// Holds nothing yet; `life` numbers each lease.
    pub(super) fn new(
        keys: [String; QUANTITIES.len()],
        terms: [Option<Terms>; QUANTITIES.len()],
        mut life: impl FnMut() -> u64,
    ) -> Self {
        let leases = terms.map(|terms| terms.map(|terms| Lease::new(terms, life())));
        Self { keys, held: Mutex::new(Held { leases, is_fed: false }), is_called: AtomicBool::new(false) }
    }

    /// Holds it. A panic while it was held left whole numbers behind, so poison does not matter.
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the feeder is called; whether it was not before.
    pub(super) fn call(&self) -> bool {
        !self.is_called.swap(true, Ordering::AcqRel)
    }

    /// The feeder came.
    pub(super) fn heard(&self) {
        self.is_called.store(false, Ordering::Release);
    }
}

impl Held {
    /// What of `wants` does not fit at `now` by these terms: what lacks longest, else what the store may have.
    pub(super) fn lack(
        &mut self,
        wants: &Wants,
        terms: &[Option<Terms>; QUANTITIES.len()],
        now: Now,
        mut life: impl FnMut() -> u64,
    ) -> Option<Lack> {
        let mut worst: Option<Lack> = None;
        for (at, lease) in self.leases.iter_mut().enumerate() {
            let Some(lease) = lease else { continue };
            if let Some(terms) = terms[at] {
                lease.amend(terms);
            }
            lease.turn(now, &mut life);
            let lack = Lack { quantity: QUANTITIES[at], room: lease.room(wants[at], now) };
            worst = worse(worst, Some(lack));
        }
        worst
    }

    /// Takes `wants`, fitting or not, and says in which life of each lease.
    pub(super) fn take(&mut self, wants: &Wants) -> Wants {
        let mut lives = Wants::default();
        for (at, lease) in self.leases.iter_mut().enumerate() {
            if let Some(lease) = lease {
                lease.take(wants[at], QUANTITIES[at] != Quantity::Requests);
                lives[at] = lease.life();
            }
        }
        lives
    }

    /// Settles what was taken in these lives.
    pub(super) fn settle(&mut self, lives: &Wants, reserved: &Wants, used: &Wants) {
        for (at, lease) in self.leases.iter_mut().enumerate() {
            if let Some(lease) = lease.as_mut().filter(|_| QUANTITIES[at] != Quantity::Requests) {
                lease.settle(lives[at], reserved[at], used[at]);
            }
        }
    }

    /// Notes that a call waits for each lease that does not cover it.
    pub(super) fn miss(&mut self, wants: &Wants, tickets: &mut Tickets, now: Now) {
        for (at, lease) in self.leases.iter_mut().enumerate() {
            if let Some(lease) = lease.as_mut().filter(|lease| lease.room(wants[at], now) == Room::Short) {
                lease.miss(wants[at], &mut tickets[at]);
            }
        }
    }

    /// Notes that a call was refused for each lease that did not cover it.
    pub(super) fn refuse(&mut self, wants: &Wants, now: Now) {
        for (at, lease) in self.leases.iter_mut().enumerate() {
            if let Some(lease) = lease.as_mut().filter(|lease| lease.room(wants[at], now) != Room::Fits) {
                lease.refuse();
            }
        }
    }

    /// Whether a lease should be drawn from the store before the next beat.
    pub(super) fn is_low(&self) -> bool {
        self.leases.iter().flatten().any(Lease::is_low)
    }
}

/// What a call is told of first: a refusal, the longest of several; else that the store must be asked.
pub(super) fn worse(a: Option<Lack>, b: Option<Lack>) -> Option<Lack> {
    let weight = |lack: &Lack| match lack.room {
        Room::Fits => None,
        Room::Short => Some(std::time::Duration::ZERO),
        Room::None(wait) => Some(wait.max(std::time::Duration::from_nanos(1))),
    };
    a.into_iter().chain(b).filter(|lack| weight(lack).is_some()).max_by_key(weight)
}
