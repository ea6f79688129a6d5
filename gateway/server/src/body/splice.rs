//! Changes to a body that leave every other byte as the caller wrote it. Owns the edits and their application; which
//! edits are wanted is decided by the path.

use super::scan::{Scan, UsageOption};
use bytes::Bytes;
use std::ops::Range;

/// The edits of one body, each against the bytes that were scanned.
#[derive(Debug, Default)]
pub(crate) struct Splices<'a> {
    edits: Vec<Edit<'a>>,
}

#[derive(Debug)]
struct Edit<'a> {
    range: Range<usize>,
    text: Piece<'a>,
}

#[derive(Debug)]
enum Piece<'a> {
    /// As it is.
    Raw(&'a str),
    /// As a JSON string.
    Quoted(&'a str),
    /// As a member behind others: `,"name":json`.
    Member(&'a str, &'a str),
    /// The same with an array of this inside.
    Array(&'a str, &'a str),
    /// Elements before others of an array.
    Before(&'a str),
}

impl<'a> Splices<'a> {
    /// No edits.
    pub(crate) const fn new() -> Self {
        Self { edits: Vec::new() }
    }

    /// Names another model.
    pub(crate) fn model(&mut self, scan: &Scan, name: &'a str) {
        self.edits.push(Edit { range: scan.model.literal(), text: Piece::Quoted(name) });
    }

    /// Puts `json` in the place of the bytes in `range`, which must be those of a whole value.
    pub(crate) fn replace(&mut self, range: Range<usize>, json: &'a str) {
        self.edits.push(Edit { range, text: Piece::Raw(json) });
    }

    /// Puts another text in the place of the string literal in `range`.
    pub(crate) fn text(&mut self, range: Range<usize>, text: &'a str) {
        self.edits.push(Edit { range, text: Piece::Quoted(text) });
    }

    /// Adds a top-level member that the body does not have.
    pub(crate) fn insert(&mut self, scan: &Scan, name: &'a str, json: &'a str) {
        self.edits.push(Edit { range: scan.close..scan.close, text: Piece::Member(name, json) });
    }

    /// Puts messages, JSON with commas between, before those of the caller, and takes out what he said of them.
    pub(crate) fn prompt(&mut self, scan: &Scan, messages: &'a str) {
        match &scan.messages {
            None => self.edits.push(Edit { range: scan.close..scan.close, text: Piece::Array("messages", messages) }),
            Some(at) => {
                let text = if at.empty { Piece::Raw(messages) } else { Piece::Before(messages) };
                self.edits.push(Edit { range: at.inside..at.inside, text });
            }
        }
        if let Some(prompt) = &scan.prompt {
            self.replace(prompt.cut.clone(), "");
        }
    }

    /// Asks for the usage chunk of a stream, where the caller did not.
    pub(crate) fn ask_usage(&mut self, scan: &Scan) {
        if scan.include_usage {
            return;
        }
        match &scan.usage_option {
            UsageOption::Absent => self.insert(scan, "stream_options", "{\"include_usage\":true}"),
            UsageOption::Null(range) => self.replace(range.clone(), "{\"include_usage\":true}"),
            UsageOption::Object { inside, empty: true } => self.replace(*inside..*inside, "\"include_usage\":true"),
            UsageOption::Object { inside, empty: false } => self.replace(*inside..*inside, "\"include_usage\":true,"),
            UsageOption::Member(range) => self.replace(range.clone(), "true"),
        }
    }

    /// The body with the edits done. Edits that overlap an earlier one, or lie outside of the body, are left out.
    pub(crate) fn apply(self, body: &Bytes) -> Bytes {
        if self.edits.is_empty() {
            return body.clone();
        }
        self.within(body, 0..body.len()).into()
    }

    /// The same of a part of a body.
    pub(crate) fn within(mut self, body: &[u8], part: Range<usize>) -> Vec<u8> {
        // Stable: of two insertions at one place, the first made comes first.
        self.edits.sort_by_key(|edit| edit.range.start);
        let room: usize = self.edits.iter().map(Edit::room).sum();
        let (mut out, mut copied) = (Vec::with_capacity(part.len() + room), part.start);
        for edit in &self.edits {
            let Some(kept) = body.get(copied..edit.range.start) else { continue };
            if edit.range.end > part.end {
                continue;
            }
            out.extend_from_slice(kept);
            edit.write(&mut out);
            copied = edit.range.end;
        }
        out.extend_from_slice(body.get(copied..part.end).unwrap_or_default());
        out
    }
}

impl Edit<'_> {
    fn room(&self) -> usize {
        match self.text {
            Piece::Raw(text) => text.len(),
            Piece::Quoted(text) => text.len() + 2,
            Piece::Before(text) => text.len() + 1,
            Piece::Member(name, json) => name.len() + json.len() + 4,
            Piece::Array(name, json) => name.len() + json.len() + 6,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self.text {
            Piece::Raw(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Quoted(text) => quote(text, out),
            Piece::Member(name, json) => {
                out.push(b',');
                quote(name, out);
                out.push(b':');
                out.extend_from_slice(json.as_bytes());
            }
            Piece::Array(name, json) => {
                out.push(b',');
                quote(name, out);
                out.extend_from_slice(b":[");
                out.extend_from_slice(json.as_bytes());
                out.push(b']');
            }
            Piece::Before(text) => {
                out.extend_from_slice(text.as_bytes());
                out.push(b',');
            }
        }
    }
}

/// Writes `text` as a JSON string (RFC 8259 §7).
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
