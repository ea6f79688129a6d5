//! Chat completions as JSON: whole answers and chunks.

use crate::constrain::Heard;
use crate::openai::completion::Head;
use serde_json::{Value, json};

/// One choice of a whole answer.
#[derive(Debug, Default, Clone)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) calls: Vec<CalledTool>,
    pub(super) logprobs: Option<Vec<Value>>,
    pub(super) finish: Option<&'static str>,
}

/// A call of a tool in a whole answer.
#[derive(Debug, Default, Clone)]
pub(super) struct CalledTool {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// A whole answer.
pub(super) fn answer(head: &Head, choices: &[Choice], usage: &Value) -> String {
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let message = message(choice);
            json!({"index": index, "message": message, "logprobs": logprobs(choice.logprobs.as_deref()), "finish_reason": choice.finish})
        })
        .collect();
    json!({"id": head.id, "object": "chat.completion", "created": head.created, "model": head.model, "choices": choices, "usage": usage}).to_string()
}

/// Calls stand beside the text; without any text its place is null.
fn message(choice: &Choice) -> Value {
    if choice.calls.is_empty() {
        return json!({"role": "assistant", "content": choice.text, "refusal": null});
    }
    let calls = choice.calls.iter().map(
        |call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}),
    );
    let text = Some(&choice.text).filter(|text| !text.is_empty());
    json!({"role": "assistant", "content": text, "refusal": null, "tool_calls": calls.collect::<Vec<_>>()})
}

/// The first chunk of a choice: its role.
pub(super) fn role(head: &Head, index: usize) -> String {
    chunk(
        head,
        &json!([{"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null}]),
        None,
    )
}

/// A chunk of what was heard in an answer with tools: text, the beginning of a call with its id, or more of its
/// arguments.
pub(super) fn heard(head: &Head, index: usize, part: &Heard, id: &str, entries: Option<&[Value]>) -> String {
    let delta = match part {
        Heard::Text(text) => json!({"content": text}),
        Heard::Call { index, name } => json!({"tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        ]}),
        Heard::Arguments { index, text } => json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]}),
    };
    chunk(head, &json!([{"index": index, "delta": delta, "logprobs": logprobs(entries), "finish_reason": null}]), None)
}

/// A chunk of text.
pub(super) fn delta(head: &Head, index: usize, text: &str, entries: Option<&[Value]>) -> String {
    chunk(
        head,
        &json!([{"index": index, "delta": {"content": text}, "logprobs": logprobs(entries), "finish_reason": null}]),
        None,
    )
}

/// The last chunk of a choice: why it ended.
pub(super) fn finish(head: &Head, index: usize, reason: &str) -> String {
    chunk(head, &json!([{"index": index, "delta": {}, "logprobs": null, "finish_reason": reason}]), None)
}

/// The chunk of usage.
pub(super) fn usage(head: &Head, usage: &Value) -> String {
    chunk(head, &json!([]), Some(usage))
}

fn chunk(head: &Head, choices: &Value, usage: Option<&Value>) -> String {
    let mut doc = json!({"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model, "choices": choices});
    if head.usage {
        doc["usage"] = usage.cloned().unwrap_or(Value::Null);
    }
    format!("data: {doc}\n\n")
}

fn logprobs(entries: Option<&[Value]>) -> Value {
    entries.map_or(Value::Null, |entries| json!({"content": entries, "refusal": null}))
}
