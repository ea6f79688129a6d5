//! Keeps control tokens that a caller spelled from becoming control tokens: a mark that occurs nowhere in the
//! conversation is put inside each, and taken out again after the rendered text was cut.
//!
//! Only texts that spell a control token, or end in the beginning of one, are changed at all, so that a template's own
//! trimming, splitting and comparing works on the caller's very words in all other cases.

/// The mark of one conversation.
pub(super) struct Guard {
    mark: char,
    names: Vec<String>,
}

impl Guard {
    /// Finds a mark: a private-use character that no text has.
    pub(super) fn new<'a>(names: &[&str], texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let private = |c: &char| matches!(*c, '\u{E000}'..='\u{F8FF}');
        let taken: std::collections::HashSet<char> = texts.flat_map(|t| t.chars().filter(private)).collect();
        let mark = ('\u{E000}'..='\u{F8FF}').find(|c| !taken.contains(c))?;
        Some(Self { mark, names: names.iter().map(|n| (*n).to_owned()).collect() })
    }

    /// A caller's text, marked where needed.
    pub(super) fn keep(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (i, c) in text.char_indices() {
            out.push(c);
            if self.begins(&text[i..]) {
                out.push(self.mark);
            }
        }
        out
    }

    /// Whether a control token, or the beginning of one that runs off the end, is spelled here.
    fn begins(&self, text: &str) -> bool {
        self.names.iter().any(|name| text.starts_with(name.as_str()) || name.starts_with(text))
    }

    /// A rendered text as the caller wrote it.
    pub(super) fn release(&self, text: &str) -> String {
        text.replace(self.mark, "")
    }
}
