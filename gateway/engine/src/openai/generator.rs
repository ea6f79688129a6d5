//! A language model behind the port `Backend`: chat and text completions, whole and streamed.

use crate::adapter::AdapterHandle;
use crate::constrain::{CallReader, CallStyle, Heard};
use crate::openai::adapters::LocalAdapters;
use crate::openai::completion::{Column, Head};
use crate::openai::request::{self, ChatBody, CompletionBody, MessageBody, Piece, Sampling as SamplingBody};
use crate::openai::{chat, completion, form};
use crate::{
    Alternative, ChatMessage, Engine, FinishReason, GenerateError, GenerateRequest, Generation, GenerationEvent,
    Prompt, PromptToken, Role, Sampling, SubmitError, TokenLogprob, ToolCall,
};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::adapters::Adapters;
use tidegate_core::port::backend::{Answer, Backend, Call, EngineReport, Frames};
use tidegate_core::{Api, Clock, Dice, Fault, FaultKind, Usage};

/// What the old interface produces where the caller names no limit.
const COMPLETION_DEFAULT: usize = 16;

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

    fn engine(&self) -> Option<EngineReport> {
        Some(self.engine.report())
    }
}

/// A call as the engine needs it.
struct JobPlan {
    model: String,
    chat: bool,
    usage: bool,
    logprobs: bool,
    n: usize,
    /// The member that asked for a form.
    form: &'static str,
    requests: Vec<GenerateRequest>,
}

fn chat_plan(body: &[u8]) -> Result<JobPlan, Fault> {
    let sampling: SamplingBody = request::read(body)?;
    let chat: ChatBody = request::read(body)?;
    let (form, constraint) = form::constraint(&chat)?.map_or(("response_format", None), |(form, c)| (form, Some(c)));
    let tools = form::tools(&chat)?;
    let messages = chat.messages.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let max_tokens = chat.max_completion_tokens.or(chat.max_tokens).map(|most| most as usize);
    let logprobs = chat.logprobs.unwrap_or(false).then(|| usize::from(chat.top_logprobs.unwrap_or(0)));
    let request = generation(Prompt::Chat(messages), sampling, max_tokens, logprobs, false)?;
    let request = GenerateRequest { constraint, tools, ..request };
    let usage = chat.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    Ok(JobPlan {
        model: chat.model,
        chat: true,
        usage,
        logprobs: logprobs.is_some(),
        n: request.n,
        form,
        requests: vec![request],
    })
}

fn completion_plan(body: &[u8]) -> Result<JobPlan, Fault> {
    let text: CompletionBody = request::read(body)?;
    let max_tokens = text.max_tokens.map_or(COMPLETION_DEFAULT, |most| most as usize);
    let logprobs = text.logprobs.map(usize::from);
    let echo = text.echo.unwrap_or(false);
    let requests = text.prompt.pieces().into_iter().map(|piece| {
        let prompt = match piece {
            Piece::Text(text) => Prompt::Text(text),
            Piece::Tokens(tokens) => Prompt::Tokens(tokens),
        };
        generation(prompt, request::read(body)?, Some(max_tokens), logprobs, echo)
    });
    let requests = requests.collect::<Result<Vec<_>, Fault>>()?;
    let usage = text.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    let n = requests.first().map_or(1, |request| request.n);
    let form = "response_format";
    Ok(JobPlan { model: text.model, chat: false, usage, logprobs: logprobs.is_some(), n, form, requests })
}

fn message(body: MessageBody) -> Result<ChatMessage, Fault> {
    let role = match body.role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => {
            return Err(Fault::field(
                "messages",
                format!("a message has the role `{other}`, which the model does not know"),
            ));
        }
    };
    let content = body.content.map(request::ContentBody::into_text).transpose()?.unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tool_calls = body.tool_calls.unwrap_or_default();
    let tool_calls = tool_calls.iter().map(|call| ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    });
    let (name, tool_call_id) = (body.name, body.tool_call_id);
    Ok(ChatMessage { tool_calls: tool_calls.collect(), name, tool_call_id, ..ChatMessage::new(role, content) })
}

