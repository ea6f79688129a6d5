//! What can go wrong: at load, at submit, and while generating. Each says what was wrong and how to mend it.

use crate::engine::Asleep;
use std::path::PathBuf;
use tidegate_core::memory::NoMemory;

/// A model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not of its format.
    #[error("{path} is damaged or not of the expected format: {detail}; fetch it again", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A metadata entry is missing or wrong.
    #[error("the model file's entry `{key}` {problem}")]
    Metadata {
        /// The entry.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A tensor is missing or wrong.
    #[error("tensor `{name}`: {detail}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file is sound, but of a kind that the engine does not run.
    #[error(
        "the engine does not run {what}; use a GGUF file or a safetensors folder of a Llama, Mistral, Qwen 2 or 3, Gemma 3 or Phi-3 model, or an upstream provider"
    )]
    Unsupported {
        /// The kind.
        what: String,
    },
    /// The tokenizer cannot be built.
    #[error("the tokenizer cannot be built: {0}")]
    Tokenizer(String),
    /// The chat template cannot be compiled.
    #[error("the chat template cannot be compiled: {0}")]
    Template(String),
    /// The cache is too small for even one short sequence.
    #[error("a kv cache of {given} bytes is too small: this model needs at least {needed}")]
    CacheTooSmall {
        /// What was given.
        given: usize,
        /// What two blocks need.
        needed: usize,
    },
    /// Other models have the memory that it needs.
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    /// The files are not those that were loaded first.
    #[error("{path} has changed since the model was loaded: reload the configuration with its new sha256, or put the file back", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A thread cannot be started.
    #[error("cannot start the engine's threads: {0}")]
    Threads(String),
}

/// A request was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Too many wait already; the caller may come again soon.
    #[error("the model's queue is full ({waiting} calls wait); try again in {} s", wait.as_secs_f64().ceil())]
    QueueFull {
        /// How many wait.
        waiting: usize,
        /// When a place is likely to be free.
        wait: std::time::Duration,
    },
    /// The prompt does not fit.
    #[error("the prompt has {tokens} tokens{}, but the limit is {limit}; shorten it", if *at_least { " or more" } else { "" })]
    PromptTooLong {
        /// Its tokens.
        tokens: usize,
        /// Whether it was cut short of an exact count.
        at_least: bool,
        /// What fits, with room for one token of an answer.
        limit: usize,
    },
    /// A field's value is impossible.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The model has no chat template.
    #[error("this model has no chat template; send a plain prompt instead of messages")]
    NoTemplate,
    /// The chat template refused the messages.
    #[error("the model's chat template does not take these messages: {0}")]
    Template(String),
    /// The engine is stopping or has failed.
    #[error("the engine has stopped")]
    Stopped,
}

/// A generation ended without finishing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The step failed.
    #[error("{0}")]
    Step(String),
    /// Its deadline passed before its turn came: nothing was computed for it.
    #[error("the model is busy: the call waited {} s, and its turn did not come in time; try again later", waited.as_secs())]
    Late {
        /// How long it waited.
        waited: std::time::Duration,
    },
    /// The model's scores were not numbers.
    #[error("the model gave scores that are not numbers; its file may be damaged")]
    NotFinite,
    /// What holds the answer to its form gave up.
    #[error("the answer can be held to its form no further ({0}); ask for a simpler one")]
    Constraint(String),
    /// The model sleeps, and cannot be woken.
    #[error("the model sleeps and cannot be woken: {0}")]
    Asleep(Asleep),
    /// The engine stopped.
    #[error("the engine stopped before the answer was complete")]
    Stopped,
}

/// A model does not sleep, or does not wake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// It has calls in work.
    #[error("it has calls in work: it can sleep when they have ended")]
    Busy,
    /// It cannot be woken.
    #[error("it cannot be woken: {0}")]
    Asleep(Asleep),
    /// The engine is stopping or has failed.
    #[error("the engine has stopped")]
    Stopped,
}
