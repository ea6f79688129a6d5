//! Server-sent events, as the HTML standard parses them, and what the chat reads in them. Bytes may come cut anywhere.

use serde_json::Value;

/// What one event of a chat stream says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// More of the answer.
    Part(String),
    /// How many tokens the answer has.
    Tokens(u64),
    /// The answer is whole.
    Done,
    /// It will not be.
    Failed(String),
}

/// A line that is longer is no line of ours.
const LONGEST: usize = 1 << 20;

/// Finds events in bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_return: bool,
}

impl Events {
    /// Takes bytes and adds what they say.
    pub(super) fn take(&mut self, bytes: &[u8], said: &mut Vec<Said>) {
        for &byte in bytes {
            let is_second_half = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                b'\n' if is_second_half => {}
                b'\n' | b'\r' => self.end_line(said),
                _ if self.line.len() >= LONGEST => {
                    said.push(Said::Failed("the stream has a line of more than 1 MiB".to_owned()));
                    self.line.clear();
                }
                _ => self.line.push(byte),
            }
        }
    }

    fn end_line(&mut self, said: &mut Vec<Said>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                read(&std::mem::take(&mut self.data), said);
            }
            return;
        }
        if let Some(data) = line.strip_prefix(b"data") {
            let data = match data {
                [] => data,
                [b':', b' ', rest @ ..] | [b':', rest @ ..] => rest,
                // Another field, such as `database:`.
                _ => return,
            };
            if self.has_data {
                self.data.push('\n');
            }
            self.has_data = true;
            self.data.push_str(&String::from_utf8_lossy(data));
        }
    }
}

fn read(data: &str, said: &mut Vec<Said>) {
    if data.trim() == "[DONE]" {
        return said.push(Said::Done);
    }
    let Ok(event) = serde_json::from_str::<Value>(data) else {
        return said.push(Said::Failed(format!(
            "the stream has an event that is no JSON: {}",
            data.chars().take(200).collect::<String>()
        )));
    };
    if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
        return said.push(Said::Failed(message(error)));
    }
    if let Some(part) =
        event.pointer("/choices/0/delta/content").and_then(Value::as_str).filter(|part| !part.is_empty())
    {
        said.push(Said::Part(part.to_owned()));
    }
    if let Some(tokens) = event.pointer("/usage/completion_tokens").and_then(Value::as_u64) {
        said.push(Said::Tokens(tokens));
    }
}

/// The message of an error object, or the object itself.
pub(super) fn message(error: &Value) -> String {
    error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": comment\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n\
        data:{\"choices\":[{\"delta\":{\"content\":\"grü\"}}]}\n\nevent: x\ndatabase: no\ndata: {\"choices\":\ndata: [{\"delta\":{\"content\":\"ß\"}}]}\r\r\
        data: {\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n";

    fn expected() -> Vec<Said> {
        vec![Said::Part("grü".to_owned()), Said::Part("ß".to_owned()), Said::Tokens(7), Said::Done]
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let bytes = STREAM.as_bytes();
        for size in 1..bytes.len() {
            let (mut events, mut said) = (Events::default(), Vec::new());
            for chunk in bytes.chunks(size) {
                events.take(chunk, &mut said);
            }
            assert_eq!(said, expected(), "in pieces of {size}");
        }
    }

    #[test]
    fn errors_are_told_apart_from_text() {
        let (mut events, mut said) = (Events::default(), Vec::new());
        events.take(
            b"data: {\"error\":{\"message\":\"cut\"}}\n\ndata: nonsense\n\ndata: {\"error\":null}\n\n",
            &mut said,
        );
        assert_eq!(said[0], Said::Failed("cut".to_owned()));
        assert!(matches!(&said[1], Said::Failed(why) if why.contains("nonsense")));
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn an_event_without_its_blank_line_is_none() {
        let (mut events, mut said) = (Events::default(), Vec::new());
        events.take(b"data: [DONE]\n", &mut said);
        assert_eq!(said, []);
    }
}
