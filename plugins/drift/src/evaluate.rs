//! From settings and two tables to a report. Owns the order: what is asked of which columns, then all measurements, then
//! the verdicts, which under a correction depend on each other.

mod one;

use crate::choose::choose;
use crate::config::{Ask, Columns, Config};
use crate::measure::multiplicity;
use crate::report::{Measurement, Report, Severity};
use crate::table::{Both, Column, Sample, Table};
use one::Found;
use serde_json::{Map, Value, json};

/// Why a window could not be evaluated at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A column that a test names is on one side only, or on neither.
    #[error("{test} asks for column {column}, which {whose} has not")]
    NoColumn {
        /// The test.
        test: String,
        /// The column.
        column: String,
        /// Whose table lacks it.
        whose: &'static str,
    },
    /// A column contradicts itself.
    #[error("{0}")]
    Broken(String),
    /// No column could be measured.
    #[error("nothing could be measured: {0}")]
    Nothing(String),
}

/// What was measured, before any verdict.
struct Measured {
    ask: Ask,
    found: Found,
}

/// Compares the window with the reference. A column that cannot be measured (no values, other types) is named in the
/// report's detail with the reason, and the others are measured.
///
/// # Errors
/// A test names a column that is not there, a column contradicts itself, or nothing could be measured.
pub fn evaluate(config: &Config, reference: &Table, current: &Table) -> Result<Report, Fault> {
    let (mut measured, mut skipped) = (Vec::new(), Vec::new());
    let asks =
        if config.asks.is_empty() { chosen(config, reference, current, &mut skipped)? } else { config.asks.clone() };
    for ask in asks {
        match measure(&ask, config, reference, current)? {
            Ok(found) => measured.push(Measured { ask, found }),
            Err(why) => skipped.push(json!({"column": whose(&ask.of), "measurement": ask.name, "why": why})),
        }
    }
    if measured.is_empty() {
        let why: Vec<&str> = skipped.iter().filter_map(|one| one["why"].as_str()).collect();
        let why = if why.is_empty() { "both sides have no column in common".to_owned() } else { why.join("; ") };
        return Err(Fault::Nothing(why));
    }
    Ok(report(config, measured, &skipped))
}

/// A test for each column that both sides have.
fn chosen(config: &Config, reference: &Table, current: &Table, skipped: &mut Vec<Value>) -> Result<Vec<Ask>, Fault> {
    let mut asks = Vec::new();
    for column in &reference.columns {
        let Some(other) = current.column(&column.name) else {
            skipped.push(json!({"column": column.name, "why": "the window has no such column"}));
            continue;
        };
        match both(column, other, config)? {
            Ok(both) => {
                let measure = choose(&both, config.choose);
                let name = format!("{}:{}", measure.name(), column.name);
                let of = Columns::One(column.name.clone());
                asks.push(Ask { name, of, measure, threshold: None, least_effect: None });
            }
            Err(why) => skipped.push(json!({"column": column.name, "why": why})),
        }
    }
    Ok(asks)
}

/// Both samples of a column, or why they cannot be compared.
fn both(reference: &Column, current: &Column, config: &Config) -> Result<Result<Both, String>, Fault> {
    let (a, b) = (Sample::of(reference).map_err(Fault::Broken)?, Sample::of(current).map_err(Fault::Broken)?);
    Ok(Both::of(a, b).and_then(|both| {
        let (n, m) = both.rows();
        let few = n.min(m) < config.least_rows;
        if few { Err(format!("{n} and {m} values are too few: {} are asked", config.least_rows)) } else { Ok(both) }
    }))
}

