//! What a monitor takes of a call: values at JSON pointers of the request and of the answer, and facts beside them. Owns what
//! JSON is as a value of a column; that what is not there, or is of another kind, is missing and nothing worse.

use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use tidegate_core::port::learning::RewardValue;
use tidegate_core::port::watcher::Answered;
use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec, RolesSpec};
use tidegate_core::{Said, Usage};
use tidegate_watch::Value;
use tidegate_watch::value::{LONGEST_VECTOR, spelled};

/// The longest text that is made of several parts, in bytes; more of it is not looked at.
const LONGEST: usize = 64 * 1024;

/// A call, read as far as fields ask.
#[derive(Debug)]
pub(super) struct Call<'a> {
    answered: &'a Answered,
    request: Option<Json>,
    answer: Option<Json>,
    said: Option<String>,
}

impl<'a> Call<'a> {
    /// Reads what these fields look at; what cannot be read holds nothing.
    pub(super) fn read(answered: &'a Answered, fields: &[FieldSpec]) -> Self {
        let asks = |is: fn(&FieldFrom) -> bool| fields.iter().any(|field| is(&field.from));
        let request = asks(|from| matches!(from, FieldFrom::Request(_)))
            .then(|| serde_json::from_slice(&answered.request).ok())
            .flatten();
        let answer = asks(|from| matches!(from, FieldFrom::Answer(_))).then(|| whole(answered)).flatten();
        let said = asks(|from| matches!(from, FieldFrom::Said)).then(|| Said::read(&answered.answer).first());
        Self { answered, request, answer, said }
    }

    /// The values of these fields, in their order; what is said later is missing.
    pub(super) fn row(&self, fields: &[FieldSpec], roles: &RolesSpec) -> Vec<Value<'static>> {
        fields.iter().map(|field| self.value(field, is_list(field, roles))).collect()
    }

    fn value(&self, field: &FieldSpec, is_list: bool) -> Value<'static> {
        let at = |json: &Option<Json>, pointer: &str| {
            let found = json.as_ref().and_then(|json| json.pointer(pointer));
            found.map_or(Value::Missing, |found| if is_list { listed(found) } else { value(found, field.kind) })
        };
        match &field.from {
            FieldFrom::Request(pointer) => at(&self.request, pointer),
            FieldFrom::Answer(pointer) => at(&self.answer, pointer),
            FieldFrom::Said => self.said.as_deref().map_or(Value::Missing, |said| of_text(said, field.kind)),
            FieldFrom::Variant => {
                let variant = self.answered.variant.as_ref();
                variant.map_or(Value::Missing, |variant| of_text(variant.as_str(), field.kind))
            }
            FieldFrom::Tag(name) => {
                let tag = self.answered.caller.0.tags.get(name);
                tag.map_or(Value::Missing, |tag| of_text(tag, field.kind))
            }
            FieldFrom::Violations => {
                self.answered.violations.map_or(Value::Missing, |count| Value::Number(f64::from(count)))
            }
            FieldFrom::Label(_) | FieldFrom::Reward(_) => Value::Missing,
        }
    }
}

/// Whether a field is a list of things rather than one: it goes on as JSON.
fn is_list(field: &FieldSpec, roles: &RolesSpec) -> bool {
    [&roles.passages, &roles.relevant_ids].into_iter().flatten().any(|name| *name == field.name)
}

/// The value of a class that was said of a call.
pub(super) fn labelled(class: &str, kind: Option<FieldKind>) -> Value<'static> {
    of_text(class, kind)
}

/// The value of a reward that was given to a call: yes and no are classes, unless numbers are asked for.
pub(super) fn rewarded(value: RewardValue, kind: Option<FieldKind>) -> Value<'static> {
    match (value, kind) {
        (RewardValue::Boolean(is), None | Some(FieldKind::Category)) => text(if is { "true" } else { "false" }),
        (value, _) => Value::Number(value.number()),
    }
}

fn text(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

/// What a text is, where it is what something has.
fn of_text(said: &str, kind: Option<FieldKind>) -> Value<'static> {
    match kind {
        Some(FieldKind::Number) => said.trim().parse().map_or(Value::Missing, Value::Number),
        Some(FieldKind::Vector) => Value::Missing,
        // Models put classes on lines of their own.
        Some(FieldKind::Category) => text(said.trim()),
        Some(FieldKind::Text) | None => text(said),
    }
}

