//! The watch over an outgoing stream. Owns what is learnt from its events (usage, errors, the end) and the removal of
//! the one chunk that only we asked for; every other byte passes as it came. Cutting bytes into events is the
//! backend's: a frame holds whole ones.

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;
use tidegate_core::Usage;

/// How much of a provider's error is kept for the log.
const ERROR_KEPT: usize = 1024;

/// Watches one stream.
#[derive(Debug)]
pub(crate) struct Sniffer {
    drop_usage: bool,
    usage_key: Finder<'static>,
    error_key: Finder<'static>,
    usage: Option<Usage>,
    error: Option<String>,
    events: u64,
    content: u64,
}

/// A frame after its passage.
#[derive(Debug)]
pub(crate) struct Sniffed {
    /// What goes on to the caller; empty where nothing is left.
    pub(crate) bytes: Bytes,
    /// Whether its last event is `[DONE]`.
    pub(crate) done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Passes,
    UsageAlone,
    Done,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    choices: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Sniffer {
    /// A watch over one stream; with `drop_usage` the chunk that has usage and no choices is taken out.
    pub(crate) fn new(drop_usage: bool) -> Self {
        Self {
            drop_usage,
            usage_key: Finder::new(b"\"usage\""),
            error_key: Finder::new(b"\"error\""),
            usage: None,
            error: None,
            events: 0,
            content: 0,
        }
    }

    /// The usage that the provider told last.
    pub(crate) const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The provider's error event, where one came: a stream with it did not go well, even if `[DONE]` follows.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// How many events brought content: about as many as tokens.
    pub(crate) const fn content_events(&self) -> u64 {
        self.content
    }

    /// Looks at the next frame, and hands on what is left of it.
    pub(crate) fn pass(&mut self, frame: Bytes) -> Sniffed {
        let mut at = 0;
        let mut cuts: Vec<Range<usize>> = Vec::new();
        while at < frame.len() {
            let end = event_end(&frame, at);
            match self.event(&frame[at..end]) {
                Seen::Passes => {}
                Seen::UsageAlone if self.drop_usage => cuts.push(at..end),
                Seen::UsageAlone => {}
                // Nothing may follow the end.
                Seen::Done => return Sniffed { bytes: without(frame.slice(..end), &cuts), done: true },
            }
            at = end;
        }
        Sniffed { bytes: without(frame, &cuts), done: false }
    }

    fn event(&mut self, event: &[u8]) -> Seen {
        let Some(data) = data_of(event) else { return Seen::Passes };
        if data.trim_ascii() == b"[DONE]" {
            return Seen::Done;
        }
        self.events += 1;
        if says(&self.error_key, &data) && self.note_error(&data) {
            return Seen::Passes;
        }
        if says(&self.usage_key, &data) && self.note_usage(&data) {
            return Seen::UsageAlone;
        }
        let opens = self.events == 1 && only_opens(&data);
        self.content += u64::from(!opens);
        Seen::Passes
    }

    /// Tells whether the chunk really is an error; SDKs take any truthy `error` for one.
    fn note_error(&mut self, data: &[u8]) -> bool {
        let Ok(Chunk { error: Some(error), .. }) = serde_json::from_slice::<Chunk<'_>>(data) else { return false };
        let mut text = error.get();
        if matches!(text, "null" | "false" | "\"\"" | "0") {
            return false;
        }
        if let Some((cut, _)) = text.char_indices().find(|(at, _)| *at >= ERROR_KEPT) {
            text = &text[..cut];
        }
        self.error.get_or_insert_with(|| text.to_owned());
        true
    }

    /// Tells whether the chunk has usage and no choices.
    fn note_usage(&mut self, data: &[u8]) -> bool {
        let Some(usage) = Usage::from_openai(data) else { return false };
        self.usage = Some(usage);
        let chunk = serde_json::from_slice::<Chunk<'_>>(data);
        chunk.is_ok_and(|chunk| chunk.choices.is_some_and(|choices| choices.is_empty()))
    }
}

/// Whether the key stands in `json` with a value that is not null. A hit inside a text cannot be: its quotes would be
/// escaped.
fn says(key: &Finder<'_>, json: &[u8]) -> bool {
    key.find_iter(json).any(|at| {
        let behind = json.get(at + key.needle().len()..).unwrap_or_default().trim_ascii_start();
        behind.strip_prefix(b":").is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

/// Whether a stream's first chunk gives the role and no content yet.
fn only_opens(json: &[u8]) -> bool {
    let holds = |needle: &[u8]| memchr::memmem::find(json, needle).is_some();
    holds(b"\"role\"") && (holds(b"\"content\":\"\"") || holds(b"\"content\":null") || !holds(b"\"content\""))
}

/// The end of the line that begins at `at`, without and with its line break (LF, CRLF or CR).
fn line(bytes: &[u8], at: usize) -> (usize, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else { return (bytes.len(), bytes.len()) };
    let end = at + length;
    let broken_by_two = bytes.get(end..end + 2) == Some(b"\r\n");
    (end, end + 1 + usize::from(broken_by_two))
}

/// The end of the event that begins at `at`, its blank line included.
fn event_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        let (end, next) = line(bytes, at);
        if end == at {
            return next;
        }
        at = next;
    }
    bytes.len()
}

/// The end of the event that begins at `at`, its blank line included, where all of it is there.
pub(crate) fn whole_event(bytes: &[u8], mut at: usize) -> Option<usize> {
    while at < bytes.len() {
        let (end, next) = line(bytes, at);
        // A last CR may be the first half of a line break.
        if next == end || (next == bytes.len() && bytes[end] == b'\r') {
            return None;
        }
        if end == at {
            return Some(next);
        }
        at = next;
    }
    None
}

/// The data of an event; several data lines are joined, as the standard says.
pub(crate) fn data_of(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (mut at, mut data) = (0, None::<Cow<'_, [u8]>>);
    while at < event.len() {
        let (end, next) = line(event, at);
        if let Some(value) = event[at..end].strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    data.to_mut().push(b'\n');
                    data.to_mut().extend_from_slice(value);
                }
            }
        }
        at = next;
    }
    data
}

/// The frame without the cuts: shared where it stays in one piece.
fn without(frame: Bytes, cuts: &[Range<usize>]) -> Bytes {
    match cuts {
        [] => frame,
        [cut] if cut.start == 0 => frame.slice(cut.end..),
        [cut] if cut.end == frame.len() => frame.slice(..cut.start),
        _ => {
            let (mut out, mut from) = (Vec::with_capacity(frame.len()), 0);
            for cut in cuts {
                out.extend_from_slice(&frame[from..cut.start]);
                from = cut.end;
            }
            out.extend_from_slice(&frame[from..]);
            out.into()
        }
    }
}

#[cfg(test)]
mod tests;
