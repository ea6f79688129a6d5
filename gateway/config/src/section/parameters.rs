//! `parameters` of a variant: how its model shall generate where the caller does not say. Owns which there are and what
//! each may be; they are the same as in a call.

use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Number, Scalar, Text};
use crate::shape::{Placed as _, record};
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use tidegate_core::spec::ParameterSpec;

record! {
    /// How a variant's model generates where the caller does not say.
    ParametersFile {
        optional {
            /// How much is left to chance, 0 to 2.
            temperature: At<Number>,
            /// Tokens are drawn from the likeliest that have this probability together, 0 to 1.
            top_p: At<Number>,
            /// Tokens are drawn from so many of the likeliest.
            top_k: At<Count>,
            /// Tokens are not drawn that have less than this part of the likeliest one's probability, 0 to 1.
            min_p: At<Number>,
            /// The most tokens of an answer.
            max_tokens: At<Count>,
            /// The same, as newer models want it.
            max_completion_tokens: At<Count>,
            /// Against tokens that were there already, -2 to 2.
            presence_penalty: At<Number>,
            /// Against tokens the more often they were there, -2 to 2.
            frequency_penalty: At<Number>,
            /// What chance begins with.
            seed: At<Seed>,
            /// Texts that end an answer, up to 4.
            stop: Vec<At<Text>>,
            /// How long a model thinks, in the provider's words, such as `low`.
            reasoning_effort: At<Text>,
        }
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(i64);

impl Scalar for Seed {
    const WHAT: &'static str = "a whole number";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().map(Self).map_err(|_| Flaw::default())
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

/// The parameters of a variant.
pub(super) fn check(raw: Option<&ParametersFile>, notes: &mut Notes) -> Vec<ParameterSpec> {
    let Some(raw) = raw else { return Vec::new() };
    if let (Some(_), Some(given)) = (&raw.max_tokens, &raw.max_completion_tokens) {
        notes
            .fault(&given.at, "`max_tokens` and `max_completion_tokens` are the same bound")
            .remedy("leave one of them out");
    }
    if let Some(first) = raw.stop.as_ref().and_then(|all| all.get(4)) {
        notes.fault(&first.at, "an answer is ended by four texts at most").remedy("leave the others out");
    }
    if raw.stop.as_ref().is_some_and(Vec::is_empty) {
        notes.fault(raw.at(), "`stop` names no text").remedy("write `stop: [\"…\"]`, or leave it out");
    }
    let number = |given: &Option<At<Number>>, low: f64, high: f64, notes: &mut Notes| {
        given.as_ref().map(|given| {
            within(given, low, high, notes);
            json!(given.value.0)
        })
    };
    let count = |given: &Option<At<Count>>| given.as_ref().map(|count| json!(count.value.0));
    let stop = raw.stop.as_ref().map(|all| all.iter().map(|text| text.value.0.as_str()).collect::<Value>());
    let all = [
        ("temperature", number(&raw.temperature, 0.0, 2.0, notes)),
        ("top_p", number(&raw.top_p, 0.0, 1.0, notes)),
        ("top_k", count(&raw.top_k)),
        ("min_p", number(&raw.min_p, 0.0, 1.0, notes)),
        ("max_tokens", count(&raw.max_tokens)),
        ("max_completion_tokens", count(&raw.max_completion_tokens)),
        ("presence_penalty", number(&raw.presence_penalty, -2.0, 2.0, notes)),
        ("frequency_penalty", number(&raw.frequency_penalty, -2.0, 2.0, notes)),
        ("seed", raw.seed.as_ref().map(|seed| json!(seed.value.0))),
        ("stop", stop),
        ("reasoning_effort", raw.reasoning_effort.as_ref().map(|text| json!(text.value.0))),
    ];
    all.into_iter()
        .filter_map(|(name, value)| value.map(|value| ParameterSpec { name, json: value.to_string() }))
        .collect()
}

fn within(given: &At<Number>, low: f64, high: f64, notes: &mut Notes) {
    if !(low..=high).contains(&given.value.0) {
        notes.fault(&given.at, format!("it is not between {low} and {high}")).remedy("write a number between them");
    }
}
