//! What a classic model is asked and what it answers, whatever wire it came by.

use super::{Datatype, Tensor};
use crate::Reasons;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a wire says beside the tensors.
pub type Parameters = Map<String, Value>;

/// What the names of tensors begin with that say why, beside the outputs that they are about.
pub const EXPLANATION: &str = "explanation.";

/// What a classic model is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PredictRequest {
    /// The caller's name of it, which the answer has too.
    pub id: Option<String>,
    /// What the model gets; each name once.
    pub inputs: Vec<Tensor>,
    /// Which outputs are wanted; all where none is named.
    pub outputs: Vec<String>,
    /// What is said beside.
    pub parameters: Parameters,
    /// Whether names and datatypes are guesses, since the wire says none: whoever runs the model binds them to its inputs.
    pub is_loose: bool,
    /// Whether why is asked for by a protocol that has a place of its own for it.
    pub explains: bool,
}

/// What a classic model answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PredictAnswer {
    /// The version that answered, where it says so.
    pub model_version: Option<String>,
    /// What it gives.
    pub outputs: Vec<Tensor>,
    /// What is said beside.
    pub parameters: Parameters,
    /// Why, in the words of a provider that was asked for it: the whole of its JSON, an object.
    pub explanation: Option<Bytes>,
    /// Why, where that goes into the record of the call.
    pub reasons: Option<Arc<Reasons>>,
    /// How many rules of its contract the inputs break, where the model has one.
    pub violations: Option<u32>,
}

impl PredictRequest {
    /// The input of this name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|tensor| tensor.name() == name)
    }

    /// Whether this output is wanted.
    #[must_use]
    pub fn wants(&self, output: &str) -> bool {
        self.outputs.is_empty() || self.outputs.iter().any(|name| name == output)
    }
}

/// What a model says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelMeta {
    /// What it runs on.
    pub platform: String,
    /// Its versions.
    pub versions: Vec<String>,
    /// What it takes; nothing where it does not say.
    pub inputs: Vec<TensorMeta>,
    /// What it gives; nothing where it does not say.
    pub outputs: Vec<TensorMeta>,
}

/// What a model says of one of its inputs or outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMeta {
    /// Its name.
    pub name: String,
    /// What its elements are.
    pub datatype: Datatype,
    /// Its dimensions; `None` is one of any size.
    pub shape: Vec<Option<u64>>,
}
