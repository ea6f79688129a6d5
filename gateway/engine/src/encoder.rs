//! What models of the BERT family are read from: weights, tokenizer and settings, each with an error that names its file.

use crate::error::LoadError;
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::Config;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// The three files of an encoder.
#[derive(Debug, Clone)]
pub struct EncoderFiles {
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
}

impl EncoderFiles {
    /// Those of a folder under their usual names.
    #[must_use]
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            weights: folder.join("model.safetensors"),
            tokenizer: folder.join("tokenizer.json"),
            config: folder.join("config.json"),
        }
    }
}

/// Files that were read.
pub(crate) struct Encoder {
    pub(crate) config: Config,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) weights: VarBuilder<'static>,
    /// What begins and ends every text.
    pub(crate) frame: (u32, u32),
}

impl Encoder {
    /// Reads them.
    pub(crate) fn read(files: &EncoderFiles) -> Result<Self, LoadError> {
        let config: Config = serde_json::from_slice(&read(&files.config)?).map_err(|e| format(&files.config, &e))?;
        let mut tokenizer =
            Tokenizer::from_bytes(read(&files.tokenizer)?).map_err(|e| LoadError::Tokenizer(e.to_string()))?;
        // Files ask for 128 tokens exactly or so, which would cut long texts and count padding.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| LoadError::Tokenizer(e.to_string()))?;
        let id = |name: &str| tokenizer.token_to_id(name);
        let frame = id("[CLS]").zip(id("[SEP]"));
        let frame = frame.ok_or_else(|| LoadError::Tokenizer("there are no [CLS] and [SEP] tokens".into()))?;
        let weights = VarBuilder::from_buffered_safetensors(read(&files.weights)?, DType::F32, &Device::Cpu);
        let weights = weights.map_err(|e| format(&files.weights, &e))?;
        Ok(Self { config, tokenizer, weights, frame })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

/// A file that is not what it should be.
pub(crate) fn format(path: &Path, error: &dyn std::fmt::Display) -> LoadError {
    LoadError::Format { path: path.to_owned(), detail: error.to_string() }
}
