//! A language model behind the port `Backend`: chat and text completions, whole and streamed. Owns how a call is begun and
//! how long it may take; reading it is `plan`'s, what comes of it `work`'s and `frames`'.

use crate::adapter::AdapterHandle;
use crate::openai::adapters::LocalAdapters;
use crate::openai::completion::Head;
use crate::openai::form;
use crate::openai::frames::EventFrames;
use crate::openai::plan::{chat_plan, completion_plan, refused};
use crate::openai::work::{Work, sleeps};
use crate::{Engine, GenerateError, RestError};
use futures_core::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::adapters::Adapters;
use tidegate_core::port::backend::{Answer, Backend, Call, EngineReport, Frames};
use tidegate_core::port::sleeper::{Rest, Sleeper};
use tidegate_core::{Api, Clock, Dice, Fault, FaultKind};

/// The largest body whose prompt is put into tokens on the caller's own thread, in bytes: a longer one takes longer than
/// others should wait for a turn there.
const SMALL: usize = 16 * 1024;

/// A language model of this process.
#[derive(Debug, Clone)]
pub struct LocalGenerator {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl LocalGenerator {
    /// Serves `engine`.
    #[must_use]
    pub const fn new(engine: Arc<Engine>, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { engine, clock, dice }
    }

    fn adapters(&self) -> LocalAdapters {
        LocalAdapters(Arc::clone(self.engine.adapters()))
    }

    /// Begins a call.
    async fn begin(&self, call: Call, within: Duration) -> Result<Work, Fault> {
        let adapter = match &call.adapter {
            Some(name) => Some(self.adapters().worn(name).await?),
            None => None,
        };
        if call.body.len() <= SMALL && !form::is_costly(&call.body) {
            return self.submit(&call, adapter.as_ref(), within);
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.submit(&call, adapter.as_ref(), within))
            .await
            .map_err(Fault::internal)?
    }

    /// Reads a call into jobs and submits them; their turn is to come within so long.
    fn submit(&self, call: &Call, adapter: Option<&AdapterHandle>, within: Duration) -> Result<Work, Fault> {
        let mut plan = match call.api {
            Api::ChatCompletions => chat_plan(&call.body)?,
            Api::Completions => completion_plan(&call.body)?,
            Api::Embeddings | Api::Predict => {
                return Err(Fault::field("model", "this model generates text: ask an embedding model for embeddings"));
            }
            Api::Rerank => {
                return Err(Fault::field("model", "this model generates text: ask a reranker to rank documents"));
            }
        };
        let id = format!(
            "{}-{:016x}{:016x}",
            if plan.chat { "chatcmpl" } else { "cmpl" },
            self.dice.next_u64(),
            self.dice.next_u64()
        );
        let head = Head { id, created: self.clock.unix_ms() / 1000, model: plan.model, usage: plan.usage };
        for request in &mut plan.requests {
            request.caller = call.turn.caller;
            request.tenant.clone_from(&call.turn.tenant);
            request.priority = call.turn.priority;
            request.deadline = self.clock.now().checked_add(within);
            request.adapter = adapter.cloned();
            request.sureness = call.aside.as_ref().is_some_and(|aside| aside.wants_sureness);
        }
        if let (Some(aside), Some(adapter)) = (&call.aside, adapter) {
            // A call that is sent once more says the same again, or what is in force by now; the first word stands.
            drop(aside.adapter.set(adapter.generation().into()));
        }
        let has_tools = plan.requests.iter().any(|request| request.tools.is_some());
        let generations = self.engine.submit_all(plan.requests).map_err(|e| refused(e, plan.form))?.into();
        Ok(Work {
            head,
            chat: plan.chat,
            logprobs: plan.logprobs,
            n: plan.n,
            running: generations,
            prompt: 0,
            sureness: Vec::new(),
            aside: call.aside.clone(),
            begun: false,
            form: plan.form,
            style: has_tools.then(|| self.engine.call_style()),
            dice: Arc::clone(&self.dice),
        })
    }
}

impl Backend for LocalGenerator {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let total = call.deadlines.total;
            let mut work = self.begin(call, total).await?;
            let done = tokio::time::timeout(total, work.whole()).await;
            done.unwrap_or_else(|_| Err(too_slow(total, work.begun)))
        })
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async move {
            let limit = call.deadlines.first_token;
            let mut events = EventFrames::new(self.begin(call, limit).await?);
            let first =
                tokio::time::timeout(limit, std::future::poll_fn(|cx| Pin::new(&mut events).poll_next(cx))).await;
            match first.map_err(|_| too_slow(limit, events.work.begun))? {
                Some(Ok(first)) => events.first = Some(first),
                Some(Err(fault)) => return Err(fault),
                None => return Err(Fault::internal("a generation ended without an event")),
            }
            Ok(Frames { endpoint: None, frames: Box::pin(events) })
        })
    }

    fn ready(&self) -> bool {
        true
    }

    fn adapters(&self) -> Option<Arc<dyn Adapters>> {
        Some(Arc::new(self.adapters()))
    }

    fn sleeper(&self) -> Option<Arc<dyn Sleeper>> {
        Some(Arc::new(self.clone()))
    }

    fn engine(&self) -> Option<EngineReport> {
        Some(self.engine.report())
    }
}

impl Sleeper for LocalGenerator {
    fn sleep(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { self.engine.sleep().await.map_err(of_rest) })
    }

    fn wake(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async { self.engine.wake().await.map_err(of_rest) })
    }

    fn rest(&self) -> Rest {
        self.engine.rest()
    }
}

/// Why it does not sleep or wake, as who ordered it sees it.
fn of_rest(error: RestError) -> Fault {
    match error {
        RestError::Busy => Fault::new(FaultKind::Conflict, "it has calls in work: it can sleep when they have ended"),
        RestError::Asleep(asleep) => Fault { says: format!("it cannot be woken: {asleep}").into(), ..sleeps(&asleep) },
        RestError::Stopped => Fault::new(FaultKind::Unavailable, "the local model has stopped: try again later"),
    }
}

fn too_slow(limit: Duration, begun: bool) -> Fault {
    if !begun {
        return Fault::new(FaultKind::UpstreamTimeout, GenerateError::Late { waited: limit }.to_string());
    }
    Fault::new(FaultKind::UpstreamTimeout, format!("the local model gave no answer within {} s", limit.as_secs_f64()))
}
