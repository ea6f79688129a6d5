//! How a model writes its tool calls, and the grammar of an answer that may or must hold some. The words around the
//! arguments are fixed to the letter, so that what reads them (`reader`) has nothing to guess.

use super::{Refusal, schema};
use crate::request::{Tool, ToolChoice, ToolUse};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Calls in one answer, at most.
const MOST_CALLS: usize = 32;

/// How calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStyle {
    /// `<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>`, one after another: Hermes, Qwen, SmolLM, and ours
    /// for templates that know no tools.
    Tagged,
    /// `{"name": "f", "parameters": {}}` and nothing else: Llama 3.
    Bare,
}

impl CallStyle {
    /// What a call begins with.
    pub(crate) const fn opening(self) -> &'static str {
        match self {
            Self::Tagged => "<tool_call>",
            Self::Bare => "{",
        }
    }

    /// Before the name.
    pub(super) const fn before_name(self) -> &'static str {
        match self {
            Self::Tagged => "\n{\"name\": \"",
            Self::Bare => "\"name\": \"",
        }
    }

    /// Between name and arguments.
    pub(super) const fn before_arguments(self) -> &'static str {
        match self {
            Self::Tagged => "\", \"arguments\": ",
            Self::Bare => "\", \"parameters\": ",
        }
    }

    /// After the arguments.
    pub(super) const fn closing(self) -> &'static str {
        match self {
            Self::Tagged => "}\n</tool_call>",
            Self::Bare => "}",
        }
    }
}

/// The rules of an answer that may call tools, in Lark; `content` is the rule of an answer that does not, where it has
/// a form too. `None` where no call may be made.
pub(super) fn rules(wanted: &ToolUse, style: CallStyle, content: Option<&str>) -> Result<Option<String>, Refusal> {
    let (tools, forced): (Vec<&Tool>, bool) = match &wanted.choice {
        ToolChoice::None => return Ok(None),
        ToolChoice::Auto => (wanted.tools.iter().collect(), false),
        ToolChoice::Required => (wanted.tools.iter().collect(), true),
        ToolChoice::Named(name) => (wanted.tools.iter().filter(|tool| tool.name == *name).collect(), true),
    };
    if tools.is_empty() {
        let problem = "tool_choice asks for a tool that is not among tools".to_owned();
        return if forced { Err(Refusal::tools(problem)) } else { Ok(None) };
    }
    let single = !wanted.parallel || matches!(wanted.choice, ToolChoice::Named(_)) || style == CallStyle::Bare;
    let more = if single { String::new() } else { format!(" (\"\\n\" next){{0,{}}}", MOST_CALLS - 1) };
    let open = literal(style.opening());
    let mut text = match (forced, content, style) {
        (true, ..) => format!("start: next{more}\n"),
        (false, Some(content), _) => format!("start: content | next{more}\n{content}"),
        // Up to the opening, which ends the free part wherever it comes: no text can hold it unless a call follows.
        (false, None, CallStyle::Tagged) => {
            format!(
                "start: | PLAIN | opened body{more}\nPLAIN: /(.|\\n)+/\nopened[lazy]: /(.|\\n)*{}/\n",
                style.opening()
            )
        }
        (false, None, CallStyle::Bare) => "start: | PLAIN | next\nPLAIN: /[^{](.|\\n)*/\n".to_owned(),
    };
    let names: Vec<String> = (0..tools.len()).map(|i| format!("call_{i}")).collect();
    let mut write = |line: std::fmt::Arguments<'_>| text.write_fmt(line).map_err(|e| Refusal::tools(e.to_string()));
    if forced || content.is_some() || !single || style == CallStyle::Bare {
        write(format_args!("next: {open} body\n"))?;
    }
    write(format_args!("body: {}\n", names.join(" | ")))?;
    for (i, tool) in tools.iter().enumerate() {
        let head = literal(&format!("{}{}{}", style.before_name(), tool.name, style.before_arguments()));
        write(format_args!("call_{i}: {head} args_{i} {}\n", literal(style.closing())))?;
        write(format_args!("args_{i}: %json {}\n", parameters(tool)?))?;
    }
    Ok(Some(text))
}

/// The schema of a tool's arguments, which are always an object.
fn parameters(tool: &Tool) -> Result<Value, Refusal> {
    let refused = |problem: String| Refusal::tools(format!("the parameters of `{}`: {problem}", tool.name));
    let mut wanted = match &tool.parameters {
        None => json!({"type": "object", "properties": {}, "additionalProperties": false}),
        Some(wanted) => wanted.clone(),
    };
    let members = wanted.as_object_mut().ok_or_else(|| refused("must be a JSON schema, an object".into()))?;
    match members.get("type") {
        None => drop(members.insert("type".into(), "object".into())),
        Some(Value::String(kind)) if kind == "object" => {}
        Some(_) => return Err(refused("must be of type object".into())),
    }
    schema::prepared(&wanted).map_err(refused)
}

/// A text as a literal of Lark, whose escapes are those of JSON.
pub(super) fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Whether a name can stand in a call as it is: what OpenAI takes, and the dot.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
