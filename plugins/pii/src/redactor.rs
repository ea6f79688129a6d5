//! A text that comes in pieces, with personal data taken out. Owns what is held back: only what could still become a find, and
//! never more than [`crate::find::MOST_HELD`] bytes; whatever the pieces, what comes out is the same.

use crate::config::Config;
use crate::find::{Kind, Verdict, first};

/// One text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// What is held back.
    held: String,
    /// The letter before it.
    before: Option<char>,
    /// Of JSON, whether this is within a string.
    json: Option<bool>,
    /// What was taken out so far.
    found: Vec<Kind>,
}

impl Redactor {
    /// Of a text.
    #[must_use]
    pub fn text() -> Self {
        Self::default()
    }

    /// Of JSON, which stays JSON: escapes are whole, and what stands in the place of a number is a string.
    #[must_use]
    pub fn json() -> Self {
        Self { json: Some(false), ..Self::default() }
    }

    /// The next piece: what may go out by now.
    #[must_use]
    pub fn push(&mut self, config: &Config, piece: &str) -> String {
        self.held.push_str(piece);
        self.go(config, false)
    }

    /// The end: what was held back.
    #[must_use]
    pub fn end(&mut self, config: &Config) -> String {
        self.go(config, true)
    }

    /// What was taken out so far.
    #[must_use]
    pub fn found(&self) -> &[Kind] {
        &self.found
    }

    /// How much is held back, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn go(&mut self, config: &Config, is_end: bool) -> String {
        let buffer = std::mem::take(&mut self.held);
        let mut out = String::with_capacity(buffer.len());
        let mut at = 0;
        while let Some(letter) = buffer[at..].chars().next() {
            let rest = &buffer[at..];
            if let Some(is_inside) = self.json
                && (letter == '"' || (letter == '\\' && is_inside))
            {
                let Some(length) = escape(rest, is_end) else { break };
                if letter == '"' {
                    self.json = Some(!is_inside);
                }
                out.push_str(&rest[..length]);
                // What is behind an escape begins anew, as behind a space.
                (self.before, at) = (None, at + length);
                continue;
            }
            match first(&config.kinds, self.before, rest, is_end) {
                (Verdict::More, _) => break,
                (Verdict::Found(length), Some(kind)) => {
                    let found = &rest[..length];
                    if config.allows(kind, found) {
                        out.push_str(found);
                    } else {
                        let quote = if self.json == Some(false) { "\"" } else { "" };
                        out.extend([quote, config.replacement(kind), quote]);
                        self.found.push(kind);
                    }
                    (self.before, at) = (found.chars().next_back(), at + length);
                }
                _ => {
                    out.push(letter);
                    (self.before, at) = (Some(letter), at + letter.len_utf8());
                }
            }
        }
        buffer[at..].clone_into(&mut self.held);
        out
    }
}

