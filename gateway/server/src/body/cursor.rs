//! A strict JSON reader over bytes that are known to be UTF-8. Owns the grammar (RFC 8259), the depth limit, and that
//! strings decode and numbers are finite; what a member means is decided by its callers. It builds no tree.

use std::borrow::Cow;
use std::ops::Range;
use tidegate_core::{Fault, FaultKind};

/// How deep objects and arrays may be nested, the outermost counted.
pub(super) const MAX_DEPTH: u8 = 128;

/// Why reading stopped. Small, so that the way without faults stays cheap.
#[derive(Debug)]
pub(super) enum Bad {
    /// The grammar is broken at a byte.
    Syntax {
        /// Which.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The grammar holds, but a field is wrong.
    Field(Box<Fault>),
}

impl Bad {
    /// A wrong field.
    pub(super) fn field(param: impl Into<Cow<'static, str>>, says: impl Into<Cow<'static, str>>) -> Self {
        Self::Field(Box::new(Fault::field(param, says)))
    }

    /// The fault for the caller; places are reckoned only here.
    pub(super) fn into_fault(self, bytes: &[u8]) -> Fault {
        match self {
            Self::Field(fault) => *fault,
            Self::Syntax { at, what } => {
                let before = &bytes[..at.min(bytes.len())];
                let line = 1 + memchr::memchr_iter(b'\n', before).count();
                let column = 1 + before.len() - memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
                let says = format!("the body is not valid JSON: {what} at line {line}, column {column}");
                Fault::new(FaultKind::InvalidRequest, says)
            }
        }
    }
}

/// A string literal of the body, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Text {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Text {
    /// The range of the literal, its quotes included.
    pub(crate) const fn literal(self) -> Range<usize> {
        self.start - 1..self.end + 1
    }

    /// Bytes between the quotes.
    pub(super) const fn len(self) -> usize {
        self.end - self.start
    }

    /// The text meant, from the bytes that it was read from.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        if self.escaped {
            let literal = bytes.get(self.literal()).unwrap_or_default();
            return Cow::Owned(serde_json::from_slice(literal).unwrap_or_default());
        }
        let plain = bytes.get(self.start..self.end).unwrap_or_default();
        Cow::Borrowed(std::str::from_utf8(plain).unwrap_or_default())
    }

    /// The same of about its first bytes, where it is longer than so many; whole words of it, where it has escapes.
    pub(crate) fn beginning(self, bytes: &[u8], most: usize) -> Cow<'_, str> {
        let Some(cut) = bytes.get(self.start..self.start + most).filter(|_| self.len() > most) else {
            return self.decode(bytes);
        };
        if !self.escaped {
            let valid = cut.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            return Cow::Borrowed(valid);
        }
        // No space stands within an escape.
        let words = cut.iter().rposition(|byte| *byte == b' ').map_or(&[][..], |end| &cut[..end]);
        Cow::Owned(serde_json::from_slice(&[&b"\""[..], words, b"\""].concat()).unwrap_or_default())
    }
}

/// The kind of the next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// With its article, for messages.
    pub(super) const fn article(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A number literal of the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    /// As written.
    pub(super) text: &'a str,
    /// Whether it has neither a fraction nor an exponent.
    pub(super) whole: bool,
}

impl Number<'_> {
    /// Its value; finite by the grammar's check.
    pub(super) fn value(self) -> f64 {
        self.text.parse().unwrap_or(f64::INFINITY)
    }

    /// Its value where it is written as an integer; beyond 128 bits there is none.
    pub(super) fn integer(self) -> Option<i128> {
        if self.whole { self.text.parse().ok() } else { None }
    }
}

