//! How large a difference is, whatever the number of rows: with enough of them every difference has a small p-value, and
//! only its size says whether it matters (Cohen: Statistical power analysis for the behavioral sciences, 1988).

use super::count;

/// Mean and population variance; none of nothing.
#[must_use]
pub fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let n = count(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    Some((mean, variance))
}

/// Cohen's d: the difference of the means, the window's less the reference's, in pooled standard deviations. 0.2 is
/// small, 0.5 medium, 0.8 large. None where neither sample varies or has two values.
#[must_use]
pub fn cohens_d(reference: &[f64], current: &[f64]) -> Option<f64> {
    let ((a, of_a), (b, of_b)) = (moments(reference)?, moments(current)?);
    let (n, m) = (count(reference.len()), count(current.len()));
    let pooled = ((n * of_a + m * of_b) / (n + m - 2.0)).sqrt();
    (pooled > 0.0 && pooled.is_finite()).then(|| (b - a) / pooled)
}

/// Cramér's V of a 2 × k table with this chi-square statistic over so many rows: between 0 and 1. It is the φ of two
/// categories.
#[must_use]
pub fn cramers_v(statistic: f64, rows: usize) -> f64 {
    (statistic / count(rows)).sqrt().min(1.0)
}

/// Cohen's w of a one-way test with this statistic over so many rows of the window. It has no upper end.
#[must_use]
pub fn cohens_w(statistic: f64, rows: usize) -> f64 {
    (statistic / count(rows)).sqrt()
}

/// Cohen's h: the difference of two shares on the scale on which all have the same variance, the window's less the
/// reference's.
#[must_use]
pub fn cohens_h(reference: f64, current: f64) -> f64 {
    2.0 * (current.clamp(0.0, 1.0).sqrt().asin() - reference.clamp(0.0, 1.0).sqrt().asin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_worked_examples() {
        let d = cohens_d(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0]);
        assert!(d.is_some_and(|d| (d - 1.0).abs() < 1e-15), "{d:?}");
        assert_eq!(cohens_d(&[1.0], &[1.0]), None);
        assert_eq!(cohens_d(&[], &[1.0]), None);
        assert_eq!((cramers_v(25.0, 100), cohens_w(25.0, 100)), (0.5, 0.5));
        // Cohen 1988, table 6.2.2: from 0.5 to 0.75 is 0.524.
        assert!((cohens_h(0.5, 0.75) - std::f64::consts::FRAC_PI_6).abs() < 1e-12);
    }

    #[test]
    fn moments_are_those_of_the_population() {
        assert_eq!(moments(&[1.0, 3.0]), Some((2.0, 1.0)));
        assert_eq!(moments(&[]), None);
    }
}