/// One ask. The outer error ends the evaluation, the inner one is this column's alone.
fn measure(ask: &Ask, config: &Config, reference: &Table, current: &Table) -> Result<Result<Found, String>, Fault> {
    let column = |table: &'_ Table, name: &str, whose: &'static str| -> Result<Column, Fault> {
        let missing = || Fault::NoColumn { test: ask.name.clone(), column: name.to_owned(), whose };
        table.column(name).cloned().ok_or_else(missing)
    };
    let names = match &ask.of {
        Columns::One(name) if !one::of_vectors(&ask.measure) => {
            let (a, b) = (column(reference, name, "the reference")?, column(current, name, "the window")?);
            return Ok(both(&a, &b, config)?.and_then(|both| one::compare(&ask.measure, &both)));
        }
        Columns::One(name) => vec![name.clone()],
        Columns::These(names) => names.clone(),
        Columns::Prefix(prefix) => {
            let all = reference.columns.iter().map(|column| &column.name);
            all.filter(|name| name.starts_with(prefix)).cloned().collect()
        }
    };
    let side = |table: &Table, whose: &'static str| -> Result<Vec<Column>, Fault> {
        names.iter().map(|name| column(table, name, whose)).collect()
    };
    Ok(one::vectors(&ask.measure, &side(reference, "the reference")?, &side(current, "the window")?))
}

fn whose(of: &Columns) -> String {
    match of {
        Columns::One(name) => name.clone(),
        Columns::These(names) => names.join("+"),
        Columns::Prefix(prefix) => format!("{prefix}*"),
    }
}

/// The verdicts. Tests that have no threshold of their own share `alpha`; distances are held against theirs.
fn report(config: &Config, measured: Vec<Measured>, skipped: &[Value]) -> Report {
    let shared = |one: &&Measured| one.ask.threshold.is_none();
    let ps: Vec<f64> = measured.iter().filter(shared).filter_map(|one| one.found.p).collect();
    let line = multiplicity::threshold(&ps, config.alpha, config.correction);
    let mut verdicts = multiplicity::found(&ps, config.alpha, config.correction).into_iter();
    let (mut measurements, mut bins) = (Vec::new(), Map::new());
    let (all, mut drifted) = (measured.len(), 0);
    for Measured { ask, found } in measured {
        let (threshold, past) = match (found.p, ask.threshold) {
            (Some(p), Some(own)) => (own, p <= own),
            (Some(_), None) => (line, verdicts.next().unwrap_or(false)),
            (None, own) => {
                let own = own.unwrap_or(one::DISTANCE);
                (own, found.value >= own)
            }
        };
        let least = ask.least_effect.unwrap_or(config.least_effect);
        let breached = past && found.effect.as_ref().is_none_or(|(_, effect)| effect.abs() >= least);
        drifted += usize::from(breached);
        let column = whose(&ask.of);
        let mut labels = vec![("column".to_owned(), column), ("measure".to_owned(), ask.measure.name().to_owned())];
        labels.extend([("reference_rows", found.rows.0), ("current_rows", found.rows.1)].map(text));
        labels.extend(found.effect.as_ref().map(|(kind, effect)| ((*kind).to_owned(), effect.to_string())));
        labels.extend(found.labels.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())));
        if let Some(counted) = found.bins {
            bins.insert(ask.name.clone(), counted);
        }
        let severity = if breached { config.severity } else { Severity::Info };
        measurements.push(Measurement {
            name: ask.name,
            value: found.value,
            threshold: Some(threshold),
            p: found.p,
            breached,
            severity,
            labels,
        });
    }
    measurements.push(whole(config, drifted, all));
    #[cfg(feature = "wrong")]
    let measurements = measurements.into_iter().map(crate::wrong::spoiled).collect();
    Report { measurements, detail: json!({"skipped": skipped, "bins": bins}) }
}

/// The last measurement: which share of the others drifted.
fn whole(config: &Config, drifted: usize, all: usize) -> Measurement {
    let value = crate::measure::count(drifted) / crate::measure::count(all);
    let breached = value >= config.share;
    Measurement {
        name: "drifted_share".to_owned(),
        value,
        threshold: Some(config.share),
        p: None,
        breached,
        severity: if breached { config.severity } else { Severity::Info },
        labels: [("drifted", drifted), ("measured", all)].map(text).to_vec(),
    }
}

fn text((name, n): (&str, usize)) -> (String, String) {
    (name.to_owned(), n.to_string())
}

#[cfg(test)]
mod tests;
