//! The rule of each top-level field. Owns the table and the checks of plain values; messages, tools and prompts have
//! files of their own.

use super::cursor::{Bad, Cursor, Kind, Text};
use tidegate_core::Api;

/// The most tokens that a call may ask for; far above any model, so that sums with it cannot overflow.
const MOST_TOKENS: i64 = 10_000_000;

/// What a top-level field must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    Model,
    Messages,
    UsePrompt,
    Prompt,
    Input,
    Query,
    Documents,
    Stream,
    StreamOptions,
    MaxTokens(i64),
    Count,
    User,
    Number(f64, f64),
    Integer(i64, i64),
    Bool,
    String,
    Object,
    Stop,
    LogitBias,
    Tools,
    ToolChoice,
    ResponseFormat,
    EncodingFormat,
}

impl Rule {
    /// Whether the field must be there, and null does not count as absent.
    pub(super) const fn is_required(self) -> bool {
        matches!(self, Self::Model | Self::Messages | Self::Prompt | Self::Input | Self::Query | Self::Documents)
    }
}

/// The name of a known field as a constant, its bit, and its rule; `None` for fields that only pass through.
pub(super) fn rule(api: Api, key: &str) -> Option<(&'static str, u64, Rule)> {
    let table = match api {
        Api::ChatCompletions => CHAT,
        Api::Completions => COMPLETIONS,
        Api::Embeddings => EMBEDDINGS,
        // Tensors are read elsewhere.
        Api::Predict => &[],
        Api::Rerank => RERANK,
    };
    let index = table.iter().position(|(name, _)| *name == key)?;
    let (name, rule) = table[index];
    Some((name, 1 << index, rule))
}

// In the order of how often callers send them: the search is linear.
const CHAT: &[(&str, Rule)] = &[
    ("model", Rule::Model),
    ("messages", Rule::Messages),
    ("stream", Rule::Stream),
    ("max_tokens", Rule::MaxTokens(1)),
    ("temperature", Rule::Number(0.0, 2.0)),
    ("stream_options", Rule::StreamOptions),
    ("max_completion_tokens", Rule::MaxTokens(1)),
    ("tools", Rule::Tools),
    ("tool_choice", Rule::ToolChoice),
    ("response_format", Rule::ResponseFormat),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("n", Rule::Count),
    ("stop", Rule::Stop),
    ("seed", Rule::Integer(i64::MIN, i64::MAX)),
    ("user", Rule::User),
    ("presence_penalty", Rule::Number(-2.0, 2.0)),
    ("frequency_penalty", Rule::Number(-2.0, 2.0)),
    ("parallel_tool_calls", Rule::Bool),
    ("logprobs", Rule::Bool),
    ("top_logprobs", Rule::Integer(0, 20)),
    ("logit_bias", Rule::LogitBias),
    ("metadata", Rule::Object),
    ("store", Rule::Bool),
    ("reasoning_effort", Rule::String),
    ("service_tier", Rule::String),
    ("min_p", Rule::Number(0.0, 1.0)),
    ("top_k", Rule::Integer(-1, i64::MAX)),
    ("prompt", Rule::UsePrompt),
];

const COMPLETIONS: &[(&str, Rule)] = &[
    ("model", Rule::Model),
    ("prompt", Rule::Prompt),
    ("max_tokens", Rule::MaxTokens(0)),
    ("stream", Rule::Stream),
    ("temperature", Rule::Number(0.0, 2.0)),
    ("stream_options", Rule::StreamOptions),
    ("logprobs", Rule::Integer(0, 20)),
    ("echo", Rule::Bool),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("n", Rule::Count),
    ("best_of", Rule::Integer(1, 128)),
    ("stop", Rule::Stop),
    ("seed", Rule::Integer(i64::MIN, i64::MAX)),
    ("suffix", Rule::String),
    ("user", Rule::User),
    ("presence_penalty", Rule::Number(-2.0, 2.0)),
    ("frequency_penalty", Rule::Number(-2.0, 2.0)),
    ("logit_bias", Rule::LogitBias),
    ("min_p", Rule::Number(0.0, 1.0)),
    ("top_k", Rule::Integer(-1, i64::MAX)),
];

const EMBEDDINGS: &[(&str, Rule)] = &[
    ("model", Rule::Model),
    ("input", Rule::Input),
    ("encoding_format", Rule::EncodingFormat),
    ("dimensions", Rule::Integer(1, 1_000_000)),
    ("user", Rule::User),
];

const RERANK: &[(&str, Rule)] = &[
    ("model", Rule::Model),
    ("query", Rule::Query),
    ("documents", Rule::Documents),
    ("top_n", Rule::Integer(1, i64::MAX)),
    ("return_documents", Rule::Bool),
    ("user", Rule::User),
];

