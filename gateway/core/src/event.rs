//! The record of one inference. Owns its fields and their JSON form, which is also the stored one.

use crate::served::ServedView;
use crate::{
    AdapterName, Api, Checks, EndpointName, FaultKind, InferenceId, KeyId, ModelName, PluginName, Principal,
    PromptStamp, ProviderName, Reasons, RouteName, SpanId, StateId, Tenant, TraceId, Usage, VariantName, Visit,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered to the end.
    Ok,
    /// Answered with a fault.
    Fault(FaultKind),
    /// The caller left first.
    Cancelled,
    /// Our code panicked.
    Panic,
}

/// One try at one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The arm tried.
    pub variant: VariantName,
    /// The endpoint, where the provider has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointName>,
    /// Why it failed; `None` where it served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// The provider's own status, where it failed with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Microseconds until it failed, its answer began, or it was given up.
    pub us: u64,
    /// Whether it went out beside one that was slow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hedge: bool,
    /// Whether it was given up since another one, which was under way beside it, answered first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Why its answer was too poor, where the call went on for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poor: Option<Poor>,
    /// Which plugin or monitor says that it was, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poor_by: Option<Arc<str>>,
    /// USD that it cost although its answer was of no use: of one that was given up, its prompt by our estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

impl Attempt {
    /// A try at this arm that served, of which nothing else is known.
    #[must_use]
    pub const fn of(variant: VariantName) -> Self {
        Self {
            variant,
            endpoint: None,
            fault: None,
            status: None,
            us: 0,
            hedge: false,
            lost: false,
            poor: None,
            poor_by: None,
            cost_usd: None,
        }
    }
}

/// Why an answer was too poor: a closed set, so it may be a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poor {
    /// It ended because it was long enough.
    Length,
    /// A filter took it away.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// It said nothing.
    Empty,
    /// Its text was no JSON.
    InvalidJson,
    /// It called a tool that was not offered, or not as that wants it.
    InvalidToolCall,
    /// It was too short.
    TooShort,
    /// It had a text in it that says so.
    Contains,
    /// The model was too unsure of its tokens.
    Unsure,
    /// A judge said so.
    Judged,
    /// A plugin would not let it pass.
    Plugin,
    /// A monitor had an alarm of the version that gave it.
    Monitor,
}

impl Poor {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::Length,
        Self::ContentFilter,
        Self::Refusal,
        Self::Empty,
        Self::InvalidJson,
        Self::InvalidToolCall,
        Self::TooShort,
        Self::Contains,
        Self::Unsure,
        Self::Judged,
        Self::Plugin,
        Self::Monitor,
    ];

    /// Its name in records and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Empty => "empty",
            Self::InvalidJson => "invalid_json",
            Self::InvalidToolCall => "invalid_tool_call",
            Self::TooShort => "too_short",
            Self::Contains => "contains",
            Self::Unsure => "unsure",
            Self::Judged => "judged",
            Self::Plugin => "plugin",
            Self::Monitor => "monitor",
        }
    }
}

/// How the variant was chosen; enough to choose it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The probability that each arm had, in the order of the route's variants.
    pub shares: Arc<[f64]>,
    /// The arm drawn.
    pub arm: usize,
    /// The uniform number that drew it.
    pub draw: f64,
    /// Whether the draw was the hash of a unit's key.
    pub sticky: bool,
    /// The state that the probabilities are of, where the policy learns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateId>,
    /// What of the call the probabilities depended on, where its policy regards it. Older records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regarded: Option<Regarded>,
    /// What a plugin said of the arms, where the route asks one. Older records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<Advised>,
}

/// A plugin that was asked which arms a call may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advised {
    /// The plugin.
    pub plugin: PluginName,
    /// The kind of its failure, where it failed: the probabilities are those of the configuration then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Arc<str>>,
    /// Why, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// Microseconds that it took.
    pub us: u64,
}

/// The features of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regarded {
    /// Names their declaration.
    pub of: StateId,
    /// The numbers, each in `[−1, 1]`.
    pub features: Arc<[f64]>,
}

/// What a filter did with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    /// The plugin.
    pub plugin: PluginName,
    /// Whether it looked at the answer; else at the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answer: bool,
    /// What it did.
    pub did: FilterDid,
    /// The kind of its failure, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Arc<str>>,
    /// What it said of the call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Microseconds that it took.
    pub us: u64,
}

/// What a filter did with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterDid {
    /// Nothing.
    Passed,
    /// It put other texts in.
    Edited,
    /// It gave the answer itself.
    Replied,
    /// It refused the call.
    Refused,
    /// It failed, and the call went on.
    FailedOpen,
    /// It failed, and the call was refused.
    FailedClosed,
}

/// What is kept of requests and answers, by the content policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256 of the request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sha256: Option<String>,
    /// SHA-256 of the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_sha256: Option<String>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The answer's body; of a stream, its events as they were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// The record of one inference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The call's id.
    pub id: InferenceId,
    /// Milliseconds since 1970 when the call was accepted.
    pub unix_ms: u64,
    /// The interface.
    pub api: Api,
    /// The group of calls that it belongs to, as the caller named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Arc<str>>,
    /// The caller's own name for the request (`x-client-request-id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<Arc<str>>,
    /// The trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// The caller's span in it, where he named one; ours follows from `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span: Option<SpanId>,
    /// Whether the caller records the trace, where it is his.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<bool>,
    /// Hash of the configuration that served it.
    pub config: Arc<str>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Whose data it is, for erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// The route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// The arm that answered, or was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    /// The model of that arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// The adapter on that model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterName>,
    /// The generation of that adapter: its name may mean another one by now. Older records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter_generation: Option<Arc<str>>,
    /// The version of that model in the registry, where it comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<u32>,
    /// The provider of that model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// The version of the prompt that stood before what the caller said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Arc<PromptStamp>>,
    /// How the arm was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Every try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that was sent; 0 where none was.
    pub status: u16,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub answer_bytes: u64,
    /// Tokens, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Whether `usage` is our count of what was produced, not the provider's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage_estimated: bool,
    /// USD, where the model has a price and usage is known, with what tries cost that were of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Microseconds until the first byte of the answer's body was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_us: Option<u64>,
    /// Microseconds in all.
    pub total_us: u64,
    /// What filters did with it and said of it, in the order in which they looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filtered: Vec<Filtered>,
    /// Whether the form of the answer is right, where its route has that looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// Why a governed classic model gave what it gave, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Arc<Reasons>>,
    /// What was looked up for it. Older records lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<ServedView>,
    /// What it came by in a graph of classic models, in the order in which that began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visits: Vec<Visit>,
    /// What is kept of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<Content>>,
}

impl Event {
    /// Whether a filter ended the call before any arm was asked: such a call says nothing of its arm.
    #[must_use]
    pub fn is_by_filter(&self) -> bool {
        let ends = [FilterDid::Replied, FilterDid::Refused, FilterDid::FailedClosed];
        self.attempts.is_empty() && self.filtered.iter().any(|look| !look.answer && ends.contains(&look.did))
    }
}
