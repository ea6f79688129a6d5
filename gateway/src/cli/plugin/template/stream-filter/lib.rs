//! Masks words of a list in a text that comes in pieces. Owns the search, what is held back and the settings; where the
//! texts come from is in `guest`.

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

/// The longest word that is waited for; what is longer goes out as it is.
const LONGEST: usize = 256;

/// Takes the next text of a stream and gives back what may go out of it. A word may be cut in two by deltas, so what
/// comes after the last blank or sign is held, until the next one or the end.
pub fn flow(held: &mut String, text: &str, words: &[String]) -> (String, u32) {
    held.push_str(text);
    let end = held.rfind(|c: char| !c.is_alphanumeric());
    let cut = end.map_or(0, |at| {
        at + held[at..].chars().next().map_or(0, char::len_utf8)
    });
    let cut = if held.len() - cut > LONGEST {
        held.len()
    } else {
        cut
    };
    let rest = held.split_off(cut);
    mask(&std::mem::replace(held, rest), words)
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
    fn a_word_that_is_cut_in_two_is_masked() {
        let (words, mut held, mut out) = (["tern".to_owned()], String::new(), String::new());
        for delta in ["a t", "er", "n, an", "d lantern"] {
            out.push_str(&flow(&mut held, delta, &words).0);
        }
        out.push_str(&mask(&held, &words).0);
        assert_eq!(out, "a [masked], and lantern");
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(flow(&mut String::new(), &long, &words).0, long);
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
