//! How near a number has to be to an expected one. Owns the words in which the files say it.

use serde_json::Value;

/// Met where the number is within either bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The distance over the expected number.
    pub relative: f64,
    /// The distance itself.
    pub absolute: f64,
    /// The distance where 0 is expected.
    pub at_zero: f64,
}

impl Tolerance {
    /// The same number: for verdicts.
    pub const NONE: Self = Self { relative: 0.0, absolute: 0.0, at_zero: 0.0 };

    /// So near in itself.
    #[must_use]
    pub const fn absolute(absolute: f64) -> Self {
        Self { relative: 0.0, absolute, at_zero: absolute }
    }

    /// From `1e-12`, `rel 1e-6, abs 1e-12` or `abs 1e-9 (1e-7 when 0: …)`. A relative tolerance of 0 asks for nothing
    /// nearer than rounding leaves: 1e-15.
    #[must_use]
    pub fn read(said: &Value) -> Option<Self> {
        if let Some(absolute) = said.as_f64() {
            return Some(Self::absolute(absolute));
        }
        let text = said.as_str()?;
        let after = |word: &str| -> Option<f64> {
            let rest = &text[text.find(word)? + word.len()..];
            let end = rest.find(|letter: char| !"0123456789.e-+".contains(letter)).unwrap_or(rest.len());
            rest[..end].parse().ok()
        };
        let (relative, absolute) = (after("rel "), after("abs "));
        if relative.is_none() && absolute.is_none() {
            return None;
        }
        let absolute = absolute.unwrap_or(1e-15);
        let at_zero = if text.contains("when 0") { after("(") } else { None };
        Some(Self { relative: relative.unwrap_or(0.0), absolute, at_zero: at_zero.unwrap_or(absolute) })
    }

    /// The distance in tolerances: at most 1 is met.
    #[must_use]
    pub fn error(self, got: f64, expected: f64) -> f64 {
        if got == expected || (got.is_nan() && expected.is_nan()) {
            return 0.0;
        }
        let allowed = if expected == 0.0 {
            self.at_zero.max(self.absolute)
        } else {
            self.absolute.max(self.relative * expected.abs())
        };
        let apart = (got - expected).abs();
        if allowed > 0.0 && apart.is_finite() { apart / allowed } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_files_words_are_understood() {
        let read = |said: Value| Tolerance::read(&said);
        assert_eq!(read(json!(1e-12)), Some(Tolerance::absolute(1e-12)));
        let both = Tolerance { relative: 1e-6, absolute: 1e-12, at_zero: 1e-12 };
        assert_eq!(read(json!("rel 1e-6, abs 1e-12")), Some(both));
        let zero = Tolerance { relative: 0.0, absolute: 1e-9, at_zero: 1e-7 };
        assert_eq!(read(json!("abs 1e-9 (1e-7 when 0: sqrt of a rounding residue)")), Some(zero));
        assert_eq!(read(json!("about right")), None);
    }

    #[test]
    fn either_bound_suffices() {
        let both = Tolerance { relative: 1e-6, absolute: 1e-3, at_zero: 1e-3 };
        assert!(both.error(0.0005, 0.0) < 1.0 && both.error(1e6 + 0.5, 1e6) < 1.0);
        assert!(both.error(1.002, 1.0) > 1.0 && both.error(f64::NAN, 1.0) > 1.0);
        assert_eq!(Tolerance::NONE.error(1.0, 0.0), f64::INFINITY);
        assert_eq!(both.error(f64::INFINITY, f64::INFINITY), 0.0);
    }
}
