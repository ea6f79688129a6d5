//! Which events are wanted. Owns the tests of an event and of a table as a whole.

use crate::manifest::TableFile;
use std::str::FromStr;
use tidegate_core::{Event, Outcome, RouteName};

/// Which events; the default wants all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Accepted at this time or later, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Accepted before this time, in Unix milliseconds.
    pub until_ms: Option<u64>,
    /// Of this route.
    pub route: Option<RouteName>,
    /// That ended so.
    pub outcome: Option<OutcomeClass>,
}

/// How a call ended, whatever its fault was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeClass {
    /// Answered to the end.
    Ok,
    /// Answered with a fault.
    Fault,
    /// The caller left first.
    Cancelled,
    /// Our code panicked.
    Panic,
}

impl OutcomeClass {
    /// The class of an outcome.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Fault(_) => Self::Fault,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Panic => Self::Panic,
        }
    }
}

/// The text names no class of outcomes.
#[derive(Debug, thiserror::Error)]
#[error("an outcome is one of ok, fault, cancelled, panic")]
pub struct NotAnOutcome;

impl FromStr for OutcomeClass {
    type Err = NotAnOutcome;

    fn from_str(text: &str) -> Result<Self, NotAnOutcome> {
        match text {
            "ok" => Ok(Self::Ok),
            "fault" => Ok(Self::Fault),
            "cancelled" => Ok(Self::Cancelled),
            "panic" => Ok(Self::Panic),
            _ => Err(NotAnOutcome),
        }
    }
}

impl Filter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        self.since_ms.is_none_or(|since| event.unix_ms >= since)
            && self.until_ms.is_none_or(|until| event.unix_ms < until)
            && self.route.as_ref().is_none_or(|route| event.route.as_ref() == Some(route))
            && self.outcome.is_none_or(|class| OutcomeClass::of(event.outcome) == class)
    }

    /// Whether a table may hold an event that is wanted.
    pub(crate) fn may_be_in(&self, file: &TableFile) -> bool {
        let from = file.day.end_ms() - 86_400_000;
        self.since_ms.is_none_or(|since| file.day.end_ms() > since)
            && self.until_ms.is_none_or(|until| from < until)
            && self.route.as_ref().is_none_or(|route| file.route.as_ref() == Some(route))
    }
}
