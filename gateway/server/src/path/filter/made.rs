//! An answer that a filter gives instead of the model. Owns its form: that of the interface, whole or in events.

use crate::body::{answered, data_of, whole_event};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_core::{Api, Event, Usage};

/// By what an answer is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    id: String,
    created: u64,
    model: String,
}

impl Known {
    /// An answer of ours, for a model that was not asked.
    pub(crate) fn ours(api: Api, event: &Event, model: &str) -> Self {
        let kind = if api == Api::ChatCompletions { "chatcmpl" } else { "cmpl" };
        Self { id: format!("{kind}-{}", event.id), created: event.unix_ms / 1000, model: model.to_owned() }
    }

    /// In the place of this one.
    pub(crate) fn like(answer: &[u8]) -> Self {
        serde_json::from_slice(answer).unwrap_or_default()
    }

    /// In the place of this stream.
    pub(crate) fn like_stream(parts: &[Bytes]) -> Self {
        parts.iter().find_map(|part| first(part)).unwrap_or_default()
    }

    /// The answer, whole; its tokens where they are known.
    pub(crate) fn whole(&self, api: Api, text: &str, usage: Option<Usage>) -> Bytes {
        let choice = if api == Api::ChatCompletions {
            json!({"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"})
        } else {
            json!({"index": 0, "text": text, "logprobs": null, "finish_reason": "stop"})
        };
        let mut answer = self.object(api, "chat.completion", &json!([choice]));
        if let Some(usage) = usage {
            answer["usage"] = tokens(usage);
        }
        Bytes::from(answer.to_string())
    }

    /// The same in events, with a last one for its tokens where they are given.
    pub(crate) fn events(&self, api: Api, text: &str, usage: Option<Usage>) -> Bytes {
        let mut out = String::new();
        let mut push = |event: &Value| out.push_str(&format!("data: {event}\n\n"));
        let mut choice = |choice: Value| push(&self.object(api, "chat.completion.chunk", &json!([choice])));
        if api == Api::ChatCompletions {
            let delta =
                |delta: Value, finish: Option<&str>| json!({"index": 0, "delta": delta, "finish_reason": finish});
            choice(delta(json!({"role": "assistant", "content": ""}), None));
            choice(delta(json!({"content": text}), None));
            choice(delta(json!({}), Some("stop")));
        } else {
            let of = |text: &str, finish: Option<&str>| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
            choice(of(text, None));
            choice(of("", Some("stop")));
        }
        if let Some(usage) = usage {
            let mut last = self.object(api, "chat.completion.chunk", &json!([]));
            last["usage"] = tokens(usage);
            push(&last);
        }
        out.push_str("data: [DONE]\n\n");
        Bytes::from(out)
    }

    fn object(&self, api: Api, of_chats: &str, choices: &Value) -> Value {
        let object = if api == Api::ChatCompletions { of_chats } else { "text_completion" };
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices})
    }
}

/// What the first chunk of a stream is known by.
fn first(part: &[u8]) -> Option<Known> {
    let mut at = 0;
    while let Some(end) = whole_event(part, at) {
        let data = data_of(&part[at..end]).unwrap_or_default();
        if answered(&data).is_some_and(|chunk| chunk.array.is_some()) {
            return serde_json::from_slice(&data).ok();
        }
        at = end;
    }
    None
}

fn tokens(usage: Usage) -> Value {
    let mut tokens = json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": usage.total(),
    });
    if usage.cached > 0 {
        tokens["prompt_tokens_details"] = json!({"cached_tokens": usage.cached});
    }
    if usage.reasoning > 0 {
        tokens["completion_tokens_details"] = json!({"reasoning_tokens": usage.reasoning});
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::Said;

    #[test]
    fn an_answer_says_the_same_whole_and_in_events() {
        let known = Known { id: "a".to_owned(), created: 7, model: "m".to_owned() };
        let usage = Usage { prompt: 3, completion: 2, cached: 1, ..Usage::default() };
        for api in [Api::ChatCompletions, Api::Completions] {
            let whole = Said::read(&[known.whole(api, "no \"names\"", Some(usage))]);
            let events = known.events(api, "no \"names\"", Some(usage));
            assert_eq!(Said::read(std::slice::from_ref(&events)), whole, "{api:?}");
            assert_eq!((whole.choices[0].text.as_str(), whole.usage), ("no \"names\"", Some(usage)));
            assert_eq!(whole.choices[0].finish.as_deref(), Some("stop"));
            assert!(events.ends_with(b"}\n\ndata: [DONE]\n\n"));
            let again = Known::like_stream(&[Bytes::from_static(b": ping\n\n"), events]);
            assert_eq!((again.id.as_str(), again.created, again.model.as_str()), ("a", 7, "m"));
        }
        assert!(Said::read(&[known.events(Api::ChatCompletions, "x", None)]).usage.is_none());
    }
}
