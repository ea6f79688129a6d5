//! The port to what runs models: another server or the local engine. Both speak the OpenAI wire form here, so that
//! what comes in can go out as it is. Classic models get and give tensors, whatever wire they came by.

use super::BoxFuture;
use super::adapters::Adapters;
use super::aside::Aside;
use super::sleeper::Sleeper;
use crate::spec::Priority;
use crate::tensor::ModelMeta;
use crate::{
    AdapterName, Api, EndpointName, Fault, FaultKind, ModelName, PredictAnswer, PredictRequest, Tenant, Usage,
};
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Runs models. A call is cancelled by dropping its future or its frames.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Runs a call to its end (chat, completions and embeddings alike; `call.api` says which).
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>>;

    /// Runs a call as a stream; resolves when the first whole event is there, so that a fault before it can still be
    /// answered with a status, retried or sent elsewhere.
    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Frames, Fault>>;

    /// Whether it can take calls now.
    fn ready(&self) -> bool;

    /// Whether another endpoint than this one takes calls.
    fn has_other(&self, _than: &EndpointName) -> bool {
        false
    }

    /// Whether it runs classic models, and no language models.
    fn is_classic(&self) -> bool {
        false
    }

    /// What a classic model says of itself, by its name there.
    fn describe<'a>(&'a self, _model: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        Box::pin(async { Err(Fault::new(FaultKind::NotFound, "this is no classic model")) })
    }

    /// The adapters of what it runs, where that takes any.
    fn adapters(&self) -> Option<Arc<dyn Adapters>> {
        None
    }

    /// What has it sleep and wakes it, where it runs here and can.
    fn sleeper(&self) -> Option<Arc<dyn Sleeper>> {
        None
    }

    /// How its endpoints stand; none of what runs here.
    fn endpoints(&self) -> Vec<EndpointReport> {
        Vec::new()
    }

    /// Whether it is a graph of models, which says by a call's aside what the call came by.
    fn is_graph(&self) -> bool {
        false
    }

    /// How the engine stands that generates here; none of what is elsewhere.
    fn engine(&self) -> Option<EngineReport> {
        None
    }

    /// How the queue of a classic model stands that runs here; none of what is elsewhere.
    fn pool(&self) -> Option<PoolReport> {
        None
    }

    /// The models of a graph, by their names.
    fn members(&self) -> Vec<(&ModelName, &dyn Backend)> {
        Vec::new()
    }

    /// Inputs that broke what was agreed of a classic model's field, by the field and the kind of rule.
    fn violations(&self) -> Vec<(String, &'static str, u64)> {
        Vec::new()
    }
}

/// How the queue of a classic model stands, and what came by since the model was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolReport {
    /// Calls that wait.
    pub waiting: usize,
    /// Batches that run.
    pub running: usize,
    /// Batches that were run, by the power of two that their rows do not exceed; the last for all that are larger.
    pub sizes: Vec<u64>,
    /// Rows of those batches.
    pub rows: u64,
    /// Calls that were answered where they were asked, without a batch.
    pub at_once: u64,
    /// Calls that were refused since too many waited.
    pub refused: u64,
}

/// How an engine stands, and what it did since its model was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineReport {
    /// Answers in work.
    pub running: usize,
    /// Calls whose turn has not come.
    pub waiting: usize,
    /// Blocks of the cache of keys and values, in all.
    pub blocks: usize,
    /// Blocks that answers in work hold.
    pub blocks_held: usize,
    /// Blocks that nobody holds, kept for prompts that begin alike.
    pub blocks_kept: usize,
    /// Bytes of the weights as they are in memory; none while it sleeps.
    pub weight_bytes: usize,
    /// Bytes that there are for keys and values; none while it sleeps.
    pub cache_bytes: usize,
    /// Steps computed.
    pub steps: u64,
    /// Time of the steps, all of it.
    pub step_time: Duration,
    /// Time of the steps that went into the model itself.
    pub model_time: Duration,
    /// Tokens of prompts, each prompt once.
    pub prompt_tokens: u64,
    /// Those of them that were found in the cache.
    pub cached_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Answers that lost their blocks to others and began again.
    pub preemptions: u64,
    /// Calls refused since the queue was full.
    pub refused: u64,
    /// Calls whose deadline passed while they waited.
    pub late: u64,
    /// Tokens that were guessed ahead.
    pub drafted: u64,
    /// Those of them that were right.
    pub accepted: u64,
    /// Whether it sleeps: its weights and its cache are given back.
    pub asleep: bool,
    /// How often it woke.
    pub wakes: u64,
    /// Time that this took, all of it.
    pub wake_time: Duration,
}

