//! Rollouts: a change from one arm of a route to another, in steps, each of which is judged.

use super::reward::RewardSpec;
use crate::MonitorName;
use std::time::Duration;

/// A change of a route's traffic from one arm to another.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutSpec {
    /// How it goes.
    pub kind: RolloutKind,
    /// The index of the arm that serves until now.
    pub from: usize,
    /// The index of the arm that shall serve.
    pub to: usize,
    /// The share of `to` at each step, in `[0, 1]`, rising; the last one is 1.
    pub steps: Vec<f64>,
    /// How long a step lasts at least.
    pub every: Duration,
    /// How often it is judged.
    pub interval: Duration,
    /// How many calls of `to` a step needs at least.
    pub min_samples: u64,
    /// By what it is judged.
    pub analysis: Vec<AnalysisSpec>,
}

/// How a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutKind {
    /// A growing share of the calls goes to the new arm.
    Canary,
    /// All calls go to the new arm at once, after the old one was measured; the old one stays ready.
    BlueGreen,
}

/// One thing by which a rollout is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisSpec {
    /// What is measured, and how much worse it may be.
    pub measure: Measure,
    /// The probability with which a new arm that is no worse than allowed passes this analysis in the whole rollout, in
    /// `(0, 1)`.
    pub confidence: f64,
}

/// What is measured of the arms, and how much worse the new one may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// A quantile of seconds.
    Quantile {
        /// Of which time.
        of: Timing,
        /// In `(0, 1)`.
        quantile: f64,
        /// How much longer it may be, relative to the old arm's.
        worse_by: f64,
    },
    /// The share of the calls that fail.
    ErrorRate {
        /// How much larger it may be, in `[0, 1]`.
        worse_by: f64,
    },
    /// The mean of a reward.
    Reward {
        /// Which.
        reward: RewardSpec,
        /// How much worse it may be, in the reward's unit.
        worse_by: f64,
    },
    /// What a monitor says.
    Monitor(MonitorName),
}

/// A time of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// To the last byte of the answer.
    Latency,
    /// To the first one of its body.
    FirstToken,
}

impl Measure {
    /// How it is called in configurations and reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Quantile { of, quantile, .. } => {
                let of = if *of == Timing::Latency { "latency" } else { "first_token" };
                format!("{of} p{}", quantile * 100.0)
            }
            Self::ErrorRate { .. } => "error_rate".to_owned(),
            Self::Reward { reward, .. } => reward.name.to_string(),
            Self::Monitor(name) => format!("monitor {name}"),
        }
    }
}
