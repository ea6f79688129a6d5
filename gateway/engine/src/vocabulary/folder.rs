//! From `tokenizer.json` and the settings beside it to a vocabulary.

use super::spelling::Spelling;
use super::{Found, Vocabulary};
use crate::error::LoadError;
use serde_json::Value;
use std::collections::HashSet;
use tokenizers::Tokenizer;

/// Tokens that a file may number; more is damage.
const MOST_TOKENS: u32 = 1 << 22;

/// The files of a model folder that say how it reads and writes.
pub(crate) struct Settings<'a> {
    /// `tokenizer.json`.
    pub(crate) tokenizer: &'a [u8],
    /// `tokenizer_config.json`.
    pub(crate) tokenizer_config: &'a Value,
    /// `config.json`.
    pub(crate) config: &'a Value,
    /// `generation_config.json`.
    pub(crate) generation: &'a Value,
}

impl Vocabulary {
    /// Reads it from a model folder.
    pub(crate) fn of_folder(settings: &Settings<'_>) -> Result<Self, LoadError> {
        let failed = |e: tokenizers::Error| LoadError::Tokenizer(e.to_string());
        let json: Value =
            serde_json::from_slice(settings.tokenizer).map_err(|e| LoadError::Tokenizer(e.to_string()))?;
        let spelling = spelling(&json)?;
        let mut encoder = Tokenizer::from_bytes(settings.tokenizer).map_err(failed)?;
        encoder.with_padding(None);
        encoder.with_truncation(None).map_err(failed)?;
        // What a caller spells stays text.
        encoder.set_encode_special_tokens(true);
        let numbered = encoder.get_vocab(true);
        let count = numbered.values().max().map_or(0, |most| most.saturating_add(1));
        // Each token has a few bytes of the file, so a number beyond them is damage, and no reason to make room for it.
        if !(1..=MOST_TOKENS).contains(&count) || count as usize > settings.tokenizer.len() {
            return Err(LoadError::Tokenizer(format!("it numbers {count} tokens")));
        }
        let mut names = vec![String::new(); count as usize];
        for (name, id) in numbered {
            names[id as usize] = name;
        }
        let added = encoder.get_added_tokens_decoder();
        let control: HashSet<u32> = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        let id = |name: &str| encoder.token_to_id(name);
        let begin = named(settings.tokenizer_config, "bos_token").and_then(id);
        let end = named(settings.tokenizer_config, "eos_token").and_then(id);
        let endings = [settings.generation, settings.config].iter().flat_map(|v| ids(&v["eos_token_id"])).collect();
        // What names tokens that it does not have panics in the library, where another could be refused.
        let framed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| encoder.encode("a", true)));
        let wrong = |_| LoadError::Tokenizer("it puts tokens around a text that it does not have".into());
        let framed = framed.map_err(wrong)?.map_err(failed)?;
        let adds_begin = begin.is_some() && framed.get_ids().first().copied() == begin;
        // What was added stands for itself.
        let mut spelled = spelling.spell(&names, |id| added.contains_key(&id));
        for (id, token) in added.iter().filter(|(_, token)| !token.special) {
            if let Some(spelled) = spelled.get_mut(*id as usize) {
                *spelled = token.content.clone().into_bytes();
            }
        }
        Ok(Self::of(Found { encoder, names, spelled, control, begin, end, endings, adds_begin }))
    }
}

/// A token's name, as text or as an object with its content.
fn named<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    let value = &config[key];
    value.as_str().or_else(|| value["content"].as_str())
}

