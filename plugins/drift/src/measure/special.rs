//! Tails of the gamma, chi-square and normal distributions. Owns what neither the standard library nor `libm` has.

/// The upper incomplete gamma function over the whole, `Γ(a, x) / Γ(a)`, for `a > 0`: the probability that a gamma
/// variable of shape `a` is above `x`. By its series below `a + 1`, by Legendre's continued fraction (evaluated as Lentz
/// 1976 does) above; Abramowitz and Stegun 6.5.29 and 6.5.31.
#[must_use]
pub fn gamma_above(a: f64, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    let scale = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 { 1.0 - scale * series(a, x) } else { scale * fraction(a, x) }
}

/// The probability that a chi-square variable of `degrees` is above `x`; 1 where there is no freedom at all.
#[must_use]
pub fn chi_square_above(degrees: f64, x: f64) -> f64 {
    if degrees <= 0.0 { 1.0 } else { gamma_above(degrees / 2.0, x / 2.0) }
}

/// The probability that a standard normal variable is farther from 0 than `z`, on either side.
#[must_use]
pub fn normal_beyond(z: f64) -> f64 {
    libm::erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2)
}

/// `ln(n! / nⁿ)`.
#[must_use]
pub fn ln_factorial_over_power(n: f64) -> f64 {
    libm::lgamma(n + 1.0) - n * n.ln()
}

/// Steps after which nothing changes any more, for all arguments that are met.
const STEPS: u32 = 100_000;

fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    for step in 1..STEPS {
        term *= x / (a + f64::from(step));
        sum += term;
        if term <= sum * f64::EPSILON {
            break;
        }
    }
    sum
}

fn fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let non_zero = |z: f64| if z.abs() < TINY { TINY } else { z };
    let mut below = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / non_zero(below));
    let mut value = d;
    for step in 1..STEPS {
        let numerator = -f64::from(step) * (f64::from(step) - a);
        below += 2.0;
        d = 1.0 / non_zero(numerator * d + below);
        c = non_zero(below + numerator / c);
        value *= d * c;
        if (d * c - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_closed_forms() {
        // χ² of 2 degrees: e^(−x/2); of 4: (1 + x/2) e^(−x/2); of 1: the normal tail of √x.
        for x in [1e-6f64, 0.1, 1.0, 3.9, 4.1, 20.0, 100.0, 900.0] {
            let close = |got: f64, expected: f64| (got - expected).abs() <= 1e-12 * expected;
            assert!(close(chi_square_above(2.0, x), (-x / 2.0).exp()), "{x}");
            assert!(close(chi_square_above(4.0, x), (1.0 + x / 2.0) * (-x / 2.0).exp()), "{x}");
            assert!(close(chi_square_above(1.0, x), normal_beyond(x.sqrt())), "{x}");
        }
        assert_eq!((chi_square_above(3.0, 0.0), chi_square_above(3.0, f64::INFINITY)), (1.0, 0.0));
        assert_eq!(chi_square_above(0.0, 5.0), 1.0);
        assert!(chi_square_above(3.0, f64::NAN).is_nan());
    }

    #[test]
    fn the_normal_tail_is_that_of_tables() {
        assert!((normal_beyond(1.959_963_984_540_054) - 0.05).abs() < 1e-15);
        assert_eq!(normal_beyond(0.0), 1.0);
        assert_eq!(normal_beyond(-3.0), normal_beyond(3.0));
    }

    #[test]
    fn factorials_over_powers_fall() {
        assert!((ln_factorial_over_power(5.0) - (120.0f64 / 3125.0).ln()).abs() < 1e-13);
    }
}
