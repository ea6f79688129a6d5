//! Why a classic model gave what it gave, as it is kept in a record. Owns how much is kept; what reckons it is elsewhere.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Of so many rows the reasons are kept.
const MOST_ROWS: usize = 16;
/// So many values are kept, of all rows together.
const MOST_VALUES: usize = 64;
/// So many contributions are kept of a value, the largest ones.
const MOST_CONTRIBUTIONS: usize = 32;

/// Why a classic model gave what it gave, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasons {
    /// How they were reckoned: `tree_shap` or `permutation`.
    pub method: Arc<str>,
    /// How many rows there were.
    pub rows: u64,
    /// The values of the first ones.
    pub values: Vec<ValueReasons>,
}

/// Why one value of a row is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueReasons {
    /// The row, from 0.
    pub row: u64,
    /// Which of its values, from 0: the class, where there are several.
    pub group: u64,
    /// What is given where nothing is known.
    pub base: f64,
    /// What is explained: of trees the margin.
    pub explained: f64,
    /// What features added, the largest first.
    pub contributions: Vec<Contribution>,
}

/// What a feature added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature.
    pub feature: Arc<str>,
    /// How much.
    pub value: f64,
}

/// All of an explanation, row after row and value after value.
#[derive(Debug, Clone, Copy)]
pub struct AllReasons<'a> {
    /// How it was reckoned.
    pub method: &'a str,
    /// The names of the features.
    pub features: &'a [Arc<str>],
    /// How many rows.
    pub rows: usize,
    /// How many values of each row.
    pub groups: usize,
    /// Rows × groups × features.
    pub contributions: &'a [f64],
    /// Rows × groups.
    pub base: &'a [f64],
    /// Rows × groups.
    pub explained: &'a [f64],
}

impl Reasons {
    /// What is kept of an explanation: what is no number is left out.
    #[must_use]
    pub fn kept(all: &AllReasons<'_>) -> Self {
        let each = all.contributions.chunks(all.features.len().max(1)).zip(all.base.iter().zip(all.explained));
        let most = MOST_VALUES.min(MOST_ROWS.saturating_mul(all.groups));
        let values = each.take(most).enumerate().filter_map(|(nth, (contributions, (base, explained)))| {
            let (row, group) = (nth / all.groups.max(1), nth % all.groups.max(1));
            let is_whole = base.is_finite() && explained.is_finite();
            is_whole.then(|| ValueReasons {
                row: row as u64,
                group: group as u64,
                base: *base,
                explained: *explained,
                contributions: largest(all.features, contributions),
            })
        });
        Self { method: all.method.into(), rows: all.rows as u64, values: values.collect() }
    }
}

fn largest(features: &[Arc<str>], contributions: &[f64]) -> Vec<Contribution> {
    let adds = features.iter().zip(contributions).filter(|(_, value)| value.is_finite() && **value != 0.0);
    let mut all: Vec<Contribution> =
        adds.map(|(feature, value)| Contribution { feature: Arc::clone(feature), value: *value }).collect();
    all.sort_by(|one, other| other.value.abs().total_cmp(&one.value.abs()));
    all.truncate(MOST_CONTRIBUTIONS);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_contributions_of_the_first_rows_are_kept() {
        let features: Vec<Arc<str>> = (0..100).map(|nth| format!("f{nth}").into()).collect();
        let (rows, groups) = (40, 2);
        let contributions: Vec<f64> = (0..rows * groups * 100).map(|nth| f64::from(nth % 100) - 60.0).collect();
        let mut explained = vec![1.5; rows as usize * 2];
        explained[1] = f64::NAN;
        let all = AllReasons {
            method: "tree_shap",
            features: &features,
            rows: rows as usize,
            groups: groups as usize,
            contributions: &contributions,
            base: &vec![0.5; rows as usize * 2],
            explained: &explained,
        };
        let kept = Reasons::kept(&all);
        assert_eq!((kept.rows, kept.values.len()), (40, MOST_ROWS * 2 - 1), "what is no number is left out");
        let first = &kept.values[0];
        assert_eq!((first.row, first.group, first.base, first.explained), (0, 0, 0.5, 1.5));
        assert_eq!((&*first.contributions[0].feature, first.contributions[0].value), ("f0", -60.0));
        assert_eq!(first.contributions.len(), MOST_CONTRIBUTIONS);
        let last = kept.values.last().unwrap();
        assert_eq!((last.row, last.group), (15, 1));
    }
}
