//! What an answer in OpenAI's form says: its text and its tokens, whole or in events. Owns reading it leniently, since it
//! is only compared.

use bytes::Bytes;
use serde_json::Value;
use tidegate_core::Usage;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Said {
    /// The text of the first choice, with its tool calls as JSON.
    pub(super) text: String,
    /// Its tokens, where it tells them.
    pub(super) usage: Option<Usage>,
}

/// Reads an answer that came in these parts.
pub(super) fn read(parts: &[Bytes]) -> Said {
    let whole = parts.concat();
    if whole.trim_ascii_start().starts_with(b"{") {
        return object(&whole);
    }
    let mut said = Said::default();
    for line in whole.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:")) {
        let one = object(line.trim_ascii());
        said.text.push_str(&one.text);
        said.usage = one.usage.or(said.usage);
    }
    said
}

fn object(json: &[u8]) -> Said {
    let usage = Usage::from_openai(json);
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return Said { text: String::new(), usage } };
    let choice = &value["choices"][0];
    let mut text = String::new();
    for message in [&choice["message"], &choice["delta"]] {
        text.push_str(message["content"].as_str().unwrap_or_default());
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            text.push_str(call["function"]["name"].as_str().unwrap_or_default());
            text.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    text.push_str(choice["text"].as_str().unwrap_or_default());
    Said { text, usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_and_events_say_the_same() {
        let whole =
            br#"{"choices":[{"message":{"content":"Hello there"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        let said = read(&[Bytes::from_static(whole)]);
        assert_eq!((said.text.as_str(), said.usage.unwrap().completion), ("Hello there", 2));
        let events = [
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[{\"de",
            "lta\":{\"content\":\" there\"}}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        ];
        let parts: Vec<Bytes> = events.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
        assert_eq!(read(&parts), said);
        let tools =
            br#"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#;
        assert_eq!(read(&[Bytes::from_static(tools)]).text, "f{}");
        assert_eq!(read(&[Bytes::from_static(b"{no json")]), Said::default());
        assert_eq!(read(&[]), Said::default());
    }
}
