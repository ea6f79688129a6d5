//! The form of an answer and its tools, from a body's members to the engine's types. OpenAI's own `response_format`, and
//! what vLLM, SGLang and TGI added for forms that it has no word for.

use crate::openai::request::ChatBody;
use crate::{Constraint, Tool, ToolChoice, ToolUse};
use serde_json::Value;
use tidegate_core::Fault;

/// A form, and the member that asked for it.
pub(super) type Form = Option<(&'static str, Constraint)>;

/// The form of the answer.
pub(super) fn constraint(body: &ChatBody) -> Result<Form, Fault> {
    let mut asked = Vec::new();
    asked.extend(
        body.response_format.as_ref().map(response_format).transpose()?.flatten().map(|c| ("response_format", c)),
    );
    if let Some(wanted) = &body.structured_outputs {
        asked.push(("structured_outputs", structured(wanted, "structured_outputs")?));
    }
    let guided = [
        ("guided_json", "json", &body.guided_json),
        ("guided_regex", "regex", &body.guided_regex),
        ("guided_choice", "choice", &body.guided_choice),
        ("guided_grammar", "grammar", &body.guided_grammar),
    ];
    for (field, kind, value) in guided {
        if let Some(value) = value {
            asked.push((field, one(field, kind, value)?));
        }
    }
    let second = asked.get(1).map(|(field, _)| *field);
    if let Some(field) = second {
        let first = asked[0].0;
        return Err(Fault::field(field, format!("{field} and {first} both ask for a form: leave one of them out")));
    }
    Ok(asked.pop())
}

fn response_format(format: &Value) -> Result<Option<Constraint>, Fault> {
    let field = "response_format";
    let missing = |what: &str| Fault::field(field, format!("response_format of this type wants {what}"));
    let text = |names: [&str; 2]| names.iter().find_map(|name| format[*name].as_str()).map(str::to_owned);
    match format["type"].as_str().unwrap_or("text") {
        "text" => Ok(None),
        "json_object" => match format.get("schema") {
            None | Some(Value::Null) => Ok(Some(Constraint::JsonObject)),
            Some(schema) => Ok(Some(Constraint::JsonSchema(schema.clone()))),
        },
        "json_schema" => match format["json_schema"].get("schema") {
            None | Some(Value::Null) => Ok(Some(Constraint::JsonObject)),
            Some(schema) => Ok(Some(Constraint::JsonSchema(schema.clone()))),
        },
        "regex" => text(["pattern", "value"]).map(|t| Some(Constraint::Regex(t))).ok_or_else(|| missing("a `pattern`")),
        "grammar" => {
            text(["grammar", "value"]).map(|t| Some(Constraint::Grammar(t))).ok_or_else(|| missing("a `grammar`"))
        }
        other => Err(Fault::field(
            field,
            format!(
                "this local model knows no response_format of type `{other}`: it knows text, json_object, json_schema, regex and grammar"
            ),
        )),
    }
}

/// The one member that is set.
fn structured(wanted: &Value, field: &'static str) -> Result<Constraint, Fault> {
    const KINDS: [&str; 5] = ["json", "regex", "choice", "grammar", "json_object"];
    let says = "structured_outputs wants exactly one of json, regex, choice, grammar and json_object";
    let set: Vec<(&str, &Value)> =
        KINDS.iter().filter_map(|kind| Some((*kind, wanted.get(*kind)?))).filter(|(_, v)| !v.is_null()).collect();
    match set[..] {
        [("json_object", Value::Bool(true))] => Ok(Constraint::JsonObject),
        [("json_object", _)] => Err(Fault::field(field, says)),
        [(kind, value)] => one(field, kind, value),
        _ => Err(Fault::field(field, says)),
    }
}

fn one(field: &'static str, kind: &str, value: &Value) -> Result<Constraint, Fault> {
    let wrong = |must_be: &str| Fault::field(field, format!("{field}: {kind} must be {must_be}"));
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong("a string"));
    match kind {
        // A schema may come as JSON in a string.
        "json" => match value {
            Value::String(text) => {
                serde_json::from_str(text).map(Constraint::JsonSchema).map_err(|_| wrong("a JSON schema"))
            }
            _ => Ok(Constraint::JsonSchema(value.clone())),
        },
        "regex" => text().map(Constraint::Regex),
        "grammar" => text().map(Constraint::Grammar),
        _ => {
            let choices =
                value.as_array().map(|choices| choices.iter().map(|c| c.as_str().map(str::to_owned)).collect());
            choices.flatten().map(Constraint::Choice).ok_or_else(|| wrong("a list of strings"))
        }
    }
}

/// The tools of a chat; `None` where none may be called.
pub(super) fn tools(body: &ChatBody) -> Result<Option<ToolUse>, Fault> {
    let Some(listed) = body.tools.as_ref().filter(|tools| !tools.is_empty()) else { return Ok(None) };
    let choice = choice(body.tool_choice.as_ref())?;
    if choice == ToolChoice::None {
        return Ok(None);
    }
    let mut tools = Vec::with_capacity(listed.len());
    for (i, definition) in listed.iter().enumerate() {
        let function = &definition["function"];
        let name = function["name"].as_str().filter(|_| definition["type"] == "function").ok_or_else(|| {
            let says = format!("tools[{i}] is no function: this local model calls functions only");
            Fault::field("tools", says)
        })?;
        let parameters = Some(&function["parameters"]).filter(|p| !p.is_null()).cloned();
        tools.push(Tool { name: name.to_owned(), parameters, definition: definition.clone() });
    }
    Ok(Some(ToolUse { tools, choice, parallel: body.parallel_tool_calls.unwrap_or(true) }))
}

fn choice(wanted: Option<&Value>) -> Result<ToolChoice, Fault> {
    match wanted {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(word)) if word == "auto" => Ok(ToolChoice::Auto),
        Some(Value::String(word)) if word == "none" => Ok(ToolChoice::None),
        Some(Value::String(word)) if word == "required" => Ok(ToolChoice::Required),
        Some(wanted) => match wanted["function"]["name"].as_str() {
            Some(name) => Ok(ToolChoice::Named(name.to_owned())),
            None => Err(Fault::field(
                "tool_choice",
                "this local model knows the tool_choice none, auto, required and a named function",
            )),
        },
    }
}

/// Whether a body asks for what takes long to prepare: found by its words, since it is not read yet.
pub(super) fn is_costly(body: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"response_format", b"structured_outputs", b"guided_", b"tools"];
    WORDS.iter().any(|word| body.windows(word.len()).any(|part| part == *word))
}
