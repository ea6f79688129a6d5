//! Models that are granted to a plugin, asked by the backends that run them. Such a call passes no filter, so that no plugin
//! is ever asked by its own doing; nobody watches it, copies it or learns from it. Owns what is asked in OpenAI's form, for how
//! long, and that nothing is asked that is not granted or cannot be paid for; what may be used up is the `purse`'s.

mod purse;

pub(crate) use purse::{Purse, Used};

use crate::second::Second;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tidegate_core::{Api, Clock, Fault, FaultKind, ModelName, Said, Usage};
use tidegate_host::{Embeddings, Generate, Generation, Models, Unreached};
use tokio::runtime::Handle;

/// The longest that one call is waited for; what the plugin has left of its time may be less.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most texts that are embedded at once.
const MOST_TEXTS: usize = 2_048;
/// The longest part of a provider's word that a plugin gets, in bytes.
const SAID_BYTES: usize = 200;
/// Where nobody says how many tokens a text has, these many bytes are taken for one.
const BYTES_A_TOKEN: usize = 4;

/// A model that is granted.
#[derive(Debug)]
pub(crate) struct Grant {
    /// What runs it.
    pub(crate) model: Second,
    /// Whether it can be held to a schema of what it says; the engine of this process cannot.
    pub(crate) takes_schema: bool,
}

/// The models of one plugin.
#[derive(Debug)]
pub(crate) struct Granted {
    models: BTreeMap<ModelName, Grant>,
    purse: Arc<Purse>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
}

impl Granted {
    /// These, paid for from this purse. Calls are made on that runtime, and waited for on the thread that asks.
    pub(crate) fn new(
        models: impl IntoIterator<Item = Grant>,
        purse: Arc<Purse>,
        runtime: Handle,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let models = models.into_iter().map(|grant| (grant.model.model.clone(), grant)).collect();
        Self { models, purse, runtime, clock }
    }

    fn grant(&self, name: &str) -> Result<&Grant, Unreached> {
        let found = self.models.values().find(|grant| grant.model.model.as_str() == name);
        found.ok_or_else(|| {
            let shown: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
            let says = format!(
                "the model `{shown}` is not granted to this plugin: add it to `capabilities: {{models: […]}}` under `plugins`"
            );
            Unreached::Denied(says)
        })
    }

    /// Has a model answer, and pays for it.
    fn ask(&self, grant: &Grant, api: Api, body: Value, within: Duration) -> Result<Bytes, Unreached> {
        self.purse.open(self.clock.now()).map_err(Unreached::Quota)?;
        let asked = body.to_string().len();
        let (tells, told) = sync_channel(1);
        let (model, within) = (grant.model.clone(), within.min(PATIENCE));
        let call = self.runtime.spawn(async move {
            // Nobody listens where the time is over.
            drop(tells.send(model.ask(api, &body, within).await));
        });
        let answer = match told.recv_timeout(within) {
            Ok(answer) => answer.map_err(|fault| unreached(&fault)),
            Err(RecvTimeoutError::Timeout) => Err(Unreached::Timeout),
            Err(RecvTimeoutError::Disconnected) => Err(Unreached::Unavailable("the gateway is stopping".to_owned())),
        };
        // Dropping a call cancels it.
        call.abort();
        let tokens = match &answer {
            Ok(answer) => {
                Usage::from_openai(answer).map_or_else(|| estimated(asked + answer.len()), |usage| usage.total())
            }
            // It was sent, and perhaps read.
            Err(Unreached::Timeout) => estimated(asked),
            Err(_) => 0,
        };
        self.purse.pay(tokens, answer.is_err(), self.clock.now());
        answer
    }
}

impl Models for Granted {
    fn generate(&self, asked: &Generate, within: Duration) -> Result<Generation, Unreached> {
        let grant = self.grant(&asked.model)?;
        let body = chat(asked, &grant.model.upstream, grant.takes_schema)?;
        let answer = self.ask(grant, Api::ChatCompletions, body, within)?;
        generation(answer).ok_or_else(|| senseless("no choice"))
    }

