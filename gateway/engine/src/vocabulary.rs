//! The tokenizer of a GGUF file (byte-level BPE): text to tokens, tokens to bytes. Control tokens are not in the text
//! encoder at all: only `template`'s own pieces become them.

use crate::error::LoadError;
use crate::gguf::GgufFile;
use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

/// Kinds of tokens in a GGUF file.
const CONTROL: i64 = 3;

/// Names of the control tokens that end an answer in the models that exist.
const ENDINGS: [&str; 8] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "<|eom_id|>", "<end_of_turn>", "</s>"];

/// A piece of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// To be encoded; whatever control tokens it spells stay text.
    Text(String),
    /// A control token.
    Control(u32),
}

/// The tokens of a model.
pub(crate) struct Vocabulary {
    encoder: Tokenizer,
    names: Vec<String>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    control: Vec<(String, u32)>,
    is_ending: Vec<bool>,
    begin: Option<u32>,
    end: Option<u32>,
    adds_begin: bool,
    longest: usize,
}

impl Vocabulary {
    /// Reads it from a model file.
    pub(crate) fn read(file: &GgufFile) -> Result<Self, LoadError> {
        let kind = file.text("tokenizer.ggml.model").unwrap_or("none");
        if kind != "gpt2" {
            return Err(LoadError::Unsupported { what: format!("a tokenizer of the kind `{kind}`") });
        }
        let names: Vec<String> = file.texts("tokenizer.ggml.tokens")?.into_iter().map(str::to_owned).collect();
        let kinds = file.numbers("tokenizer.ggml.token_type")?;
        if kinds.len() != names.len() {
            return Err(LoadError::Metadata { key: "tokenizer.ggml.token_type".into(), problem: "has a wrong length" });
        }
        let merges = file.texts("tokenizer.ggml.merges")?;
        let splitter = splitter(file.text("tokenizer.ggml.pre").unwrap_or("default"))?;
        let encoder = encoder(&names, &merges, splitter)?;
        let (mut bytes, mut ends, mut longest) = (Vec::new(), Vec::with_capacity(names.len()), 1);
        let alphabet = alphabet();
        for (name, kind) in names.iter().zip(&kinds) {
            let start = bytes.len();
            if *kind != CONTROL {
                spell(name, &alphabet, &mut bytes);
            }
            longest = longest.max(bytes.len() - start);
            ends.push(bytes.len() as u32);
        }
        let control: Vec<_> = (0u32..)
            .zip(&names)
            .zip(&kinds)
            .filter(|(_, k)| **k == CONTROL)
            .map(|((i, n), _)| (n.clone(), i))
            .collect();
        let token = |key: &str| {
            let number = file.optional_number(&format!("tokenizer.ggml.{key}_token_id"))?;
            Ok::<_, LoadError>(number.filter(|n| *n < names.len()).map(|n| n as u32))
        };
        let (begin, end) = (token("bos")?, token("eos")?);
        let mut is_ending = vec![false; names.len()];
        let named = control.iter().filter(|(name, _)| ENDINGS.contains(&name.as_str())).map(|(_, id)| *id);
        for id in named.chain(end).chain(token("eot")?) {
            is_ending[id as usize] = true;
        }
        let adds_begin = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(false);
        Ok(Self { encoder, names, bytes, ends, control, is_ending, begin, end, adds_begin, longest })
    }

