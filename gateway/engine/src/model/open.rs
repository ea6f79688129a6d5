//! A model's files, whichever they are: a GGUF file, or a Hugging Face folder.

use super::description::Description;
use super::folder::{Folder, Precision};
use super::source::Source;
use crate::error::LoadError;
use crate::gguf::GgufFile;
use crate::template::ChatTemplate;
use crate::vocabulary::Vocabulary;
use std::path::Path;

/// Open files of a language model.
pub(crate) enum ModelFiles {
    /// One file with all in it.
    Gguf(Box<GgufFile>),
    /// A folder.
    Folder(Box<Folder>),
}

impl ModelFiles {
    /// Opens a file, or a folder; `precision` is for the latter.
    pub(crate) fn open(path: &Path, precision: Precision) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Ok(Self::Folder(Box::new(Folder::open(path, precision)?)));
        }
        Ok(Self::Gguf(Box::new(GgufFile::open(path)?)))
    }

    /// What the model looks like.
    pub(crate) fn description(&self) -> Result<Description, LoadError> {
        match self {
            Self::Gguf(file) => Description::of_gguf(file),
            Self::Folder(folder) => folder.description(),
        }
    }

    /// Its tokenizer.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary, LoadError> {
        match self {
            Self::Gguf(file) => Vocabulary::of_gguf(file),
            Self::Folder(folder) => folder.vocabulary(),
        }
    }

    /// Its chat template, where it has one.
    pub(crate) fn template(&self, vocabulary: &Vocabulary) -> Result<Option<ChatTemplate>, LoadError> {
        match self {
            Self::Gguf(file) => {
                let source = file.text("tokenizer.chat_template");
                let template = source.map(|s| ChatTemplate::new(s, vocabulary.control(), vocabulary.borders()));
                template.transpose().map_err(LoadError::Template)
            }
            Self::Folder(folder) => folder.template(vocabulary),
        }
    }

    /// Its weights.
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Gguf(file) => &mut **file,
            Self::Folder(folder) => &mut **folder,
        }
    }
}
