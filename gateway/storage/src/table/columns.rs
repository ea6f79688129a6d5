//! Events as Arrow columns. Owns the schema: names, types, and what of an event each column holds.

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::Serialize;
use std::sync::Arc;
use tidegate_core::{
    Event, KeyId, ModelName, Outcome, Principal, ProviderName, RouteName, Tenant, TraceId, VariantName,
};

const TEXTS: [&str; 18] = [
    "id",
    "api",
    "route",
    "variant",
    "model",
    "provider",
    "tenant",
    "principal",
    "key",
    "outcome",
    "fault",
    "config",
    "trace_id",
    "episode",
    "subject",
    "prompt",
    "prompt_sha",
    "event_json",
];
const NUMBERS: [&str; 12] = [
    "seq",
    "unix_ms",
    "status",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "first_us",
    "total_us",
    "request_bytes",
    "answer_bytes",
    "prompt_n",
    "model_version",
];

/// The columns: texts, then numbers (64 bits with a sign, as not every reader knows others), then the cost and the flag.
pub(crate) fn schema() -> SchemaRef {
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let numbers = NUMBERS.iter().map(|name| Field::new(*name, DataType::Int64, true));
    let others = [Field::new("cost_usd", DataType::Float64, true), Field::new("stream", DataType::Boolean, true)];
    Arc::new(Schema::new(texts.chain(numbers).chain(others).collect::<Vec<_>>()))
}

/// Rows on their way into a batch.
#[derive(Default)]
pub(crate) struct Columns {
    texts: [StringBuilder; TEXTS.len()],
    numbers: [Int64Builder; NUMBERS.len()],
    cost: Float64Builder,
    stream: BooleanBuilder,
    rows: usize,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row; the values stand in the order of the names above.
    pub(crate) fn push(&mut self, seq: u64, event: &Event, json: &str) {
        let (id, api) = (event.id.encode(), label(&event.api));
        let trace = event.trace_id.map(TraceId::encode);
        let (outcome, fault) = outcome(event.outcome);
        let prompt = event.prompt.as_deref();
        let sha = prompt.and_then(|prompt| prompt.sha).map(|sha| sha.to_string());
        let texts: [Option<&str>; TEXTS.len()] = [
            std::str::from_utf8(&id).ok(),
            api.as_deref(),
            event.route.as_ref().map(RouteName::as_str),
            event.variant.as_ref().map(VariantName::as_str),
            event.model.as_ref().map(ModelName::as_str),
            event.provider.as_ref().map(ProviderName::as_str),
            event.tenant.as_ref().map(Tenant::as_str),
            event.principal.as_ref().map(Principal::as_str),
            event.key.as_ref().map(KeyId::as_str),
            Some(outcome),
            fault.as_deref(),
            Some(&event.config),
            trace.as_ref().and_then(|id| std::str::from_utf8(id).ok()),
            event.episode.as_deref(),
            event.subject.as_deref(),
            prompt.map(|prompt| prompt.name.as_str()),
            sha.as_deref(),
            Some(json),
        ];
        let usage = event.usage;
        let numbers: [Option<u64>; NUMBERS.len()] = [
            Some(seq),
            Some(event.unix_ms),
            Some(event.status.into()),
            usage.map(|usage| usage.prompt),
            usage.map(|usage| usage.cached),
            usage.map(|usage| usage.completion),
            event.first_us,
            Some(event.total_us),
            Some(event.request_bytes),
            Some(event.answer_bytes),
            prompt.map(|prompt| prompt.n.into()),
            event.model_version.map(Into::into),
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_option(text));
        let signed = numbers.map(|number| number.map(|n| i64::try_from(n).unwrap_or(i64::MAX)));
        self.numbers.iter_mut().zip(signed).for_each(|(column, number)| column.append_option(number));
        self.cost.append_option(event.cost_usd);
        self.stream.append_value(event.stream);
        self.rows += 1;
    }

    /// The rows so far as a batch; starts over.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(TEXTS.len() + NUMBERS.len() + 2);
        arrays.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        arrays.extend(self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        arrays.push(Arc::new(self.cost.finish()));
        arrays.push(Arc::new(self.stream.finish()));
        self.rows = 0;
        RecordBatch::try_new(schema(), arrays)
    }
}

fn outcome(outcome: Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Ok => ("ok", None),
        Outcome::Fault(kind) => ("fault", label(&kind)),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::Panic => ("panic", None),
    }
}

/// The name of a plain enum's variant, as in JSON.
fn label(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Some(text),
        _ => None,
    }
}
