//! Tells the calls in an answer from its text, as it comes in. Reads only what the grammar of `calls` lets a model
//! write, so it never has to guess; an answer that was cut short gives what it had.

use super::calls::CallStyle;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Text.
    Text(String),
    /// A call begins.
    Call {
        /// Which of the answer's calls.
        index: usize,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    Arguments {
        /// Which call's.
        index: usize,
        /// JSON as text.
        text: String,
    },
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In text, or before a call.
    Text,
    /// Between a call's opening and its arguments.
    Head,
    /// In the arguments.
    Arguments { depth: usize, quoted: bool, escaped: bool },
    /// Behind the arguments, before the end of the call.
    Tail,
    /// Behind a call.
    Between,
    /// No call can come any more.
    Over,
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct CallReader {
    style: CallStyle,
    at: At,
    held: String,
    calls: usize,
}

impl CallReader {
    pub(crate) const fn new(style: CallStyle) -> Self {
        Self { style, at: At::Text, held: String::new(), calls: 0 }
    }

    /// Whether a call has begun.
    pub(crate) const fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Takes more of the answer.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Heard> {
        self.held.push_str(text);
        let mut heard = Vec::new();
        while self.step(&mut heard) {}
        heard
    }

    /// The rest of an answer that has ended.
    pub(crate) fn finish(&mut self) -> Option<Heard> {
        let rest = std::mem::take(&mut self.held);
        (matches!(self.at, At::Text | At::Over) && !rest.is_empty()).then_some(Heard::Text(rest))
    }

    /// One part; false when more must come first.
    fn step(&mut self, heard: &mut Vec<Heard>) -> bool {
        match self.at {
            At::Text => self.text(heard),
            At::Head => self.head(heard),
            At::Arguments { depth, quoted, escaped } => self.arguments(depth, quoted, escaped, heard),
            At::Tail => self.skip_to(self.style.closing(), At::Between),
            At::Between if self.style == CallStyle::Tagged => self.skip_to(self.style.opening(), At::Head),
            At::Between => false,
            At::Over => {
                let text = std::mem::take(&mut self.held);
                if !text.is_empty() {
                    heard.push(Heard::Text(text));
                }
                false
            }
        }
    }

    fn text(&mut self, heard: &mut Vec<Heard>) -> bool {
        let opening = self.style.opening();
        if self.style == CallStyle::Bare {
            // A call is the whole answer, or there is none.
            self.at = match self.held.strip_prefix(opening) {
                Some(rest) => {
                    self.held = rest.to_owned();
                    At::Head
                }
                None if self.held.is_empty() => return false,
                None => At::Over,
            };
            return true;
        }
        if let Some(found) = self.held.find(opening) {
            if found > 0 {
                heard.push(Heard::Text(self.held[..found].to_owned()));
            }
            self.held.drain(..found + opening.len());
            self.at = At::Head;
            return true;
        }
        let keep = (1..opening.len()).rev().find(|n| self.held.ends_with(&opening[..*n])).unwrap_or(0);
        let text: String = self.held.drain(..self.held.len() - keep).collect();
        if !text.is_empty() {
            heard.push(Heard::Text(text));
        }
        false
    }

    fn head(&mut self, heard: &mut Vec<Heard>) -> bool {
        let Some(rest) = self.held.strip_prefix(self.style.before_name()) else { return false };
        let Some(end) = rest.find(self.style.before_arguments()) else { return false };
        let name = rest[..end].to_owned();
        self.held.drain(..self.style.before_name().len() + end + self.style.before_arguments().len());
        heard.push(Heard::Call { index: self.calls, name });
        self.calls += 1;
        self.at = At::Arguments { depth: 0, quoted: false, escaped: false };
        true
    }

    fn arguments(&mut self, mut depth: usize, mut quoted: bool, mut escaped: bool, heard: &mut Vec<Heard>) -> bool {
        let mut end = None;
        for (i, byte) in self.held.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && byte == b'}' && !quoted {
                end = Some(i + 1);
                break;
            }
        }
        let text: String = self.held.drain(..end.unwrap_or(self.held.len())).collect();
        if !text.is_empty() {
            heard.push(Heard::Arguments { index: self.calls - 1, text });
        }
        self.at = if end.is_some() { At::Tail } else { At::Arguments { depth, quoted, escaped } };
        end.is_some()
    }

    fn skip_to(&mut self, mark: &str, next: At) -> bool {
        let Some(found) = self.held.find(mark) else { return false };
        self.held.drain(..found + mark.len());
        self.at = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(style: CallStyle, parts: &[&str]) -> Vec<Heard> {
        let mut reader = CallReader::new(style);
        let mut all: Vec<Heard> = Vec::new();
        let heard = parts.iter().flat_map(|part| reader.push(part)).collect::<Vec<_>>();
        for part in heard.into_iter().chain(reader.finish()) {
            match (all.last_mut(), part) {
                (Some(Heard::Text(text)), Heard::Text(more)) => text.push_str(&more),
                (Some(Heard::Arguments { text, .. }), Heard::Arguments { text: more, .. }) => text.push_str(&more),
                (_, part) => all.push(part),
            }
        }
        all
    }

    const TWO: &str = "Let me <see>.<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"{\", \"b\": [{}]}}\n</tool_call>\n\
        <tool_call>\n{\"name\": \"g-2\", \"arguments\": {}}\n</tool_call>";

    fn two() -> Vec<Heard> {
        vec![
            Heard::Text("Let me <see>.".into()),
            Heard::Call { index: 0, name: "f".into() },
            Heard::Arguments { index: 0, text: "{\"a\": \"}\\\"{\", \"b\": [{}]}".into() },
            Heard::Call { index: 1, name: "g-2".into() },
            Heard::Arguments { index: 1, text: "{}".into() },
        ]
    }

    #[test]
    fn text_without_calls_is_text() {
        assert_eq!(read(CallStyle::Tagged, &["a <tool", "_cal <tool_c"]), [Heard::Text("a <tool_cal <tool_c".into())]);
        assert_eq!(read(CallStyle::Bare, &["so {", "\"name\""]), [Heard::Text("so {\"name\"".into())]);
    }

    #[test]
    fn a_bare_call_is_the_whole_answer() {
        let call = "{\"name\": \"f\", \"parameters\": {\"x\": {\"y\": 1}}}";
        let expected = [
            Heard::Call { index: 0, name: "f".into() },
            Heard::Arguments { index: 0, text: "{\"x\": {\"y\": 1}}".into() },
        ];
        assert_eq!(read(CallStyle::Bare, &[call]), expected);
    }

    #[test]
    fn a_call_that_is_cut_gives_what_it_had() {
        let cut = read(CallStyle::Tagged, &["<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x"]);
        assert_eq!(cut[1], Heard::Arguments { index: 0, text: "{\"a\": \"x".into() });
        assert_eq!(read(CallStyle::Tagged, &["<tool_call>\n{\"na"]), []);
    }

    proptest! {
        #[test]
        fn any_cut_reads_the_same(cuts in prop::collection::vec(1usize..9, 0..60)) {
            let (mut parts, mut rest) = (Vec::new(), TWO);
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = left;
            }
            parts.push(rest);
            prop_assert_eq!(read(CallStyle::Tagged, &parts), two());
        }
    }
}
