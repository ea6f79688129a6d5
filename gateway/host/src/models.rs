//! Models that plugins ask, as a port: the program fills it, for each plugin with what is granted to it. Owns the words, and
//! what stands there where nothing is granted; how long may be waited is the `cell`'s.

use crate::reach::Unreached;
use std::fmt;
use std::time::Duration;

/// A message to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose it is: `system`, `user`, `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// What a model is asked to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// Which model, by its name in the configuration.
    pub model: String,
    /// What it is told.
    pub messages: Vec<Message>,
    /// How many tokens it may say.
    pub max_tokens: u32,
    /// How much is left to chance.
    pub temperature: f32,
    /// What chance begins with.
    pub seed: Option<u64>,
    /// The JSON Schema of what it is to say.
    pub json_schema: Option<String>,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its text.
    pub text: String,
    /// The tokens that it was told.
    pub prompt_tokens: u32,
    /// The tokens that it said.
    pub completion_tokens: u32,
    /// Why it ended.
    pub finish_reason: String,
}

/// Embeddings of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// How many values each has.
    pub dim: u32,
    /// The values, text by text.
    pub values: Vec<f32>,
}

/// Asks models for a plugin.
pub trait Models: Send + Sync + fmt::Debug {
    /// Has a model say something. Blocks until it did, for so long at most.
    ///
    /// # Errors
    /// The model is not granted, may be asked no more, or did not answer.
    fn generate(&self, asked: &Generate, within: Duration) -> Result<Generation, Unreached>;

    /// Has a model embed texts. Blocks until it did, for so long at most.
    ///
    /// # Errors
    /// The model is not granted, may be asked no more, or did not answer.
    fn embed(&self, model: &str, texts: &[String], within: Duration) -> Result<Embeddings, Unreached>;
}

/// No model: every question is denied.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

fn denied<T>() -> Result<T, Unreached> {
    Err(Unreached::Denied(
        "no models are granted to this plugin: name them under `plugins`, as `capabilities: {models: [NAME]}`"
            .to_owned(),
    ))
}

impl Models for NoModels {
    fn generate(&self, _: &Generate, _: Duration) -> Result<Generation, Unreached> {
        denied()
    }

    fn embed(&self, _: &str, _: &[String], _: Duration) -> Result<Embeddings, Unreached> {
        denied()
    }
}
