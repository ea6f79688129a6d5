//! How often one may be wrong. Owns that it is a probability.

/// The most that the probability of an error may be, in `(0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

/// Why a number is no error rate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no error rate: give a number above 0 and below 1, such as 0.05")]
pub struct AlphaFault(pub f64);

impl Alpha {
    /// 5 %.
    pub const FIVE_PERCENT: Self = Self(0.05);
    /// 1 in 1,000, for alarms that somebody is woken by.
    pub const ONE_IN_A_THOUSAND: Self = Self(0.001);

    /// Checks it.
    ///
    /// # Errors
    /// It is not in `(0, 1)`.
    pub fn new(alpha: f64) -> Result<Self, AlphaFault> {
        if alpha > 0.0 && alpha < 1.0 { Ok(Self(alpha)) } else { Err(AlphaFault(alpha)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// For each of `tests` of which any may err (Bonferroni).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody asks so many things at once")]
    pub fn shared(self, tests: usize) -> Self {
        Self((self.0 / tests.max(1) as f64).max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probabilities_are_error_rates() {
        for bad in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Alpha::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Alpha::new(0.05), Ok(Alpha::FIVE_PERCENT));
        assert_eq!(Alpha::FIVE_PERCENT.shared(5).get(), 0.01);
        assert!(Alpha::FIVE_PERCENT.shared(0).get() > 0.0);
    }
}
