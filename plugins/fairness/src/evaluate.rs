//! From settings, a window and the roles of its columns to a report. Owns which rows are counted, and what each number is
//! called.

use crate::config::Config;
use crate::counts::Counts;
use crate::measure::Measure;
use crate::measured::Measured;
use crate::pair::{Pair, PairMeasure};
use crate::table::{Group, Table};
use serde_json::{Value, json};
use tidegate_window::{Fault, Found, Measurement, Report, Roles, short};

/// So many rows are drawn again at most, all draws together: a window has seconds.
const MOST_ROWS_DRAWN: u64 = 100_000_000;
/// So many numbers are kept of all draws: a guest has little memory.
const MOST_NUMBERS_KEPT: u64 = 4_000_000;

/// The longest name of a group that is shown whole, in bytes.
const LONGEST_NAME: usize = 256;

/// What is measured of a table of groups.
type Of<'a> = Box<dyn Fn(&Table) -> Measured + 'a>;

/// A number to be reported.
struct Ask<'a> {
    name: String,
    group: Option<&'a Group>,
    of: Of<'a>,
}

/// Rows that could not be counted, and those that could.
#[derive(Default)]
struct Rows {
    all: u64,
    without_prediction: u64,
    without_group: u64,
    without_label: u64,
}

/// Compares the groups of a window.
///
/// # Errors
/// A column that a role names is not there or cannot be read, or no column is protected.
pub fn evaluate(config: &Config, window: &tidegate_window::Table, roles: &Roles) -> Result<Report, Fault> {
    if roles.protected.is_empty() {
        return Err(Fault("no column has the role `protected`: name the ones whose groups are compared".to_owned()));
    }
    let (counted, rows) = count(window, roles)?;
    let sizes: Vec<u64> = counted.iter().map(|group| group.counts.rows()).collect();
    let smallest = tidegate_window::smallest_shown(&sizes, u64::from(roles.min_group_size), config.most_groups);
    let table = Table::new(counted, smallest).map_err(|fault| Fault(fault.to_string()))?;
    let mut left_out = Vec::new();
    let asks = asks(config, &table, roles.label.is_some(), &mut left_out);
    let bootstrap = bootstrap(config, &table, asks.len());
    let measures: Vec<&Of<'_>> = asks.iter().map(|ask| &ask.of).collect();
    let intervals = if bootstrap.draws == 0 { vec![None; asks.len()] } else { bootstrap.intervals(&table, &measures) };
    let mut measurements = vec![suppressed(&table)];
    for (ask, interval) in asks.iter().zip(intervals) {
        let mut measurement = Measurement::new(&ask.name, found((ask.of)(&table)));
        if let Some(group) = ask.group {
            measurement = measurement.label("group", &group.name).label("rows", &group.counts.rows().to_string());
        }
        let within = interval.map(|interval| (interval.low, interval.high));
        if let Some((low, high)) = within {
            measurement = measurement.label("low", &low.to_string()).label("high", &high.to_string());
        }
        let judged = match (config.certain, within) {
            // What has no interval is not certain.
            (true, None) => Some((f64::NAN, f64::NAN)),
            (true, within) => within,
            (false, _) => None,
        };
        measurements.push(config.bounds.judged(measurement, judged, config.severity));
    }
    #[cfg(feature = "wrong")]
    let measurements = measurements.into_iter().map(crate::wrong::spoiled).collect();
    Ok(Report { measurements, detail: detail(&table, &rows, &left_out, &bootstrap) })
}

/// The rows of each group. A row without a prediction or without a group is in none.
fn count(window: &tidegate_window::Table, roles: &Roles) -> Result<(Vec<Group>, Rows), Fault> {
    let predictions = roles.positives(window, "prediction", &roles.prediction)?;
    let (labels, groups) = (roles.labels(window)?, roles.groups(window)?);
    let mut counts = vec![Counts::default(); groups.names().len()];
    let mut rows = Rows::default();
    for ((predicted, truth), group) in predictions.into_iter().zip(labels).zip(groups.of_row()) {
        rows.all += 1;
        let (Some(predicted), Some(counts)) = (predicted, group.and_then(|group| counts.get_mut(group))) else {
            rows.without_prediction += u64::from(predicted.is_none());
            rows.without_group += u64::from(group.is_none());
            continue;
        };
        rows.without_label += u64::from(truth.is_none());
        counts.add(predicted, truth);
    }
    let named = groups.names().iter().zip(counts);
    Ok((named.map(|(name, counts)| Group { name: name.clone(), counts }).collect(), rows))
}

