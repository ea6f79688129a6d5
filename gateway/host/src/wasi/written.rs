//! What a guest writes to its standard streams: lines of its log. Owns where a line ends, and how much is kept until then.

use crate::bindings::rag::tidegate::plugin::log::Level;
use crate::cell::{Cell, harmless};

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out = 1,
    Error = 2,
}

impl Stream {
    /// At which level its lines stand in the log: an interpreter writes there what went wrong.
    const fn level(self) -> Level {
        match self {
            Self::Out => Level::Info,
            Self::Error => Level::Warn,
        }
    }
}

/// What was written and has no end yet.
#[derive(Debug, Default)]
pub(crate) struct Written {
    out: Vec<u8>,
    error: Vec<u8>,
    last: Option<String>,
}

impl Written {
    /// The last line of its errors: where an interpreter ends, it says there why.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.last.as_deref()
    }

    const fn of(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Error => &mut self.error,
        }
    }
}

impl Cell {
    /// Takes what is written, and says each line that ends. Of a line as much is kept as the log takes.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let most = self.limits().log_line_bytes;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, has_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let line = self.written().of(stream);
            line.extend_from_slice(&text[..text.len().min(most.saturating_sub(line.len()))]);
            if has_end {
                self.end_line(stream);
            }
        }
    }

    /// Says what has no end, where nothing more will come.
    pub(crate) fn end_lines(&mut self) {
        for stream in [Stream::Out, Stream::Error] {
            if !self.written().of(stream).is_empty() {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(self.written().of(stream));
        let line = String::from_utf8_lossy(&line);
        self.say(stream.level(), &line);
        if stream == Stream::Error && !line.trim().is_empty() {
            let line = harmless(&line, self.limits().log_line_bytes);
            self.written().last = Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::reach::Outside;
    use std::sync::Arc;

    #[test]
    fn lines_end_at_their_ends_or_with_the_call() {
        let limits = Limits { log_line_bytes: 8, ..Limits::default() };
        let mut cell = Cell::new("x".into(), Outside::default(), Arc::new(limits));
        cell.write(Stream::Out, b"on");
        cell.write(Stream::Error, b"Traceback (most recent call last):\n\xff");
        cell.write(Stream::Out, b"e\n\ntwo");
        cell.write(Stream::Out, &[b'!'; 100_000]);
        assert_eq!(cell.written().out.len(), 8);
        let heard = cell.into_heard();
        let lines: Vec<_> = heard.lines.iter().map(|line| (line.level, line.text.as_str())).collect();
        let all = [("warn", "Tracebac"), ("info", "one"), ("info", ""), ("info", "two!!!!!"), ("warn", "\u{fffd}")];
        assert_eq!(lines, all);
    }
}
