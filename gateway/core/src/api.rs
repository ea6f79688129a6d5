//! The interfaces that a call can come in by. Owns their names and paths; how each is read and answered is the server's.

use serde::{Deserialize, Serialize};

/// The interface of one call; a closed set, so it may be a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// A classic model, by whichever of its protocols.
    Predict,
    /// `POST /v1/rerank`.
    Rerank,
}

impl Api {
    /// Every interface.
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Predict, Self::Rerank];

    /// Those of language models, as OpenAI-compatible servers have them.
    pub const OPENAI: [Self; 4] = [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Rerank];

    /// The path below `/v1`, as OpenAI-compatible servers spell it; none where the protocol has it from the model's name.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Predict => "",
            Self::Rerank => "/rerank",
        }
    }

    /// Whether its answers are text, which can be streamed, looked at, judged and limited by length.
    #[must_use]
    pub const fn makes_text(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// The `gen_ai.operation.name` of the OpenTelemetry GenAI conventions, which have none for reranking.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Predict => "predict",
            Self::Rerank => "rerank",
        }
    }
}
