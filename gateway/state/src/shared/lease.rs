//! What one replica holds of one quantity of one account. Owns the arithmetic, pure: locks, time and the store are
//! others'.
//!
//! `drawn` is what the store lent, `settled` what calls used that ended, `reserved` what those under way may use. A call
//! fits where the three leave room for it. What is given back is taken out of `drawn` before the store is told, and what
//! it lends is added when its answer is here, so the store never knows of less than is held.

use super::store::{Answer, Ask, Verdict};
use crate::span::Span;
use crate::ticks::Now;
use std::time::Duration;
use tidegate_core::spec::limit::Period;

const SECOND_NS: u64 = 1_000_000_000;
/// How long a lease of a rate holds without another exchange.
const HOLD_MS: u64 = 10_000;
/// The holder stops a little before the store does: their clocks need not run alike.
const HOLD_NS: u64 = HOLD_MS * 900_000;
/// How long it is believed what the store said was free.
const FRESH_NS: u64 = SECOND_NS;
/// How often a lease in use is told of.
const BEAT_NS: u64 = SECOND_NS;
/// How often a rate is asked for that was refused; a budget each half second, since only others can give it back.
const THIRST_NS: [u64; 2] = [SECOND_NS / 10, SECOND_NS / 2];
/// Draws that follow each other faster than this are too small, slower than that too large.
const PACE_NS: [u64; 2] = [SECOND_NS / 2, 4 * SECOND_NS];
/// A first draw is as large as so many calls.
const FIRST: u64 = 8;

/// How much there is, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The most.
    pub(crate) most: u64,
    /// How it comes back.
    pub(crate) fill: Fill,
}

/// How a quantity comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All of it in so many microseconds, steadily.
    Steady(u64),
    /// All at once when a span of the calendar begins.
    Span(Period),
}

/// Whether a call fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It does.
    Fits,
    /// Not here; the store may have more.
    Short,
    /// Nowhere, for about this time.
    None(Duration),
}

/// What one replica holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    terms: Terms,
    /// Which life of this lease it is: settling of an earlier one is not this one's.
    life: u64,
    span: Option<Span>,
    drawn: u64,
    settled: u64,
    reserved: u64,
    acked: Acked,
    flying: Option<Flight>,
    ends: u64,
    asked: u64,
    lent: u64,
    like: u64,
    low: u64,
    least: u64,
    need: u64,
    is_thirsty: bool,
    is_used: bool,
    is_wanted: bool,
    known: Option<Known>,
    /// How many exchanges there were.
    asks: u64,
}

/// What the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Acked {
    drawn: u64,
    settled: u64,
}

/// An exchange without an answer yet.
#[derive(Debug, Clone, Copy)]
struct Flight {
    seq: u64,
    sent: u64,
    drawn: u64,
    settled: u64,
}

/// What the store said was free, and when.
#[derive(Debug, Clone, Copy)]
struct Known {
    level: i64,
    at: u64,
    wait: Duration,
}

impl Lease {
    /// Holds nothing yet.
    pub(crate) const fn new(terms: Terms, life: u64) -> Self {
        Self {
            terms,
            life,
            span: None,
            drawn: 0,
            settled: 0,
            reserved: 0,
            acked: Acked { drawn: 0, settled: 0 },
            flying: None,
            ends: 0,
            asked: 0,
            lent: 0,
            like: 0,
            low: 0,
            least: 0,
            need: 0,
            is_thirsty: false,
            is_used: false,
            is_wanted: false,
            known: None,
            asks: 0,
        }
    }

    /// Which life it is in.
    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    /// What is held and not spoken for.
    pub(crate) const fn left(&self) -> u64 {
        self.drawn.saturating_sub(self.spent())
    }

    /// The most that there is.
    pub(crate) const fn most(&self) -> u64 {
        self.terms.most
    }

    const fn spent(&self) -> u64 {
        self.settled.saturating_add(self.reserved)
    }

    /// How much a call takes that asks for `wanted`: of what refills, no more than there ever is.
    pub(crate) const fn share(&self, wanted: u64) -> u64 {
        match self.terms.fill {
            Fill::Steady(_) if wanted > self.terms.most => self.terms.most,
            _ => wanted,
        }
    }

