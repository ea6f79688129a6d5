//! Text completions as JSON: whole answers and chunks, with the log-probabilities in the old, columnar form.

use serde_json::{Value, json};

/// What all parts of one answer share.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    /// Whether a stream tells its usage.
    pub(super) usage: bool,
}

/// One token in the columnar form.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) text: String,
    /// `None` for the first token of an echoed prompt, which nothing predicts.
    pub(super) logprob: Option<f32>,
    pub(super) top: Option<Vec<(String, f32)>>,
}

/// One choice of a whole answer.
#[derive(Debug, Default, Clone)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) columns: Option<Vec<Column>>,
    pub(super) finish: Option<&'static str>,
}

/// A whole answer.
pub(super) fn answer(head: &Head, choices: &[Choice], usage: &Value) -> String {
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| json!({"index": index, "text": choice.text, "logprobs": columns(choice.columns.as_deref(), 0), "finish_reason": choice.finish}))
        .collect();
    json!({"id": head.id, "object": "text_completion", "created": head.created, "model": head.model, "choices": choices, "usage": usage}).to_string()
}

/// A chunk of text; `offset` is the number of characters that went before it.
pub(super) fn delta(head: &Head, index: usize, text: &str, tokens: Option<&[Column]>, offset: usize) -> String {
    chunk(
        head,
        &json!([{"index": index, "text": text, "logprobs": columns(tokens, offset), "finish_reason": null}]),
        None,
    )
}

/// The last chunk of a choice: why it ended. Its text is empty, never null.
pub(super) fn finish(head: &Head, index: usize, reason: &str) -> String {
    chunk(head, &json!([{"index": index, "text": "", "logprobs": null, "finish_reason": reason}]), None)
}

/// The chunk of usage.
pub(super) fn usage(head: &Head, usage: &Value) -> String {
    chunk(head, &json!([]), Some(usage))
}

fn chunk(head: &Head, choices: &Value, usage: Option<&Value>) -> String {
    let mut doc = json!({"id": head.id, "object": "text_completion", "created": head.created, "model": head.model, "choices": choices});
    if head.usage {
        doc["usage"] = usage.cloned().unwrap_or(Value::Null);
    }
    format!("data: {doc}\n\n")
}

fn columns(tokens: Option<&[Column]>, mut offset: usize) -> Value {
    let Some(tokens) = tokens else { return Value::Null };
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(offset);
        offset += token.text.chars().count();
    }
    let top = |token: &Column| {
        token.top.as_ref().map(|top| {
            top.iter().map(|(text, logprob)| (text.clone(), json!(logprob))).collect::<serde_json::Map<_, _>>()
        })
    };
    json!({
        "tokens": tokens.iter().map(|token| &token.text).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}
