//! What was spent of a budget in the span of the calendar that runs. Owns its arithmetic; locks and callers are others'.
//!
//! A reservation takes the most that a call may cost, settling gives the rest back. What a call cost beyond what was
//! reserved is taken too and holds back the next ones. A call that began in one span and ends in another was the
//! former's: nothing of it is settled in the latter.

use crate::span::Span;
use std::time::Duration;
use tidegate_core::NanoUsd;
use tidegate_core::spec::limit::Budget;

/// What was spent, by calls that ended and by those under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purse {
    from: u64,
    spent: u64,
}

impl Purse {
    /// A purse of which this much was spent in the span that began at `from`.
    #[must_use]
    pub const fn of(from: u64, spent: NanoUsd) -> Self {
        Self { from, spent: spent.0 }
    }

    /// Takes `cost`, or nothing.
    ///
    /// # Errors
    /// With the time until the next span begins.
    pub fn take(&mut self, budget: Budget, cost: NanoUsd, unix_ms: u64) -> Result<(), Duration> {
        let span = self.turn(budget, unix_ms);
        let spent = self.spent.saturating_add(cost.0);
        // A call that costs nothing passes an exact budget, but not one that is overdrawn.
        if spent > budget.most.0 {
            return Err(Duration::from_millis(span.until.saturating_sub(unix_ms)));
        }
        self.spent = spent;
        Ok(())
    }

    /// Settles what [`take`](Self::take) took in the span that began at `from`.
    pub const fn settle(&mut self, from: u64, reserved: NanoUsd, used: NanoUsd) {
        if self.from == from {
            self.spent = self.spent.saturating_sub(reserved.0).saturating_add(used.0);
        }
    }

    /// Where its span began.
    #[must_use]
    pub const fn from(self) -> u64 {
        self.from
    }

    /// What was spent in the span that runs at `unix_ms`.
    #[must_use]
    pub fn spent(mut self, budget: Budget, unix_ms: u64) -> NanoUsd {
        self.turn(budget, unix_ms);
        NanoUsd(self.spent)
    }

    /// Begins anew where its span is over. A clock that was set back begins no span again.
    fn turn(&mut self, budget: Budget, unix_ms: u64) -> Span {
        let span = Span::of(budget.every, unix_ms);
        if self.from < span.from {
            *self = Self { from: span.from, spent: 0 };
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::spec::limit::Period;

    const DAY: u64 = 86_400_000;
    const TEN: Budget = Budget { most: NanoUsd(10), every: Period::Day };

    #[test]
    fn a_budget_is_of_its_span() {
        let mut purse = Purse::default();
        assert_eq!(purse.take(TEN, NanoUsd(7), 20_000 * DAY), Ok(()));
        assert_eq!(purse.take(TEN, NanoUsd(4), 20_000 * DAY + 1000), Err(Duration::from_millis(DAY - 1000)));
        assert_eq!(purse.take(TEN, NanoUsd(3), 20_000 * DAY), Ok(()));
        assert_eq!(purse.take(TEN, NanoUsd(10), 20_001 * DAY), Ok(()));
        purse.settle(20_000 * DAY, NanoUsd(7), NanoUsd(1));
        assert_eq!(purse.spent(TEN, 20_001 * DAY), NanoUsd(10), "of yesterday nothing is given back today");
        purse.settle(20_001 * DAY, NanoUsd(10), NanoUsd(12));
        assert!(purse.take(TEN, NanoUsd(0), 20_001 * DAY).is_err(), "it is overdrawn");
        assert!(purse.take(TEN, NanoUsd(0), 20_000 * DAY).is_err(), "a clock set back does not help");
    }
}
