//! An expectation and a table. Owns when it is met: what is missing is no value, and a share of values is of those that are
//! there, as in Great Expectations.

use crate::config::Config;
use crate::expectation::{Aggregate, EachValue, Expectation, Kind, Range};
use crate::suite::{Expected, Suite};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_window::{Column, Data, Severity, Table, short};

/// An expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its type.
    pub rule: String,
    /// Its column, where it is of one.
    pub column: Option<String>,
    /// In how many rows it is not met; 0 where it is of no rows.
    pub failed: u32,
    /// Some of these.
    pub sample_rows: Vec<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// What was expected, and what is; no value of the table's is told.
    pub message: String,
}

/// The longest texts of the contract, in bytes.
const MESSAGE_BYTES: usize = 1024;
const NAME_BYTES: usize = 128;

/// What is not met, and where.
struct Unmet {
    column: Option<String>,
    rows: Vec<u32>,
    says: String,
}

impl Unmet {
    const fn whole(says: String) -> Self {
        Self { column: None, rows: Vec::new(), says }
    }

    fn of(column: &str, says: String) -> Self {
        Self { column: Some(column.to_owned()), rows: Vec::new(), says }
    }
}

/// All expectations of a suite that a table does not meet, in order.
#[must_use]
pub fn validate(config: &Config, suite: &Suite, table: &Table) -> Vec<Finding> {
    suite.expectations.iter().filter_map(|expected| finding(config, expected, table)).collect()
}

fn finding(config: &Config, expected: &Expected, table: &Table) -> Option<Finding> {
    let Unmet { column, mut rows, says } = check(&expected.means, table).err()?;
    let failed = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    rows.truncate(config.sample_rows);
    Some(Finding {
        rule: short(&expected.rule, NAME_BYTES),
        column: column.map(|column| short(&column, NAME_BYTES)),
        failed,
        sample_rows: rows,
        severity: expected.severity.unwrap_or(config.severity),
        message: short(&says, MESSAGE_BYTES),
    })
}

fn check(expectation: &Expectation, table: &Table) -> Result<(), Unmet> {
    match expectation {
        Expectation::RowCount(range) => counted("rows", f64::from(table.rows), range),
        Expectation::ColumnCount(range) => counted("columns", count(table.columns.len()), range),
        Expectation::ColumnSet(wanted, is_exact) => column_set(table, wanted, *is_exact),
        Expectation::ColumnList(wanted) => {
            let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            if names == wanted.iter().map(String::as_str).collect::<Vec<_>>() {
                return Ok(());
            }
            Err(Unmet::whole(format!("the columns are {}, not {}", names.join(", "), wanted.join(", "))))
        }
        Expectation::Exists(name) => find(table, name).map(|_| ()),
        Expectation::Values { column, each, mostly } => values(find(table, column)?, each, *mostly),
        Expectation::Type(column, kinds) => {
            let found = find(table, column)?;
            if kinds.contains(&kind(&found.data)) {
                return Ok(());
            }
            Err(Unmet::of(column, format!("it has {}", found.data.kind())))
        }
        Expectation::Aggregate(column, of, range) => aggregated(find(table, column)?, *of, range),
        Expectation::DistinctInSet(column, set) => {
            values(find(table, column)?, &EachValue::InSet(set.clone(), true), 1.0)
        }
        Expectation::Pair { one, two, is_greater, or_equal, mostly } => {
            let (first, second) = (find(table, one)?, find(table, two)?);
            pair(first, second, *mostly, |order| match order {
                Ordering::Greater => *is_greater,
                Ordering::Equal => !*is_greater || *or_equal,
                Ordering::Less => false,
            })
        }
    }
}

fn find<'a>(table: &'a Table, name: &str) -> Result<&'a Column, Unmet> {
    table.column(name).ok_or_else(|| Unmet::of(name, "there is no such column".to_owned()))
}

fn counted(what: &str, n: f64, range: &Range) -> Result<(), Unmet> {
    if range.holds(&Cell::Number(n)) { Ok(()) } else { Err(Unmet::whole(format!("there are {n} {what}, not {range}"))) }
}

fn column_set(table: &Table, wanted: &[String], is_exact: bool) -> Result<(), Unmet> {
    let names: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let listed = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let missing: Vec<&str> = wanted.difference(&names).copied().collect();
    let beyond: Vec<&str> = if is_exact { names.difference(&wanted).copied().collect() } else { Vec::new() };
    if missing.is_empty() && beyond.is_empty() {
        return Ok(());
    }
    Err(Unmet::whole(format!("columns are missing: {}; there are too many: {}", listed(missing), listed(beyond))))
}

