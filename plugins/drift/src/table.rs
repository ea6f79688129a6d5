//! Columns of a reference or a window, and the samples in them once what is missing is left out.

use crate::measure::bins::Pair;
use std::collections::BTreeMap;

/// What is in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Numbers, whole or not.
    Numbers(Vec<f64>),
    /// Categories: for each row an index into the levels.
    Categories {
        /// One for each row.
        codes: Vec<u32>,
        /// Their names.
        levels: Vec<String>,
    },
    /// Texts.
    Texts(Vec<String>),
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub data: Data,
    /// Rows without a value.
    pub missing: Vec<u32>,
}

/// Columns of the same rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// All of them.
    pub columns: Vec<Column>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// Finite numbers.
    Numbers(Vec<f64>),
    /// How often each category was met.
    Categories(BTreeMap<String, u64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Sample {
    /// Of a column: without missing rows, NaN and infinities.
    ///
    /// # Errors
    /// A code has no level; said in words.
    pub fn of(column: &Column) -> Result<Self, String> {
        match &column.data {
            Data::Numbers(values) => {
                let present = present(values, &column.missing);
                Ok(Self::Numbers(crate::measure::finite(present.copied())))
            }
            Data::Categories { codes, levels } => {
                let mut counts = vec![0u64; levels.len()];
                for code in present(codes, &column.missing) {
                    let cell = usize::try_from(*code).ok().and_then(|code| counts.get_mut(code));
                    *cell.ok_or_else(|| format!("code {code} of column {} has no level", column.name))? += 1;
                }
                let mut met = BTreeMap::new();
                for (level, n) in levels.iter().zip(counts).filter(|(_, n)| *n > 0) {
                    *met.entry(level.clone()).or_default() += n;
                }
                Ok(Self::Categories(met))
            }
            Data::Texts(texts) => Ok(Self::Texts(present(texts, &column.missing).cloned().collect())),
        }
    }

    /// How many values.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories(counts) => usize::try_from(counts.values().sum::<u64>()).unwrap_or(usize::MAX),
            Self::Texts(texts) => texts.len(),
        }
    }
}

/// Two samples of one column, of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Both {
    /// Numbers.
    Numbers(Vec<f64>, Vec<f64>),
    /// Category counts, in the order of the categories' names, with their names.
    Categories(Pair, Vec<String>),
    /// Texts.
    Texts(Vec<String>, Vec<String>),
}

impl Both {
    /// The reference's and the window's.
    ///
    /// # Errors
    /// They are not of one type, or one of them is empty; said in words.
    pub fn of(reference: Sample, current: Sample) -> Result<Self, String> {
        for (sample, whose) in [(&reference, "the reference"), (&current, "the window")] {
            if sample.rows() == 0 {
                return Err(format!("{whose} has no value"));
            }
        }
        match (reference, current) {
            (Sample::Numbers(reference), Sample::Numbers(current)) => Ok(Self::Numbers(reference, current)),
            (Sample::Categories(reference), Sample::Categories(current)) => Ok(Self::counted(&reference, &current)),
            (Sample::Texts(reference), Sample::Texts(current)) => Ok(Self::Texts(reference, current)),
            (Sample::Texts(_), _) | (_, Sample::Texts(_)) => Err("it has texts on one side only".to_owned()),
            _ => Err("it has numbers on one side and categories on the other".to_owned()),
        }
    }

    fn counted(reference: &BTreeMap<String, u64>, current: &BTreeMap<String, u64>) -> Self {
        let mut merged: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
        for (name, n) in reference {
            merged.entry(name).or_default().0 = *n;
        }
        for (name, n) in current {
            merged.entry(name).or_default().1 = *n;
        }
        let mut pair = Pair::default();
        for (of_reference, of_current) in merged.values() {
            pair.push(*of_reference, *of_current);
        }
        Self::Categories(pair, merged.into_keys().cloned().collect())
    }

    /// How many values each side has, the reference first.
    #[must_use]
    pub fn rows(&self) -> (usize, usize) {
        let sum = |counts: &[u64]| usize::try_from(counts.iter().sum::<u64>()).unwrap_or(usize::MAX);
        match self {
            Self::Numbers(reference, current) => (reference.len(), current.len()),
            Self::Categories(pair, _) => (sum(&pair.reference), sum(&pair.current)),
            Self::Texts(reference, current) => (reference.len(), current.len()),
        }
    }

    /// Counts of each value, whatever the type; none of texts.
    #[must_use]
    pub fn values(&self) -> Pair {
        match self {
            Self::Numbers(reference, current) => Pair::values(reference, current),
            Self::Categories(pair, _) => pair.clone(),
            Self::Texts(..) => Pair::default(),
        }
    }
}

/// The rows that are not missing. Rows may be named in any order; what is beyond the last is nobody's.
fn present<'a, T>(values: &'a [T], missing: &[u32]) -> impl Iterator<Item = &'a T> {
    let mut absent = if missing.is_empty() { Vec::new() } else { vec![false; values.len()] };
    for row in missing {
        if let Some(cell) = usize::try_from(*row).ok().and_then(|row| absent.get_mut(row)) {
            *cell = true;
        }
    }
    values
        .iter()
        .enumerate()
        .filter(move |(row, _)| !absent.get(*row).copied().unwrap_or(false))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data: Data, missing: &[u32]) -> Column {
        Column { name: "x".to_owned(), data, missing: missing.to_vec() }
    }

    #[test]
    fn what_is_missing_is_no_value() {
        let numbers = column(Data::Numbers(vec![1.0, f64::NAN, 3.0, 4.0]), &[3, 99]);
        assert_eq!(Sample::of(&numbers), Ok(Sample::Numbers(vec![1.0, 3.0])));
        let levels = vec!["b".to_owned(), "a".to_owned(), "never".to_owned()];
        let categories = column(Data::Categories { codes: vec![0, 1, 0], levels: levels.clone() }, &[1]);
        assert_eq!(Sample::of(&categories), Ok(Sample::Categories([("b".to_owned(), 2)].into())));
        let bad = column(Data::Categories { codes: vec![7], levels }, &[]);
        assert_eq!(Sample::of(&bad), Err("code 7 of column x has no level".to_owned()));
    }

    #[test]
    fn levels_are_matched_by_name() {
        let sample = |names: &[(&str, u64)]| {
            Sample::Categories(names.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect())
        };
        let both = Both::of(sample(&[("a", 1), ("b", 2)]), sample(&[("b", 3), ("c", 4)])).expect("categories");
        let Both::Categories(pair, names) = &both else { panic!("{both:?}") };
        assert_eq!((&pair.reference[..], &pair.current[..]), (&[1, 2, 0][..], &[0, 3, 4][..]));
        assert_eq!((names.len(), both.rows()), (3, (3, 7)));
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let numbers = || Sample::Numbers(vec![1.0]);
        let why = |a: Sample, b: Sample| Both::of(a, b).expect_err("they cannot be compared");
        assert_eq!(why(numbers(), Sample::Numbers(Vec::new())), "the window has no value");
        assert!(why(numbers(), Sample::Categories([("a".to_owned(), 1)].into())).contains("categories on the other"));
        let texts = || Sample::Texts(vec!["a".to_owned()]);
        assert_eq!(why(texts(), numbers()), "it has texts on one side only");
        assert_eq!(Both::of(texts(), texts()).map(|both| both.rows()), Ok((1, 1)));
    }
}