    /// 256 tokens of a byte each, then `<|im_end|>`, for tests without a model file.
    #[cfg(test)]
    pub(crate) fn of_bytes() -> Self {
        let alphabet = alphabet();
        let mut names = vec![String::new(); 256];
        for (c, b) in &alphabet {
            names[*b as usize] = c.to_string();
        }
        names.push("<|im_end|>".into());
        let encoder = encoder(&names, &[], PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true))).unwrap();
        let mut is_ending = vec![false; 256];
        is_ending.push(true);
        Self {
            encoder,
            names,
            bytes: (0..=255).collect(),
            ends: (1..=256).chain([256]).collect(),
            control: vec![("<|im_end|>".into(), 256)],
            is_ending,
            begin: None,
            end: Some(256),
            adds_begin: false,
            longest: 1,
        }
    }

    /// Tokens in all.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Tokens of a plain text, begun as the model wants it and never empty.
    pub(crate) fn encode_text(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut tokens: Vec<u32> = self.begin.filter(|_| self.adds_begin).into_iter().collect();
        self.encode_into(text, &mut tokens)?;
        if tokens.is_empty() {
            tokens.push(self.begin.or(self.end).unwrap_or(0));
        }
        Ok(tokens)
    }

    /// Tokens of a rendered conversation.
    pub(crate) fn encode_pieces(&self, pieces: &[Piece]) -> Result<Vec<u32>, String> {
        let mut tokens = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.encode_into(text, &mut tokens)?,
                Piece::Control(token) => tokens.push(*token),
            }
        }
        Ok(tokens)
    }

    /// Tokens of a text that goes on: nothing is put before it, and it may be empty.
    pub(crate) fn encode_plain(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut tokens = Vec::new();
        self.encode_into(text, &mut tokens)?;
        Ok(tokens)
    }

    fn encode_into(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), String> {
        let encoding = self.encoder.encode_fast(text, false).map_err(|e| e.to_string())?;
        tokens.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    /// The fewest tokens that so many bytes of text can have.
    pub(crate) fn fewest_tokens(&self, bytes: usize) -> usize {
        bytes / self.longest
    }

    /// A token's bytes; none for a control token.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        let end = |i: usize| self.ends.get(i).map_or(self.bytes.len(), |e| *e as usize);
        let start = if token == 0 { 0 } else { end(token as usize - 1) };
        &self.bytes[start..end(token as usize)]
    }

    /// A token for people to read: a control token by its name.
    pub(crate) fn show(&self, token: u32) -> String {
        let bytes = self.bytes(token);
        if bytes.is_empty() {
            return self.names.get(token as usize).cloned().unwrap_or_default();
        }
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether a token ends an answer.
    pub(crate) fn is_ending(&self, token: u32) -> bool {
        self.is_ending.get(token as usize).copied().unwrap_or(false)
    }

    /// The control tokens, by name.
    pub(crate) fn control(&self) -> &[(String, u32)] {
        &self.control
    }

    /// The names that chat templates know as `bos_token` and `eos_token`.
    pub(crate) fn borders(&self) -> (&str, &str) {
        let name = |token: Option<u32>| token.map_or("", |t| self.names[t as usize].as_str());
        (name(self.begin), name(self.end))
    }
}

/// How text is cut before merging, by the name that the file gives.
fn splitter(name: &str) -> Result<PreTokenizerWrapper, LoadError> {
    let words = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true));
    match name {
        "default" | "gpt-2" | "gpt2" => Ok(words),
        // Digits stand alone, the rest as in GPT-2.
        "smollm" | "starcoder" | "refact" | "command-r" => Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            words,
        ]))),
        other => Err(LoadError::Unsupported { what: format!("a tokenizer with the word rules `{other}`") }),
    }
}

fn encoder(names: &[String], merges: &[&str], splitter: PreTokenizerWrapper) -> Result<Tokenizer, LoadError> {
    let wrong = |merge: &str| LoadError::Tokenizer(format!("the merge `{merge}` is not two words"));
    let merges = merges
        .iter()
        .map(|m| m.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(|| wrong(m)))
        .collect::<Result<Vec<_>, _>>()?;
    let vocabulary: Vocab = names.iter().cloned().zip(0..).collect();
    let model =
        BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|e| LoadError::Tokenizer(e.to_string()))?;
    let mut encoder = Tokenizer::new(model);
    encoder.with_pre_tokenizer(Some(splitter));
    Ok(encoder)
}

/// Which byte each character of the byte-level alphabet stands for: printable Latin-1 for itself, the others in order
/// from U+0100.
fn alphabet() -> HashMap<char, u8> {
    let itself = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=255u8).filter(|b| !itself(*b)).zip(0x100u32..);
    let others = others.filter_map(|(b, c)| Some((char::from_u32(c)?, b)));
    (0..=255u8).filter(|b| itself(*b)).map(|b| (char::from(b), b)).chain(others).collect()
}

/// A name that is not wholly of the alphabet stands for itself.
fn spell(name: &str, alphabet: &HashMap<char, u8>, out: &mut Vec<u8>) {
    let start = out.len();
    for c in name.chars() {
        if let Some(byte) = alphabet.get(&c) {
            out.push(*byte);
        } else {
            out.truncate(start);
            out.extend_from_slice(name.as_bytes());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_covers_every_byte_once() {
        let alphabet = alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet.values().collect::<std::collections::HashSet<_>>().len(), 256);
        assert_eq!((alphabet[&'Ġ'], alphabet[&'Ċ'], alphabet[&'a']), (b' ', b'\n', b'a'));
    }

    #[test]
    fn names_are_spelled_in_bytes() {
        let mut out = Vec::new();
        spell("Ġcafé", &alphabet(), &mut out);
        assert_eq!(out, [b' ', b'c', b'a', b'f', 0xE9]);
        out.clear();
        spell("字", &alphabet(), &mut out);
        assert_eq!(out, "字".as_bytes());
    }
}
