//! What a registered model is, and in which form a version's file comes. Owns the two closed sets and their words.

use crate::fault::RegistryFault;
use std::fmt;
use tidegate_core::spec::RiskTier;

/// What a registered model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A language model.
    Llm,
    /// A LoRA adapter of a language model.
    LoraAdapter,
    /// An embedding model.
    Embedding,
    /// A classic model: trees, linear models, small networks.
    Classic,
    /// A WASM plugin.
    Plugin,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Llm, Self::LoraAdapter, Self::Embedding, Self::Classic, Self::Plugin];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::LoraAdapter => "lora-adapter",
            Self::Embedding => "embedding",
            Self::Classic => "classic",
            Self::Plugin => "plugin",
        }
    }

    /// The kind of this word.
    ///
    /// # Errors
    /// There is none.
    pub fn read(text: &str) -> Result<Self, RegistryFault> {
        one_of("kind", text, &Self::ALL, Self::as_str)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The form of a version's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// GGUF, as llama.cpp has it.
    Gguf,
    /// Safetensors, as Hugging Face has it.
    Safetensors,
    /// ONNX.
    Onnx,
    /// Trees in XGBoost's JSON.
    Xgboost,
    /// Trees in LightGBM's text.
    Lightgbm,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Gguf, Self::Safetensors, Self::Onnx, Self::Xgboost, Self::Lightgbm];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
            Self::Xgboost => "xgboost",
            Self::Lightgbm => "lightgbm",
        }
    }

    /// What the name of such a file ends in.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Xgboost => "json",
            Self::Lightgbm => "txt",
            Self::Gguf | Self::Safetensors | Self::Onnx => self.as_str(),
        }
    }

    /// The format that a file's name promises, of those whose files are alike wherever they lie: ONNX may have its tensors
    /// in files beside it.
    pub(crate) fn promised(name: &str) -> Option<Self> {
        let (_, end) = name.rsplit_once('.')?;
        [Self::Gguf, Self::Safetensors].into_iter().find(|format| end.eq_ignore_ascii_case(format.as_str()))
    }

    /// The format of this word.
    ///
    /// # Errors
    /// There is none.
    pub fn read(text: &str) -> Result<Self, RegistryFault> {
        one_of("format", text, &Self::ALL, Self::as_str)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tier of this word.
pub(crate) fn read_tier(text: &str) -> Result<RiskTier, RegistryFault> {
    one_of("risk", text, &RiskTier::ALL, RiskTier::as_str)
}

/// The value of this word in a closed set.
pub(crate) fn one_of<T: Copy>(
    field: &str,
    text: &str,
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> Result<T, RegistryFault> {
    all.iter().copied().find(|value| word(*value) == text).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|value| word(*value)).collect();
        RegistryFault::invalid(format!("{field}: '{}' is none of {}", short(text), words.join(", ")))
    })
}

/// Enough of a text to know it again.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_are_named() {
        for kind in Kind::ALL {
            assert_eq!(Kind::read(kind.as_str()).unwrap(), kind);
        }
        for format in Format::ALL {
            assert_eq!(Format::read(format.as_str()).unwrap(), format);
        }
        let says = Format::read("pickle").unwrap_err().says;
        assert_eq!(says, "format: 'pickle' is none of gguf, safetensors, onnx, xgboost, lightgbm");
    }
}
