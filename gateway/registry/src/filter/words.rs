//! A filter as words: names, operators, quoted texts, numbers and brackets. Owns quoting.

use crate::fault::RegistryFault;

/// One word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A key or a keyword; quoted parts of it keep their quotes.
    Name(String),
    /// A quoted text, without its quotes.
    Text(String),
    /// A number, as it stands.
    Number(String),
    Operator(&'static str),
    Open,
    Close,
    Comma,
}

/// The longest filter that is read.
const LONGEST: usize = 64 * 1024;

/// The words of a filter, to be taken one by one.
#[derive(Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    /// Each with where it begins and ends.
    words: Vec<(Word, std::ops::Range<usize>)>,
    next: usize,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, RegistryFault> {
        if text.len() > LONGEST {
            return Err(RegistryFault::invalid("Invalid filter string: it is longer than 64 KiB."));
        }
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            let (word, length) = one(&text[at..]).ok_or_else(|| {
                RegistryFault::invalid(format!("Invalid clause(s) in filter string: {}", &text[at..]))
            })?;
            words.push((word, at..at + length));
            at += length;
        }
        Ok(Self { text, words, next: 0 })
    }

    pub(super) const fn is_done(&self) -> bool {
        self.next >= self.words.len()
    }

    /// Where the next word stands among all.
    pub(super) const fn place(&self) -> usize {
        self.next
    }

    /// Gives back what was taken since `place`.
    pub(super) const fn back_to(&mut self, place: usize) {
        self.next = place;
    }

    /// What was taken since `place`, as it stands.
    pub(super) fn since(&self, place: usize) -> &'a str {
        let taken = self.words.get(place..self.next).unwrap_or_default();
        match (taken.first(), taken.last()) {
            (Some((_, first)), Some((_, last))) => &self.text[first.start..last.end],
            _ => "",
        }
    }

    pub(super) fn take(&mut self) -> Option<Word> {
        let (word, _) = self.words.get(self.next)?;
        self.next += 1;
        Some(word.clone())
    }

    /// Takes one word, or all between brackets.
    pub(super) fn take_piece(&mut self) {
        let opens = matches!(self.words.get(self.next), Some((Word::Open, _)));
        let end = self.words.iter().skip(self.next).position(|(word, _)| *word == Word::Close);
        self.next += 1 + end.filter(|_| opens).unwrap_or(0);
    }

    /// Takes this keyword, in any case, if it comes next.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let is_next =
            matches!(self.words.get(self.next), Some((Word::Name(name), _)) if name.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_next);
        is_next
    }
}

/// The word at the start of `text`, and its length.
fn one(text: &str) -> Option<(Word, usize)> {
    for operator in ["<=", ">=", "!=", "<>", "==", "=", "<", ">"] {
        if text.starts_with(operator) {
            return Some((Word::Operator(operator), operator.len()));
        }
    }
    match text.chars().next()? {
        '(' => Some((Word::Open, 1)),
        ')' => Some((Word::Close, 1)),
        ',' => Some((Word::Comma, 1)),
        quote @ ('\'' | '"') => {
            let end = closing(&text[1..], quote)?;
            let inner = text[1..=end].replace(&format!("{quote}{quote}"), &quote.to_string());
            Some((Word::Text(inner), end + 2))
        }
        c if c.is_ascii_digit() || c == '-' || c == '+' => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(text.len());
            Some((Word::Number(text[..end].to_owned()), end))
        }
        c if c.is_alphanumeric() || c == '_' || c == '`' => name(text),
        _ => None,
    }
}

/// A name with dots, of which parts may be quoted by backticks or double quotes.
fn name(text: &str) -> Option<(Word, usize)> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '`' | '"' => at += 1 + closing(&text[at + 1..], c)? + 1,
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/') => at += c.len_utf8(),
            _ => break,
        }
    }
    Some((Word::Name(text[..at].to_owned()), at))
}

/// Where the quote closes; a doubled one stands for itself.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(quote)?;
        if quote == '`' || !text[at + 1..].starts_with(quote) {
            return Some(at);
        }
        at += 2;
    }
}
