//! Words, sentences and pieces of texts, without a model. Owns how a text falls apart, and the share of an answer's words that
//! stand in passages.

use crate::ranked::count;
use std::collections::BTreeSet;

/// The words of a text in lower case: what is between all that is neither letter nor digit.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The sentences of a text, near enough: what is between line ends and `.`, `!`, `?` (and their East Asian forms) before a
/// space. Without a letter or a digit there is none.
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut ended) = (0, false);
    for (at, letter) in text.char_indices() {
        let ends_here = letter == '\n' || matches!(letter, '。' | '！' | '？');
        if (ended && letter.is_whitespace()) || ends_here {
            let to = at + if letter.is_whitespace() { 0 } else { letter.len_utf8() };
            found.push(&text[from..to]);
            from = at + letter.len_utf8();
        }
        ended = matches!(letter, '.' | '!' | '?');
    }
    found.push(&text[from..]);
    found.into_iter().map(str::trim).filter(|sentence| sentence.contains(char::is_alphanumeric)).collect()
}

/// As much of a text as has so many bytes.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A text in pieces of so many bytes at most: of whole sentences, but for such as are longer.
#[must_use]
pub fn pieces(text: &str, most: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for mut sentence in sentences(text) {
        while !sentence.is_empty() {
            let part = cut(sentence, most.max(4));
            sentence = &sentence[part.len()..];
            match pieces.last_mut() {
                Some(last) if last.len() + 1 + part.len() <= most => {
                    last.push(' ');
                    last.push_str(part);
                }
                _ => pieces.push(part.to_owned()),
            }
        }
    }
    pieces
}

/// The share of an answer's different words that stand in a passage. `None` where it has none, or there is no passage.
#[must_use]
pub fn support(answer: &str, passages: &[&str]) -> Option<f64> {
    let said: BTreeSet<String> = words(answer).collect();
    let known: BTreeSet<String> = passages.iter().flat_map(|passage| words(passage)).collect();
    let both = said.intersection(&known).count();
    (!said.is_empty() && !passages.is_empty()).then(|| count(both) / count(said.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_answer_stand_in_passages_or_not() {
        assert_eq!(support("Paris, since 987!", &["PARIS is the capital", "since when?"]), Some(2.0 / 3.0));
        assert_eq!((support("", &["a"]), support("a", &[]), support("a", &[""])), (None, None, Some(0.0)));
    }

    #[test]
    fn a_long_text_falls_into_pieces_of_its_sentences() {
        assert_eq!(pieces("One. Two. Three is longer. Four.", 10), ["One. Two.", "Three is l", "onger.", "Four."]);
        assert_eq!(pieces("One. Two.", 100), ["One. Two."]);
        assert_eq!(pieces("ääää", 4), ["ää", "ää"]);
        assert!(pieces(" . ", 10).is_empty());
    }

    #[test]
    fn a_text_falls_apart_at_its_stops() {
        assert_eq!(sentences("It is 3.5 m. Is it? Yes!\n- one\n\n…"), ["It is 3.5 m.", "Is it?", "Yes!", "- one"]);
        assert_eq!(sentences("日本。東京"), ["日本。", "東京"]);
        assert!(sentences(" \n. ").is_empty());
    }
}
