//! The chat template of a model file: rendered with fuel and an output cap, and cut into text and the template's own
//! control tokens. What a caller wrote never becomes a control token: `guard` sees to that.

mod guard;
mod preamble;
mod python;

use crate::constrain::CallStyle;
use crate::request::{ChatMessage, Tool};
use crate::vocabulary::Piece;
use guard::Guard;
use minijinja::{Environment, Error, ErrorKind, Value};
use preamble::Knows;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Instructions for the template itself, and for each message.
const FUEL: (u64, u64) = (200_000, 20_000);
/// Bytes that the template may add, and for each message; what callers wrote may appear four times.
const ROOM: (usize, usize) = (64 << 10, 2 << 10);
const NAME: &str = "chat";

/// A compiled chat template.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// Longest first.
    control: Vec<(String, u32)>,
    /// The characters that a control token begins with.
    beginnings: Vec<char>,
    begin: String,
    end: String,
    /// How it writes calls, where it can be told of tools.
    style: Option<CallStyle>,
    knows: Knows,
}

impl ChatTemplate {
    /// Compiles it. `control` are the tokens that it may write, `borders` its `bos_token` and `eos_token`.
    pub(crate) fn new(source: &str, control: &[(String, u32)], borders: (&str, &str)) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_recursion_limit(64);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(python::method);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_filter("tojson", python::to_json);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| e.to_string())?;
        let mut control = control.to_vec();
        control.retain(|(name, _)| !name.is_empty());
        control.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut beginnings: Vec<char> = control.iter().filter_map(|(name, _)| name.chars().next()).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        let (begin, end) = (borders.0.to_owned(), borders.1.to_owned());
        let style = style(source);
        let results = ["'tool'", "\"tool\""].iter().any(|role| source.contains(role));
        let knows = Knows { tools: style.is_some(), calls: source.contains("tool_calls"), results };
        Ok(Self { environment, control, beginnings, begin, end, style, knows })
    }

    /// How the model writes calls of tools: as its template does, or as our own words ask it to.
    pub(crate) fn call_style(&self) -> CallStyle {
        self.style.unwrap_or(CallStyle::Tagged)
    }

    /// Renders a conversation up to where the assistant speaks.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<Vec<Piece>, String> {
        self.render_with(messages, &[])
    }

    /// Renders a conversation that has ended, or that ends for now.
    pub(crate) fn render_ended(&self, messages: &[ChatMessage]) -> Result<Vec<Piece>, String> {
        self.render_up_to(messages, &[], false)
    }

    /// Renders a conversation in which tools may be called, up to where the assistant speaks.
    pub(crate) fn render_with(&self, messages: &[ChatMessage], tools: &[Tool]) -> Result<Vec<Piece>, String> {
        self.render_up_to(messages, tools, true)
    }

    fn render_up_to(&self, messages: &[ChatMessage], tools: &[Tool], answers: bool) -> Result<Vec<Piece>, String> {
        let plain = preamble::plain(messages, tools, self.knows);
        let messages = plain.as_deref().unwrap_or(messages);
        let tools = if self.style.is_some() { tools } else { &[] };
        let told: Vec<String> = tools.iter().map(|tool| tool.definition.to_string()).collect();
        let names: Vec<&str> = self.control.iter().map(|(name, _)| name.as_str()).collect();
        let written = || messages.iter().flat_map(texts).chain(told.iter().map(String::as_str));
        let guard = Guard::new(&names, written()).ok_or("the text cannot be told from markup")?;
        let words: usize = written().map(str::len).sum();
        let values: Vec<Value> = messages.iter().map(|m| self.message(m, &guard)).collect();
        let kept: Vec<Value> =
            tools.iter().map(|tool| Value::from_serialize(guarded(&tool.definition, &guard))).collect();
        let context = minijinja::context! {
            messages => values,
            tools => if kept.is_empty() { Value::from(()) } else { kept.into() },
            add_generation_prompt => answers,
            bos_token => self.begin,
            eos_token => self.end,
        };
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL.0 + FUEL.1 * messages.len() as u64));
        let mut out = Capped { bytes: Vec::new(), room: ROOM.0 + ROOM.1 * messages.len() + 4 * words };
        let template = environment.get_template(NAME).map_err(|e| said(&e))?;
        template.render_captured_to(context, &mut out).map(drop).map_err(|e| said(&e))?;
        let text = String::from_utf8(out.bytes).map_err(|e| e.to_string())?;
        Ok(self.pieces(&text, &guard))
    }

    /// Cuts at the control tokens that are left: all of them the template's own.
    fn pieces(&self, text: &str, guard: &Guard) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let (mut start, mut at) = (0, 0);
        while let Some(found) = text[at..].find(|c| self.beginnings.contains(&c)).map(|i| i + at) {
            match self.control.iter().find(|(name, _)| text[found..].starts_with(name.as_str())) {
                Some((name, token)) => {
                    push_text(&mut pieces, &text[start..found], guard);
                    pieces.push(Piece::Control(*token));
                    at = found + name.len();
                    start = at;
                }
                None => at = found + text[found..].chars().next().map_or(1, char::len_utf8),
            }
        }
        push_text(&mut pieces, &text[start..], guard);
        pieces
    }

    fn message(&self, message: &ChatMessage, guard: &Guard) -> Value {
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        fields.insert("role", message.role.word().into());
        let content = guard.keep(&message.content);
        if let Some(name) = &message.name {
            fields.insert("name", guard.keep(name).into());
        }
        if let Some(id) = &message.tool_call_id {
            fields.insert("tool_call_id", guard.keep(id).into());
        }
        if !message.tool_calls.is_empty() {
            let calls: Vec<Value> = message.tool_calls.iter().map(|c| call(c, guard)).collect();
            fields.insert("tool_calls", calls.into());
        }
        fields.insert("content", content.into());
        Value::from_serialize(fields)
    }
}