const fn kind(data: &Data) -> Kind {
    match data {
        Data::Integers(_) => Kind::Integers,
        Data::Numbers(_) => Kind::Numbers,
        Data::Categories { .. } | Data::Texts(_) => Kind::Texts,
        Data::Booleans(_) => Kind::Booleans,
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Number(f64),
    Text(String),
    Bool(bool),
}

impl Cell {
    /// Of a column; none for what is missing.
    fn all(column: &Column) -> Result<Vec<Option<Self>>, Unmet> {
        let broken = |says: String| Unmet::of(&column.name, says);
        Ok(match &column.data {
            Data::Numbers(_) | Data::Integers(_) => {
                column.numbers().map_err(broken)?.into_iter().map(|value| value.map(Self::Number)).collect()
            }
            Data::Booleans(values) => {
                values.iter().zip(column.present()).map(|(value, here)| here.then_some(Self::Bool(*value))).collect()
            }
            Data::Categories { .. } | Data::Texts(_) => {
                let texts = column.texts().map_err(broken)?;
                texts.into_iter().map(|text| text.map(|text| Self::Text(text.into_owned()))).collect()
            }
        })
    }

    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Number(number), value) => value.as_f64() == Some(*number),
            (Self::Text(text), Value::String(value)) => text == value,
            (Self::Bool(is), Value::Bool(value)) => is == value,
            _ => false,
        }
    }

    /// Beside another of its type.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => one.partial_cmp(two),
            (Self::Text(one), Self::Text(two)) => Some(one.cmp(two)),
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            _ => None,
        }
    }

    /// Beside a bound: a text beside a text is by the alphabet, as times written by ISO 8601 are.
    fn beside(&self, bound: &Value) -> Option<Ordering> {
        match (self, bound) {
            (Self::Number(number), bound) => number.partial_cmp(&bound.as_f64()?),
            (Self::Text(text), Value::String(bound)) => Some(text.as_str().cmp(bound)),
            _ => None,
        }
    }

    /// As a key, by which equal ones are equal.
    fn key(&self) -> String {
        match self {
            // `+ 0.0` makes −0 a 0.
            Self::Number(number) => format!("n{}", number + 0.0),
            Self::Text(text) => format!("t{text}"),
            Self::Bool(is) => format!("b{is}"),
        }
    }
}

impl Range {
    /// Whether it is within. What cannot be compared with a bound is not.
    fn holds(&self, cell: &Cell) -> bool {
        let above = self.min.as_ref().is_none_or(|min| match cell.beside(min) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => !self.strict_min,
            _ => false,
        });
        let below = self.max.as_ref().is_none_or(|max| match cell.beside(max) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => !self.strict_max,
            _ => false,
        });
        above && below
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let strictly = match (self.strict_min, self.strict_max) {
            (false, false) => "",
            (true, false) => ", above the least",
            (false, true) => ", below the most",
            (true, true) => ", strictly between",
        };
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{min}{strictly}"),
            (Some(min), Some(max)) => write!(f, "from {min} to {max}{strictly}"),
            (Some(min), None) => write!(f, "{min} or more{strictly}"),
            (None, Some(max)) => write!(f, "at most {max}{strictly}"),
            (None, None) => Ok(()),
        }
    }
}

/// Values of a column, of which a share has to be as expected.
fn values(column: &Column, each: &EachValue, mostly: f64) -> Result<(), Unmet> {
    let cells = Cell::all(column)?;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    if matches!(each, EachValue::Unique) {
        for cell in cells.iter().flatten() {
            *seen.entry(cell.key()).or_default() += 1;
        }
    }
    let is_met = |cell: &Cell| match each {
        EachValue::NotNull => true,
        EachValue::Null => false,
        EachValue::Between(range) => range.holds(cell),
        EachValue::InSet(set, wanted) => set.iter().any(|value| cell.is(value)) == *wanted,
        EachValue::Matches(pattern, wanted) => match cell {
            Cell::Text(text) => pattern.is_match(text) == *wanted,
            Cell::Number(number) => pattern.is_match(&number.to_string()) == *wanted,
            Cell::Bool(is) => pattern.is_match(if *is { "true" } else { "false" }) == *wanted,
        },
        EachValue::Length(range) => match cell {
            Cell::Text(text) => range.holds(&Cell::Number(count(text.chars().count()))),
            _ => false,
        },
        EachValue::Unique => seen.get(&cell.key()) == Some(&1),
    };
    // Only of what is missing itself is a missing value one.
    let of_missing = match each {
        EachValue::NotNull => Some(false),
        EachValue::Null => Some(true),
        _ => None,
    };
    let verdicts =
        (0u32..).zip(&cells).filter_map(|(row, cell)| cell.as_ref().map(&is_met).or(of_missing).map(|met| (row, met)));
    mostly_met(column.name.as_str(), verdicts, mostly, &expected_of(each))
}