    /// Begins another life where its span is over, and forgets what it held of a rate where the lease is.
    pub(crate) fn turn(&mut self, now: Now, new_life: impl FnOnce() -> u64) {
        match self.terms.fill {
            Fill::Span(every) => {
                let is_over = self.span.is_none_or(|span| span.until <= now.unix_ms);
                if is_over {
                    let span = Some(Span::of(every, now.unix_ms));
                    *self = Self { span, like: self.like, asks: self.asks, ..Self::new(self.terms, new_life()) };
                }
            }
            Fill::Steady(_) if self.ends <= now.ns => self.drawn = self.drawn.min(self.spent()),
            Fill::Steady(_) => {}
        }
    }

    /// Whether `wanted` fits.
    pub(crate) fn room(&self, wanted: u64, now: Now) -> Room {
        let wanted = self.share(wanted);
        // A call that takes nothing passes an exact budget, but not one that is overdrawn.
        if self.drawn >= self.spent() && self.left() >= wanted && (wanted > 0 || self.drawn > 0) {
            return Room::Fits;
        }
        if wanted > self.terms.most {
            return Room::None(self.until(now));
        }
        match self.known.filter(|known| now.ns.saturating_sub(known.at) < FRESH_NS) {
            Some(known) if i128::from(known.level) + i128::from(self.left()) < i128::from(wanted) => {
                Room::None(known.wait.max(Duration::from_millis(1)))
            }
            _ => Room::Short,
        }
    }

    fn until(&self, now: Now) -> Duration {
        Duration::from_millis(self.span.map_or(0, |span| span.until.saturating_sub(now.unix_ms)))
    }

    /// Takes `wanted`, fitting or not; `lasting` where it is settled later.
    pub(crate) fn take(&mut self, wanted: u64, lasting: bool) {
        let wanted = self.share(wanted);
        let to = if lasting { &mut self.reserved } else { &mut self.settled };
        *to = to.saturating_add(wanted);
        self.like = self.like.max(wanted.saturating_mul(FIRST));
        self.is_used = true;
    }

    /// Settles what was taken in this life: of `reserved`, `used` were needed.
    pub(crate) fn settle(&mut self, life: u64, reserved: u64, used: u64) {
        if self.life == life {
            self.reserved = self.reserved.saturating_sub(self.share(reserved));
            self.settled = self.settled.saturating_add(used);
        }
    }

    /// Changes how much there is; how it comes back stays.
    pub(crate) const fn amend(&mut self, terms: Terms) {
        if self.terms.most != terms.most {
            self.terms.most = terms.most;
            self.known = None;
            // What is at hand was lent out of another amount: the store says what of it there still is.
            if self.drawn > self.spent() {
                self.drawn = self.spent();
            }
        }
    }

    /// Notes that a call waits for `wanted`; once for each exchange that it waits for, which its `ticket` tells.
    pub(crate) fn miss(&mut self, wanted: u64, ticket: &mut Option<u64>) {
        let is_noted = ticket.is_some_and(|at| self.asks == at || (self.asks == at + 1 && self.flying.is_some()));
        if is_noted {
            return;
        }
        *ticket = Some(self.asks);
        let wanted = self.share(wanted);
        self.least = if self.need == 0 { wanted } else { self.least.min(wanted) };
        self.need = self.need.saturating_add(wanted.max(1));
        self.like = self.like.max(wanted.saturating_mul(FIRST));
    }

    /// Notes that a call was refused: then it is asked for beside the calls.
    pub(crate) const fn refuse(&mut self) {
        self.is_thirsty = true;
    }

    /// Whether it should be drawn from the store before the next beat.
    pub(crate) const fn is_low(&self) -> bool {
        self.flying.is_none() && (self.need > 0 || (self.left() < self.low && self.is_used))
    }