/// The reader.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// A second reader of the same text, placed at `at` (the start of a value that was read before).
    pub(super) const fn again(&self, at: usize) -> Self {
        Self { text: self.text, at, depth: 0 }
    }

    /// Where the reader stands.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The text meant by a literal.
    pub(super) fn decode(&self, text: Text) -> Cow<'a, str> {
        if text.escaped {
            return Cow::Owned(text.decode(self.text.as_bytes()).into_owned());
        }
        Cow::Borrowed(self.text.get(text.start..text.end).unwrap_or_default())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    const fn bad<T>(&self, what: &'static str) -> Result<T, Bad> {
        Err(Bad::Syntax { at: self.at, what })
    }

    fn space(&mut self) -> Option<u8> {
        loop {
            match self.byte(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Skips white space and tells what kind of value comes.
    pub(super) fn kind(&mut self) -> Result<Kind, Bad> {
        match self.space() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => self.bad("expected a value"),
            None => self.bad("it ends where a value was expected"),
        }
    }

    /// Demands that nothing but white space follows.
    pub(super) fn end(&mut self) -> Result<(), Bad> {
        if self.space().is_some() { self.bad("something follows the object") } else { Ok(()) }
    }

    /// Reads an object; `each` must read the value of the member whose key it is given. Tells the number of members.
    pub(super) fn object(&mut self, mut each: impl FnMut(&mut Self, Text) -> Result<(), Bad>) -> Result<usize, Bad> {
        self.descend()?;
        let mut members = 0;
        if self.space() == Some(b'}') {
            return self.ascend(members);
        }
        loop {
            if self.space() != Some(b'"') {
                return self.bad("expected a key in double quotes");
            }
            let key = self.string()?;
            if self.space() != Some(b':') {
                return self.bad("expected `:` after a key");
            }
            self.at += 1;
            each(self, key)?;
            members += 1;
            match self.space() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.ascend(members),
                _ => return self.bad("expected `,` or `}`"),
            }
        }
    }

    /// Reads an array; `each` must read the element whose index it is given. Tells the number of elements.
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self, usize) -> Result<(), Bad>) -> Result<usize, Bad> {
        self.descend()?;
        let mut elements = 0;
        if self.space() == Some(b']') {
            return self.ascend(elements);
        }
        loop {
            each(self, elements)?;
            elements += 1;
            match self.space() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.ascend(elements),
                _ => return self.bad("expected `,` or `]`"),
            }
        }
    }

    fn descend(&mut self) -> Result<(), Bad> {
        if self.depth == MAX_DEPTH {
            return self.bad("objects and arrays are nested more than 128 deep");
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    const fn ascend(&mut self, count: usize) -> Result<usize, Bad> {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
        Ok(count)
    }

    /// Reads any value.
    pub(super) fn skip(&mut self) -> Result<(), Bad> {
        match self.kind()? {
            Kind::Object => self.object(|c, _| c.skip()).map(drop),
            Kind::Array => self.array(|c, _| c.skip()).map(drop),
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Bool => self.bool().map(drop),
            Kind::Null => self.null(),
        }
    }

    /// Reads `true` or `false`, one of which begins here.
    pub(super) fn bool(&mut self) -> Result<bool, Bad> {
        let yes = self.byte(self.at) == Some(b't');
        self.word(if yes { "true" } else { "false" })?;
        Ok(yes)
    }

    /// Reads `null`, which begins here.
    pub(super) fn null(&mut self) -> Result<(), Bad> {
        self.word("null")
    }

    fn word(&mut self, word: &'static str) -> Result<(), Bad> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.bad("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads the string whose opening quote is here.
    pub(super) fn string(&mut self) -> Result<Text, Bad> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = next_special(self.text.as_bytes(), self.at);
            match self.byte(self.at) {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.bad("a string holds a control character that is not escaped"),
                None => return self.bad("a string is not closed"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Bad> {
        match self.byte(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.unit(self.at)? {
                0xD800..=0xDBFF => {
                    let pairs = self.byte(self.at + 6) == Some(b'\\') && self.byte(self.at + 7) == Some(b'u');
                    if !pairs || !matches!(self.unit(self.at + 6)?, 0xDC00..=0xDFFF) {
                        return self.bad("a string holds half a surrogate pair");
                    }
                    self.at += 12;
                    Ok(())
                }
                0xDC00..=0xDFFF => self.bad("a string holds half a surrogate pair"),
                _ => {
                    self.at += 6;
                    Ok(())
                }
            },
            _ => self.bad("a string holds an unknown escape"),
        }
    }

    /// The code unit of the `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Result<u16, Bad> {
        let digits = self.text.as_bytes().get(at + 2..at + 6).unwrap_or_default();
        let mut unit = 0u16;
        for &digit in digits {
            let Some(value) = char::from(digit).to_digit(16) else {
                return self.bad("`\\u` wants four hex digits");
            };
            unit = unit << 4 | u16::try_from(value).unwrap_or(0);
        }
        if digits.len() == 4 { Ok(unit) } else { self.bad("`\\u` wants four hex digits") }
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.byte(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    /// Reads the number that begins here.
    pub(super) fn number(&mut self) -> Result<Number<'a>, Bad> {
        let start = self.at;
        self.at += usize::from(self.byte(self.at) == Some(b'-'));
        let leads_with_zero = self.byte(self.at) == Some(b'0');
        let whole_digits = self.digits();
        if whole_digits == 0 || (leads_with_zero && whole_digits > 1) {
            self.at = start;
            return self.bad("a number is malformed");
        }
        let (mut whole, mut may_overflow) = (true, whole_digits > 300);
        if self.byte(self.at) == Some(b'.') {
            whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return self.bad("a digit is missing after the decimal point");
            }
        }
        if matches!(self.byte(self.at), Some(b'e' | b'E')) {
            (whole, may_overflow) = (false, true);
            self.at += 1;
            self.at += usize::from(matches!(self.byte(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return self.bad("a number's exponent has no digits");
            }
        }
        let number = Number { text: self.text.get(start..self.at).unwrap_or_default(), whole };
        if may_overflow && !number.value().is_finite() {
            self.at = start;
            return self.bad("a number is too large");
        }
        Ok(number)
    }
}

/// The place of the next quote, backslash or control character from `at` on, or the end. What is short is looked at
/// eight bytes at a time; long text, where most bytes of a body are, by the widest registers that there are.
fn next_special(bytes: &[u8], at: usize) -> usize {
    const SHORT: usize = 32;
    let near = at.saturating_add(SHORT).min(bytes.len());
    let found = next_special_by_words(&bytes[..near], at);
    if found < near || near == bytes.len() {
        return found;
    }
    let far = memchr::memchr2(b'"', b'\\', &bytes[near..]).map_or(bytes.len(), |i| near + i);
    // Without a branch for each byte, so that the compiler can look at many at once.
    let controls = bytes[near..far].iter().fold(false, |any, &b| any | (b < 0x20));
    if controls { next_special_by_words(bytes, near) } else { far }
}

fn next_special_by_words(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        // Each term's lowest set high bit is exact; higher ones may be borrows, and only the lowest is used.
        let hits = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let hits = hits & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len())
}
