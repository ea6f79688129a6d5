//! Cuts a stream of server-sent events at event borders, without reading them. Owns the rules of blank lines and the
//! recognition of the last event; what events say is for others.

use bytes::{Bytes, BytesMut};

/// More bytes without the end of an event than a splitter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {0} bytes")]
pub struct TooLong(pub usize);

/// Cuts chunks, wherever they were split, into runs of whole events.
///
/// A line ends in LF, CRLF or CR; an empty line ends an event. What is given out is what came in, byte for byte. Where
/// a chunk ends with an event, as it nearly always does, it is given out as it is.
#[derive(Debug)]
pub struct Splitter {
    held: BytesMut,
    cap: usize,
}

impl Splitter {
    /// A splitter that holds at most `cap` bytes of an unfinished event.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { held: BytesMut::new(), cap }
    }

    /// Takes the next chunk; gives out all events that are whole now, if any.
    ///
    /// # Errors
    /// The unfinished event is longer than the cap.
    pub fn feed(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, TooLong> {
        if self.held.is_empty() {
            return match last_border(&chunk, 0) {
                Some(end) if end == chunk.len() => Ok(Some(chunk)),
                Some(end) => {
                    let whole = chunk.split_to(end);
                    self.hold(&chunk)?;
                    Ok(Some(whole))
                }
                None => self.hold(&chunk).map(|()| None),
            };
        }
        let before = self.held.len();
        self.held.extend_from_slice(&chunk);
        // The last byte before may be a CR that had to wait for what follows.
        match last_border(&self.held, before - 1) {
            Some(end) => {
                let whole = self.held.split_to(end).freeze();
                self.check().map(|()| Some(whole))
            }
            None => self.check().map(|()| None),
        }
    }

    /// Whether an unfinished event is held (line ends alone are none).
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.held.iter().any(|b| !matches!(b, b'\r' | b'\n'))
    }

    fn hold(&mut self, rest: &[u8]) -> Result<(), TooLong> {
        self.held.extend_from_slice(rest);
        self.check()
    }

    fn check(&self) -> Result<(), TooLong> {
        if self.held.len() > self.cap { Err(TooLong(self.cap)) } else { Ok(()) }
    }
}

/// Where the last event of `bytes` ends, if that is after `from`.
///
/// A CR at the end may be half of a CRLF. After another CRLF it surely is, and its LF is waited for; else the event is
/// whole all the same, and an LF that follows will lead the next one, where readers skip it.
fn last_border(bytes: &[u8], from: usize) -> Option<usize> {
    let at = |i: usize, back: usize| i.checked_sub(back).and_then(|j| bytes.get(j)).copied();
    let ends_line = |b: Option<u8>| matches!(b, Some(b'\r' | b'\n'));
    let mut end = bytes.len();
    while let Some(i) = memchr::memrchr2(b'\n', b'\r', bytes.get(from..end)?).map(|i| i + from) {
        let is_border = match (at(i, 1), at(i, 0)) {
            (Some(b'\r'), Some(b'\n')) => ends_line(at(i, 2)),
            (Some(b'\n'), Some(b'\r')) if i + 1 == bytes.len() => at(i, 2) != Some(b'\r'),
            (before, _) => ends_line(before),
        };
        if is_border {
            return Some(i + 1);
        }
        end = i;
    }
    None
}

/// Where the first event of `bytes` ends; the length where none does.
#[must_use]
pub fn first_border(bytes: &[u8]) -> usize {
    let mut line_is_empty = false;
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        match b {
            b'\r' | b'\n' => {
                i += if bytes[i..].starts_with(b"\r\n") { 2 } else { 1 };
                if line_is_empty {
                    return i;
                }
                line_is_empty = true;
            }
            _ => {
                line_is_empty = false;
                i += 1;
            }
        }
    }
    bytes.len()
}

/// The data of the first `data:` line of `event`, without the blank after the colon.
#[must_use]
pub fn data(event: &[u8]) -> Option<&[u8]> {
    event.split(|b| matches!(b, b'\r' | b'\n')).find_map(|line| {
        let data = line.strip_prefix(b"data:")?;
        Some(data.strip_prefix(b" ").unwrap_or(data))
    })
}

/// Whether `events`, whole ones, hold `data: [DONE]`.
#[must_use]
pub fn is_done(events: &[u8]) -> bool {
    let last = events.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
    let trimmed = &events[..last];
    match trimmed.last() {
        // The usual end of a JSON event: nothing can come after [DONE], so there is none before it either.
        None | Some(b'}') => false,
        Some(b']') => is_done_line(trimmed, last - "[DONE]".len().min(last)),
        Some(_) => memchr::memmem::find_iter(trimmed, b"[DONE]").any(|at| is_done_line(trimmed, at)),
    }
}

/// Whether the line of `bytes` around `at` is `data: [DONE]`.
fn is_done_line(bytes: &[u8], at: usize) -> bool {
    let start = bytes[..at].iter().rposition(|b| matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
    let end = bytes[at..].iter().position(|b| matches!(b, b'\r' | b'\n')).map_or(bytes.len(), |i| i + at);
    matches!(&bytes[start..end], b"data: [DONE]" | b"data:[DONE]")
}

#[cfg(test)]
mod tests;
