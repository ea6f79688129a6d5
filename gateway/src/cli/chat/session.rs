//! A conversation: its messages, and the commands that change it. No network, no terminal.

use serde_json::{Value, json};

/// A conversation with one route.
#[derive(Debug)]
pub(super) struct Session {
    route: String,
    system: Option<String>,
    max_tokens: Option<u32>,
    messages: Vec<(Speaker, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing.
    Nothing,
    /// An answer to the conversation, which now ends with the line.
    Ask,
    /// Nothing more than this word to the person.
    Said(String),
    /// The end.
    Quit,
}

const HELP: &str = "/system TEXT sets the system prompt (without TEXT: removes it); /reset forgets the conversation; /quit leaves; \
                    a message that begins with a slash is written with two";

impl Session {
    pub(super) const fn new(route: String, system: Option<String>, max_tokens: Option<u32>) -> Self {
        Self { route, system, max_tokens, messages: Vec::new() }
    }

    pub(super) fn route(&self) -> &str {
        &self.route
    }

    /// Takes a line that was typed.
    pub(super) fn take(&mut self, line: &str) -> Input {
        let line = line.trim();
        let message = match line.strip_prefix('/') {
            None => line,
            Some(rest) if rest.starts_with('/') => rest,
            Some(command) => return self.command(command),
        };
        if message.is_empty() {
            return Input::Nothing;
        }
        self.messages.push((Speaker::User, message.to_owned()));
        Input::Ask
    }

    fn command(&mut self, command: &str) -> Input {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match name {
            "quit" | "exit" => Input::Quit,
            "reset" => {
                self.messages.clear();
                Input::Said("the conversation is forgotten".to_owned())
            }
            "system" => {
                self.system = Some(rest.trim().to_owned()).filter(|text| !text.is_empty());
                Input::Said(
                    if self.system.is_some() { "the system prompt is set" } else { "there is no system prompt" }
                        .to_owned(),
                )
            }
            "help" => Input::Said(HELP.to_owned()),
            _ => Input::Said(format!("there is no /{name}: {HELP}")),
        }
    }

    /// The request for the next answer.
    pub(super) fn body(&self) -> Value {
        let system = self.system.iter().map(|text| json!({"role": "system", "content": text}));
        let said = self.messages.iter().map(|(speaker, text)| {
            let role = match speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            json!({"role": role, "content": text})
        });
        let messages: Vec<Value> = system.chain(said).collect();
        let mut body = json!({"model": self.route, "messages": messages, "stream": true, "stream_options": {"include_usage": true}});
        if let Some(max) = self.max_tokens {
            body["max_tokens"] = max.into();
        }
        body
    }

    /// Keeps the answer as a part of the conversation.
    pub(super) fn answered(&mut self, text: String) {
        self.messages.push((Speaker::Assistant, text));
    }

    /// Forgets the message that was not answered, so that it can be said again.
    pub(super) fn unanswered(&mut self) {
        self.messages.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_sent_until_it_is_reset() {
        let mut session = Session::new("r".to_owned(), None, Some(5));
        assert_eq!(session.take(" hello "), Input::Ask);
        session.answered("hi".to_owned());
        assert!(matches!(session.take("/system be brief"), Input::Said(_)));
        assert_eq!(session.take("//etc"), Input::Ask);
        let body = session.body();
        let said: Vec<_> = body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| (m["role"].as_str().unwrap(), m["content"].as_str().unwrap()))
            .collect();
        assert_eq!(said, [("system", "be brief"), ("user", "hello"), ("assistant", "hi"), ("user", "/etc")]);
        assert_eq!(body["max_tokens"], 5);
        session.unanswered();
        session.take("/reset");
        session.take("/system");
        assert_eq!(session.body()["messages"], json!([]));
    }

    #[test]
    fn commands_are_no_messages() {
        let mut session = Session::new("r".to_owned(), None, None);
        assert_eq!(session.take("/quit"), Input::Quit);
        assert_eq!(session.take("  "), Input::Nothing);
        assert!(matches!(session.take("/unknown x"), Input::Said(text) if text.contains("/unknown")));
        assert_eq!(session.body()["messages"], json!([]));
    }
}
