//! Whether a mean is what it is said to be, looked at after each number, where their variance is known. Owns the running
//! p-value.
//!
//! The mixture sequential probability ratio test with a normal mixture: `Λ = √(σ² / (σ² + n τ²)) · exp(n² τ² d² / (2 σ²
//! (σ² + n τ²)))` with the mean's distance `d`; `p` is the smallest `1/Λ` so far (Robbins 1970; Johari, Koomen, Pekelis,
//! Walsh: Peeking at A/B tests, KDD 2017).

use crate::moments::Moments;

/// The test and what it has seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Msprt {
    said: f64,
    variance: f64,
    mixed: f64,
    seen: Moments,
    highest: f64,
}

impl Msprt {
    /// Against the mean `said`, of numbers of this `variance` (above 0); `mixed` is the variance of the normal
    /// distribution of the distances that are looked for (above 0).
    #[must_use]
    pub fn new(said: f64, variance: f64, mixed: f64) -> Self {
        Self { said, variance, mixed, seen: Moments::default(), highest: 0.0 }
    }

    /// Takes a number.
    pub fn add(&mut self, value: f64) {
        self.seen.add(value);
        self.highest = self.highest.max(self.ln_ratio());
    }

    /// The logarithm of `Λ` now.
    #[must_use]
    pub fn ln_ratio(&self) -> f64 {
        let Some(mean) = self.seen.mean() else { return 0.0 };
        ln_ratio(self.seen.count(), mean - self.said, self.variance, self.mixed)
    }

    /// The p-value, valid whenever one looks: 1 at first, and it never grows.
    #[must_use]
    pub fn p(&self) -> f64 {
        (-self.highest).exp()
    }
}

/// The logarithm of `Λ` after `n` numbers whose mean is `distance` away.
#[must_use]
pub fn ln_ratio(n: f64, distance: f64, variance: f64, mixed: f64) -> f64 {
    let grown = variance + n * mixed;
    0.5 * (variance / grown).ln() + n * n * mixed * distance * distance / (2.0 * variance * grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rejects_what_is_wrong_and_its_p_never_grows() {
        let (mut right, mut wrong) = (Msprt::new(0.5, 0.25, 0.01), Msprt::new(0.4, 0.25, 0.01));
        assert_eq!((right.p(), right.ln_ratio()), (1.0, 0.0));
        let mut before = 1.0;
        for i in 0..1_000 {
            right.add(f64::from(i % 2));
            wrong.add(f64::from(i % 2));
            assert!(wrong.p() <= before);
            before = wrong.p();
        }
        assert!(wrong.p() < 1e-6 && right.p() > 0.9, "{} {}", wrong.p(), right.p());
    }

    #[test]
    fn a_ratio_by_hand() {
        // √(1/2) e^(100 · 0.04 / (2 · 2)), with σ² = 1, n τ² = 1, n = 100 and d = 0.2
        let expected = -0.5 * 2f64.ln() + 1.0;
        assert!((ln_ratio(100.0, 0.2, 1.0, 0.01) - expected).abs() < 1e-12);
    }
}
