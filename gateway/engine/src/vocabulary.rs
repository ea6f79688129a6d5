//! The tokenizer of a model: text to tokens, tokens to bytes. Where it is read from is `vocabulary/`'s. Control tokens
//! are never found in text: only `template`'s own pieces become them.

mod folder;
mod gguf;
mod names;
mod spelling;
mod words;

pub(crate) use folder::Settings;

use names::Names;
use std::collections::HashSet;
use tokenizers::Tokenizer;

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
    names: Names,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    control: Vec<(String, u32)>,
    is_ending: Vec<bool>,
    begin: Option<u32>,
    end: Option<u32>,
    adds_begin: bool,
    longest: usize,
}

/// What a format's reader found.
struct Found {
    encoder: Tokenizer,
    names: Vec<String>,
    /// The bytes of each name, none for control tokens.
    spelled: Vec<Vec<u8>>,
    control: HashSet<u32>,
    begin: Option<u32>,
    end: Option<u32>,
    /// What else ends an answer.
    endings: Vec<u32>,
    adds_begin: bool,
}

impl Vocabulary {
    fn of(found: Found) -> Self {
        let Found { encoder, names, spelled, control, begin, end, endings, adds_begin } = found;
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(names.len()));
        for word in &spelled {
            bytes.extend_from_slice(word);
            ends.push(bytes.len() as u32);
        }
        let longest = spelled.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let numbered = (0u32..).zip(&names).filter(|(id, _)| control.contains(id));
        let control: Vec<(String, u32)> = numbered.map(|(id, name)| (name.clone(), id)).collect();
        let mut is_ending = vec![false; names.len()];
        let named = control.iter().filter(|(name, _)| ENDINGS.contains(&name.as_str())).map(|(_, id)| *id);
        for id in named.chain(end).chain(endings) {
            if let Some(is_ending) = is_ending.get_mut(id as usize) {
                *is_ending = true;
            }
        }
        bytes.shrink_to_fit();
        let names = Names::of(&names);
        Self { encoder, names, bytes, ends, control, is_ending, begin, end, adds_begin, longest }
    }

    /// 256 tokens of a byte each, then `<|im_end|>`, for tests without a model file.
    #[cfg(test)]
    pub(crate) fn of_bytes() -> Self {
        let mut names = vec![String::new(); 256];
        for (c, b) in &spelling::alphabet() {
            names[*b as usize] = c.to_string();
        }
        names.push("<|im_end|>".into());
        let encoder = words::byte_level(&names, &[], words::splitter("gpt-2").unwrap(), false).unwrap();
        let spelled = (0..=255).map(|b| vec![b]).chain([Vec::new()]).collect();
        let (control, end) = (HashSet::from([256]), Some(256));
        Self::of(Found { encoder, names, spelled, control, begin: None, end, endings: Vec::new(), adds_begin: false })
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
            return self.names.get(token as usize).unwrap_or_default().to_owned();
        }
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether a token ends an answer.
    pub(crate) fn is_ending(&self, token: u32) -> bool {
        self.is_ending.get(token as usize).copied().unwrap_or(false)
    }

    /// The token that ends a text, where there is one.
    pub(crate) fn end(&self) -> Option<u32> {
        self.end
    }

    /// The control tokens, by name.
    pub(crate) fn control(&self) -> &[(String, u32)] {
        &self.control
    }

    /// The names that chat templates know as `bos_token` and `eos_token`.
    pub(crate) fn borders(&self) -> (&str, &str) {
        let name = |token: Option<u32>| token.and_then(|t| self.names.get(t as usize)).unwrap_or_default();
        (name(self.begin), name(self.end))
    }
}
