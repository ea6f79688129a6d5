//! Chi-square tests of category counts: whether two samples are of one distribution (contingency), and whether one is of
//! the other's (one-way).

use super::bins::Pair;
use super::special::chi_square_above;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// [`contingency`].
    Contingency,
    /// [`one_way`].
    OneWay,
}

impl Form {
    /// The test of this form.
    #[must_use]
    pub fn test(self, pair: &Pair) -> Option<Tested> {
        match self {
            Self::Contingency => contingency(pair),
            Self::OneWay => one_way(pair),
        }
    }
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested {
    /// Pearson's statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// How probable a statistic at least as large is where nothing differs.
    pub p: f64,
}

impl Tested {
    fn new(statistic: f64, degrees: f64) -> Self {
        Self { statistic, degrees, p: chi_square_above(degrees, statistic) }
    }
}

/// Whether both samples are of one distribution: the 2 × k table of counts against the products of its margins, with
/// Yates' correction for two categories (Pearson 1900; Yates 1934). The sampling error of both samples counts, and a new
/// category is one cell among others. None where a sample is empty. Categories that neither sample has are left out.
#[must_use]
pub fn contingency(pair: &Pair) -> Option<Tested> {
    let (a, b) = sums(pair)?;
    let cells: Vec<(f64, f64)> = numbers(pair).filter(|(a, b)| a + b > 0.0).collect();
    let yates = cells.len() == 2;
    let statistic: f64 = cells
        .iter()
        .map(|(of_a, of_b)| {
            let margin = (of_a + of_b) / (a + b);
            cell(*of_a, a * margin, yates) + cell(*of_b, b * margin, yates)
        })
        .sum();
    Some(Tested::new(statistic, super::count(cells.len()) - 1.0))
}

/// Whether the window is of the distribution that the reference's shares are, as Evidently tests: the reference is taken
/// for exact, so a category that it lacks gives `p = 0` at any size. None where a sample is empty, or where there is one
/// category only.
#[must_use]
pub fn one_way(pair: &Pair) -> Option<Tested> {
    let (a, b) = sums(pair)?;
    let cells: Vec<(f64, f64)> = numbers(pair).filter(|(a, b)| a + b > 0.0).collect();
    if cells.len() < 2 {
        return None;
    }
    let statistic: f64 = cells.iter().map(|(of_a, of_b)| cell(*of_b, of_a * b / a, false)).sum();
    Some(Tested::new(statistic, super::count(cells.len()) - 1.0))
}

/// `(observed − expected)² / expected`, the difference drawn towards 0 by up to a half under Yates' correction.
fn cell(observed: f64, expected: f64, yates: bool) -> f64 {
    let apart = (observed - expected).abs();
    let apart = if yates { apart - apart.min(0.5) } else { apart };
    apart * apart / expected
}

fn sums(pair: &Pair) -> Option<(f64, f64)> {
    let (a, b) = numbers(pair).fold((0.0, 0.0), |(a, b), (of_a, of_b)| (a + of_a, b + of_b));
    (a > 0.0 && b > 0.0).then_some((a, b))
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn numbers(pair: &Pair) -> impl Iterator<Item = (f64, f64)> {
    pair.reference.iter().zip(&pair.current).map(|(a, b)| (*a as f64, *b as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(reference: &[u64], current: &[u64]) -> Pair {
        Pair { reference: reference.to_vec(), current: current.to_vec(), edges: Vec::new() }
    }

    #[test]
    fn statistics_are_those_of_a_worked_table() {
        // scipy.stats.chi2_contingency([[10, 10, 20], [20, 20, 20]]): 2.7777777777777777 with 2 degrees.
        let tested = contingency(&pair(&[10, 10, 20], &[20, 20, 20])).expect("both have values");
        assert!((tested.statistic - 2.777_777_777_777_778).abs() < 1e-14, "{tested:?}");
        assert!((tested.p - (-tested.statistic / 2.0).exp()).abs() < 1e-15 && tested.degrees == 2.0);
        // scipy.stats.chisquare([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]): 3.5.
        let tested = one_way(&pair(&[16, 16, 16, 16, 16, 8], &[16, 18, 16, 14, 12, 12])).expect("both have values");
        assert!((tested.statistic - 3.5).abs() < 1e-14 && (tested.p - 0.623_387_627_749_582_3).abs() < 1e-13);
    }

    #[test]
    fn a_new_category_is_certain_drift_one_way_only() {
        let new = pair(&[500, 500, 0], &[500, 499, 1]);
        assert_eq!(one_way(&new).map(|tested| tested.p), Some(0.0));
        assert!(contingency(&new).is_some_and(|tested| tested.p > 0.3));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(contingency(&pair(&[0, 0], &[1, 2])), None);
        assert_eq!(one_way(&pair(&[3], &[3])), None);
        assert_eq!(contingency(&pair(&[3], &[3])).map(|tested| tested.p), Some(1.0));
        assert_eq!(contingency(&pair(&[3, 4, 0], &[3, 4, 0])), contingency(&pair(&[3, 4], &[3, 4])));
    }
}