    /// Whether an exchange is due at `now`.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        let since = now.ns.saturating_sub(self.asked);
        let thirst = THIRST_NS[usize::from(matches!(self.terms.fill, Fill::Span(_)))];
        let beats = since >= BEAT_NS && self.is_lively();
        self.is_low() || (self.flying.is_none() && (beats || (self.is_thirsty && since >= thirst)))
    }

    /// Whether the store must hear of it again.
    pub(crate) fn is_lively(&self) -> bool {
        let told = Acked { drawn: self.drawn, settled: self.settled };
        self.left() > 0 || self.reserved > 0 || self.is_thirsty || self.flying.is_some() || self.acked != told
    }

    /// Whether it may be forgotten: nothing is to be told, and what was spent is no running span's.
    pub(crate) fn is_idle(&self, now: Now) -> bool {
        let is_spent = self.span.is_some_and(|span| span.until > now.unix_ms) && (self.drawn > 0 || self.settled > 0);
        !self.is_lively() && !is_spent
    }

    /// The next exchange, and whether it tells of more than was lent.
    pub(crate) fn ask(&mut self, seq: u64, key: &str, holder: &str, now: Now) -> (Ask, bool) {
        let is_beyond = self.spent() > self.drawn;
        if is_beyond {
            self.drawn = self.spent();
        }
        let is_idle = !self.is_used && self.need == 0 && !self.is_thirsty;
        if is_idle || self.is_wanted {
            self.drawn = self.spent();
        }
        if is_idle {
            self.low = 0;
        }
        let (every_us, until_ms) = match self.terms.fill {
            Fill::Steady(every_us) => (every_us, 0),
            Fill::Span(_) => (0, self.span.map_or(0, |span| span.until)),
        };
        let like =
            if is_idle || self.is_wanted { 0 } else { self.like.min(self.terms.most).saturating_sub(self.left()) };
        let from = self.span.map_or(0, |span| span.from);
        let ask = Ask {
            key: if until_ms > 0 { format!("{key}:{from}") } else { key.to_owned() },
            holder: format!("{holder}-{}", self.life),
            seq,
            drawn: self.drawn,
            settled: self.settled,
            acked: self.acked.settled,
            least: if self.need > 0 { self.least.saturating_sub(self.left()) } else { 0 },
            // A call that needs nothing asks too: whether anything is left.
            need: if self.need > 0 { self.need.saturating_sub(self.left()).max(1) } else { 0 },
            like,
            most: self.terms.most,
            every_us,
            until_ms,
            hold_ms: HOLD_MS,
        };
        self.flying = Some(Flight { seq, sent: now.ns, drawn: self.drawn, settled: self.settled });
        self.asked = now.ns;
        self.asks += 1;
        (self.need, self.is_thirsty, self.is_used) = (0, false, false);
        (ask, is_beyond)
    }

    /// The answer to the exchange `seq`, unless it was given up.
    pub(crate) fn answer(&mut self, seq: u64, answer: Answer, now: Now) {
        let Some(flight) = self.flying.filter(|flight| flight.seq == seq) else { return };
        self.flying = None;
        match answer.verdict {
            Verdict::Stale => return,
            Verdict::Over => {
                // The clock that spans are reckoned by is set by now; the next call turns the span.
                self.known = None;
                return;
            }
            Verdict::Done => {}
        }
        self.drawn = self.drawn.saturating_add(answer.granted);
        self.acked = Acked { drawn: flight.drawn.saturating_add(answer.granted), settled: flight.settled };
        self.ends = flight.sent.saturating_add(HOLD_NS);
        self.is_wanted = answer.is_wanted;
        self.known = Some(Known { level: answer.level, at: now.ns, wait: answer.wait });
        if answer.granted > 0 {
            let pace = flight.sent.saturating_sub(self.lent);
            if pace < PACE_NS[0] {
                self.like = self.like.saturating_mul(2).min(self.terms.most);
            } else if pace > PACE_NS[1] {
                self.like /= 2;
            }
            self.lent = flight.sent;
        }
        self.low = if answer.level > 0 && answer.granted > 0 { self.left() / 2 } else { 0 };
    }

    /// The exchange `seq` has no answer: whether the store took it, nobody knows, and the next one says all again.
    pub(crate) fn lost(&mut self, seq: u64) {
        if self.flying.is_some_and(|flight| flight.seq == seq) {
            self.flying = None;
            // Told again when the store is there.
            self.acked.drawn = u64::MAX;
        }
    }

    /// Gives up all that is not spoken for, at the end.
    pub(crate) const fn release(&mut self) {
        self.is_used = false;
        self.is_thirsty = false;
        self.need = 0;
    }

    /// What is known to be there, for the headers.
    pub(crate) fn remaining(&self) -> u64 {
        let free = self.known.map_or(0, |known| u64::try_from(known.level).unwrap_or(0));
        self.left().saturating_add(free).min(self.terms.most)
    }

    /// Until it is full again, as far as is known.
    pub(crate) fn reset(&self, now: Now) -> Duration {
        match self.terms.fill {
            Fill::Span(_) => self.until(now),
            Fill::Steady(every_us) => {
                let gone = u128::from(self.terms.most - self.remaining());
                let us = gone * u128::from(every_us) / u128::from(self.terms.most.max(1));
                Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests;
