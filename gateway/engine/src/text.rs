//! From tokens' bytes to text that may be sent: whole characters only, and nothing that might yet turn out to begin a
//! stop text.

use crate::generation::TokenLogprob;
use std::collections::VecDeque;

/// The text of one answer while it grows.
#[derive(Default)]
pub(crate) struct TextStream {
    stops: Vec<String>,
    /// From this text on none of them ends the answer.
    shield: Option<&'static str>,
    /// Bytes of a character that is not complete.
    partial: Vec<u8>,
    /// Text that may still begin a stop text.
    held: String,
    /// Bytes of text sent.
    sent: usize,
    /// Tokens not sent, with the byte at which they begin.
    waiting: VecDeque<(usize, TokenLogprob)>,
}

/// What may be sent now.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Delta {
    /// Whole characters.
    pub(crate) text: String,
    /// The tokens that begin in it.
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Whether a stop text was met: the answer ends here.
    pub(crate) stopped: bool,
}

impl TextStream {
    /// A stream that ends at any of these texts.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops, ..Self::default() }
    }

    /// The same, but from this text on nothing stops it: a call of a tool is not to be cut.
    pub(crate) fn shielded(mut self, shield: Option<&'static str>) -> Self {
        self.shield = shield;
        self
    }

    /// Takes a token.
    pub(crate) fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> Delta {
        if let Some(logprob) = logprob {
            self.waiting.push_back((self.sent + self.held.len(), logprob));
        }
        self.partial.extend_from_slice(bytes);
        self.decode(false);
        let stop = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        let shield = self.shield.and_then(|shield| self.held.find(shield));
        if shield.is_some_and(|at| stop.is_none_or(|stop| at <= stop)) {
            self.stops.clear();
            self.shield = None;
        } else if let Some(at) = stop {
            self.held.truncate(at);
            self.partial.clear();
            return Delta { stopped: true, ..self.send(at) };
        }
        let marks = self.stops.iter().map(String::as_str).chain(self.shield.filter(|_| !self.stops.is_empty()));
        let keep = marks.map(|mark| overlap(&self.held, mark)).max().unwrap_or(0);
        self.send(self.held.len() - keep)
    }

    /// The rest, when the answer ended in another way than by a stop text.
    pub(crate) fn finish(&mut self) -> Delta {
        self.decode(true);
        let mut delta = self.send(self.held.len());
        delta.logprobs.extend(self.waiting.drain(..).map(|(_, logprob)| logprob));
        delta
    }

    /// Moves whole characters from `partial` to `held`; bytes that are none become U+FFFD.
    fn decode(&mut self, end: bool) {
        loop {
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    self.held.push_str(text);
                    return self.partial.clear();
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    self.held.push_str(std::str::from_utf8(&self.partial[..good]).unwrap_or_default());
                    let bad = match error.error_len() {
                        Some(bad) => bad,
                        None if end => self.partial.len() - good,
                        None => return drop(self.partial.drain(..good)),
                    };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    self.partial.drain(..good + bad);
                }
            }
        }
    }

    fn send(&mut self, count: usize) -> Delta {
        let text: String = self.held.drain(..count).collect();
        self.sent += text.len();
        let ready = self.waiting.iter().take_while(|(start, _)| *start < self.sent).count();
        let logprobs = self.waiting.drain(..ready).map(|(_, logprob)| logprob).collect();
        Delta { text, logprobs, stopped: false }
    }
}

/// The longest end of `text` that begins `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most).rev().find(|n| text.as_bytes().ends_with(&stop.as_bytes()[..*n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (String, bool) {
        let mut stream = TextStream::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut text = String::new();
        for token in tokens {
            let delta = stream.push(token, None);
            text.push_str(&delta.text);
            if delta.stopped {
                return (text, true);
            }
        }
        text.push_str(&stream.finish().text);
        (text, false)
    }

    fn logprob(id: u32) -> Option<TokenLogprob> {
        Some(TokenLogprob { token: String::new(), id, bytes: Vec::new(), logprob: -1.0, top: Vec::new() })
    }

    #[test]
    fn stop_texts_are_found_over_token_borders() {
        assert_eq!(run(&["END"], &[b"abcE", b"N", b"Dxyz"]), ("abc".into(), true));
        assert_eq!(run(&["END"], &[b"abcE", b"N", b"x"]), ("abcENx".into(), false));
        assert_eq!(run(&["aab"], &[b"aaa", b"b"]), ("a".into(), true));
        assert_eq!(run(&["zz", "b"], &[b"abzz"]), ("a".into(), true));
        assert_eq!(run(&["é"], &[b"caf\xC3", b"\xA9!"]), ("caf".into(), true));
    }

    #[test]
    fn held_text_is_sent_as_soon_as_it_cannot_stop() {
        let mut stream = TextStream::new(vec!["END".into()]);
        assert_eq!(stream.push(b"xEN", logprob(1)).text, "x");
        let delta = stream.push(b"d", logprob(2));
        assert_eq!((delta.text.as_str(), delta.logprobs.len()), ("ENd", 1));
    }

    #[test]
    fn tokens_of_the_stop_text_are_not_listed() {
        let mut stream = TextStream::new(vec!["END".into()]);
        assert_eq!(stream.push(b"xE", logprob(1)).logprobs.len(), 1);
        let last = stream.push(b"ND", logprob(2));
        assert!(last.stopped && last.logprobs.is_empty() && last.text.is_empty());
    }

    #[test]
    fn broken_characters_are_replaced_only_when_certain() {
        assert_eq!(run(&[], &[b"\xF0\x9F", b"\x98\x80"]), ("😀".into(), false));
        assert_eq!(run(&[], &[b"\xF0\x9F", b"a"]), ("\u{FFFD}a".into(), false));
        assert_eq!(run(&[], &[b"a\xE2\x82"]), ("a\u{FFFD}".into(), false));
    }

    #[test]
    fn behind_a_shield_nothing_stops() {
        let run = |shield, tokens: &[&[u8]]| {
            let mut stream = TextStream::new(vec!["END".into()]).shielded(Some(shield));
            let mut text = String::new();
            for token in tokens {
                let delta = stream.push(token, None);
                text.push_str(&delta.text);
                if delta.stopped {
                    return text + "|";
                }
            }
            text + &stream.finish().text
        };
        assert_eq!(run("<call>", &[b"a<ca", b"ll>END", b"END"]), "a<call>ENDEND");
        assert_eq!(run("<call>", &[b"aEND<ca", b"ll>END"]), "a|");
        assert_eq!(run("<call>", &[b"a<caEND"]), "a<ca|");
        assert_eq!(run("", &[b"aEND"]), "aEND");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_text(text in "[aAbé😀EN]{0,40}", cuts in prop::collection::vec(1usize..4, 0..40)) {
            let mut tokens: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (token, left) = rest.split_at(cut.min(rest.len()));
                tokens.push(token);
                rest = left;
            }
            tokens.push(rest);
            let found = ["ab", "😀E"].iter().filter_map(|stop| text.find(stop)).min();
            let expected = found.map_or(text.clone(), |at| text[..at].to_owned());
            prop_assert_eq!(run(&["ab", "😀E"], &tokens), (expected, found.is_some()));
        }
    }
}