    fn embed(&self, model: &str, texts: &[String], within: Duration) -> Result<Embeddings, Unreached> {
        let grant = self.grant(model)?;
        if texts.is_empty() || texts.len() > MOST_TEXTS {
            let says = format!("{} texts cannot be embedded at once: give from 1 to {MOST_TEXTS}", texts.len());
            return Err(Unreached::Unavailable(says));
        }
        let body = json!({"model": grant.model.upstream, "input": texts, "encoding_format": "float"});
        let answer = self.ask(grant, Api::Embeddings, body, within)?;
        embeddings(&answer, texts.len()).ok_or_else(|| senseless("not an embedding for each text"))
    }
}

/// What a plugin asks, as a call of a chat.
fn chat(asked: &Generate, upstream: &str, takes_schema: bool) -> Result<Value, Unreached> {
    let wrong = |says: &str| Unreached::Unavailable(says.to_owned());
    if !asked.temperature.is_finite() {
        return Err(wrong("the temperature is no number"));
    }
    let messages: Vec<Value> =
        asked.messages.iter().map(|message| json!({"role": message.role, "content": message.content})).collect();
    let mut body = json!({
        "model": upstream, "messages": messages, "max_tokens": asked.max_tokens, "temperature": asked.temperature,
    });
    if let Some(seed) = asked.seed {
        body["seed"] = json!(seed);
    }
    if let Some(schema) = asked.json_schema.as_ref().filter(|_| takes_schema) {
        let schema: Value =
            serde_json::from_str(schema).map_err(|_| wrong("the schema of what is asked is no JSON"))?;
        body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    }
    Ok(body)
}

fn generation(answer: Bytes) -> Option<Generation> {
    let said = Said::read(&[answer]);
    let usage = said.usage.unwrap_or_default();
    let count = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    let choice = said.choices.into_iter().next()?;
    Some(Generation {
        text: choice.text,
        prompt_tokens: count(usage.prompt),
        completion_tokens: count(usage.completion),
        finish_reason: choice.finish.unwrap_or_default(),
    })
}

/// The vectors of an answer in the order of their indices, if there is one for each text, all of one length.
fn embeddings(answer: &[u8], texts: usize) -> Option<Embeddings> {
    let doc: Value = serde_json::from_slice(answer).ok()?;
    let mut rows: Vec<(u64, Vec<f32>)> = Vec::with_capacity(texts);
    for (at, one) in (0..).zip(doc["data"].as_array()?) {
        let values = one["embedding"].as_array()?.iter().map(Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are numbers of single precision")]
        let row: Option<Vec<f32>> = values.map(|value| value.map(|value| value as f32)).collect();
        rows.push((one["index"].as_u64().unwrap_or(at), row?));
    }
    rows.sort_by_key(|(at, _)| *at);
    let dim = rows.first()?.1.len();
    let is_whole = rows.len() == texts && dim > 0 && rows.iter().all(|(_, row)| row.len() == dim);
    let values = rows.into_iter().flat_map(|(_, row)| row).collect();
    is_whole.then_some(Embeddings { dim: u32::try_from(dim).ok()?, values })
}

fn senseless(what: &str) -> Unreached {
    Unreached::Unavailable(format!("what the model answered makes no sense: {what}"))
}

/// What a fault of a model is to a plugin.
fn unreached(fault: &Fault) -> Unreached {
    match fault.kind {
        FaultKind::UpstreamTimeout | FaultKind::RequestTimeout => Unreached::Timeout,
        FaultKind::ModelNotFound => Unreached::NotFound,
        _ => {
            let says: String =
                fault.says.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            Unreached::Unavailable(says[..says.floor_char_boundary(SAID_BYTES)].to_owned())
        }
    }
}

fn estimated(bytes: usize) -> u64 {
    (bytes / BYTES_A_TOKEN) as u64
}

#[cfg(test)]
mod tests;
