//! What filters see of a call and say of it as plain types, so that their logic is tested without WebAssembly.
//! [`contract_view!`] makes these of the contract's types and back, in a guest.

mod contract;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A text.
    Text,
    /// The arguments of a call to a tool, JSON mostly.
    ToolArguments,
    /// What a tool said.
    ToolResult,
    /// What a model thought.
    Reasoning,
    /// Why a model declined.
    Refusal,
    /// An image, a sound, a file.
    Other,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its text; empty for [`PartKind::Other`].
    pub text: String,
    /// Whether it is not the route's own prompt.
    pub untrusted: bool,
}

/// A message of a call, or a choice of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// As the call says it: `system`, `user`, `assistant`, `tool` …
    pub role: String,
    /// Its texts, in order.
    pub parts: Vec<Part>,
}

/// Another text in the place of a part's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The index of the message.
    pub message: u32,
    /// The index of the part in it.
    pub part: u32,
    /// The text.
    pub text: String,
}

/// Why a caller gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 499.
    pub status: u16,
    /// A word for programs.
    pub code: String,
    /// What was wrong and how to mend it.
    pub message: String,
}

/// What shall be done with a call or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Pass,
    /// These texts stand in the place of others.
    Edit(Vec<Edit>),
    /// The caller gets no answer.
    Refuse(Refusal),
}

/// What is said of a call or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What shall be done.
    pub action: Action,
    /// Facts for the record of the call, and no content of it.
    pub annotations: Vec<(String, String)>,
}

impl Outcome {
    /// Nothing to do, and nothing to say.
    #[must_use]
    pub const fn pass() -> Self {
        Self { action: Action::Pass, annotations: Vec::new() }
    }
}

/// Where in a streamed answer a text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The choice.
    pub choice: u32,
    /// What the text is.
    pub kind: PartKind,
    /// Which call of a tool; 0 for other kinds.
    pub index: u32,
}

/// What shall be done with a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaAction {
    /// Nothing.
    Pass,
    /// This goes out instead.
    Replace(String),
    /// Nothing goes out of it now.
    Hold,
    /// The stream ends with an error.
    Refuse(Refusal),
}

/// The parts that a filter may look at and change, with their places.
pub fn untrusted(messages: &[Message]) -> impl Iterator<Item = (u32, u32, &Part)> {
    (0u32..).zip(messages).flat_map(|(message, said)| {
        let parts = (0u32..).zip(&said.parts).filter(|(_, part)| part.untrusted && part.kind != PartKind::Other);
        parts.map(move |(at, part)| (message, at, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_route_says_is_nobody_elses_to_change() {
        let part = |kind, untrusted| Part { kind, text: "x".to_owned(), untrusted };
        let message = |parts| Message { role: "user".to_owned(), parts };
        let messages = [
            message(vec![part(PartKind::Text, false)]),
            message(vec![part(PartKind::Other, true), part(PartKind::ToolResult, true)]),
        ];
        let places: Vec<(u32, u32)> = untrusted(&messages).map(|(message, part, _)| (message, part)).collect();
        assert_eq!(places, [(1, 1)]);
    }
}
