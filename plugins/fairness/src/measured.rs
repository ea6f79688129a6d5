//! A number that may not exist. Owns that what is undefined is said as such, with what it would have rested on, and is
//! never a NaN.

use std::fmt;

/// A number, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    /// The number: never NaN, and infinite only as the ratio of something to nothing.
    Value(f64),
    /// There is none.
    Undefined {
        /// On how many rows it would rest: 0 where a group has none of the kind that a rate counts.
        n: u64,
    },
}

impl Measured {
    /// A number that rests on `n` rows; undefined where the arithmetic had no answer.
    #[must_use]
    pub const fn new(value: f64, n: u64) -> Self {
        if value.is_nan() { Self::Undefined { n } } else { Self::Value(value) }
    }

    /// A part of a whole, undefined where there is no whole.
    #[must_use]
    pub const fn share(part: u64, whole: u64) -> Self {
        if whole == 0 { Self::Undefined { n: 0 } } else { Self::Value(count(part) / count(whole)) }
    }

    /// The number, where there is one.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Undefined { .. } => None,
        }
    }

    /// What is made of the number.
    #[must_use]
    pub fn map(self, of: impl FnOnce(f64) -> f64) -> Self {
        match self {
            Self::Value(value) => Self::new(of(value), 0),
            Self::Undefined { .. } => self,
        }
    }

    /// What is made of two numbers that rest on `n` rows; undefined where one is, with the smaller n where both are.
    #[must_use]
    pub fn with(self, other: Self, n: u64, of: impl FnOnce(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Value(one), Self::Value(two)) => Self::new(of(one, two), n),
            (Self::Undefined { n: one }, Self::Undefined { n: two }) => Self::Undefined { n: one.min(two) },
            (undefined @ Self::Undefined { .. }, Self::Value(_)) | (Self::Value(_), undefined) => undefined,
        }
    }

    /// This less another.
    #[must_use]
    pub fn minus(self, other: Self, n: u64) -> Self {
        self.with(other, n, |one, two| one - two)
    }

    /// This by another: undefined for nothing by nothing, infinite for something by nothing.
    #[must_use]
    pub fn by(self, other: Self, n: u64) -> Self {
        self.with(other, n, |one, two| one / two)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Undefined { n } => write!(f, "undefined, n={n}"),
        }
    }
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(crate) const fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undefined_stays_so_and_says_its_n() {
        let (half, none) = (Measured::share(1, 2), Measured::share(0, 0));
        assert_eq!((half.value(), none.value()), (Some(0.5), None));
        assert_eq!(half.minus(none, 9), Measured::Undefined { n: 0 });
        assert_eq!(none.by(half, 9), Measured::Undefined { n: 0 });
        assert_eq!(none.map(f64::sqrt), none);
        assert_eq!(none.to_string(), "undefined, n=0");
        assert_eq!(format!("{half:.2}"), "0.50");
    }

    #[test]
    fn nothing_by_nothing_is_undefined_and_something_by_nothing_is_infinite() {
        let (half, zero) = (Measured::share(1, 2), Measured::share(0, 2));
        assert_eq!(zero.by(zero, 4), Measured::Undefined { n: 4 });
        assert_eq!(half.by(zero, 4), Measured::Value(f64::INFINITY));
        assert_eq!(zero.by(half, 4), Measured::Value(0.0));
    }
}
