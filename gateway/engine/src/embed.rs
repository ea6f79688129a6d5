//! Sentence embeddings by a BERT model (candle's), on a thread of their own: mean of the last layer's states, of unit
//! length. Each text is computed alone, so that its numbers do not depend on what came with it.

mod bert;

use crate::desk::{Desk, Gone, Refused};
use crate::encoder::EncoderFiles;
use crate::error::LoadError;
use bert::Bert;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// How an embedding model is loaded and run.
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// Its files.
    pub files: EncoderFiles,
    /// Most tokens of a text, the two that frame it included; at most what the model was made for. all-MiniLM-L6-v2 was
    /// trained on 256.
    pub max_tokens: usize,
    /// Threads that compute; 0 = cores less one.
    pub threads: usize,
    /// Requests that may wait.
    pub queue_len: usize,
}

impl EmbedOptions {
    /// The three files of a folder under their usual names.
    #[must_use]
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { files: EncoderFiles::folder(folder), max_tokens: 256, threads: 0, queue_len: 64 }
    }
}

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EmbedRequest {
    /// The texts.
    pub inputs: Vec<EmbedInput>,
    /// Keeps only so many numbers of each, brought to unit length again.
    pub dimensions: Option<usize>,
    /// Cuts texts that are too long instead of refusing them.
    pub truncate: bool,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// As text.
    Text(String),
    /// As tokens of this model; the two that frame a text are added where they lack.
    Tokens(Vec<u32>),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// One for each text, in order.
    pub embeddings: Vec<Embedding>,
}

impl Embeddings {
    /// Tokens of all texts.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.embeddings.iter().map(|e| e.tokens).sum()
    }
}

/// One embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The numbers, of unit length.
    pub values: Vec<f32>,
    /// Tokens that were computed.
    pub tokens: usize,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// Texts were not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// Too many wait already.
    #[error("the embedding model's queue is full; try again later")]
    QueueFull,
    /// There is nothing to embed.
    #[error("input {index} is empty; send at least one word")]
    Empty {
        /// Which text.
        index: usize,
    },
    /// A text is too long.
    #[error("input {index} has {tokens} tokens, but the limit is {limit}; split it")]
    TooLong {
        /// Which text.
        index: usize,
        /// Its tokens.
        tokens: usize,
        /// What fits.
        limit: usize,
    },
    /// A token that the model does not know.
    #[error("input {index} has the token {token}, but this model knows only 0 to {most}; send text instead")]
    UnknownToken {
        /// Which text.
        index: usize,
        /// The token.
        token: u32,
        /// The last that it knows.
        most: u32,
    },
    /// A length that cannot be had.
    #[error("dimensions must be between 1 and {most}, not {asked}")]
    Dimensions {
        /// What was asked.
        asked: usize,
        /// The model's own.
        most: usize,
    },
    /// The computation failed.
    #[error("the embedding failed: {0}")]
    Failed(String),
    /// The model is stopping or has failed.
    #[error("the embedding model has stopped")]
    Stopped,
}

/// A loaded embedding model. Dropping it stops its thread after the text that it is at.
pub struct Embedder {
    desk: Desk<EmbedRequest, Result<Embeddings, EmbedError>>,
    dimensions: usize,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("dimensions", &self.dimensions).finish_non_exhaustive()
    }
}

impl Embedder {
    /// Loads a model and starts its thread. Not for an async thread.
    pub fn load(options: &EmbedOptions) -> Result<Self, LoadError> {
        let model = Bert::load(options)?;
        let dimensions = model.dimensions();
        let answer = move |request: &EmbedRequest, gone: &mut Gone<'_>| embed(&model, request, gone);
        Ok(Self { desk: Desk::start("embed", options.threads, options.queue_len, answer)?, dimensions })
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether its thread is alive and takes requests.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.desk.is_running()
    }

    /// Embeds texts. Dropping the future cancels what has not begun.
    pub async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, EmbedError> {
        self.queue(request)?.await.unwrap_or(Err(EmbedError::Stopped))
    }

    /// Embeds texts, waiting on this thread. Not for use within an async runtime.
    pub fn blocking_embed(&self, request: EmbedRequest) -> Result<Embeddings, EmbedError> {
        self.queue(request)?.blocking_recv().unwrap_or(Err(EmbedError::Stopped))
    }

    fn queue(&self, request: EmbedRequest) -> Result<oneshot::Receiver<Result<Embeddings, EmbedError>>, EmbedError> {
        if let Some(asked) = request.dimensions.filter(|d| !(1..=self.dimensions).contains(d)) {
            return Err(EmbedError::Dimensions { asked, most: self.dimensions });
        }
        self.desk.ask(request).map_err(|refused| match refused {
            Refused::Full => EmbedError::QueueFull,
            Refused::Stopped => EmbedError::Stopped,
        })
    }
}

fn embed(model: &Bert, request: &EmbedRequest, gone: &mut Gone<'_>) -> Result<Embeddings, EmbedError> {
    let mut embeddings = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        // A caller that has gone frees the model between two texts.
        if gone.is_so() {
            return Err(EmbedError::Stopped);
        }
        embeddings.push(model.embed(index, input, request)?);
    }
    Ok(Embeddings { embeddings })
}
