//! Cascades: a call is answered by one variant, and by the next one where the answer is too poor. Owns what makes an answer
//! poor; looking at answers is the policy's.

use crate::{ModelName, MonitorName, PluginName};
use std::time::Duration;

/// A policy that goes on where an answer is poor.
#[derive(Debug, Clone, PartialEq)]
pub struct CascadeSpec {
    /// The indices of the variants in the order in which they are asked: two at least, each once.
    pub order: Vec<usize>,
    /// The probability that a call begins at each arm, in the order of the route's variants; their sum is 1.
    pub shares: Vec<f64>,
    /// What makes an answer poor, one of them enough.
    pub escalate: Vec<Weakness>,
    /// Whose alarm of the version that answered makes its answers poor.
    pub monitors: Vec<MonitorName>,
    /// Who is shown an answer that has none of these, in order: one that any of them would not let pass is poor.
    pub plugins: Vec<PluginName>,
    /// Who is asked about an answer that has none of these.
    pub judge: Option<JudgeSpec>,
}

/// A model that is asked how good an answer is.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeSpec {
    /// The model.
    pub model: ModelName,
    /// An answer below this is poor, in `(0, 1]`.
    pub below: f64,
    /// How long its word is waited for; without it the answer passes.
    pub timeout: Duration,
}

/// What makes an answer poor.
#[derive(Debug, Clone, PartialEq)]
pub enum Weakness {
    /// It ended because it was long enough.
    Length,
    /// A filter of the provider took it, or a part of it, away.
    ContentFilter,
    /// The model declines.
    Refusal,
    /// It has neither text nor a tool that is called.
    Empty,
    /// Its text is no JSON.
    InvalidJson,
    /// It calls a tool that was not offered, or not as that wants it.
    InvalidToolCall,
    /// Its text has fewer characters than this, and no tool is called.
    ShorterThan(u32),
    /// One of these texts stands in it, whatever the case of its letters; each in lower case.
    Contains(Vec<String>),
    /// The mean probability of its tokens (the geometric mean) is below this, in `(0, 1)`; answers that tell none have not
    /// this one. Models that run here tell it without being asked for log-probabilities.
    ConfidenceBelow(f64),
    /// The mean entropy from which its tokens were chosen is above this many nats; only models that run here tell it.
    EntropyAbove(f64),
}
