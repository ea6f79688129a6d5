//! A baseline that somebody sent, checked: what it says of itself must hold, since monitors reckon with it.

use super::{
    Baseline, Categorical, Column, FORM, LARGEST_NUMBER, LONGEST_TEXT, MOST_BINS, MOST_CATEGORIES, MOST_COLUMNS,
    Numeric, Profile, Sampled, most_sampled,
};
use crate::fault::RegistryFault;
use crate::kind::short;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// A baseline as it came.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBaseline {
    /// Looked at before the rest, which another form may have otherwise.
    #[serde(rename = "baseline")]
    _form: u64,
    rows: u64,
    columns: Vec<RawColumn>,
    #[serde(default)]
    sample: Vec<Vec<Sampled>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    name: String,
    count: u64,
    missing: u64,
    numeric: Option<Numeric>,
    categorical: Option<Categorical>,
}

impl Baseline {
    /// Checks JSON of the form that [`Baseline::to_json`] writes.
    ///
    /// # Errors
    /// It is of another form, or does not hold together.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        if let Some(form) = value.get("baseline").and_then(Value::as_u64)
            && form != FORM
        {
            return Err(refused(format!("its form is {form}, and this program knows {FORM}: make it anew")));
        }
        let raw = RawBaseline::deserialize(value).map_err(|e| refused(e.to_string()))?;
        let RawBaseline { _form: _, rows, columns, sample } = raw;
        names(columns.iter().map(|column| column.name.as_str()))?;
        let columns = columns
            .into_iter()
            .map(|raw| {
                let name = short(&raw.name);
                column(raw, rows).map_err(|why| refused(format!("column `{name}`: {why}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_sample(&sample, &columns, rows).map_err(|why| refused(format!("sample: {why}")))?;
        Ok(Self { rows, columns, sample })
    }
}

fn refused(why: impl std::fmt::Display) -> RegistryFault {
    RegistryFault::invalid(format!("the baseline: {why}"))
}

/// Whether columns may be called so.
pub(super) fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), RegistryFault> {
    if !(1..=MOST_COLUMNS).contains(&names.len()) {
        let says = format!("it has {} columns, and 1 to {MOST_COLUMNS} are taken: leave some out", names.len());
        return Err(refused(says));
    }
    let mut known = BTreeSet::new();
    for name in names {
        if name.is_empty() || name.len() > LONGEST_TEXT {
            let says = format!("a column is called `{}`: give it a name of 1 to {LONGEST_TEXT} bytes", short(name));
            return Err(refused(says));
        }
        if !known.insert(name) {
            return Err(refused(format!("two columns are called `{}`: rename one", short(name))));
        }
    }
    Ok(())
}

fn column(raw: RawColumn, rows: u64) -> Result<Column, String> {
    let RawColumn { name, count, missing, numeric, categorical } = raw;
    if count.checked_add(missing) != Some(rows) {
        return Err(format!("`count` and `missing` make up {rows} rows"));
    }
    let profile = match (numeric, categorical) {
        (Some(numeric), None) => {
            check_numeric(&numeric, count)?;
            Profile::Numeric(numeric)
        }
        (None, Some(categorical)) => {
            check_categorical(&categorical, count)?;
            Profile::Categorical(categorical)
        }
        _ => return Err("it is either `numeric` or `categorical`".to_owned()),
    };
    Ok(Column { name, count, missing, profile })
}

fn check_numeric(of: &Numeric, count: u64) -> Result<(), String> {
    let is_number = |x: f64| x.is_finite() && x.abs() <= LARGEST_NUMBER;
    // Sums are rounded, and JSON may round once more.
    let rounding = 1e-9 * of.min.abs().max(of.max.abs());
    if ![of.min, of.max, of.mean].into_iter().all(is_number)
        || !(of.min - rounding..=of.max + rounding).contains(&of.mean)
    {
        return Err("`min`, `mean` and `max` are numbers within ±1e140, in this order".to_owned());
    }
    if !(of.m2.is_finite() && of.m2 >= 0.0) {
        return Err("`m2` is a sum of squares, not negative".to_owned());
    }
    if !(1..=MOST_BINS).contains(&of.bins.len()) {
        return Err(format!("there are 1 to {MOST_BINS} bins"));
    }
    if total(of.bins.iter().map(|bin| bin.count)) != Some(count) || of.bins.iter().any(|bin| bin.count == 0) {
        return Err(format!("each bin counts at least one, and all of them {count}"));
    }
    let mut below = of.min;
    for bin in &of.bins {
        if !is_number(bin.to) || bin.to < below - rounding || bin.to > of.max + rounding {
            return Err("the bins' ends `to` ascend from `min` to `max`".to_owned());
        }
        let mean = bin.sum / float(bin.count);
        if !(below - rounding..=bin.to + rounding).contains(&mean) {
            return Err(format!("the `sum` of the bin to {} is not of what falls into it", bin.to));
        }
        below = bin.to;
    }
    if below < of.max {
        return Err("the last bin reaches to `max`".to_owned());
    }
    let sum: f64 = of.bins.iter().map(|bin| bin.sum).sum();
    if (sum / float(count) - of.mean).abs() > rounding.max(f64::MIN_POSITIVE) {
        return Err("`mean` is not that of the bins' sums".to_owned());
    }
    Ok(())
}

fn check_categorical(of: &Categorical, count: u64) -> Result<(), String> {
    if of.categories.len() > MOST_CATEGORIES {
        return Err(format!("at most {MOST_CATEGORIES} categories are kept by name: the others are `other`"));
    }
    let counts = of.categories.iter().map(|category| category.count).chain([of.other]);
    if total(counts) != Some(count) || of.categories.iter().any(|category| category.count == 0) {
        return Err(format!("each category counts at least one, and all of them with `other` {count}"));
    }
    if !of.categories.is_sorted_by(|a, b| a.count >= b.count) {
        return Err("the most frequent category comes first".to_owned());
    }
    if of.categories.iter().any(|category| category.value.len() > LONGEST_TEXT) {
        return Err(format!("a category has at most {LONGEST_TEXT} bytes"));
    }
    let different: BTreeSet<&str> = of.categories.iter().map(|category| category.value.as_str()).collect();
    if different.len() < of.categories.len() {
        return Err("no category is named twice".to_owned());
    }
    Ok(())
}

fn check_sample(sample: &[Vec<Sampled>], columns: &[Column], rows: u64) -> Result<(), String> {
    let most = most_sampled(columns.len());
    if sample.len() > most || sample.len() as u64 > rows {
        return Err(format!("of {rows} rows with {} columns it has at most {most}", columns.len()));
    }
    let fits = |(cell, column): (&Sampled, &Column)| match (cell, &column.profile) {
        (Sampled::Missing, _) => true,
        (Sampled::Number(x), Profile::Numeric(of)) => (of.min..=of.max).contains(x),
        (Sampled::Text(text), Profile::Categorical(_)) => text.len() <= LONGEST_TEXT,
        _ => false,
    };
    for (number, row) in sample.iter().enumerate() {
        if row.len() != columns.len() || !row.iter().zip(columns).all(fits) {
            return Err(format!(
                "row {number} has not a cell for each column: a number between `min` and `max`, a text of at most \
                 {LONGEST_TEXT} bytes, or null"
            ));
        }
    }
    Ok(())
}

fn total(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0u64, u64::checked_add)
}

#[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits of its count")]
fn float(count: u64) -> f64 {
    count as f64
}
