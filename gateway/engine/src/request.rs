//! What a caller asks of a language model, as types: the engine knows no wire format.

use crate::adapter::AdapterHandle;
use crate::constrain::Constraint;
use crate::error::SubmitError;
use serde_json::Value;
use std::time::Instant;
use tidegate_core::Tenant;
use tidegate_core::spec::Priority;

/// Choices that one request may ask for.
const MOST_CHOICES: usize = 128;
/// Alternatives that may be listed beside a token.
const MOST_ALTERNATIVES: usize = 20;

/// A request to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// Whom it is for: callers take turns by this number.
    pub caller: u64,
    /// The adapter that the model wears for it.
    pub adapter: Option<AdapterHandle>,
    /// Whether it shall be told how sure the model is of its answers: that costs a look at all scores for each token.
    pub sureness: bool,
    /// For which tenant: what is remembered of a prompt serves no other.
    pub tenant: Option<Tenant>,
    /// Before whom its turn comes.
    pub priority: Priority,
    /// Until when its turn must have come; after that nothing is computed for it.
    pub deadline: Option<Instant>,
    /// What to continue.
    pub prompt: Prompt,
    /// How many answers.
    pub n: usize,
    /// Most tokens of each answer; `None` = as many as fit.
    pub max_tokens: Option<usize>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end an answer; they are not part of it.
    pub stop: Vec<String>,
    /// With `Some(n)`, log-probabilities of the answer's tokens and of the `n` likeliest beside each.
    pub logprobs: Option<usize>,
    /// Gives the prompt back first, with log-probabilities where `logprobs` asks for them.
    pub echo: bool,
    /// The form that the answer must have, where it has one.
    pub constraint: Option<Constraint>,
    /// The tools that it may call.
    pub tools: Option<ToolUse>,
}

/// Tools that an answer may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolUse {
    /// The tools.
    pub tools: Vec<Tool>,
    /// Which of them.
    pub choice: ToolChoice,
    /// Whether one answer may call several.
    pub parallel: bool,
}

/// A tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// A JSON schema of its arguments; without it it takes none.
    pub parameters: Option<Value>,
    /// All that the model is told about it, as the caller wrote it.
    pub definition: Value,
}

/// Which tools an answer calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// None.
    None,
    /// As the model thinks fit.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

impl Default for GenerateRequest {
    fn default() -> Self {
        Self {
            caller: 0,
            adapter: None,
            sureness: false,
            tenant: None,
            priority: Priority::Normal,
            deadline: None,
            prompt: Prompt::Text(String::new()),
            n: 1,
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            logprobs: None,
            echo: false,
            constraint: None,
            tools: None,
        }
    }
}

/// What to continue.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation, put into words by the model's chat template.
    Chat(Vec<ChatMessage>),
    /// Text; control tokens spelled in it are text too.
    Text(String),
    /// Tokens.
    Tokens(Vec<u32>),
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said; empty where a message only calls tools.
    pub content: String,
    /// The speaker's name, where given.
    pub name: Option<String>,
    /// Tools called by the assistant.
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool's message answers.
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    /// A message of nothing but text.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), name: None, tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions too; templates know them as `system`.
    Developer,
    /// The caller.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The template's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System | Self::Developer => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A tool call in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, JSON as text.
    pub arguments: String,
}

/// How tokens are chosen. The order: bias, penalties, form, temperature, `top_k`, `top_p`, `min_p`, draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 = always the likeliest.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability; 1 = all.
    pub top_p: f32,
    /// Only so many of the likeliest; 0 = all.
    pub top_k: usize,
    /// Only tokens at least this likely, relative to the likeliest; 0 = all.
    pub min_p: f32,
    /// The same seed gives the same answer.
    pub seed: Option<u64>,
    /// Added to the scores of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Taken from the score of every token that the answer has already.
    pub presence_penalty: f32,
    /// Taken from the score of a token for each time that the answer has it.
    pub frequency_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            seed: None,
            logit_bias: Vec::new(),
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
        }
    }
}

impl GenerateRequest {
    /// Whether every value is possible for a model of this vocabulary.
    pub(crate) fn check(&self, vocabulary: usize) -> Result<(), SubmitError> {
        let invalid = |field, problem: String| Err(SubmitError::Invalid { field, problem });
        let s = &self.sampling;
        if !(1..=MOST_CHOICES).contains(&self.n) {
            return invalid("n", format!("must be between 1 and {MOST_CHOICES}, not {}", self.n));
        }
        if !(s.temperature.is_finite() && s.temperature >= 0.0) {
            return invalid("temperature", format!("must be 0 or more, not {}", s.temperature));
        }
        if !(s.top_p > 0.0 && s.top_p <= 1.0) {
            return invalid("top_p", format!("must be more than 0 and at most 1, not {}", s.top_p));
        }
        if !(0.0..=1.0).contains(&s.min_p) {
            return invalid("min_p", format!("must be between 0 and 1, not {}", s.min_p));
        }
        let penalties = [("presence_penalty", s.presence_penalty), ("frequency_penalty", s.frequency_penalty)];
        if let Some((field, value)) = penalties.into_iter().find(|(_, v)| !v.is_finite()) {
            return invalid(field, format!("must be a number, not {value}"));
        }
        if let Some((token, bias)) = s.logit_bias.iter().find(|(t, b)| *t as usize >= vocabulary || !b.is_finite()) {
            return invalid("logit_bias", format!("token {token} with {bias}: tokens are 0 to {}", vocabulary - 1));
        }
        if self.stop.iter().any(String::is_empty) {
            return invalid("stop", "must not be empty".into());
        }
        if self.logprobs.is_some_and(|n| n > MOST_ALTERNATIVES) {
            return invalid("logprobs", format!("at most {MOST_ALTERNATIVES} alternatives can be listed"));
        }
        if self.tools.is_some() && !matches!(self.prompt, Prompt::Chat(_)) {
            return invalid("tools", "can be had in a conversation only".into());
        }
        if let Prompt::Tokens(tokens) = &self.prompt
            && let Some(token) = tokens.iter().find(|t| **t as usize >= vocabulary)
        {
            return invalid("prompt", format!("token {token} is unknown: tokens are 0 to {}", vocabulary - 1));
        }
        Ok(())
    }
}
