//! Sentence embeddings by a BERT model (candle's), on a thread of their own: mean of the last layer's states, of unit
//! length. Each text is computed alone, so that its numbers do not depend on what came with it.

mod bert;

use crate::error::LoadError;
use crate::threads::default_threads;
use bert::Bert;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How an embedding model is loaded and run.
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
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
        let folder = folder.into();
        Self {
            weights: folder.join("model.safetensors"),
            tokenizer: folder.join("tokenizer.json"),
            config: folder.join("config.json"),
            max_tokens: 256,
            threads: 0,
            queue_len: 64,
        }
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

struct Work {
    request: EmbedRequest,
    answer: oneshot::Sender<Result<Embeddings, EmbedError>>,
}

/// A loaded embedding model. Dropping it stops its thread after the text that it is at.
pub struct Embedder {
    work: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
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
        // candle computes on the pool that it is called in.
        let count = if options.threads == 0 { default_threads() } else { options.threads };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("embed-{i}"))
            .build()
            .map_err(|e| LoadError::Threads(e.to_string()))?;
        let (work, inbox) = sync_channel(options.queue_len);
        let thread = std::thread::Builder::new()
            .name("embed".into())
            .spawn(move || run(&model, &pool, &inbox))
            .map_err(|e| LoadError::Threads(e.to_string()))?;
        Ok(Self { work: Some(work), thread: Some(thread), dimensions })
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether its thread is alive and takes requests.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
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
        let (answer, receiver) = oneshot::channel();
        let work = self.work.as_ref().ok_or(EmbedError::Stopped)?;
        work.try_send(Work { request, answer }).map_err(|e| match e {
            TrySendError::Full(_) => EmbedError::QueueFull,
            TrySendError::Disconnected(_) => EmbedError::Stopped,
        })?;
        Ok(receiver)
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedding thread had panicked");
        }
    }
}

fn run(model: &Bert, pool: &rayon::ThreadPool, inbox: &Receiver<Work>) {
    while let Ok(mut work) = inbox.recv() {
        let mut embeddings = Vec::with_capacity(work.request.inputs.len());
        let mut failed = None;
        for (index, input) in work.request.inputs.iter().enumerate() {
            // A caller that has gone frees the model between two texts.
            if work.answer.poll_closed(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready() {
                break;
            }
            match pool.install(|| model.embed(index, input, &work.request)) {
                Ok(embedding) => embeddings.push(embedding),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(work.answer.send(failed.map_or(Ok(Embeddings { embeddings }), Err)));
    }
}
