//! Rewards: the values by which the arms of a route are compared.

use crate::RewardName;
use std::time::Duration;

/// A reward that callers give, as the configuration declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardSpec {
    /// Its name.
    pub name: RewardName,
    /// What its values are.
    pub kind: RewardKind,
    /// Which values are better.
    pub goal: Goal,
    /// What it is about.
    pub level: RewardLevel,
    /// How long after the call it still counts.
    pub window: Duration,
}

/// What values of a reward are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RewardKind {
    /// Yes or no.
    Boolean,
    /// A number, within a range where one is declared: its smallest and largest value.
    Float(Option<(f64, f64)>),
}

/// Which values are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Larger ones, and yes.
    Maximize,
    /// Smaller ones, and no.
    Minimize,
}

/// What a reward is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardLevel {
    /// One call.
    Inference,
    /// The calls that a caller put together under one name.
    Episode,
}

/// A reward that needs nobody to give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implicit {
    /// Seconds from the request to the last byte of the answer.
    Latency,
    /// Seconds to the first byte of the answer's body.
    FirstToken,
    /// USD.
    Cost,
    /// Prompt and completion tokens.
    Tokens,
    /// Whether the arm failed.
    Error,
    /// Whether the answer's text is JSON.
    ValidJson,
    /// Whether the tools that the answer calls were offered, and are called as they want it.
    ValidToolCall,
}

impl Implicit {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Latency, Self::FirstToken, Self::Cost, Self::Tokens, Self::Error, Self::ValidJson, Self::ValidToolCall];

    /// Its name in configurations and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::FirstToken => "first_token",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::Error => "error",
            Self::ValidJson => "valid_json",
            Self::ValidToolCall => "valid_tool_call",
        }
    }

    /// What its values are.
    #[must_use]
    pub const fn kind(self) -> RewardKind {
        match self {
            Self::Error | Self::ValidJson | Self::ValidToolCall => RewardKind::Boolean,
            Self::Latency | Self::FirstToken | Self::Cost | Self::Tokens => RewardKind::Float(None),
        }
    }

    /// Which values are better.
    #[must_use]
    pub const fn goal(self) -> Goal {
        match self {
            Self::ValidJson | Self::ValidToolCall => Goal::Maximize,
            Self::Latency | Self::FirstToken | Self::Cost | Self::Tokens | Self::Error => Goal::Minimize,
        }
    }

    /// Whether answers have to be looked into for it.
    #[must_use]
    pub const fn is_of_form(self) -> bool {
        matches!(self, Self::ValidJson | Self::ValidToolCall)
    }
}

/// Where a learner's reward comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum RewardSource {
    /// The call itself.
    Call(Implicit),
    /// Callers.
    Feedback(RewardSpec),
}

impl RewardSource {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Call(implicit) => implicit.as_str(),
            Self::Feedback(spec) => spec.name.as_str(),
        }
    }

    /// What its values are.
    #[must_use]
    pub const fn kind(&self) -> RewardKind {
        match self {
            Self::Call(implicit) => implicit.kind(),
            Self::Feedback(spec) => spec.kind,
        }
    }

    /// Which values are better.
    #[must_use]
    pub const fn goal(&self) -> Goal {
        match self {
            Self::Call(implicit) => implicit.goal(),
            Self::Feedback(spec) => spec.goal,
        }
    }

    /// The range of its values after [`Self::oriented`], where they have one.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let (low, high) = match self.kind() {
            RewardKind::Boolean => (0.0, 1.0),
            RewardKind::Float(range) => range?,
        };
        let (a, b) = (self.oriented(low), self.oriented(high));
        Some((a.min(b), a.max(b)))
    }

    /// A value in a form in which larger is better.
    #[must_use]
    pub fn oriented(&self, value: f64) -> f64 {
        match (self.goal(), self.kind()) {
            (Goal::Maximize, _) => value,
            (Goal::Minimize, RewardKind::Boolean) => 1.0 - value,
            (Goal::Minimize, RewardKind::Float(_)) => -value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_is_better_whatever_the_goal() {
        let cost = RewardSource::Call(Implicit::Cost);
        assert!(cost.oriented(0.1) > cost.oriented(0.2) && cost.range().is_none());
        let error = RewardSource::Call(Implicit::Error);
        assert_eq!((error.oriented(0.0), error.oriented(1.0), error.range()), (1.0, 0.0, Some((0.0, 1.0))));
        let json = RewardSource::Call(Implicit::ValidJson);
        assert_eq!((json.oriented(1.0), json.oriented(0.0)), (1.0, 0.0));
        let spec = RewardSpec {
            name: "stars".parse().unwrap(),
            kind: RewardKind::Float(Some((1.0, 5.0))),
            goal: Goal::Minimize,
            level: RewardLevel::Inference,
            window: Duration::from_secs(1),
        };
        assert_eq!(RewardSource::Feedback(spec).range(), Some((-5.0, -1.0)));
    }
}
