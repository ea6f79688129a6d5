//! The port to those who learn from rewards: what callers say of calls that were answered.

use super::BoxFuture;
use crate::{Fault, InferenceId, KeyId, Principal, RewardName, RouteName, Tenant};
use std::sync::Arc;

/// Takes what callers say of answers.
pub trait Learning: Send + Sync + std::fmt::Debug {
    /// Takes a value; when it resolves, the value is on disk, and said again under its key it is taken once.
    ///
    /// # Errors
    /// `NotFound` for a call that is not known here, `InvalidRequest` for a value that its reward does not take,
    /// `Unavailable` where it cannot be kept.
    fn take(&self, feedback: Feedback) -> BoxFuture<'_, Result<Taken, Fault>>;
}

/// A value that a caller gives for a call or an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// What it is about.
    pub about: About,
    /// Which reward.
    pub reward: RewardName,
    /// How good it was.
    pub value: RewardValue,
    /// Under which the caller may say it again.
    pub key: Option<Arc<str>>,
    /// Who says so.
    pub by: Giver,
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
}
