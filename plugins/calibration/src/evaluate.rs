//! From settings, a window and the roles of its columns to a report. Owns which rows are measured, and what each number is
//! called.

use crate::config::{Config, Strategy};
use crate::reliability::Reliability;
use crate::scored::{Scored, Scores};
use crate::{average_precision, brier, log_loss, roc_auc};
use serde_json::{Map, Value, json};
use tidegate_window::{Fault, Found, Measurement, Report, Roles, Table, group_name, short, smallest_shown};

/// The longest name of a group that is shown whole, in bytes.
const LONGEST_NAME: usize = 256;
/// So many bins of groups stand in the detail: it has a bound.
const MOST_BINS_SHOWN: usize = 4000;

/// A group that is shown.
struct Group {
    name: String,
    scores: Scores,
}

/// Rows that could not be measured, and those that could.
#[derive(Default)]
struct Rows {
    all: u64,
    without_score: u64,
    without_label: u64,
    without_group: u64,
}

/// Says how well the scores of a window say its labels, of all rows and, where columns are protected, of each group.
///
/// # Errors
/// A column that a role names is not there or cannot be read, no column has scores or labels, or a score is no probability.
pub fn evaluate(config: &Config, window: &Table, roles: &Roles) -> Result<Report, Fault> {
    let (groups, rows) = grouped(window, roles)?;
    let sizes: Vec<u64> = groups.iter().map(|group| size(&group.scores)).collect();
    let smallest = if roles.protected.is_empty() {
        0
    } else {
        smallest_shown(&sizes, u64::from(roles.min_group_size), config.most_groups).max(1)
    };
    let (shown, small): (Vec<Group>, Vec<Group>) =
        groups.into_iter().partition(|group| size(&group.scores) >= smallest);
    // Were it of all rows, one small group's numbers would be what is left of it.
    let all: Vec<Scored> = shown.iter().flat_map(|group| group.scores.rows().iter().copied()).collect();
    let all = Scores::new(all).map_err(|fault| Fault(fault.to_string()))?;
    let (mut measurements, reliability) = measured(config, &all, None);
    let mut of_groups = Vec::new();
    let mut bins_shown = 0;
    if !roles.protected.is_empty() {
        for (at, group) in shown.iter().enumerate() {
            let (of_group, tables) = measured(config, &group.scores, Some((group.name.as_str(), at)));
            measurements.extend(of_group);
            bins_shown += config.bins.iter().map(|binning| binning.bins).sum::<usize>();
            let tables = if bins_shown <= MOST_BINS_SHOWN { Value::Object(tables) } else { Value::Null };
            let name = short(&group.name, LONGEST_NAME);
            of_groups.push(json!({"name": name, "rows": size(&group.scores), "reliability": tables}));
        }
        measurements.push(suppressed(&small));
    }
    #[cfg(feature = "wrong")]
    let measurements = measurements.into_iter().map(crate::wrong::spoiled).collect();
    let detail = json!({
        "reliability": reliability, "groups": of_groups,
        "rows": {
            "all": rows.all, "without_score": rows.without_score, "without_label": rows.without_label,
            "without_group": rows.without_group,
        },
    });
    Ok(Report { measurements, detail })
}

