//! Encoders from words and merges: how text is cut into words, by the names that GGUF files have for it, and the two
//! kinds of byte-pair encoding.

use crate::error::LoadError;
use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Llama 3's words: up to three digits together.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's: each digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's from Nemo on: words cut where capitals begin.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How text is cut before merging, by the name that a GGUF file gives.
pub(super) fn splitter(name: &str) -> Result<PreTokenizerWrapper, LoadError> {
    let words = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true));
    let pattern = match name {
        "default" | "gpt-2" | "gpt2" => return Ok(words),
        // Digits stand alone, the rest as in GPT-2.
        "smollm" | "starcoder" | "refact" | "command-r" => {
            let digits = PreTokenizerWrapper::Digits(Digits::new(true));
            return Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![digits, words])));
        }
        "llama3" | "llama-v3" | "llama-bpe" => LLAMA3,
        "qwen2" | "deepseek-r1-qwen" => QWEN2,
        "tekken" => TEKKEN,
        other => return Err(LoadError::Unsupported { what: format!("a tokenizer with the word rules `{other}`") }),
    };
    let pattern = SplitPattern::Regex(pattern.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
    let split = PreTokenizerWrapper::Split(split.map_err(|e| LoadError::Tokenizer(e.to_string()))?);
    let bytes = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false));
    Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![split, bytes])))
}

/// Byte-level merges in the file's order. With `whole_words` a word that is a token is not merged at all (Llama 3).
pub(super) fn byte_level(
    names: &[String],
    merges: &[String],
    splitter: PreTokenizerWrapper,
    whole_words: bool,
) -> Result<Tokenizer, LoadError> {
    let wrong = |merge: &str| LoadError::Tokenizer(format!("the merge `{merge}` is not two words"));
    let merges = merges
        .iter()
        .map(|m| m.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(|| wrong(m)))
        .collect::<Result<Merges, _>>()?;
    let vocabulary: Vocab = names.iter().cloned().zip(0..).collect();
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(whole_words);
    let mut encoder = Tokenizer::new(model.build().map_err(|e| LoadError::Tokenizer(e.to_string()))?);
    encoder.with_pre_tokenizer(Some(splitter));
    Ok(encoder)
}

/// SentencePiece's: pairs that make a token of a higher score are merged first, and what is no token falls to bytes.
pub(super) fn pieces(names: &[String], scores: &[f32], adds_space: bool) -> Result<Tokenizer, LoadError> {
    let failed = |e: tokenizers::Error| LoadError::Tokenizer(e.to_string());
    let vocabulary: Vocab = names.iter().cloned().zip(0..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges(names, scores))
        .unk_token("<unk>".into())
        .fuse_unk(true)
        .byte_fallback(true)
        .build()
        .map_err(failed)?;
    let mut encoder = Tokenizer::new(model);
    let spaces = NormalizerWrapper::Replace(Replace::new(" ", "▁").map_err(failed)?);
    let first = adds_space.then(|| NormalizerWrapper::Prepend(Prepend::new("▁".into())));
    let all: Vec<_> = first.into_iter().chain([spaces]).collect();
    encoder.with_normalizer(Some(Normalizers::new(all)));
    Ok(encoder)
}

/// All ways to make a token of two others, the likeliest token first, and of one token by the order of its parts.
fn merges(names: &[String], scores: &[f32]) -> Merges {
    let ids: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let mut found: Vec<(usize, usize, usize)> = Vec::new();
    for (whole, name) in names.iter().enumerate() {
        for (cut, _) in name.char_indices().skip(1) {
            let (left, right) = name.split_at(cut);
            if let (Some(left), Some(right)) = (ids.get(left), ids.get(right)) {
                found.push((whole, *left, *right));
            }
        }
    }
    let score = |token: usize| scores.get(token).copied().unwrap_or(0.0);
    found.sort_by(|a, b| score(b.0).total_cmp(&score(a.0)).then(a.cmp(b)));
    found.into_iter().map(|(_, left, right)| (names[left].clone(), names[right].clone())).collect()
}

/// Makes tokens that are always found in text, whatever is around them. Those with spaces are looked for where spaces
/// have become `▁`.
pub(super) fn always(encoder: &mut Tokenizer, names: impl IntoIterator<Item = String>) {
    let token = |name: String| {
        let spaced = name.contains('▁');
        AddedToken::from(name, false).normalized(spaced)
    };
    let tokens: Vec<AddedToken> = names.into_iter().map(token).collect();
    encoder.add_tokens(&tokens);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(encoder: &Tokenizer, text: &str) -> Vec<String> {
        encoder.encode_fast(text, false).unwrap().get_ids().iter().map(|id| encoder.id_to_token(*id).unwrap()).collect()
    }

    #[test]
    fn the_likelier_piece_is_merged_first() {
        let names = ["<unk>", "<0x0A>", "▁", "a", "b", "c", "ab", "bc", "abc", "▁a"].map(str::to_owned);
        let scores = |ab, bc| [0.0, 0.0, -9.0, -9.0, -9.0, -9.0, ab, bc, -5.0, -6.0];
        let encoder = |ab, bc| pieces(&names, &scores(ab, bc), false).unwrap();
        assert_eq!(cut(&encoder(-1.0, -2.0), "abcbc"), ["abc", "bc"]);
        assert_eq!(cut(&encoder(-9.0, -2.0), "abbc a"), ["ab", "bc", "▁a"]);
        assert_eq!(cut(&encoder(-1.0, -2.0), "a\nb"), ["a", "<0x0A>", "b"]);
        let spaced = pieces(&names, &scores(-1.0, -2.0), true).unwrap();
        assert_eq!(cut(&spaced, "a a"), ["▁a", "▁a"]);
    }

    #[test]
    fn words_are_cut_by_each_rule() {
        use tokenizers::tokenizer::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
        let words = |rule: &str, text: &str| -> Vec<String> {
            let mut string = PreTokenizedString::from(text);
            splitter(rule).unwrap().pre_tokenize(&mut string).unwrap();
            let splits = string.get_splits(OffsetReferential::Original, OffsetType::Byte);
            splits.into_iter().map(|(_, (a, b), _)| text[a..b].to_owned()).collect()
        };
        assert_eq!(words("llama-bpe", "It's 12345, OK"), ["It", "'s", " ", "123", "45", ",", " OK"]);
        assert_eq!(words("qwen2", "a 12\n\nB"), ["a", " ", "1", "2", "\n\n", "B"]);
        assert_eq!(words("tekken", "helloWorld 1"), ["hello", "World", " ", "1"]);
        assert_eq!(words("smollm", "a 12"), ["a", " ", "1", "2"]);
        assert!(splitter("made-up").is_err());
    }
}
