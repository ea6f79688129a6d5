//! Where the mean of any numbers lies, looked at after each: valid as the number of them grows, whatever their
//! distribution, as long as it has a variance (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit
//! theory and asymptotic confidence sequences, 2021, theorem 2.2).

use crate::alpha::Alpha;
use crate::interval::Interval;
use crate::moments::Moments;

/// Fewer numbers than this say nothing: the central limit theorem needs some.
pub const LEAST: u64 = 30;

/// Half the width of the sequence after `n` numbers of this `variance`, tightest near `tuned` of them.
///
/// `√((n v ρ² + 1) / (n² ρ²) · ln((n v ρ² + 1) / α²))` with `ρ = √((−2 ln α + ln(−2 ln α) + 1) / tuned)`.
#[must_use]
pub fn margin(n: f64, variance: f64, alpha: Alpha, tuned: f64) -> f64 {
    if n <= 0.0 {
        return f64::INFINITY;
    }
    let rho = mixing(alpha, tuned);
    let grown = n * variance * rho + 1.0;
    (grown / (n * n * rho) * (grown / (alpha.get() * alpha.get())).ln()).max(0.0).sqrt()
}

/// `ρ²`: the variance of the mixture that is tightest near `tuned` numbers, relative to theirs.
#[must_use]
pub fn mixing(alpha: Alpha, tuned: f64) -> f64 {
    let twice = -2.0 * alpha.get().ln();
    (twice + twice.ln() + 1.0) / tuned
}

/// Where the mean lies, at all looks from [`LEAST`] numbers on but for `alpha`; before, it may be anything. The scale of
/// the numbers decides nothing: they are measured by their own standard deviation.
#[must_use]
pub fn sequence(moments: &Moments, alpha: Alpha) -> Interval {
    let (Some(mean), Some(variance)) = (moments.mean(), moments.sample_variance()) else { return Interval::ALL };
    if moments.n() < LEAST {
        return Interval::ALL;
    }
    Interval::around(mean, variance.sqrt() * margin(moments.count(), 1.0, alpha, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_narrows_and_knows_no_scale() {
        let numbers = |scale: f64, n: u32| -> Moments { (0..n).map(|i| scale * f64::from(i * 37 % 11)).collect() };
        let (few, many) =
            (sequence(&numbers(1.0, 110), Alpha::FIVE_PERCENT), sequence(&numbers(1.0, 11_000), Alpha::FIVE_PERCENT));
        assert!(many.width() < few.width() / 5.0 && many.has(5.0) && few.has(5.0));
        let large = sequence(&numbers(1e6, 110), Alpha::FIVE_PERCENT);
        assert!((large.width() / few.width() / 1e6 - 1.0).abs() < 1e-9);
        assert_eq!(sequence(&numbers(1.0, 29), Alpha::FIVE_PERCENT), Interval::ALL);
        assert_eq!(margin(0.0, 1.0, Alpha::FIVE_PERCENT, 100.0), f64::INFINITY);
    }
}
