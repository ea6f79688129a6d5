//! Which words of a list stand in what a caller wrote. Owns the search and its settings; what is done about them is in
//! `guest`.

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

/// How many of the words stand in a text.
pub fn count(text: &str, words: &[String]) -> usize {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| words.contains(&word.to_lowercase()))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_counted() {
        assert_eq!(count("Tern, lantern; TERN!", &["tern".to_owned()]), 2);
        assert_eq!(count("", &["tern".to_owned()]), 0);
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
