//! Texts as receivers take them: cut to their bounds, times as RFC 3339, a fingerprint where a key is too long.

use chrono::{DateTime, SecondsFormat};
use sha2::{Digest as _, Sha256};

/// The first `most` characters of a text; where it has more, the last of them is an ellipsis.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Milliseconds since 1970 as `2026-11-23T00:36:10.123Z`.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let moment = DateTime::from_timestamp_millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// 32 hex digits that stand for these texts together.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize()[..16])
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing into a string cannot fail.
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_has_as_many_characters_as_it_may() {
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
        assert_eq!(cut("äöüß", 4), "äöüß");
        assert_eq!(cut(&"ä".repeat(2000), 1024).chars().count(), 1024);
    }

    #[test]
    fn moments_and_fingerprints() {
        assert_eq!(rfc3339(1_795_394_170_123), "2026-11-23T00:36:10.123Z");
        assert_eq!(fingerprint(&["a", "b"]).len(), 32);
        assert_ne!(fingerprint(&["ab", ""]), fingerprint(&["a", "b"]));
    }
}