/// The rows of each group that have a score and a label; one group where no column is protected.
fn grouped(window: &Table, roles: &Roles) -> Result<(Vec<Group>, Rows), Fault> {
    if roles.label.is_none() {
        return Err(Fault("no column has the role `label`: name the one that says what was so".to_owned()));
    }
    let (scores, labels, groups) = (roles.scores(window)?, roles.labels(window)?, roles.groups(window)?);
    let mut of_groups = vec![Vec::new(); groups.names().len()];
    let mut rows = Rows::default();
    for (at, ((score, truth), group)) in scores.into_iter().zip(labels).zip(groups.of_row()).enumerate() {
        rows.all += 1;
        rows.without_score += u64::from(score.is_none());
        rows.without_label += u64::from(truth.is_none());
        rows.without_group += u64::from(group.is_none());
        let (Some(probability), Some(truth)) = (score, truth) else { continue };
        if !(0.0..=1.0).contains(&probability) {
            let says = format!("row {at} has the score {probability}: a probability is from 0 to 1");
            return Err(Fault(says));
        }
        if let Some(of_group) = group.and_then(|group| of_groups.get_mut(group)) {
            of_group.push(Scored { probability, truth });
        }
    }
    let named = groups.names().iter().zip(of_groups).map(|(name, rows)| {
        let scores = Scores::new(rows).map_err(|fault| Fault(fault.to_string()))?;
        Ok(Group { name: name.clone(), scores })
    });
    Ok((named.collect::<Result<_, Fault>>()?, rows))
}

fn size(scores: &Scores) -> u64 {
    u64::try_from(scores.rows().len()).unwrap_or(u64::MAX)
}

/// All numbers of some rows, and their reliability tables.
fn measured(config: &Config, scores: &Scores, group: Option<(&str, usize)>) -> (Vec<Measurement>, Map<String, Value>) {
    let n = size(scores);
    let mut measurements = Vec::new();
    let mut say = |name: &str, value: Option<f64>, why: &str| {
        let found = match value {
            Some(value) => Found::Value(value),
            None if n == 0 => Found::Undefined { why: "no row has a score and a label".to_owned(), n },
            None => Found::Undefined { why: why.to_owned(), n },
        };
        let measurement = match group {
            Some((group, at)) => {
                Measurement::new(&format!("{name}:{}", group_name(group, at)), found).label("group", group)
            }
            None => Measurement::new(name, found),
        };
        let measurement = measurement.label("rows", &n.to_string());
        measurements.push(config.bounds.judged(measurement, None, config.severity));
    };
    say("brier", brier(scores), "");
    say("log_loss", log_loss(scores), "");
    say("roc_auc", roc_auc(scores), "all labels are alike");
    say("average_precision", average_precision(scores), "no label is the good one");
    let mut tables = Map::new();
    for binning in &config.bins {
        let name = binning.name();
        let table = match binning.strategy {
            Strategy::Uniform => Some(Reliability::uniform(scores, binning.bins)),
            Strategy::Quantile => Reliability::quantiles(scores, binning.bins),
        };
        let of = |error: fn(&Reliability) -> Option<f64>| table.as_ref().and_then(error);
        say(&format!("ece:{name}"), of(Reliability::expected_error), "");
        say(&format!("mce:{name}"), of(Reliability::maximum_error), "");
        say(&format!("rmsce:{name}"), of(Reliability::root_mean_square_error), "");
        if let Some(table) = &table {
            tables.insert(name, diagram(table));
        }
    }
    (measurements, tables)
}

/// The bins that are not empty, by columns.
fn diagram(table: &Reliability) -> Value {
    let edges = table.edges().edges();
    let full = || edges.windows(2).zip(table.bins()).filter(|(_, bin)| bin.rows > 0);
    json!({
        "lower": full().map(|(edges, _)| edges[0]).collect::<Vec<f64>>(),
        "upper": full().map(|(edges, _)| edges[1]).collect::<Vec<f64>>(),
        "rows": full().map(|(_, bin)| bin.rows).collect::<Vec<usize>>(),
        "predicted": full().filter_map(|(_, bin)| bin.predicted()).collect::<Vec<f64>>(),
        "observed": full().filter_map(|(_, bin)| bin.observed()).collect::<Vec<f64>>(),
    })
}

