//! The port to filters of LLM routes: what they see of a call, a view of texts and never its bytes, and what they may do
//! with it. Owns these values; finding texts in bodies is the server's, running what looks at them the host's.
//!
//! A filter is called on the thread that serves, so it ends within its deadline of a few milliseconds and never waits.

use crate::{Api, InferenceId, PluginName, RouteName, Tenant};
use std::borrow::Cow;

/// Looks at the calls of a route.
pub trait Filter: Send + Sync + std::fmt::Debug {
    /// Which of the three it looks at; the others are not called.
    fn looks_at(&self) -> LooksAt;

    /// Looks at what will be asked, behind the prompt of the route.
    ///
    /// # Errors
    /// It could not do its work; what that means is its route's to say.
    fn request(&self, call: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed>;

    /// Looks at a whole answer, a message for each choice.
    ///
    /// # Errors
    /// It could not do its work.
    fn answer(&self, call: &Seen<'_>, choices: &[Message<'_>]) -> Result<Opinion, Failed>;

    /// Begins to look at a stream; `None` where it does not want to.
    ///
    /// # Errors
    /// It could not do its work.
    fn stream(&self, call: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed>;
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LooksAt {
    /// Requests.
    pub request: bool,
    /// Whole answers.
    pub answer: bool,
    /// Streams, delta by delta.
    pub stream: bool,
}

/// Looks at one stream.
pub trait FilterStream: Send + std::fmt::Debug {
    /// Looks at the next delta of a text.
    ///
    /// # Errors
    /// It could not do its work; it is not asked again.
    fn delta(&mut self, place: Place, text: &str) -> Result<DeltaAction, Failed>;

    /// A choice has ended: what was held of it.
    ///
    /// # Errors
    /// It could not do its work; it is not asked again.
    fn end(&mut self, choice: u32, finish_reason: &str) -> Result<Vec<(Place, String)>, Failed>;
}

/// The facts of a call that filters see beside its texts.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// The call.
    pub id: InferenceId,
    /// Its route.
    pub route: &'a RouteName,
    /// For whom.
    pub tenant: Option<&'a Tenant>,
    /// The interface.
    pub api: Api,
    /// The model at the provider, where an arm is chosen.
    pub model: Option<&'a str>,
    /// The version of the route's prompt, where it has one.
    pub prompt_version: Option<&'a str>,
    /// The headers of the request without those that carry secrets, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
}

/// A message of a call, or a choice of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// As the call says it: `system`, `user`, `assistant`, `tool` …
    pub role: Cow<'a, str>,
    /// Its texts, in order.
    pub parts: Vec<Part<'a>>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it is.
    pub kind: PartKind,
    /// Its text, decoded; empty for [`PartKind::Other`].
    pub text: Cow<'a, str>,
    /// Whether it is not the route's own prompt.
    pub is_untrusted: bool,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Another text in the place of a part's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The index of the message.
    pub message: usize,
    /// The index of the part in it.
    pub part: usize,
    /// The text.
    pub text: String,
}

/// What a filter says of a call or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opinion {
    /// What shall be done.
    pub action: Action,
    /// Facts for the call's record.
    pub annotations: Vec<(String, String)>,
}

/// What shall be done with a call or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Action {
    /// Nothing.
    #[default]
    Pass,
    /// These texts stand in the place of others. None names a part that is trusted, that is not there or that is no text.
    Edit(Vec<Edit>),
    /// This is the answer.
    Reply(String),
    /// The caller gets no answer.
    Refuse(Refused),
}

/// Why a caller gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// 400 to 499.
    pub status: u16,
    /// A word for programs.
    pub code: String,
    /// What was wrong and how to mend it.
    pub message: String,
}

/// Where in a streamed answer a text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The choice ends with this finish reason, and with a last text.
    Stop {
        /// Why.
        finish_reason: String,
        /// What is said last; empty for nothing.
        last: String,
    },
    /// The stream ends with an error.
    Refuse(Refused),
}

/// A filter that could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plugin `{plugin}` failed ({kind}): {says}")]
pub struct Failed {
    /// Which.
    pub plugin: PluginName,
    /// The kind, a closed set that may be a label: `deadline`, `trap`, `memory`, `tripped` …
    pub kind: &'static str,
    /// What happened, for the log.
    pub says: String,
}
