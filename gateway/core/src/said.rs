//! What an answer in OpenAI's form says, whole or in events: its texts, its calls of tools, why it ended. Owns reading it
//! leniently, since the answer goes on as it is, and the two checks that a form of an answer can pass or fail.

use crate::Usage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// Its choices, in the order of their indices.
    pub choices: Vec<Choice>,
    /// Its tokens, where it tells them.
    pub usage: Option<Usage>,
}

/// One choice of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choice {
    /// Its text.
    pub text: String,
    /// Its refusal, where the model declines to answer.
    pub refusal: String,
    /// The tools that it calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended, where it says so.
    pub finish: Option<String>,
    /// The sum of the logarithms of its tokens' probabilities, and how many tokens that is of; none where it tells none.
    pub likelihood: (f64, u32),
    /// The sum of the entropies from which its tokens were chosen, in nats, and how many tokens that is of; no answer tells
    /// this, and only models that run here say it beside.
    pub entropy: (f64, u32),
}

/// How sure a model was of an answer: sums over its tokens, by the model's own scores.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sureness {
    /// Of the logarithms of their probabilities.
    pub likelihood: f64,
    /// Of the entropies from which they were chosen, in nats.
    pub entropy: f64,
    /// How many tokens.
    pub tokens: u32,
}

/// A tool that is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// The function.
    pub name: String,
    /// What it is called with, which should be a JSON object.
    pub arguments: String,
}

/// Whether the form of an answer is right, in what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checks {
    /// Whether every text is JSON; `None` where nobody asked, or there is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<bool>,
    /// Whether every tool that is called was offered, with arguments as it wants them; `None` where nobody asked, or none is
    /// called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<bool>,
}

impl Said {
    /// Reads an answer that came in these parts; what cannot be read says nothing.
    #[must_use]
    pub fn read(parts: &[Bytes]) -> Self {
        let joined;
        let whole = match parts {
            [one] => &one[..],
            parts => {
                joined = parts.concat();
                &joined[..]
            }
        };
        let mut said = Self::default();
        if whole.trim_ascii_start().starts_with(b"{") {
            said.object(whole);
            return said;
        }
        for line in whole.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:")) {
            said.object(line.trim_ascii());
        }
        said
    }

    /// Adds what the model said beside its answer of how sure it was, by choice; what the answer itself tells stands.
    pub fn learn(&mut self, sureness: &[Sureness]) {
        for (choice, sure) in self.choices.iter_mut().zip(sureness) {
            if choice.likelihood.1 == 0 {
                choice.likelihood = (sure.likelihood, sure.tokens);
            }
            choice.entropy = (sure.entropy, sure.tokens);
        }
    }

    /// The text of the first choice, with its tool calls behind it.
    #[must_use]
    pub fn first(&self) -> String {
        let Some(choice) = self.choices.first() else { return String::new() };
        let mut text = choice.text.clone();
        for call in &choice.tool_calls {
            text.push_str(&call.name);
            text.push_str(&call.arguments);
        }
        text
    }

    /// Whether every text is JSON; `None` where there is no text.
    #[must_use]
    pub fn is_json(&self) -> Option<bool> {
        let mut texts = self.choices.iter().map(|choice| choice.text.trim()).filter(|text| !text.is_empty()).peekable();
        texts.peek()?;
        Some(texts.all(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()))
    }

    /// Whether every tool that is called is one of those that `request` offers, and is called with an object that has the
    /// members that it requires; `None` where none is called.
    #[must_use]
    pub fn calls_offered_tools(&self, request: &[u8]) -> Option<bool> {
        let mut calls = self.choices.iter().flat_map(|choice| &choice.tool_calls).peekable();
        calls.peek()?;
        let request: Value = serde_json::from_slice(request).unwrap_or_default();
        Some(calls.all(|call| is_offered(call, &request["tools"])))
    }

    fn object(&mut self, json: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
        self.usage = Usage::from_openai(json).or(self.usage);
        for choice in value["choices"].as_array().into_iter().flatten() {
            let at = choice["index"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
            if at >= MOST_CHOICES {
                continue;
            }
            if self.choices.len() <= at {
                self.choices.resize_with(at + 1, Choice::default);
            }
            self.choices[at].take(choice);
        }
    }
}

/// No provider gives more choices (OpenAI's own limit is 128); an index beyond is nobody's.
const MOST_CHOICES: usize = 1024;

impl Choice {
    fn take(&mut self, json: &Value) {
        for message in [&json["message"], &json["delta"]] {
            match &message["content"] {
                Value::String(text) => self.text.push_str(text),
                Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).for_each(|text| {
                    self.text.push_str(text);
                }),
                _ => {}
            }
            self.refusal.push_str(message["refusal"].as_str().unwrap_or_default());
            for (place, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
                self.call(place, call);
            }
        }
        self.text.push_str(json["text"].as_str().unwrap_or_default());
        if let Some(finish) = json["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        let logprobs = &json["logprobs"];
        let of_chat = logprobs["content"].as_array().into_iter().flatten().map(|token| &token["logprob"]);
        let of_text = logprobs["token_logprobs"].as_array().into_iter().flatten();
        for log in of_chat.chain(of_text).filter_map(Value::as_f64) {
            self.likelihood = (self.likelihood.0 + log, self.likelihood.1.saturating_add(1));
        }
    }

