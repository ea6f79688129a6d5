//! A request that is done once however often it is sent: the caller's key for it, and what it was.

use crate::digest::Digest;

/// A caller's key for one request, and what the request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    key: Digest,
    content: Digest,
}

impl Once {
    /// The request that `principal` calls `key`, and whose content has this digest.
    #[must_use]
    pub fn new(principal: &str, key: &str, content: Digest) -> Self {
        // The length keeps a name and a key from being read as another name and key.
        let key = Digest::of(format!("{}\n{principal}\n{key}", principal.len()).as_bytes());
        Self { key, content }
    }

    /// The key as it is written down.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.short()
    }

    /// The content as it is written down.
    #[must_use]
    pub fn content(&self) -> String {
        self.content.short()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_of_another_is_another_key() {
        let content = Digest::of(b"body");
        assert_ne!(Once::new("ann", "k", content).key(), Once::new("bob", "k", content).key());
        assert_ne!(Once::new("a\nb", "k", content).key(), Once::new("a", "b\nk", content).key());
    }
}
