//! From a GGUF file's entries to a vocabulary.

use super::spelling::Spelling;
use super::{Found, Vocabulary, words};
use crate::error::LoadError;
use crate::gguf::GgufFile;
use std::collections::HashSet;

/// Kinds of tokens in a GGUF file.
const CONTROL: i64 = 3;
const ALWAYS: i64 = 4;

impl Vocabulary {
    /// Reads it from a model file.
    pub(crate) fn of_gguf(file: &GgufFile) -> Result<Self, LoadError> {
        let names = file.texts("tokenizer.ggml.tokens")?.to_vec();
        let kinds = file.numbers("tokenizer.ggml.token_type")?;
        if kinds.len() != names.len() {
            return Err(LoadError::Metadata { key: "tokenizer.ggml.token_type".into(), problem: "has a wrong length" });
        }
        let of_kind = |kind: i64| (0u32..).zip(kinds).filter(move |(_, k)| **k == kind).map(|(id, _)| id);
        let control: HashSet<u32> = of_kind(CONTROL).collect();
        let (mut encoder, spelling) = match file.text("tokenizer.ggml.model").unwrap_or("none") {
            "gpt2" => {
                let rule = file.text("tokenizer.ggml.pre").unwrap_or("default");
                let whole_words = matches!(rule, "llama3" | "llama-v3" | "llama-bpe" | "tekken");
                let merges = file.texts("tokenizer.ggml.merges")?;
                let encoder = words::byte_level(&names, merges, words::splitter(rule)?, whole_words)?;
                (encoder, Spelling::ByteLevel)
            }
            "llama" => {
                let adds_space = file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
                let scores = file.floats("tokenizer.ggml.scores")?;
                (words::pieces(&names, scores, adds_space)?, Spelling::Pieces)
            }
            kind => return Err(LoadError::Unsupported { what: format!("a tokenizer of the kind `{kind}`") }),
        };
        words::always(&mut encoder, of_kind(ALWAYS).map(|id| names[id as usize].clone()));
        let token = |key: &str| {
            let number = file.optional_number(&format!("tokenizer.ggml.{key}_token_id"))?;
            Ok::<_, LoadError>(number.filter(|n| *n < names.len()).map(|n| n as u32))
        };
        let (begin, end, endings) = (token("bos")?, token("eos")?, token("eot")?.into_iter().collect());
        let by_default = spelling == Spelling::Pieces;
        let adds_begin = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(by_default);
        let spelled = spelling.spell(&names, |id| control.contains(&id));
        Ok(Self::of(Found { encoder, names, spelled, control, begin, end, endings, adds_begin }))
    }
}
