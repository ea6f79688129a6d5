//! Lines that a sum of centred numbers stays below at all times together. Owns the formulas; what is summed, and that its
//! variance grows as said, is its callers' business.
//!
//! Both are of Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences (Annals
//! of Statistics 49, 2021), with the parameters that their library confseq takes.

use crate::alpha::Alpha;
use crate::gamma::zeta;

/// How often the sum may err where a mixture is the tightest; `confseq` tunes by the same.
const TUNED_AT: f64 = 0.05;

/// What the absolute value of a sum with the variance `v` stays below, but for `alpha`; tightest where `v` is `tuned`.
///
/// `√((v + ρ) (ln(1 + v/ρ) + 2 ln(1/α)))`, their equation 14, with `ρ = tuned / (2 ln(1/α₀) + ln(1 + 2 ln(1/α₀)))` and
/// `α₀ = 0.05`.
#[must_use]
pub fn normal_mixture(v: f64, alpha: Alpha, tuned: f64) -> f64 {
    let rho = mixed_over(tuned, TUNED_AT);
    ((v + rho) * ((v / rho).ln_1p() - 2.0 * alpha.get().ln())).sqrt()
}

/// The precision of the mixture that is tightest at the variance `v` for an error rate of `alpha`.
pub(crate) fn mixed_over(v: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    v / (twice + twice.ln_1p())
}

/// How a line is stitched together from pieces over epochs that grow geometrically.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stitching {
    /// The variance at which the first epoch begins; above 0.
    pub least: f64,
    /// How far a single number may be off, as the scale of its sub-gamma tail; 0 for sub-Gaussian ones.
    pub scale: f64,
    /// By which power of their number the error is divided among the epochs; above 1.
    pub power: f64,
    /// How many times longer each epoch is than the one before; above 1.
    pub growth: f64,
}

impl Stitching {
    /// Their choice: epochs twice as long each, the power 1.4, sub-Gaussian numbers.
    #[must_use]
    pub const fn from(least: f64) -> Self {
        Self { least, scale: 0.0, power: 1.4, growth: 2.0 }
    }

    /// What a sum with the variance `v` stays below (one side), but for `alpha`. It grows as `√(v ln ln v)`, as slowly as
    /// any such line can.
    ///
    /// `√(k₁² v l + k₂² c² l²) + k₂ c l`, their equation 10, with `l = s ln ln(η v/m) + ln(ζ(s) / (α ln(η)ˢ))`.
    #[must_use]
    pub fn bound(&self, v: f64, alpha: Alpha) -> f64 {
        let v = v.max(self.least);
        let epochs = (self.growth * v / self.least).ln().ln();
        let shared = (zeta(self.power) / self.growth.ln().powf(self.power)).ln();
        let cost = self.power * epochs + shared - alpha.get().ln();
        let root = self.growth.sqrt().sqrt();
        let wide = (root + 1.0 / root) * std::f64::consts::FRAC_1_SQRT_2;
        let tail = 0.5 * (self.growth.sqrt() + 1.0) * self.scale * cost;
        (wide * wide * v * cost + tail * tail).sqrt() + tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_tightest_where_it_is_tuned() {
        for v in [10.0, 1_000.0, 100_000.0] {
            let at = |tuned: f64| normal_mixture(v, Alpha::FIVE_PERCENT, tuned);
            assert!(at(v) < at(v / 5.0) && at(v) < at(v * 5.0), "{v}");
        }
    }

    #[test]
    fn a_stitched_line_grows_slower_than_any_root_but_no_slower_than_its_law() {
        let line = Stitching::from(10.0);
        let of = |v: f64| line.bound(v, Alpha::FIVE_PERCENT);
        let relative = |v: f64| of(v) / (v * v.ln().ln()).sqrt();
        assert!(relative(1e12) < relative(1e6) && relative(1e12) > 2f64.sqrt());
        assert_eq!(of(1.0), of(10.0));
        assert!(Stitching { scale: 1.0, ..line }.bound(100.0, Alpha::FIVE_PERCENT) > of(100.0));
    }
}
