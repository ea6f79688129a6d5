//! What was seen of one arm at one step. Owns the counts; what follows from them is [`super::analysis`]'s.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_core::RewardName;
use tidegate_experiment::{Moments, Sketch};

/// A call of an arm that ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Whether the arm failed, be it that another answered.
    pub is_failed: bool,
    /// Seconds to the last byte, where the arm answered.
    pub latency: Option<f64>,
    /// Seconds to the first one of the body.
    pub first_token: Option<f64>,
}

/// What was seen of one arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Calls that ended.
    pub calls: u64,
    /// Those of which it failed.
    pub failed: u64,
    /// Seconds to the last byte.
    pub latency: Sketch,
    /// Seconds to the first one.
    pub first_token: Sketch,
    /// Values of rewards; yes is 1.
    pub rewards: BTreeMap<RewardName, Moments>,
}

impl Evidence {
    /// Takes a call.
    pub fn see(&mut self, seen: &Seen) {
        self.calls += 1;
        self.failed += u64::from(seen.is_failed);
        seen.latency.into_iter().for_each(|seconds| self.latency.add(seconds));
        seen.first_token.into_iter().for_each(|seconds| self.first_token.add(seconds));
    }

    /// Takes a value of a reward.
    pub fn judge(&mut self, reward: &RewardName, value: f64) {
        self.rewards.entry(reward.clone()).or_default().add(value);
    }

    /// Takes what another process saw.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
        for (name, moments) in &other.rewards {
            self.rewards.entry(name.clone()).or_default().merge(moments);
        }
    }
}