/// How a template writes calls; `None` where it cannot be told of tools, or writes calls as no grammar of ours does.
fn style(source: &str) -> Option<CallStyle> {
    let knows = source.contains("tools") && source.contains("tool_calls");
    match (source.contains("<tool_call>"), source.contains("\"parameters\": ")) {
        (true, _) if knows => Some(CallStyle::Tagged),
        (false, true) if knows && source.contains("<|start_header_id|>") => Some(CallStyle::Bare),
        _ => None,
    }
}

/// A caller's JSON with all its words guarded.
fn guarded(value: &serde_json::Value, guard: &Guard) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => guard.keep(text).into(),
        Json::Array(items) => items.iter().map(|item| guarded(item, guard)).collect(),
        Json::Object(members) => {
            members.iter().map(|(k, v)| (guard.keep(k), guarded(v, guard))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn call(call: &crate::request::ToolCall, guard: &Guard) -> Value {
    let arguments = guard.keep(&call.arguments);
    // Templates differ: some print the text, some walk the object. Hugging Face hands over the object.
    let arguments = serde_json::from_str::<serde_json::Value>(&arguments)
        .map_or_else(|_| Value::from(arguments.as_str()), Value::from_serialize);
    minijinja::context! {
        id => guard.keep(&call.id),
        r#type => "function",
        function => minijinja::context! { name => guard.keep(&call.name), arguments => arguments },
    }
}

/// All that a caller wrote in a message.
fn texts(message: &ChatMessage) -> impl Iterator<Item = &str> {
    let calls = message.tool_calls.iter().flat_map(|c| [c.id.as_str(), c.name.as_str(), c.arguments.as_str()]);
    [Some(message.content.as_str()), message.name.as_deref(), message.tool_call_id.as_deref()]
        .into_iter()
        .flatten()
        .chain(calls)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, guard: &Guard) {
    if !text.is_empty() {
        pieces.push(Piece::Text(guard.release(text)));
    }
}

/// The template's own words where it raised, else what went wrong.
fn said(error: &Error) -> String {
    if error.kind() == ErrorKind::WriteFailure {
        return "the rendered conversation is too long".into();
    }
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    detail.lines().next().unwrap_or_default().to_owned()
}

/// A buffer that refuses to grow beyond its room.
struct Capped {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.room {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