    /// Takes a call of a tool, or in a stream a part of one: of its name and arguments, what comes is appended.
    fn call(&mut self, place: usize, json: &Value) {
        let at = json["index"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(place);
        if at >= MOST_CHOICES {
            return;
        }
        if self.tool_calls.len() <= at {
            self.tool_calls.resize_with(at + 1, ToolCall::default);
        }
        let part = |name: &str| json["function"][name].as_str().unwrap_or_default();
        self.tool_calls[at].name.push_str(part("name"));
        self.tool_calls[at].arguments.push_str(part("arguments"));
    }
}

fn is_offered(call: &ToolCall, tools: &Value) -> bool {
    let mut offered = tools.as_array().into_iter().flatten().map(|tool| &tool["function"]);
    let Some(tool) = offered.find(|tool| tool["name"].as_str() == Some(&call.name)) else { return false };
    // Where a tool takes nothing, models say so with nothing at all.
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let Ok(Value::Object(given)) = serde_json::from_str(arguments) else { return false };
    let mut required = tool["parameters"]["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.all(|name| given.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(json: &str) -> Said {
        Said::read(&[Bytes::copy_from_slice(json.as_bytes())])
    }

    #[test]
    fn whole_answers_and_events_say_the_same() {
        let said = whole(
            r#"{"choices":[{"index":0,"message":{"content":"Hello there"},"finish_reason":"stop",
                "logprobs":{"content":[{"logprob":-0.5},{"logprob":-0.25}]}}],
                "usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
        );
        let choice = &said.choices[0];
        assert_eq!(
            (choice.text.as_str(), choice.finish.as_deref(), choice.likelihood),
            ("Hello there", Some("stop"), (-0.75, 2))
        );
        assert_eq!((said.usage.unwrap().completion, said.first().as_str()), (2, "Hello there"));
        let events = [
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"},\"logprobs\":{\"content\":[{\"logprob\":-0.5}]}}]}\n\ndata: {\"choices\":[{\"de",
            "lta\":{\"content\":\" there\"},\"finish_reason\":\"stop\",\"logprobs\":{\"content\":[{\"logprob\":-0.25}]}}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        ];
        let parts: Vec<Bytes> = events.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
        assert_eq!(Said::read(&parts), said);
        assert_eq!((whole("{no json"), Said::read(&[])), (Said::default(), Said::default()));
        let of_parts =
            whole(r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"text":"b"}]}},{"text":"c"}]}"#);
        assert_eq!(of_parts.choices[0].text, "abc", "without indices they are one");
        assert!(whole(r#"{"choices":[{"index":99999999999,"text":"far"}]}"#).choices.is_empty());
    }

    #[test]
    fn what_is_said_beside_an_answer_fills_what_it_does_not_tell() {
        let mut said = whole(
            r#"{"choices":[{"index":0,"text":"a"},{"index":1,"text":"b","logprobs":{"token_logprobs":[-0.5]}}]}"#,
        );
        let sure = Sureness { likelihood: -3.0, entropy: 2.0, tokens: 4 };
        said.learn(&[sure, sure, sure]);
        assert_eq!(said.choices.len(), 2);
        assert_eq!((said.choices[0].likelihood, said.choices[0].entropy), ((-3.0, 4), (2.0, 4)));
        assert_eq!((said.choices[1].likelihood, said.choices[1].entropy), ((-0.5, 1), (2.0, 4)));
    }

    #[test]
    fn calls_of_tools_come_in_parts() {
        let parts = [
            r#"data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"name":"g","arguments":""}}]}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}}]}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
        ];
        let said = Said::read(&parts.map(|part| Bytes::from_static(part.as_bytes())));
        assert_eq!(said.first(), "f{\"a\":1}g");
        let request = |required: &str| {
            format!(
                r#"{{"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"required":[{required}]}}}}}},
                {{"type":"function","function":{{"name":"g"}}}}]}}"#
            )
        };
        assert_eq!(said.calls_offered_tools(request("\"a\"").as_bytes()), Some(true));
        assert_eq!(said.calls_offered_tools(request("\"b\"").as_bytes()), Some(false), "a member is missing");
        assert_eq!(said.calls_offered_tools(br#"{"tools":[]}"#), Some(false), "nobody offered it");
        let broken = whole(r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"g","arguments":"[1"}}]}}]}"#);
        assert_eq!(broken.calls_offered_tools(request("").as_bytes()), Some(false));
        assert_eq!(whole(r#"{"choices":[{"text":"x"}]}"#).calls_offered_tools(b"{}"), None, "none is called");
    }

    #[test]
    fn texts_are_json_or_not() {
        let of =
            |text: &str| whole(&serde_json::json!({"choices": [{"message": {"content": text}}]}).to_string()).is_json();
        assert_eq!(
            (of("{\"a\": [1]}"), of(" 3 "), of("{\"a\":"), of("Sure: {}")),
            (Some(true), Some(true), Some(false), Some(false))
        );
        assert_eq!((of(""), whole("{}").is_json()), (None, None), "there is no text");
        let two = whole(r#"{"choices":[{"index":0,"text":"{}"},{"index":1,"text":"no"}]}"#);
        assert_eq!(two.is_json(), Some(false), "each choice has to be");
    }
}
