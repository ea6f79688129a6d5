//! The port to those who watch the calls of a route: they get what was asked and answered when the caller has his answer,
//! and what is said of it later. Watching costs callers nothing: where nobody has a place, nothing of a call is kept.

use super::learning::RewardValue;
use super::shadow::Place;
use crate::{Caller, InferenceId, LabelName, ModelName, RewardName, RouteName, Tenant, VariantName};
use bytes::Bytes;
use std::sync::Arc;

/// Watches the calls of one route.
pub trait Watcher: Send + Sync + std::fmt::Debug {
    /// A place for this call, if it is looked at and there is room now.
    fn place(&self, call: InferenceId) -> Option<Place>;

    /// Whether it looks at calls, too, that were refused since their inputs break a contract.
    fn takes_refused(&self) -> bool {
        false
    }

    /// Takes a call that was answered to its end, or refused so. Never blocks.
    fn take(&self, call: Arc<Answered>, place: Place);
}

/// A call that was answered to its end: once, however often it was tried, and never a shadow's. But an answer that a cascade
/// holds back because of a monitor's alarm is one by itself, of the version that gave it.
#[derive(Debug)]
pub struct Answered {
    /// The call.
    pub id: InferenceId,
    /// When it was accepted, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Its route.
    pub route: RouteName,
    /// Which arm answered.
    pub variant: Option<VariantName>,
    /// The model of that arm.
    pub model: Option<ModelName>,
    /// Its version in the registry, where it comes from there.
    pub model_version: Option<u32>,
    /// Who called.
    pub caller: Caller,
    /// The caller's body.
    pub request: Bytes,
    /// The answer's, in the parts in which it went out, or was held back.
    pub answer: Vec<Bytes>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// How many rules of its contract the inputs break, where the model has one. Without an answer, it was refused for that.
    pub violations: Option<u32>,
}

/// Takes what is said of calls later.
pub trait Afterwards: Send + Sync + std::fmt::Debug {
    /// Whether anybody waits for what is said so.
    fn awaits(&self, later: &Later) -> bool;

    /// This is said of that call. Never blocks; what nobody waits for is dropped.
    fn said(&self, call: InferenceId, later: Later);

    /// This is said by somebody of a call that is not known here: it may be one of another replica, whoever's. Whether it was
    /// taken. Never blocks.
    fn said_elsewhere(&self, call: InferenceId, by: &Tenant, later: Later) -> bool;
}

/// What is said of a call later.
#[derive(Debug, Clone, PartialEq)]
pub enum Later {
    /// Its class.
    Label(LabelName, Arc<str>),
    /// How good it was.
    Reward(RewardName, RewardValue),
}
