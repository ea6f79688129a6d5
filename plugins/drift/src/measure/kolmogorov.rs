//! How probable it is that `n` draws lie farther than `d` from their own distribution function: the tail of Kolmogorov's
//! statistic for finite `n`. Owns the formulas; what `n` and `d` of two samples are is the business of [`super::ks`].
//!
//! Which formula is used where follows Simard and L'Ecuyer (Computing the two-sided Kolmogorov-Smirnov distribution,
//! Journal of Statistical Software 39(11), 2011), so that results agree with libraries that do the same.

use super::special::ln_factorial_over_power;
use std::f64::consts::{FRAC_PI_2, PI};

/// Up to so many draws the exact distribution is computed wherever twice Smirnov's tail is not exact enough.
const FEW: f64 = 140.0;

/// The probability that the distance of `n ≥ 1` draws is `d` or more.
#[must_use]
pub fn above(n: f64, d: f64) -> f64 {
    if d.is_nan() || n < 1.0 {
        return f64::NAN;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let t = n * d;
    if t <= 0.5 {
        return 1.0;
    }
    let p = if t <= 1.0 {
        // No draw may be in another's place: n! (2d − 1/n)ⁿ (Ruben and Gambino 1982).
        1.0 - (ln_factorial_over_power(n) + n * (2.0 * t - 1.0).ln()).exp()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 {
        2.0 * smirnov(n, d)
    } else {
        between(n, d)
    };
    p.clamp(0.0, 1.0)
}

/// For distances below a half, and neither end of the range.
fn between(n: f64, d: f64) -> f64 {
    let squared = n * d * d;
    if n <= FEW {
        return if squared <= 4.0 { 1.0 - within(n, d) } else { 2.0 * smirnov(n, d) };
    }
    if squared >= 370.0 {
        0.0
    } else if squared >= 2.2 {
        2.0 * smirnov(n, d)
    } else if n <= 100_000.0 && n * d.powf(1.5) <= 1.4 {
        1.0 - within(n, d)
    } else {
        1.0 - expansion(n, d)
    }
}

/// The tail on one side, `d Σⱼ C(n, j) (d + j/n)^(j−1) (1 − d − j/n)^(n−j)` over `0 ≤ j ≤ n (1 − d)` (Smirnov 1944;
/// Birnbaum and Tingey 1951). All terms are positive: nothing is lost, however small the tail is.
#[must_use]
pub fn smirnov(n: f64, d: f64) -> f64 {
    let whole = libm::lgamma(n + 1.0);
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= n * (1.0 - d) {
        let (below, above) = (d + j / n, 1.0 - d - j / n);
        let ways = whole - libm::lgamma(j + 1.0) - libm::lgamma(n - j + 1.0);
        // 0⁰ is 1: where nothing is left above, all draws are below.
        let rest = if n - j <= 0.0 { 0.0 } else { (n - j) * above.max(0.0).ln() };
        sum += (ways + (j - 1.0) * below.ln() + rest).exp();
        j += 1.0;
    }
    d * sum
}

/// The probability that the distance is below `d`, exactly: an element of the `n`-th power of a matrix, times `n!/nⁿ`
/// (Durbin 1973; Marsaglia, Tsang, Wang: Evaluating Kolmogorov's distribution, Journal of Statistical Software 8(18),
/// 2003). With `k = ⌊n d⌋ + 1` and `h = k − n d` the matrix has `2k − 1` rows.
#[must_use]
pub fn within(n: f64, d: f64) -> f64 {
    let k = (n * d).floor() + 1.0;
    let h = k - n * d;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count below 1,000")]
    let (middle, draws) = (k as usize - 1, n as u64);
    let one = Scaled { cells: durbin(2 * middle + 1, h), size: 2 * middle + 1, exponent: 0.0 };
    let power = one.power(draws);
    let cell = power.cells[middle * power.size + middle];
    if cell <= 0.0 {
        return 0.0;
    }
    (cell.ln() + power.exponent * std::f64::consts::LN_2 + ln_factorial_over_power(n)).exp().min(1.0)
}

/// Cells `1/(i − j + 1)!` at and below the diagonal above the main one; the first column and the last row lack a power of
/// `h` over the same factorial.
fn durbin(size: usize, h: f64) -> Vec<f64> {
    let power = |exponent: usize| h.powf(super::count(exponent));
    let mut cells = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            let mut numerator = 1.0;
            if column == 0 {
                numerator -= power(row + 1);
            }
            if row == size - 1 {
                numerator -= power(size - column);
            }
            if column == 0 && row == size - 1 && 2.0 * h > 1.0 {
                numerator += (2.0 * h - 1.0).powf(super::count(size));
            }
            cells[row * size + column] = (1..=row + 1 - column).fold(numerator, |cell, by| cell / super::count(by));
        }
    }
    cells
}

