//! Where a rollout stands. Owns what is written down of it.

use serde::{Deserialize, Serialize};

/// A part of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The old arm is measured before all calls go to the new one.
    Baseline,
    /// The step of this index.
    Step(usize),
    /// The new arm has all calls, for good.
    Done,
    /// The old arm has all calls, since the new one was worse.
    RolledBack,
    /// The old arm has all calls, since somebody said so.
    Aborted,
}

impl Stage {
    /// Whether nothing follows by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Aborted)
    }

    /// Whether the old arm has all calls for good.
    #[must_use]
    pub const fn is_back(self) -> bool {
        matches!(self, Self::RolledBack | Self::Aborted)
    }

    /// In words, for people: steps count from 1.
    #[must_use]
    pub fn says(self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Step(index) => format!("step {}", index + 1),
            Self::Done => "done".to_owned(),
            Self::RolledBack => "rolled back".to_owned(),
            Self::Aborted => "aborted".to_owned(),
        }
    }
}

/// A change of stage, or of what somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The stage before.
    pub from: Stage,
    /// The stage after.
    pub to: Stage,
    /// By whom: a principal, or `tidegate` where it went by itself.
    pub by: String,
    /// Why, in words.
    pub why: String,
}

/// What somebody wants of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stay at this step; what is worse is rolled back all the same.
    Pause,
    /// Go on.
    Resume,
    /// Give all calls to the old arm.
    Abort,
    /// Take the next step now.
    Promote,
    /// Give all calls to the new arm now.
    PromoteFully,
    /// Begin anew.
    Restart,
}

impl Order {
    /// Its name in paths and the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Promote => "promote",
            Self::PromoteFully => "promote_fully",
            Self::Restart => "restart",
        }
    }
}

/// Why an order cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rollout is {stage}: {remedy}")]
pub struct OrderFault {
    /// How it stands.
    pub stage: String,
    /// What to do instead.
    pub remedy: &'static str,
}