fn generation(
    prompt: Prompt,
    body: SamplingBody,
    max_tokens: Option<usize>,
    logprobs: Option<usize>,
    echo: bool,
) -> Result<GenerateRequest, Fault> {
    let default = Sampling::default();
    let bias = body.logit_bias.unwrap_or_default().into_iter().map(|(token, bias)| {
        let token = token
            .parse()
            .map_err(|_| Fault::field("logit_bias", "logit_bias maps token ids, as whole numbers, to numbers"))?;
        Ok((token, bias))
    });
    let sampling = Sampling {
        temperature: body.temperature.unwrap_or(default.temperature),
        // An empty nucleus still has its likeliest token.
        top_p: body.top_p.map_or(default.top_p, |p| p.max(f32::MIN_POSITIVE)),
        top_k: body.top_k.map_or(default.top_k, |k| k as usize),
        min_p: body.min_p.unwrap_or(default.min_p),
        seed: body.seed.map(i64::cast_unsigned),
        logit_bias: bias.collect::<Result<Vec<_>, Fault>>()?,
        presence_penalty: body.presence_penalty.unwrap_or(0.0),
        frequency_penalty: body.frequency_penalty.unwrap_or(0.0),
    };
    let stop = body
        .stop
        .map(request::OneOrMany::into_vec)
        .unwrap_or_default()
        .into_iter()
        .filter(|stop| !stop.is_empty())
        .collect();
    Ok(GenerateRequest {
        prompt,
        n: body.n.unwrap_or(1) as usize,
        max_tokens,
        sampling,
        stop,
        logprobs,
        echo,
        ..GenerateRequest::default()
    })
}

/// `form` is the member that asked for a form, if any did.
fn refused(error: SubmitError, form: &'static str) -> Fault {
    match error {
        SubmitError::Invalid { field: "constraint", problem } => Fault::field(form, format!("{form}: {problem}")),
        SubmitError::QueueFull { wait, .. } => {
            Fault::new(FaultKind::Overloaded, error.to_string()).after(wait).with_upstream_status(429)
        }
        SubmitError::PromptTooLong { .. } => {
            Fault { param: Some("messages".into()), ..Fault::new(FaultKind::ContextLength, error.to_string()) }
        }
        SubmitError::Invalid { field, .. } => Fault::field(field, error.to_string()),
        SubmitError::NoTemplate | SubmitError::Template(_) => Fault::field("messages", error.to_string()),
        _ => Fault::new(FaultKind::Unavailable, "the local model has stopped: try again later").because(error),
    }
}

fn broken(error: &GenerateError, form: &'static str) -> Fault {
    match error {
        GenerateError::Constraint(_) => Fault::field(form, error.to_string()),
        GenerateError::Late { .. } => Fault::new(FaultKind::UpstreamTimeout, error.to_string()),
        _ => Fault::internal(error),
    }
}

fn too_slow(limit: Duration, begun: bool) -> Fault {
    if !begun {
        return Fault::new(FaultKind::UpstreamTimeout, GenerateError::Late { waited: limit }.to_string());
    }
    Fault::new(FaultKind::UpstreamTimeout, format!("the local model gave no answer within {} s", limit.as_secs_f64()))
}

/// The generations of one call: one for each prompt, each with `n` answers.
#[derive(Debug)]
struct Work {
    head: Head,
    chat: bool,
    logprobs: bool,
    n: usize,
    running: VecDeque<Generation>,
    prompt: usize,
    /// Whether its turn has come.
    begun: bool,
    form: &'static str,
    /// How calls are written, where tools may be called.
    style: Option<CallStyle>,
    dice: Arc<dyn Dice>,
}

impl Work {
    /// An id for a call of a tool.
    fn call_id(&self) -> String {
        format!("call_{:016x}{:08x}", self.dice.next_u64(), self.dice.next_u64() >> 32)
    }