/// How many groups are too small to be shown.
fn suppressed(small: &[Group]) -> Measurement {
    let rows: u64 = small.iter().map(|group| size(&group.scores)).sum();
    let groups = Found::Value(crate::scored::count(small.len()));
    Measurement::new("suppressed_groups", groups).label("rows", &rows.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_window::{Column, Data};

    fn window() -> Table {
        let scores = (0..100u32).map(|row| f64::from(row % 10) / 10.0 + 0.05).collect();
        let labels = (0..100i64).map(|row| i64::from(row / 10 < row % 10)).collect();
        let groups = (0..100).map(|row| if row < 97 { "many" } else { "few" }.to_owned()).collect();
        let columns = vec![
            Column::full("p", Data::Numbers(scores)),
            Column::full("y", Data::Integers(labels)),
            Column::full("g", Data::Texts(groups)),
        ];
        Table { rows: 100, columns }
    }

    fn roles(protected: &[&str]) -> Roles {
        Roles {
            prediction: String::new(),
            score: Some("p".to_owned()),
            label: Some("y".to_owned()),
            protected: protected.iter().map(|name| (*name).to_owned()).collect(),
            positive: "1".to_owned(),
            min_group_size: 10,
        }
    }

    fn run(config: &str, window: &Table, roles: &Roles) -> Result<Report, Fault> {
        evaluate(&Config::read(config).expect("settings"), window, roles)
    }

    fn value(report: &Report, name: &str) -> Option<f64> {
        report.measurements.iter().find(|one| one.name == name).and_then(Measurement::number)
    }

    #[test]
    fn all_rows_are_measured_and_the_diagram_is_there() {
        let report = run(r#"{"thresholds": {"ece": {"most": 0.01}}}"#, &window(), &roles(&[])).expect("a report");
        // Of ten rows that say 0.05 none is so, of those that say 0.15 one, and so on.
        assert!(value(&report, "ece:uniform_10").is_some_and(|ece| (ece - 0.05).abs() < 1e-12), "{report:?}");
        let breached: Vec<&str> =
            report.measurements.iter().filter(|one| one.breached).map(|one| one.name.as_str()).collect();
        assert_eq!(breached, ["ece:uniform_10"]);
        let diagram = &report.detail["reliability"]["uniform_10"];
        assert_eq!((diagram["rows"].as_array().map(Vec::len), diagram["observed"][9].as_f64()), (Some(10), Some(0.9)));
    }

    #[test]
    fn groups_are_shown_where_they_are_large_enough() {
        let report = run("{}", &window(), &roles(&["g"])).expect("a report");
        assert!(value(&report, "brier:many").is_some() && value(&report, "brier:few").is_none());
        assert_eq!(value(&report, "suppressed_groups"), Some(1.0));
        assert_eq!(value(&report, "brier"), value(&report, "brier:many"), "nor are they in what is said of all");
        assert_eq!(report.detail["groups"][0]["name"], "many");
    }

    #[test]
    fn what_lacks_something_is_left_out_and_what_is_no_probability_is_named() {
        let mut holed = window();
        holed.columns[0].missing = (0..50).collect();
        holed.columns[1].missing = (40..100).collect();
        let report = run("{}", &holed, &roles(&[])).expect("a report");
        assert_eq!(report.detail["rows"]["without_score"], 50);
        let undefined = report.measurements.iter().find(|one| one.name == "ece:uniform_10").expect("it is named");
        assert!(undefined.number().is_none() && undefined.labels[1] == ("n".to_owned(), "0".to_owned()));
        holed.columns[0] = Column::full("p", Data::Numbers(vec![1.5; 100]));
        let fault = run("{}", &holed, &roles(&[])).expect_err("no probability");
        assert_eq!(fault.to_string(), "row 0 has the score 1.5: a probability is from 0 to 1");
        let nothing = Roles { label: None, ..roles(&[]) };
        assert!(run("{}", &window(), &nothing).expect_err("no labels").to_string().contains("`label`"));
        let nothing = Roles { score: None, ..roles(&[]) };
        assert!(run("{}", &window(), &nothing).expect_err("no scores").to_string().contains("`score`"));
    }
}