fn wrong(name: &'static str, must_be: &str, is: Kind) -> Bad {
    Bad::field(name, format!("{name} must be {must_be}, not {}", is.article()))
}

/// Reads a boolean.
pub(super) fn bool(c: &mut Cursor<'_>, name: &'static str) -> Result<bool, Bad> {
    match c.kind()? {
        Kind::Bool => c.bool(),
        is => Err(wrong(name, "true or false", is)),
    }
}

/// Reads a string.
pub(super) fn string(c: &mut Cursor<'_>, name: &'static str) -> Result<Text, Bad> {
    match c.kind()? {
        Kind::String => c.string(),
        is => Err(wrong(name, "a string", is)),
    }
}

/// Reads an object whose members are free.
pub(super) fn object(c: &mut Cursor<'_>, name: &'static str) -> Result<(), Bad> {
    match c.kind()? {
        Kind::Object => c.skip(),
        is => Err(wrong(name, "an object", is)),
    }
}

/// Reads a number within a range.
pub(super) fn number(c: &mut Cursor<'_>, name: &'static str, low: f64, high: f64) -> Result<(), Bad> {
    let must_be = || format!("a number from {low} to {high}");
    match c.kind()? {
        Kind::Number => {
            let value = c.number()?;
            let fits = (low..=high).contains(&value.value());
            if fits { Ok(()) } else { Err(out_of_range(name, &must_be(), value.text)) }
        }
        is => Err(wrong(name, &must_be(), is)),
    }
}

/// Reads an integer within a range.
pub(super) fn integer(c: &mut Cursor<'_>, name: &'static str, low: i64, high: i64) -> Result<i64, Bad> {
    let must_be = || match (low, high) {
        (i64::MIN, _) => "an integer of 64 bits".to_owned(),
        (_, i64::MAX) => format!("an integer not below {low}"),
        _ => format!("an integer from {low} to {high}"),
    };
    match c.kind()? {
        Kind::Number => {
            let value = c.number()?;
            let fitting = value.integer().and_then(|v| i64::try_from(v).ok()).filter(|v| (low..=high).contains(v));
            fitting.ok_or_else(|| out_of_range(name, &must_be(), value.text))
        }
        is => Err(wrong(name, &must_be(), is)),
    }
}

/// Reads how many tokens may be produced.
pub(super) fn max_tokens(c: &mut Cursor<'_>, name: &'static str, low: i64) -> Result<u64, Bad> {
    integer(c, name, low, MOST_TOKENS).map(i64::unsigned_abs)
}

/// The number is shown only where it is short: a message is no echo.
fn out_of_range(name: &'static str, must_be: &str, given: &str) -> Bad {
    let shown = if given.len() <= 24 { given } else { "a longer number" };
    Bad::field(name, format!("{name} must be {must_be}, not {shown}"))
}

/// Reads one of a few words.
pub(super) fn one_of(c: &mut Cursor<'_>, name: &'static str, words: &[&str]) -> Result<(), Bad> {
    let must_be = || format!("one of {}", words.join(", "));
    match c.kind()? {
        Kind::String => {
            let text = c.string()?;
            if words.contains(&&*c.decode(text)) {
                Ok(())
            } else {
                Err(Bad::field(name, format!("{name} must be {}", must_be())))
            }
        }
        is => Err(wrong(name, &must_be(), is)),
    }
}

/// Reads one stop string or up to four.
pub(super) fn stop(c: &mut Cursor<'_>) -> Result<(), Bad> {
    const MUST_BE: &str = "stop must be a string or an array of at most 4 strings";
    let refused = || Bad::field("stop", MUST_BE);
    match c.kind()? {
        Kind::String => c.string().map(drop),
        Kind::Array => {
            c.array(|c, index| match c.kind()? {
                Kind::String if index < 4 => c.string().map(drop),
                _ => Err(refused()),
            })?;
            Ok(())
        }
        _ => Err(refused()),
    }
}

/// Reads biases by token id.
pub(super) fn logit_bias(c: &mut Cursor<'_>) -> Result<(), Bad> {
    const MUST_BE: &str = "logit_bias must be an object of token ids, each with a number from -100 to 100";
    if c.kind()? != Kind::Object {
        return Err(Bad::field("logit_bias", MUST_BE));
    }
    c.object(|c, key| {
        let token = c.decode(key);
        let is_id = (1..=10).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_digit());
        let fits = is_id && c.kind()? == Kind::Number && (-100.0..=100.0).contains(&c.number()?.value());
        if fits { Ok(()) } else { Err(Bad::field("logit_bias", MUST_BE)) }
    })?;
    Ok(())
}

/// A string, or nothing for any other value.
pub(super) fn string_or_none(c: &mut Cursor<'_>) -> Result<Option<Text>, Bad> {
    match c.kind()? {
        Kind::String => c.string().map(Some),
        _ => c.skip().map(|()| None),
    }
}
