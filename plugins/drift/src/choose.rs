//! Which test fits a column, by its type and its size. Owns the choice alone.
//!
//! With few rows a test says how probable the difference is by chance; with many every difference has a small p-value,
//! and a distance says whether it is large. The table is Evidently's (its `registry`), read in its source:
//!
//! | rows | numbers | categories |
//! |---|---|---|
//! | up to 1,000 | more than 5 values Kolmogorov-Smirnov, 3 to 5 chi-square, fewer z | more than 2 chi-square, else z |
//! | more | more than 5 values normed Wasserstein, else Jensen-Shannon | Jensen-Shannon |
//!
//! Texts have one test, a classifier's, whatever their number.

use crate::config::{Binning, Measure, Norm};
use crate::measure::bins::distinct;
use crate::measure::chi_square::Form;
use crate::measure::jensen_shannon::Base;
use crate::measure::ks::Method;
use crate::measure::sorted;
use crate::table::Both;

/// Above so many rows distances are taken.
pub const FEW_ROWS: usize = 1000;

/// Whose choice it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chooser {
    /// Rows are those of the larger sample, and the chi-square test is of contingency: both samples err.
    Tidegate,
    /// Rows are those of the reference, and the chi-square test takes it for exact.
    Evidently,
}

/// The test for a column.
#[must_use]
pub fn choose(both: &Both, chooser: Chooser) -> Measure {
    let (reference, current) = both.rows();
    let rows = match chooser {
        Chooser::Tidegate => reference.max(current),
        Chooser::Evidently => reference,
    };
    let (numbers, values) = match both {
        Both::Numbers(reference, current) => (true, distinct(&sorted(&[&reference[..], current].concat()))),
        Both::Categories(_, names) => (false, names.len()),
        Both::Texts(..) => return Measure::Text,
    };
    let chi_square = match chooser {
        Chooser::Tidegate => Measure::ChiSquare { form: Form::Contingency },
        Chooser::Evidently => Measure::ChiSquare { form: Form::OneWay },
    };
    match (numbers, rows <= FEW_ROWS, values) {
        (true, true, 6..) => Measure::Ks { method: Method::Auto },
        (true, false, 6..) => Measure::Wasserstein { norm: Norm::ReferenceDeviation },
        (_, true, 3..) => chi_square,
        (_, true, _) => Measure::Z,
        (_, false, _) => Measure::JensenShannon { base: Base::E, bins: Binning::Evidently },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bins::Pair;

    fn numbers(n: u32, values: u32) -> Vec<f64> {
        (0..n).map(|i| f64::from(i % values)).collect()
    }

    #[test]
    fn each_cell_of_the_table_has_its_test() {
        let of = |n: u32, values: u32| {
            choose(&Both::Numbers(numbers(n, values), numbers(50, values)), Chooser::Tidegate).name()
        };
        assert_eq!([of(1000, 6), of(1000, 5), of(1000, 3), of(1000, 2)], ["ks", "chi_square", "chi_square", "z"]);
        assert_eq!([of(1001, 6), of(1001, 5)], ["wasserstein", "jensen_shannon"]);
        let category = |counts: &[u64]| {
            let pair = Pair { reference: counts.to_vec(), current: counts.to_vec(), edges: Vec::new() };
            choose(&Both::Categories(pair, vec![String::new(); counts.len()]), Chooser::Tidegate).name()
        };
        assert_eq!(
            [category(&[1, 2, 3]), category(&[1, 2]), category(&[900, 200])],
            ["chi_square", "z", "jensen_shannon"]
        );
    }

    #[test]
    fn only_evidently_forgets_the_window() {
        let both = Both::Numbers(numbers(500, 50), numbers(5000, 50));
        assert_eq!(choose(&both, Chooser::Evidently).name(), "ks");
        assert_eq!(choose(&both, Chooser::Tidegate).name(), "wasserstein");
    }
}