/// A matrix times a power of two, so that high powers of it neither overflow nor vanish.
#[derive(Clone)]
struct Scaled {
    cells: Vec<f64>,
    size: usize,
    exponent: f64,
}

impl Scaled {
    fn power(self, exponent: u64) -> Self {
        let (mut base, mut left) = (self, exponent);
        let mut product: Option<Self> = None;
        loop {
            if left & 1 == 1 {
                product = Some(match product {
                    Some(product) => product.times(&base),
                    None => base.clone(),
                });
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            base = base.times(&base);
        }
        product.unwrap_or(base)
    }

    fn times(&self, other: &Self) -> Self {
        let size = self.size;
        let mut cells = vec![0.0; size * size];
        for (row, out) in self.cells.chunks(size).zip(cells.chunks_mut(size)) {
            for (factor, line) in row.iter().zip(other.cells.chunks(size)) {
                for (cell, other) in out.iter_mut().zip(line) {
                    *cell += factor * other;
                }
            }
        }
        let largest = cells.iter().fold(0.0f64, |largest, cell| largest.max(cell.abs()));
        let shift = if largest > 0.0 { largest.log2().floor() } else { 0.0 };
        let scale = (-shift).exp2();
        cells.iter_mut().for_each(|cell| *cell *= scale);
        Self { cells, size, exponent: self.exponent + other.exponent + shift }
    }
}

/// The probability that the distance is below `d`, by Kolmogorov's limit and three terms in powers of `1/√n` (Pelz and
/// Good: Approximating the lower tail areas of the Kolmogorov-Smirnov one-sample statistic, 1976).
#[must_use]
pub fn expansion(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, z4, z6) = (z * z, z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI * PI, PI.powi(4), PI.powi(6));
    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    let (mut k2_whole, mut k3_whole) = (0.0, 0.0);
    // Each term over all integers stands for two of the same size; z ≤ 1.5 needs few.
    for step in 0..60 {
        let half = f64::from(step) + 0.5;
        let (half2, half4, half6) = (half * half, half.powi(4), half.powi(6));
        let weight = 2.0 * (-pi2 * half2 / (2.0 * z2)).exp();
        k0 += weight;
        k1 += weight * (pi2 * half2 - z2);
        k2 += weight * (6.0 * z6 + 2.0 * z4 + pi2 * (2.0 * z4 - 5.0 * z2) * half2 + pi4 * (1.0 - 2.0 * z2) * half4);
        k3 += weight
            * (pi6 * half6 * (5.0 - 30.0 * z2)
                + pi4 * half4 * (-60.0 * z2 + 212.0 * z4)
                + pi2 * half2 * (135.0 * z4 - 96.0 * z6)
                - 30.0 * z6
                - 90.0 * z4 * z4);
        let whole = f64::from(step) + 1.0;
        let weight = 2.0 * (-pi2 * whole * whole / (2.0 * z2)).exp();
        k2_whole += weight * pi2 * whole * whole;
        k3_whole += weight * (3.0 * pi2 * whole * whole * z2 - pi4 * whole.powi(4));
    }
    let root = FRAC_PI_2.sqrt();
    let k0 = root / z * k0;
    let k1 = root / (6.0 * z4) * k1;
    let k2 = root / (72.0 * z6 * z) * k2 - root / (36.0 * z2 * z) * k2_whole;
    let k3 = root / (6480.0 * z6 * z4) * k3 + root / (216.0 * z6) * k3_whole;
    k0 + k1 / n.sqrt() + k2 / n + k3 / n.powf(1.5)
}

#[cfg(test)]
mod tests;