    /// Runs to the end.
    async fn whole(&mut self) -> Result<Answer, Fault> {
        let mut choices: Vec<Part> = Vec::new();
        let mut usage = Usage::default();
        while let Some(mut generation) = self.running.pop_front() {
            let first = choices.len();
            choices.resize_with(first + self.n, || Part { reader: self.style.map(CallReader::new), ..Part::default() });
            while let Some(event) = generation.next().await {
                match event {
                    GenerationEvent::Started { prompt_tokens, cached_tokens } => {
                        self.begun = true;
                        usage.prompt += prompt_tokens as u64;
                        usage.cached += cached_tokens as u64;
                    }
                    GenerationEvent::Prompt { text, tokens } => {
                        choices[first..].iter_mut().for_each(|part| part.echo(&text, &tokens));
                    }
                    GenerationEvent::Text { index, text, logprobs } => {
                        choices[first + index].more(&text, logprobs, || self.call_id());
                    }
                    GenerationEvent::Finished { index, reason, completion_tokens } => {
                        choices[first + index].end(reason);
                        usage.completion += completion_tokens as u64;
                    }
                    GenerationEvent::Failed(error) => return Err(broken(&error, self.form)),
                }
            }
        }
        let shown = shown(&usage);
        let body = if self.chat {
            let choices: Vec<_> = choices.into_iter().map(|part| part.chat(self.logprobs)).collect();
            chat::answer(&self.head, &choices, &shown)
        } else {
            let choices: Vec<_> = choices.into_iter().map(|part| part.text(self.logprobs)).collect();
            completion::answer(&self.head, &choices, &shown)
        };
        Ok(Answer { body: body.into(), usage: Some(usage), endpoint: None, predicted: None })
    }
}

/// One answer on its way.
#[derive(Debug, Default)]
struct Part {
    text: String,
    prompt: Vec<PromptToken>,
    tokens: Vec<TokenLogprob>,
    reader: Option<CallReader>,
    calls: Vec<chat::CalledTool>,
    finish: Option<&'static str>,
}

impl Part {
    fn echo(&mut self, text: &str, tokens: &[PromptToken]) {
        self.text.push_str(text);
        self.prompt = tokens.to_vec();
    }

    fn more(&mut self, text: &str, tokens: Vec<TokenLogprob>, id: impl Fn() -> String) {
        self.tokens.extend(tokens);
        let Some(reader) = &mut self.reader else { return self.text.push_str(text) };
        for part in reader.push(text) {
            match part {
                Heard::Text(text) => self.text.push_str(&text),
                Heard::Call { name, .. } => {
                    self.calls.push(chat::CalledTool { id: id(), name, arguments: String::new() });
                }
                Heard::Arguments { text, .. } => {
                    self.calls.last_mut().into_iter().for_each(|call| call.arguments.push_str(&text));
                }
            }
        }
    }

    fn end(&mut self, reason: FinishReason) {
        if let Some(Heard::Text(rest)) = self.reader.as_mut().and_then(CallReader::finish) {
            self.text.push_str(&rest);
        }
        self.finish = Some(word(reason, !self.calls.is_empty()));
    }

    fn chat(self, logprobs: bool) -> chat::Choice {
        chat::Choice {
            text: self.text,
            calls: self.calls,
            logprobs: logprobs.then(|| self.tokens.iter().map(entry).collect()),
            finish: self.finish,
        }
    }

    fn text(self, logprobs: bool) -> completion::Choice {
        let columns = self.prompt.iter().map(prompt_column).chain(self.tokens.iter().map(column));
        completion::Choice { columns: logprobs.then(|| columns.collect()), text: self.text, finish: self.finish }
    }
}

/// The generations of one call as server-sent events. Prompts run side by side; their events are told in turn.
#[derive(Debug)]
struct EventFrames {
    work: Work,
    first: Option<Bytes>,
    begun: Vec<bool>,
    offsets: Vec<usize>,
    /// Of each answer that may call tools: its reader, and the tokens whose text it still holds.
    readers: Vec<Option<(CallReader, Vec<Value>)>>,
    usage: Usage,
    over: bool,
}

impl EventFrames {
    fn new(work: Work) -> Self {
        let answers = work.n * work.running.len();
        let readers = (0..answers).map(|_| work.style.map(|style| (CallReader::new(style), Vec::new()))).collect();
        Self {
            work,
            readers,
            first: None,
            begun: vec![false; answers],
            offsets: vec![0; answers],
            usage: Usage::default(),
            over: false,
        }
    }

    /// The chunks of one event, as text.
    fn told(&mut self, event: GenerationEvent) -> Result<String, Fault> {
        let base = self.work.prompt * self.work.n;
        Ok(match event {
            GenerationEvent::Started { prompt_tokens, cached_tokens } => {
                self.work.begun = true;
                self.usage.prompt += prompt_tokens as u64;
                self.usage.cached += cached_tokens as u64;
                String::new()
            }
            GenerationEvent::Prompt { text, tokens } => (base..base + self.work.n)
                .map(|index| self.text(index, &text, &tokens.iter().map(prompt_column).collect::<Vec<_>>()))
                .collect(),
            GenerationEvent::Text { index, text, logprobs } if self.work.chat => {
                self.said(base + index, &text, &logprobs)
            }
            GenerationEvent::Text { index, text, logprobs } => {
                self.text(base + index, &text, &logprobs.iter().map(column).collect::<Vec<_>>())
            }
            GenerationEvent::Finished { index, reason, completion_tokens } => {
                self.usage.completion += completion_tokens as u64;
                let (rest, has_calls) = self.rest(base + index);
                let last = if self.work.chat { chat::finish } else { completion::finish };
                rest + &self.role(base + index) + &last(&self.work.head, base + index, word(reason, has_calls))
            }
            GenerationEvent::Failed(error) => return Err(broken(&error, self.work.form)),
        })
    }