/// What JSON is as a value of that kind; where none is asked for, what it is by itself.
fn value(json: &Json, kind: Option<FieldKind>) -> Value<'static> {
    match (json, kind) {
        (Json::Number(number), None | Some(FieldKind::Number)) => number.as_f64().map_or(Value::Missing, Value::Number),
        (Json::Number(number), Some(FieldKind::Category)) => {
            number.as_f64().map_or(Value::Missing, |number| Value::Text(Cow::Owned(spelled(number))))
        }
        (Json::String(said), None | Some(FieldKind::Category | FieldKind::Text)) => text(said),
        (Json::Bool(is), None | Some(FieldKind::Category)) => text(if *is { "true" } else { "false" }),
        (Json::Array(all), None | Some(FieldKind::Vector)) => vector(all),
        (Json::Array(parts), Some(FieldKind::Text)) => joined(parts),
        _ => Value::Missing,
    }
}

fn vector(all: &[Json]) -> Value<'static> {
    if all.is_empty() || all.len() > LONGEST_VECTOR {
        return Value::Missing;
    }
    #[expect(clippy::cast_possible_truncation, reason = "components of vectors are kept in 32 bits")]
    let all: Option<Vec<f32>> = all.iter().map(|one| one.as_f64().map(|one| one as f32)).collect();
    all.map_or(Value::Missing, |all| Value::Vector(Cow::Owned(all)))
}

/// The texts of a content that comes in parts.
fn joined(parts: &[Json]) -> Value<'static> {
    let mut all = String::new();
    for part in parts {
        let Some(said) = part.as_str().or_else(|| part["text"].as_str()) else { continue };
        if all.len() + said.len() > LONGEST {
            break;
        }
        all.push_str(said);
    }
    if all.is_empty() { Value::Missing } else { Value::Text(Cow::Owned(all)) }
}

/// A list as JSON, for who reads it again; one that is too long to be read again is missing.
fn listed(json: &Json) -> Value<'static> {
    match json {
        Json::Array(_) => {
            let all = json.to_string();
            if all.len() > tidegate_watch::value::LONGEST_TEXT { shortened(json) } else { Value::Text(Cow::Owned(all)) }
        }
        _ => Value::Missing,
    }
}

/// As many of the first ones as there is room for.
fn shortened(json: &Json) -> Value<'static> {
    let (mut all, mut bytes) = (Vec::new(), 2);
    for one in json.as_array().into_iter().flatten() {
        bytes += one.to_string().len() + 1;
        if bytes > tidegate_watch::value::LONGEST_TEXT {
            break;
        }
        all.push(one.clone());
    }
    if all.is_empty() { Value::Missing } else { Value::Text(Cow::Owned(Json::Array(all).to_string())) }
}

/// The answer as one JSON value; of a streamed one, that which its events make.
fn whole(answered: &Answered) -> Option<Json> {
    let joined = match answered.answer.as_slice() {
        [one] => Cow::Borrowed(&one[..]),
        parts => Cow::Owned(parts.concat()),
    };
    if !answered.stream {
        return serde_json::from_slice(&joined).ok();
    }
    let events = joined.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    let first = events.filter_map(|event| serde_json::from_slice::<Map<String, Json>>(event.trim_ascii()).ok()).next();
    let mut made = first?;
    let said = Said::read(&answered.answer);
    made.insert("object".to_owned(), "chat.completion".into());
    made.insert("choices".to_owned(), said.choices.iter().enumerate().map(choice).collect());
    if let Some(usage) = said.usage {
        made.insert("usage".to_owned(), used(usage));
    }
    Some(Json::Object(made))
}

fn choice((index, choice): (usize, &tidegate_core::said::Choice)) -> Json {
    let calls = choice
        .tool_calls
        .iter()
        .map(|call| json!({"type": "function", "function": {"name": call.name, "arguments": call.arguments}}));
    let calls: Vec<Json> = calls.collect();
    let mut message = json!({"role": "assistant", "content": choice.text});
    if !choice.refusal.is_empty() {
        message["refusal"] = choice.refusal.as_str().into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({"index": index, "message": message, "finish_reason": choice.finish})
}

fn used(usage: Usage) -> Json {
    json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    })
}

#[cfg(test)]
mod tests;
