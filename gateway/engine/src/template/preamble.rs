//! Tools for templates that know none: told to the model in the system's message, its calls and their results written
//! into the conversation as text. The words are those that Hermes made common, which small models have most often seen.

use super::python::json_text;
use crate::request::{ChatMessage, Role, Tool, ToolCall};
use serde_json::{Value, json};

/// What a template can put into words by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knows {
    /// Which tools there are, and calls in a style that we read.
    pub(super) tools: bool,
    /// Calls in the conversation.
    pub(super) calls: bool,
    /// The role of a tool.
    pub(super) results: bool,
}

/// The conversation in plain words; `None` where the template needs no help.
pub(super) fn plain(messages: &[ChatMessage], tools: &[Tool], knows: Knows) -> Option<Vec<ChatMessage>> {
    let has_calls = messages.iter().any(|m| !m.tool_calls.is_empty());
    let has_results = messages.iter().any(|m| m.role == Role::Tool);
    let tells_tools = !tools.is_empty() && !knows.tools;
    // Where the tools are told in our words, calls and results are too.
    let writes_calls = has_calls && (tells_tools || !knows.calls);
    let writes_results = has_results && (tells_tools || !knows.results);
    if !(tells_tools || writes_calls || writes_results) {
        return None;
    }
    let mut plain: Vec<ChatMessage> = Vec::with_capacity(messages.len() + 1);
    let mut last_was_result = false;
    for message in messages {
        let is_result = message.role == Role::Tool && writes_results;
        match plain.last_mut().filter(|_| is_result && last_was_result) {
            // Results of one turn stand in one message: templates want the speakers to alternate.
            Some(last) => last.content.push_str(&format!("\n{}", response(message))),
            None if is_result => plain.push(ChatMessage::new(Role::User, response(message))),
            None if writes_calls && !message.tool_calls.is_empty() => plain.push(with_calls(message)),
            None => plain.push(message.clone()),
        }
        last_was_result = is_result;
    }
    if tells_tools {
        tell(&mut plain, tools);
    }
    Some(plain)
}

fn response(message: &ChatMessage) -> String {
    format!("<tool_response>\n{}\n</tool_response>", message.content)
}

fn with_calls(message: &ChatMessage) -> ChatMessage {
    let mut content = message.content.clone();
    for call in &message.tool_calls {
        if !content.is_empty() {
            content.push('\n');
        }
        content.push_str(&written(call));
    }
    ChatMessage { content, tool_calls: Vec::new(), ..message.clone() }
}

/// A call as the model writes it.
fn written(call: &ToolCall) -> String {
    let arguments = serde_json::from_str::<Value>(&call.arguments).unwrap_or_else(|_| call.arguments.as_str().into());
    let call = json!({"name": call.name, "arguments": arguments});
    let text = json_text(&call).unwrap_or_else(|_| call.to_string());
    format!("<tool_call>\n{text}\n</tool_call>")
}

/// Puts the tools into the system's message, at the head.
fn tell(messages: &mut Vec<ChatMessage>, tools: &[Tool]) {
    let listed: Vec<String> =
        tools.iter().map(|tool| json_text(&tool.definition).unwrap_or_else(|_| tool.definition.to_string())).collect();
    let words = format!(
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function \
         signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\nFor each function call, return a json \
         object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{{\"name\": \
         <function-name>, \"arguments\": <args-json-object>}}\n</tool_call>",
        listed.join("\n")
    );
    match messages.first_mut().filter(|first| matches!(first.role, Role::System | Role::Developer)) {
        Some(first) => first.content = format!("{}\n\n{words}", first.content),
        None => messages.insert(0, ChatMessage::new(Role::System, words)),
    }
}
