//! The bodies as types: only the members that the engine acts on.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate_core::Fault;

/// What both kinds of generation share.
#[derive(Debug, Deserialize)]
pub(super) struct Sampling {
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) top_k: Option<u32>,
    pub(super) min_p: Option<f32>,
    pub(super) seed: Option<i64>,
    pub(super) presence_penalty: Option<f32>,
    pub(super) frequency_penalty: Option<f32>,
    pub(super) logit_bias: Option<BTreeMap<String, f32>>,
    pub(super) stop: Option<OneOrMany>,
    pub(super) n: Option<u32>,
}

/// The body of a chat completion.
#[derive(Debug, Deserialize)]
pub(super) struct ChatBody {
    pub(super) model: String,
    pub(super) messages: Vec<MessageBody>,
    pub(super) max_tokens: Option<u32>,
    pub(super) max_completion_tokens: Option<u32>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<u8>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) tools: Option<Vec<Value>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) response_format: Option<Value>,
    pub(super) structured_outputs: Option<Value>,
    pub(super) guided_json: Option<Value>,
    pub(super) guided_regex: Option<Value>,
    pub(super) guided_choice: Option<Value>,
    pub(super) guided_grammar: Option<Value>,
}

/// One message.
#[derive(Debug, Deserialize)]
pub(super) struct MessageBody {
    pub(super) role: String,
    pub(super) content: Option<ContentBody>,
    pub(super) tool_calls: Option<Vec<Value>>,
    pub(super) tool_call_id: Option<String>,
    pub(super) name: Option<String>,
}

/// The content of a message.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ContentBody {
    Text(String),
    Parts(Vec<PartBody>),
}

/// One part of a content.
#[derive(Debug, Deserialize)]
pub(super) struct PartBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
}

/// The body of a text completion.
#[derive(Debug, Deserialize)]
pub(super) struct CompletionBody {
    pub(super) model: String,
    pub(super) prompt: PromptBody,
    pub(super) max_tokens: Option<u32>,
    pub(super) logprobs: Option<u8>,
    pub(super) echo: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
}

/// The prompts of a text completion, or the inputs of an embedding.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PromptBody {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// One text, or its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Tokens(Vec<u32>),
}

impl PromptBody {
    pub(super) fn pieces(self) -> Vec<Piece> {
        match self {
            Self::Text(text) => vec![Piece::Text(text)],
            Self::Texts(texts) => texts.into_iter().map(Piece::Text).collect(),
            Self::Tokens(tokens) => vec![Piece::Tokens(tokens)],
            Self::TokenLists(lists) => lists.into_iter().map(Piece::Tokens).collect(),
        }
    }
}

/// The body of an embedding.
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingBody {
    pub(super) model: String,
    pub(super) input: PromptBody,
    pub(super) encoding_format: Option<String>,
    pub(super) dimensions: Option<usize>,
}

/// The body of a ranking.
#[derive(Debug, Deserialize)]
pub(super) struct RerankBody {
    pub(super) model: String,
    pub(super) query: String,
    pub(super) documents: Vec<DocumentBody>,
    pub(super) top_n: Option<usize>,
    pub(super) return_documents: Option<bool>,
}

/// A document, as text or as an object with it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum DocumentBody {
    Text(String),
    Object { text: String },
}

impl DocumentBody {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Object { text } => text,
        }
    }
}

/// What a stream shall tell besides.
#[derive(Debug, Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// Reads a body that was validated before.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|e| {
        let says = format!("the body has a member that the local engine cannot read: {e}");
        Fault::new(tidegate_core::FaultKind::InvalidRequest, says)
    })
}

impl ContentBody {
    /// The text of a content; other parts than text are refused.
    pub(super) fn into_text(self) -> Result<String, Fault> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Parts(parts) => parts.into_iter().map(PartBody::into_text).collect(),
        }
    }
}

impl PartBody {
    fn into_text(self) -> Result<String, Fault> {
        match (self.kind.as_str(), self.text) {
            ("text", Some(text)) => Ok(text),
            (kind, _) => Err(Fault::field(
                "messages",
                format!("this model reads text only, and a content part is of type `{kind}`"),
            )),
        }
    }
}