/// How long a quote or an escape is; none where that is not there yet.
fn escape(rest: &str, is_end: bool) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let after = if rest.starts_with('"') {
        return Some(1);
    } else if let Some((_, kind)) = letters.next() {
        // \uXXXX, else one letter.
        if kind == 'u' {
            letters.nth(4).map(|(at, _)| at).or((rest.chars().count() == 6).then_some(rest.len()))
        } else {
            Some(1 + kind.len_utf8())
        }
    } else {
        None
    };
    after.or(is_end.then_some(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::MOST_HELD;
    use proptest::prelude::*;

    fn config() -> Config {
        Config::read("").expect("settings")
    }

    fn whole(mut redactor: Redactor, text: &str) -> String {
        let config = config();
        redactor.push(&config, text) + &redactor.end(&config)
    }

    #[test]
    fn a_find_across_deltas_is_found_and_the_rest_is_not_held() {
        let (config, mut redactor) = (config(), Redactor::text());
        assert_eq!(redactor.push(&config, "Write to max"), "Write to ");
        assert_eq!(redactor.push(&config, "@ex"), "");
        assert_eq!(redactor.push(&config, "ample.org, or call +49 30"), "[EMAIL], or call ");
        assert_eq!(redactor.push(&config, " 12345"), "");
        assert_eq!(redactor.push(&config, "678."), "");
        assert_eq!(redactor.end(&config), "[PHONE].");
        assert_eq!(redactor.found(), [Kind::Email, Kind::Phone]);
    }

    #[test]
    fn json_stays_json() {
        let cases = [
            (r#"{"mail":"max@example.org"}"#, r#"{"mail":"[EMAIL]"}"#),
            (r#"{"card": 4111111111111111, "n": 4}"#, r#"{"card": "[CARD]", "n": 4}"#),
            (r#"{"text":"one\nmax@example.org\t\u00e9x@y.de"}"#, r#"{"text":"one\n[EMAIL]\t\u00e9[EMAIL]"}"#),
            (r#"{"a":"\\","b":"::1"}"#, r#"{"a":"\\","b":"[IP]"}"#),
            (r#"{"a":"\""#, r#"{"a":"\""#),
            (r#"{"a":"\u00"#, r#"{"a":"\u00"#),
        ];
        for (text, expected) in cases {
            assert_eq!(whole(Redactor::json(), text), expected);
        }
    }

    /// Texts in which finds are common, and things that are nearly finds.
    fn texts() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "max@example.org",
            "a.b-c+d@sub.müller.de",
            "@",
            "x@y",
            "x@y.z-",
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "DE89 3704 0044 0532 0130 01",
            "4111 1111 1111 1111",
            "4111-1111-1111-1112",
            "378282246310005",
            "192.168.0.1",
            "1.2.3.4.5",
            "256.1.1.1",
            "fe80::1",
            "2001:db8::8a2e:370:7334",
            "::1",
            "12:30:45",
            "078-05-1120",
            "000-12-3456",
            "+49 (0)30 123 456-78",
            "(555) 234-5678",
            "555.234.5678",
            "0171/1234567",
            "01.02.2024",
            "2024-01-15 10:30",
            "1-800-555-1234",
            "0049 30 1234567",
            "hello",
            "é",
            "日本",
            " ",
            ".",
            ",",
            "-",
            "/",
            "(",
            ")",
            ":",
            "+",
            "0",
            "7",
            "12",
            "a",
            "'",
            "\"",
            "\\",
            "\\n",
            "\\u00e9",
            "\n",
            "_",
        ]);
        prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
    }

    fn split(text: &str, cuts: &[usize]) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (letters.len() + 1)).collect();
        cuts.extend([0, letters.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| letters[pair[0]..pair[1]].iter().collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_split_gives_the_same(text in texts(), cuts in prop::collection::vec(0usize..400, 0..20), is_json in any::<bool>()) {
            let config = config();
            let mut redactor = if is_json { Redactor::json() } else { Redactor::text() };
            let mut out = String::new();
            for piece in split(&text, &cuts) {
                out += &redactor.push(&config, &piece);
                prop_assert!(redactor.held() <= MOST_HELD);
            }
            out += &redactor.end(&config);
            prop_assert_eq!(redactor.held(), 0);
            let mut other = if is_json { Redactor::json() } else { Redactor::text() };
            let expected = other.push(&config, &text) + &other.end(&config);
            prop_assert_eq!(&out, &expected, "{:?}", text);
            prop_assert_eq!(redactor.found(), other.found());
            if !is_json {
                prop_assert_eq!(out, of_pieces(&config, &text));
            }
        }

        #[test]
        fn whatever_comes_little_is_held(text in "\\PC{0,2000}", noise in "[a-z0-9@.:+ -]{0,2000}") {
            let config = config();
            for text in [text, noise] {
                let mut redactor = Redactor::text();
                let mut out = String::new();
                for letter in text.chars() {
                    out += &redactor.push(&config, letter.encode_utf8(&mut [0; 4]));
                    prop_assert!(redactor.held() <= MOST_HELD, "{} bytes", redactor.held());
                }
                out += &redactor.end(&config);
                prop_assert_eq!(out, of_pieces(&config, &text));
            }
        }
    }

    fn of_pieces(config: &Config, text: &str) -> String {
        let pieces = crate::find::pieces(&config.kinds, text);
        pieces
            .into_iter()
            .map(|piece| match piece {
                crate::find::Piece::Text(text) => text.to_owned(),
                crate::find::Piece::Found(kind, _) => config.replacement(kind).to_owned(),
            })
            .collect()
    }
}