/// Whose turn a call is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Whom it is for, as a number: a backend that queues takes turns by it.
    pub caller: u64,
    /// For which tenant: what is remembered of its prompts serves no other. Calls of nobody share with one another.
    pub tenant: Option<Tenant>,
    /// Before which others it comes.
    pub priority: Priority,
}

/// Whether an endpoint takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It does.
    Closed,
    /// One at a time, to see whether it may come back.
    HalfOpen,
    /// It is ejected.
    Open,
}

/// Why an endpoint was ejected: a closed set, so it may be a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectReason {
    /// It could not be connected to, again and again.
    Connect,
    /// It answered 5xx, again and again.
    Status,
    /// It did not answer in time, again and again.
    Timeout,
    /// It broke its answers off or they made no sense, again and again.
    Broken,
    /// Too large a share of its calls failed.
    Share,
    /// The call that it was tried with failed.
    Trial,
}

impl EjectReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Connect, Self::Status, Self::Timeout, Self::Broken, Self::Share, Self::Trial];

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Status => "5xx",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Share => "failure_share",
            Self::Trial => "trial",
        }
    }
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// The endpoint.
    pub name: EndpointName,
    /// Whether it takes calls.
    pub state: EndpointState,
    /// Calls under way.
    pub load: usize,
    /// Ejections so far, in the order of [`EjectReason::ALL`].
    pub ejections: [u64; EjectReason::ALL.len()],
}

/// One call, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The interface, which names the path at the provider.
    pub api: Api,
    /// The model, as the configuration names it (its name at the provider is in the body already).
    pub model: ModelName,
    /// The adapter on it, where one is to be used; a backend that knows no adapters has none to be asked for.
    pub adapter: Option<AdapterName>,
    /// The OpenAI-shaped body as it shall go out.
    pub body: Bytes,
    /// Headers that go on with it (trace context and what the caller may send through); no hop-by-hop ones, no keys.
    pub headers: Arc<HeaderMap>,
    /// Whose turn it is.
    pub turn: Turn,
    /// Until when what must have happened.
    pub deadlines: Deadlines,
    /// An endpoint that failed this call before, or that is asked already: take another if there is one.
    pub avoid: Option<EndpointName>,
    /// Where the endpoint that takes it is told before it answers.
    pub taken: Option<Arc<OnceLock<EndpointName>>>,
    /// What a classic model is asked; its body is empty.
    pub predict: Option<Predict>,
    /// Where a backend that runs here says what its answer does not.
    pub aside: Option<Arc<Aside>>,
}

/// What a classic model is asked.
#[derive(Debug, Clone)]
pub struct Predict {
    /// The tensors.
    pub request: Arc<PredictRequest>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// The caller's own body of the Open Inference Protocol, where it says just this: what is sent on as it came is not written anew.
    pub written: Option<Written>,
}

/// A body as it came.
#[derive(Debug, Clone)]
pub struct Written {
    /// All of it.
    pub body: Bytes,
    /// How many bytes of it are JSON, where raw tensors follow.
    pub header_length: Option<usize>,
}

/// Time limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// To have a connection.
    pub connect: Duration,
    /// To the first byte of a buffered answer's head, or the first event of a stream.
    pub first_token: Duration,
    /// Between two reads after that.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body: JSON in OpenAI's shape.
    pub body: Bytes,
    /// Its usage, where it says so.
    pub usage: Option<Usage>,
    /// Which endpoint gave it.
    pub endpoint: Option<EndpointName>,
    /// What a classic model answered; its body is empty.
    pub predicted: Option<Arc<PredictAnswer>>,
}

/// A stream of server-sent events in OpenAI's shape.
pub struct Frames {
    /// Which endpoint sends them.
    pub endpoint: Option<EndpointName>,
    /// One or more whole events each, with their closing blank lines, byte for byte as they came. It ends after
    /// `data: [DONE]`; an end without it is `FaultKind::StreamCut`, as an item.
    pub frames: Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