/// One number or several.
fn ids(value: &Value) -> Vec<u32> {
    let one = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok());
    match value {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// How the names spell, by the decoder that the file asks for.
fn spelling(json: &Value) -> Result<Spelling, LoadError> {
    let kind = json["model"]["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(LoadError::Unsupported {
            what: format!("a language model whose tokenizer is of the kind `{kind}`"),
        });
    }
    let decoder = &json["decoder"];
    let parts = match decoder["decoders"].as_array() {
        Some(parts) => parts.iter().collect(),
        None => vec![decoder],
    };
    let has = |name: &str| parts.iter().any(|part| part["type"] == name);
    if has("ByteLevel") {
        Ok(Spelling::ByteLevel)
    } else if has("ByteFallback") || has("Metaspace") {
        Ok(Spelling::Pieces)
    } else {
        Err(LoadError::Unsupported { what: "a tokenizer whose words are neither bytes nor pieces".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::SplitMix;
    use crate::vocabulary::Piece;
    use serde_json::json;

    /// A byte-level vocabulary of single letters with two control tokens and one that is always found.
    fn tokenizer() -> Vec<u8> {
        let added = |id: u32, content: &str, special: bool| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special});
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [added(7, "<s>", true), added(8, "<|im_end|>", true), added(9, "<think>", false)],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}}},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<": 4, "s": 5, ">": 6}, "merges": ["a b"]},
        })
        .to_string()
        .into_bytes()
    }

    fn read(tokenizer_config: &Value, generation: &Value) -> Vocabulary {
        let (tokenizer, config) = (tokenizer(), json!({}));
        Vocabulary::of_folder(&Settings { tokenizer: &tokenizer, tokenizer_config, config: &config, generation })
            .unwrap()
    }

    #[test]
    fn what_a_caller_spells_is_no_control_token() {
        let vocabulary = read(&json!({"bos_token": "<s>", "eos_token": {"content": "<|im_end|>"}}), &json!({}));
        assert_eq!(
            vocabulary.encode_text("ab <s>").unwrap(),
            [7, 2, 3, 4, 5, 6],
            "only the first is the control token"
        );
        assert_eq!(vocabulary.encode_pieces(&[Piece::Control(8), Piece::Text("<think>a".into())]).unwrap(), [8, 9, 0]);
        assert_eq!(
            (vocabulary.bytes(3), vocabulary.bytes(9), vocabulary.bytes(8)),
            (&b" "[..], &b"<think>"[..], &b""[..])
        );
        assert_eq!(vocabulary.borders(), ("<s>", "<|im_end|>"));
        assert!(vocabulary.is_ending(8) && !vocabulary.is_ending(9));
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_and_takes_no_more_room_than_it_has_bytes() {
        let (sound, mut numbers) = (tokenizer(), SplitMix(11));
        let mut below = |n: usize| usize::try_from(numbers.next() % n as u64).unwrap();
        let (none, mut read) = (json!({}), 0);
        for _ in 0..20_000 {
            let mut bytes = sound.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                bytes[at] = b"\"\\{}[]:,0179etfnul -"[below(20)];
            }
            if below(5) == 0 {
                bytes.truncate(below(bytes.len()));
            }
            let settings = Settings { tokenizer: &bytes, tokenizer_config: &none, config: &none, generation: &none };
            if let Ok(vocabulary) = Vocabulary::of_folder(&settings) {
                read += 1;
                assert!(vocabulary.len() <= bytes.len());
                // Whatever it makes of a text, it makes tokens that it knows.
                for token in vocabulary.encode_text("ab <s> a\u{e4}").unwrap_or_default() {
                    assert!((token as usize) < vocabulary.len(), "{token} of {}", vocabulary.len());
                }
            }
        }
        assert!(read > 1000, "{read}: what is damaged is hardly looked at");
        let far = String::from_utf8(sound).unwrap().replace("\"ab\":2", "\"ab\":4000000");
        let settings =
            Settings { tokenizer: far.as_bytes(), tokenizer_config: &none, config: &none, generation: &none };
        assert!(Vocabulary::of_folder(&settings).err().unwrap().to_string().contains("numbers 4000001 tokens"));
    }

    #[test]
    fn endings_of_the_generation_settings_count() {
        let vocabulary = read(&json!({}), &json!({"eos_token_id": [2, 9999]}));
        assert!(vocabulary.is_ending(2) && vocabulary.is_ending(8));
        assert_eq!(vocabulary.encode_text("ab").unwrap(), [2], "without a name for it, nothing is put before a text");
    }
}
