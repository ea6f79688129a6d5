//! What is refused before it is compiled: texts that are too long, nested too deep, or that repeat too often. The
//! compiler has bounds of its own (fuel, items, states); these are for what costs before they count.

/// Bytes of a schema, of a grammar, or of all choices.
pub(super) const MOST_TEXT: usize = 256 << 10;
/// Bytes of a regular expression.
const MOST_REGEX: usize = 16 << 10;
/// How deep a regular expression or a grammar may nest.
const DEEPEST: usize = 64;
/// How often the innermost part of a regular expression may be repeated, by all counts around it together.
const MOST_REPEATS: u64 = 10_000;

/// Whether a regular expression is small enough.
pub(super) fn regex(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a regular expression must not be empty".into());
    }
    if text.len() > MOST_REGEX {
        return Err(format!("a regular expression has {} bytes; at most {MOST_REGEX} are taken", text.len()));
    }
    let mut parts = Parts { text: text.as_bytes(), at: 0 };
    let most = parts.alternation(0)?;
    if most > MOST_REPEATS {
        return Err(format!(
            "a regular expression repeats a part {most} times by counts within counts; at most {MOST_REPEATS} are taken"
        ));
    }
    Ok(())
}

/// Whether a grammar is small enough.
pub(super) fn grammar(text: &str) -> Result<(), String> {
    if text.len() > MOST_TEXT {
        return Err(format!("the grammar has {} bytes; at most {MOST_TEXT} are taken", text.len()));
    }
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEEPEST {
        return Err(format!("the grammar nests {deepest} brackets; at most {DEEPEST} are taken"));
    }
    Ok(())
}

/// Reads only what counts: groups, classes, escapes and repetitions. What it misreads the compiler refuses.
struct Parts<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parts<'_> {
    /// The most repetitions of any part up to the closing bracket.
    fn alternation(&mut self, depth: usize) -> Result<u64, String> {
        if depth > DEEPEST {
            return Err(format!("a regular expression nests more than {DEEPEST} groups"));
        }
        let mut most = 1;
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            let inner = match byte {
                b')' => return Ok(most),
                b'(' => self.alternation(depth + 1)?,
                b'[' => {
                    self.class();
                    1
                }
                b'\\' => {
                    self.at += 1;
                    1
                }
                _ => 1,
            };
            most = most.max(self.counted(inner));
        }
        Ok(most)
    }

    /// Past a class: a bracket that comes first in it stands for itself.
    fn class(&mut self) {
        let mut depth = 1;
        self.at += usize::from(self.text.get(self.at) == Some(&b'^'));
        self.at += usize::from(self.text.get(self.at) == Some(&b']'));
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// How often a part with `inner` repetitions inside is repeated by the counts that follow it.
    fn counted(&mut self, inner: u64) -> u64 {
        let mut most = inner;
        while self.text.get(self.at) == Some(&b'{') {
            let rest = &self.text[self.at + 1..];
            let Some(end) = rest.iter().position(|b| *b == b'}') else { return most };
            let Some(count) = largest(&rest[..end]) else { return most };
            // A count of what is counted inside multiplies; a count of single characters is cheap however large.
            most = if most > 1 || self.after_group() { most.saturating_mul(count.max(1)) } else { count.min(2) };
            self.at += end + 2;
        }
        most
    }

    fn after_group(&self) -> bool {
        self.at > 0 && self.text[self.at - 1] == b')'
    }
}

/// The larger number of `3`, `3,` or `3,5`.
fn largest(count: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(count).ok()?;
    text.split(',')
        .filter(|n| !n.is_empty())
        .map(|n| n.trim().parse::<u64>().ok())
        .try_fold(0, |most, n| Some(most.max(n?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_counts_multiply() {
        for fine in
            ["a{1000000}", "[a-z]{1,5000}x{3}", "(ab){500}", "(a{50}){50}", r"\({9}[)(]{9}", "(foo|b[]x]{7}){2,9}"]
        {
            assert_eq!(regex(fine), Ok(()), "{fine}");
        }
        for hostile in
            ["((((((a{10}){10}){10}){10}){10}){10}){10}", "(ab){1000000}", "((a|b){200}c){200}", "(a{2,}){99999}"]
        {
            assert!(regex(hostile).unwrap_err().contains("counts"), "{hostile}");
        }
        assert!(regex(&("(".repeat(70) + "a" + &")".repeat(70))).unwrap_err().contains("nests"));
        assert!(regex("").is_err() && regex(&"a".repeat(20_000)).is_err());
    }

    #[test]
    fn grammars_have_a_size_and_a_depth() {
        assert_eq!(grammar("start: (\"a\" | \"b\")+"), Ok(()));
        assert!(grammar(&format!("start: {}\"a\"{}", "(".repeat(90), ")".repeat(90))).unwrap_err().contains("nests"));
        assert!(grammar(&"a".repeat(MOST_TEXT + 1)).is_err());
    }
}
