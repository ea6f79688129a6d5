//! A write that is done once however often it is sent: its commit names the request in a trailer, so that a caller who was
//! cut off learns what became of it, also after a kill. Owns the trailer.

use std::fmt;
use tidegate_core::digest::Digest;

/// How the trailer begins.
const TRAILER: &str = "Tidegate-Request: ";

/// A caller's key for one request, and what the request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    key: Digest,
    content: Digest,
}

impl Once {
    /// The request that `principal` calls `key`, with this content.
    #[must_use]
    pub fn new(principal: &str, key: &str, content: &[u8]) -> Self {
        // The length keeps a name and a key from being read as another name and key.
        let key = Digest::of(format!("{}\n{principal}\n{key}", principal.len()).as_bytes());
        Self { key, content: Digest::of(content) }
    }

    /// What a message that has this trailer says of the request: `Some(true)` where it was done, `Some(false)` where
    /// the same key was sent with another content.
    pub(crate) fn was_done(&self, message: &str) -> Option<bool> {
        let trailer = message.lines().rev().find_map(|line| line.strip_prefix(TRAILER))?;
        let (key, content) = trailer.trim().split_once(' ')?;
        (key == self.key.short()).then(|| content == self.content.short())
    }
}

impl fmt::Display for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TRAILER}{} {}", self.key.short(), self.content.short())
    }
}

/// A message without the trailer, as it is shown.
pub(crate) fn without_trailer(message: &str) -> &str {
    let message = message.trim_end();
    match message.rsplit_once('\n') {
        Some((before, last)) if last.starts_with(TRAILER) => before.trim_end(),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_trailer_and_shown_without_it() {
        let once = Once::new("ann", "k", b"body");
        let message = format!("a change\n\n{once}\n");
        assert_eq!(once.was_done(&message), Some(true));
        assert_eq!(Once::new("ann", "k", b"other").was_done(&message), Some(false));
        assert_eq!(Once::new("bob", "k", b"body").was_done(&message), None);
        assert_eq!(once.was_done("a change"), None);
        assert_eq!(without_trailer(&message), "a change");
        assert_eq!(without_trailer("a change\n"), "a change");
    }
}
