//! Masks words of a list in a text. Owns the search and its settings; where the texts come from is in `guest`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The words that are looked for, in whatever case.
    pub words: Vec<String>,
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let mut config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for word in &mut config.words {
            if word.is_empty() || !word.chars().all(char::is_alphanumeric) {
                return Err(format!("`words`: `{word}` is no single word"));
            }
            *word = word.to_lowercase();
        }
        Ok(config)
    }
}

/// A text with `[masked]` in the place of each of the words, and how many there were.
pub fn mask(text: &str, words: &[String]) -> (String, u32) {
    let (mut masked, mut count) = (String::with_capacity(text.len()), 0);
    for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        if words.contains(&word.to_lowercase()) {
            count += 1;
            masked.push_str("[masked]");
            masked.push_str(&piece[word.len()..]);
        } else {
            masked.push_str(piece);
        }
    }
    (masked, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_masked() {
        let words = ["tern".to_owned()];
        assert_eq!(
            mask("Tern, lantern; TERN!", &words),
            ("[masked], lantern; [masked]!".to_owned(), 2)
        );
        assert_eq!(mask("", &words), (String::new(), 0));
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            Config::read(r#"{"words": ["Tern"]}"#).unwrap().words,
            ["tern"]
        );
        assert!(
            Config::read(r#"{"words": ["two words"]}"#).is_err()
                && Config::read(r#"{"word": []}"#).is_err()
        );
    }
}