fn expected_of(each: &EachValue) -> String {
    match each {
        EachValue::NotNull => "there".to_owned(),
        EachValue::Null => "missing".to_owned(),
        EachValue::Between(range) => range.to_string(),
        EachValue::InSet(set, true) => format!("one of the {} of the set", set.len()),
        EachValue::InSet(set, false) => format!("none of the {} of the set", set.len()),
        EachValue::Matches(pattern, true) => format!("with {}", pattern.as_str()),
        EachValue::Matches(pattern, false) => format!("without {}", pattern.as_str()),
        EachValue::Length(range) => format!("texts of a length of {range}"),
        EachValue::Unique => "no other row's".to_owned(),
    }
}

fn pair(one: &Column, two: &Column, mostly: f64, is_met: impl Fn(Ordering) -> bool) -> Result<(), Unmet> {
    let (first, second) = (Cell::all(one)?, Cell::all(two)?);
    let verdicts = (0u32..).zip(first.iter().zip(&second)).filter_map(|(row, (first, second))| {
        let (first, second) = (first.as_ref()?, second.as_ref()?);
        Some((row, first.order(second).is_some_and(&is_met)))
    });
    mostly_met(&one.name, verdicts, mostly, &format!("so beside those of {}", two.name))
}

fn mostly_met(
    column: &str,
    verdicts: impl Iterator<Item = (u32, bool)>,
    mostly: f64,
    expected: &str,
) -> Result<(), Unmet> {
    let (mut all, mut rows) = (0usize, Vec::new());
    for (row, is_met) in verdicts {
        all += 1;
        if !is_met {
            rows.push(row);
        }
    }
    let met = all - rows.len();
    if all == 0 || count(met) / count(all) >= mostly {
        return Ok(());
    }
    let share = if mostly < 1.0 { format!(", and {mostly} of them should be") } else { String::new() };
    let says = format!("{} of {all} values are not {expected}{share}", rows.len());
    Err(Unmet { column: Some(column.to_owned()), rows, says })
}

fn aggregated(column: &Column, of: Aggregate, range: &Range) -> Result<(), Unmet> {
    let cells: Vec<Cell> = Cell::all(column)?.into_iter().flatten().collect();
    let unmet = |says: String| Err(Unmet::of(&column.name, says));
    let value = match of {
        Aggregate::UniqueCount | Aggregate::UniqueShare => {
            let different = count(cells.iter().map(Cell::key).collect::<BTreeSet<_>>().len());
            let all = count(cells.len());
            if of == Aggregate::UniqueCount { Some(different) } else { (all > 0.0).then(|| different / all) }
        }
        _ => {
            let numbers: Option<Vec<f64>> =
                cells.iter().map(|cell| if let Cell::Number(number) = cell { Some(*number) } else { None }).collect();
            let Some(numbers) = numbers else { return unmet(format!("it has {}", column.data.kind())) };
            number(of, numbers)
        }
    };
    match value {
        None => unmet("it has no value".to_owned()),
        Some(value) if range.holds(&Cell::Number(value)) => Ok(()),
        Some(value) => unmet(format!("it is {value}, not {range}")),
    }
}

/// Of numbers; none where there are too few.
fn number(of: Aggregate, mut numbers: Vec<f64>) -> Option<f64> {
    let n = count(numbers.len());
    let sum = || numbers.iter().sum::<f64>();
    match of {
        Aggregate::Sum => Some(sum()),
        Aggregate::Mean => (n > 0.0).then(|| sum() / n),
        Aggregate::Min => numbers.into_iter().reduce(f64::min),
        Aggregate::Max => numbers.into_iter().reduce(f64::max),
        Aggregate::Stdev => (n > 1.0).then(|| {
            let mean = sum() / n;
            (numbers.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
        }),
        Aggregate::Median => {
            numbers.sort_unstable_by(f64::total_cmp);
            let middle = numbers.len() / 2;
            let above = *numbers.get(middle)?;
            let below = if numbers.len().is_multiple_of(2) { *numbers.get(middle.checked_sub(1)?)? } else { above };
            Some(f64::midpoint(below, above))
        }
        Aggregate::UniqueCount | Aggregate::UniqueShare => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "windows have far fewer than 2^53 rows")]
const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
