//! The port to those who learn from rewards: what callers say of calls that were answered.

use super::BoxFuture;
use crate::{Fault, InferenceId, KeyId, LabelName, Principal, RewardName, RouteName, Tenant};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Takes what callers say of answers.
pub trait Learning: Send + Sync + std::fmt::Debug {
    /// Takes feedback; when it resolves, it is on disk, and said again under its key it is taken once.
    ///
    /// # Errors
    /// `NotFound` for a call that is not known here, `InvalidRequest` for a value that its reward does not take,
    /// `Unavailable` where it cannot be kept.
    fn take(&self, feedback: Feedback) -> BoxFuture<'_, Result<Taken, Fault>>;
}

/// What a caller says of a call or an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// What it is about.
    pub about: About,
    /// What he says.
    pub said: Saying,
    /// Under which the caller may say it again.
    pub key: Option<Arc<str>>,
    /// Who says so.
    pub by: Giver,
}

/// What feedback says.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// How good it was, by a reward.
    Reward(RewardName, RewardValue),
    /// Of which class it is, and of what that is a class.
    Label(LabelName, Arc<str>),
    /// The answer that would have been right: a text, an object or an array.
    Demonstration(serde_json::Value),
}

/// What feedback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A call.
    Inference(InferenceId),
    /// Calls that a caller put together under this name.
    Episode(Arc<str>),
}

/// A value of a reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RewardValue {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Float(f64),
}

impl RewardValue {
    /// As a number: yes is 1.
    #[must_use]
    pub fn number(self) -> f64 {
        match self {
            Self::Boolean(is) => f64::from(u8::from(is)),
            Self::Float(number) => number,
        }
    }
}

/// Who gives feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giver {
    /// His key.
    pub id: KeyId,
    /// Who he is.
    pub principal: Principal,
    /// For whom he calls: calls of others are not known to him.
    pub tenant: Tenant,
}

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The routes that learnt from it; none where it came too late, or where no route learns from this reward.
    pub learnt: Vec<RouteName>,
    /// Whether it was taken before under its key.
    pub was_known: bool,
    /// What became of what nobody learns from; nothing of a reward.
    pub noted: Option<Noted>,
    /// Whether its call is not known here, and it goes on to the replica that may know it.
    pub is_passed_on: bool,
}

/// What became of a label or a demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// How much of it is kept.
    pub kept: Kept,
    /// Whether it came later than rewards count that say nothing of it.
    pub is_late: bool,
}

/// How much of a thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// That it was said.
    Nothing,
    /// Its digest.
    Hash,
    /// It, with each text replaced by its length.
    Redacted,
    /// All of it.
    Full,
}