/// All numbers that are reported, in order: of all groups together, of each, how far they lie apart, named comparisons, and
/// those with the privileged group.
fn asks<'a>(config: &Config, table: &'a Table, has_labels: bool, left_out: &mut Vec<Value>) -> Vec<Ask<'a>> {
    let empty = config.empty;
    let mut leave = |name: &str| left_out.push(json!({"measure": name, "why": "no column has the role `label`"}));
    let mut may = |name: &str, needs_labels: bool| {
        let may = has_labels || !needs_labels;
        if !may {
            leave(name);
        }
        may
    };
    let measures: Vec<Measure> =
        config.measures.iter().copied().filter(|measure| may(measure.name(), measure.needs_labels())).collect();
    let mut asks: Vec<Ask<'a>> = Vec::new();
    for measure in measures.iter().copied() {
        let of: Of<'_> = Box::new(move |table| measure.of(table.overall(), empty));
        asks.push(Ask { name: measure.name().to_owned(), group: None, of });
        for (at, group) in table.groups().iter().enumerate() {
            let of: Of<'_> = Box::new(move |table| match table.groups().get(at) {
                Some(group) => measure.of(&group.counts, empty),
                None => Measured::Undefined { n: 0 },
            });
            let name = format!("{}:{}", measure.name(), tidegate_window::group_name(&group.name, at));
            asks.push(Ask { name, group: Some(group), of });
        }
        for spread in config.spreads.iter().copied() {
            let of: Of<'_> = Box::new(move |table| spread.of(table, measure, empty));
            asks.push(Ask { name: format!("{}.{}", measure.name(), spread.name()), group: None, of });
        }
    }
    for comparison in config.comparisons.iter().copied() {
        if may(comparison.name(), comparison.needs_labels()) {
            let of: Of<'_> = Box::new(move |table| comparison.of(table, empty));
            asks.push(Ask { name: comparison.name().to_owned(), group: None, of });
        }
    }
    if let Some(privileged) = &config.privileged {
        for pair in config.pairs.iter().copied() {
            let name = format!("pair.{}", pair.name());
            let is_of_predictions =
                matches!(pair, PairMeasure::DisparateImpact | PairMeasure::StatisticalParityDifference);
            if may(&name, !is_of_predictions) {
                let privileged = privileged.clone();
                let of: Of<'_> = Box::new(move |table| match Pair::of(table, &privileged) {
                    Some(sides) => sides.measure(pair, empty),
                    None => Measured::Undefined { n: 0 },
                });
                asks.push(Ask { name, group: None, of });
            }
        }
    }
    asks
}

/// As many draws as are asked, or as there is time and memory for.
fn bootstrap(config: &Config, table: &Table, asks: usize) -> crate::Bootstrap {
    let rows = table.overall().rows().max(1);
    let asks = u64::try_from(asks).unwrap_or(u64::MAX).max(1);
    let most = (MOST_ROWS_DRAWN / rows).min(MOST_NUMBERS_KEPT / asks);
    let draws = config.bootstrap.draws.min(u32::try_from(most).unwrap_or(u32::MAX));
    crate::Bootstrap { draws, ..config.bootstrap }
}

fn found(measured: Measured) -> Found {
    match measured {
        Measured::Value(value) => Found::Value(value),
        Measured::Undefined { n: 0 } => Found::Undefined { why: "it rests on no row".to_owned(), n: 0 },
        Measured::Undefined { n } => {
            let why = "nothing by nothing, or fewer than two groups".to_owned();
            Found::Undefined { why, n }
        }
    }
}

/// The first measurement: how many groups are too small to be shown.
fn suppressed(table: &Table) -> Measurement {
    let rows: u64 = table.suppressed().iter().map(|group| group.rows).sum();
    let groups = u64::try_from(table.suppressed().len()).unwrap_or(u64::MAX);
    Measurement::new("suppressed_groups", Found::Value(crate::measured::count(groups))).label("rows", &rows.to_string())
}

fn detail(table: &Table, rows: &Rows, left_out: &[Value], bootstrap: &crate::Bootstrap) -> Value {
    let groups = table.groups().iter().map(|group| {
        let Counts { true_positives, false_positives, true_negatives, false_negatives, .. } = group.counts;
        json!({
            "name": short(&group.name, LONGEST_NAME), "rows": group.counts.rows(),
            "true_positives": true_positives, "false_positives": false_positives,
            "true_negatives": true_negatives, "false_negatives": false_negatives,
            "unlabelled_positives": group.counts.unlabelled_positives,
            "unlabelled_negatives": group.counts.unlabelled_negatives,
        })
    });
    json!({
        "groups": groups.collect::<Vec<Value>>(),
        "rows": {
            "all": rows.all, "without_prediction": rows.without_prediction, "without_group": rows.without_group,
            "without_label": rows.without_label,
        },
        "left_out": left_out,
        "bootstrap": {"draws": bootstrap.draws, "seed": bootstrap.seed, "level": bootstrap.level},
    })
}

#[cfg(test)]
mod tests;
