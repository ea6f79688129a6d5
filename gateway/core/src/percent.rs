//! Percent-encoding, as paths, queries and credentials in addresses have it. Owns decoding; what may stand in the result
//! is the business of whoever asked.

/// The bytes of a text whose escapes are decoded; what is no escape stays as it is.
#[must_use]
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

/// The same as a text; what is no UTF-8 is replaced.
#[must_use]
pub fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text)).into_owned()
}

/// The pairs of a query, decoded, in their order; a plus is a space.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(&key.replace('+', " ")), decoded(&value.replace('+', " ")))
    })
}

/// A text as one segment of a path: all but letters, digits, `-`, `.`, `_` and `~` is escaped, and so is a segment of dots.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && !is_dots) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        assert_eq!(decoded("a%20b%2fc%C3%A9+"), "a b/cé+");
        assert_eq!(decoded("100%%4x%"), "100%%4x%");
        assert_eq!(decoded("%ff"), "\u{fffd}");
        assert_eq!(bytes("%ff%00"), [255, 0]);
        assert_eq!(segment("a b/..\u{e9}~"), "a%20b%2F%2E%2E%C3%A9~".replace("%2E", "."));
        assert_eq!((segment(".."), segment("a.b")), ("%2E%2E".to_owned(), "a.b".to_owned()));
    }

    #[test]
    fn a_query_is_its_pairs() {
        let all: Vec<_> = pairs("a=1+2&&b=%26%3D&c&a=").collect();
        let expected = [("a", "1 2"), ("b", "&="), ("c", ""), ("a", "")];
        assert_eq!(all, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