    /// More of an answer in a chat: text, and calls where there may be some.
    fn said(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> String {
        let entries = if self.work.logprobs { tokens.iter().map(entry).collect() } else { Vec::new() };
        let Some((reader, held)) = &mut self.readers[index] else {
            let entries = self.work.logprobs.then_some(entries);
            return self.role(index) + &chat::delta(&self.work.head, index, text, entries.as_deref());
        };
        held.extend(entries);
        let heard = reader.push(text);
        self.heard(index, &heard)
    }

    /// What was held back of an answer that has ended; whether it calls tools.
    fn rest(&mut self, index: usize) -> (String, bool) {
        let Some((reader, _)) = &mut self.readers[index] else { return (String::new(), false) };
        let (rest, has_calls) = (reader.finish(), reader.has_calls());
        (self.heard(index, rest.as_slice()), has_calls)
    }

    fn heard(&mut self, index: usize, parts: &[Heard]) -> String {
        let mut told = String::new();
        for part in parts {
            told += &self.role(index);
            let entries = self.readers[index].as_mut().map(|(_, held)| std::mem::take(held)).unwrap_or_default();
            let entries = self.work.logprobs.then_some(entries);
            let id = if matches!(part, Heard::Call { .. }) { self.work.call_id() } else { String::new() };
            told += &chat::heard(&self.work.head, index, part, &id, entries.as_deref());
        }
        told
    }

    fn role(&mut self, index: usize) -> String {
        if !self.work.chat || std::mem::replace(&mut self.begun[index], true) {
            return String::new();
        }
        chat::role(&self.work.head, index)
    }

    fn text(&mut self, index: usize, text: &str, tokens: &[Column]) -> String {
        let offset = self.offsets[index];
        self.offsets[index] += text.chars().count();
        completion::delta(&self.work.head, index, text, self.work.logprobs.then_some(tokens), offset)
    }

    fn end(&mut self) -> String {
        self.over = true;
        let usage = if self.work.chat { chat::usage } else { completion::usage };
        let usage = if self.work.head.usage { usage(&self.work.head, &shown(&self.usage)) } else { String::new() };
        usage + "data: [DONE]\n\n"
    }
}

impl Stream for EventFrames {
    type Item = Result<Bytes, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        while !this.over {
            let Some(generation) = this.work.running.front_mut() else {
                return Poll::Ready(Some(Ok(this.end().into())));
            };
            let Some(event) = std::task::ready!(Pin::new(generation).poll_next(cx)) else {
                this.work.running.pop_front();
                this.work.prompt += 1;
                continue;
            };
            match this.told(event) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return Poll::Ready(Some(Ok(text.into()))),
                Err(fault) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
        }
        Poll::Ready(None)
    }
}

const fn word(reason: FinishReason, has_calls: bool) -> &'static str {
    match reason {
        FinishReason::Stop if has_calls => "tool_calls",
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

fn shown(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    })
}

fn entry(token: &TokenLogprob) -> Value {
    let top: Vec<Value> =
        token.top.iter().map(|t| json!({"token": t.token, "logprob": t.logprob, "bytes": t.bytes})).collect();
    json!({"token": token.token, "logprob": token.logprob, "bytes": token.bytes, "top_logprobs": top})
}

fn column(token: &TokenLogprob) -> Column {
    Column { text: token.token.clone(), logprob: Some(token.logprob), top: Some(pairs(&token.top)) }
}

fn prompt_column(token: &PromptToken) -> Column {
    Column { text: token.token.clone(), logprob: token.logprob, top: token.logprob.map(|_| pairs(&token.top)) }
}

fn pairs(top: &[Alternative]) -> Vec<(String, f32)> {
    top.iter().map(|t| (t.token.clone(), t.logprob)).collect()
}
