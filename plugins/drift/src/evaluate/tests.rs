//! Reports of small tables: what is measured, what breaches, and what is skipped with which reason.

use super::*;
use crate::table::Data;

fn numbers(name: &str, values: impl IntoIterator<Item = f64>) -> Column {
    Column { name: name.to_owned(), data: Data::Numbers(values.into_iter().collect()), missing: Vec::new() }
}

fn table(columns: Vec<Column>) -> Table {
    Table { columns }
}

fn spread(n: u32, by: f64) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| f64::from(i * 37 % 101) / 101.0 + by)
}

fn run(config: &str, reference: &Table, current: &Table) -> Result<Report, Fault> {
    evaluate(&Config::read(config).expect("settings"), reference, current)
}

fn breached(report: &Report) -> Vec<&str> {
    report.measurements.iter().filter(|one| one.breached).map(|one| one.name.as_str()).collect()
}

#[test]
fn each_column_is_tested_and_only_what_moved_breaches() {
    let reference = table(vec![numbers("a", spread(300, 0.0)), numbers("b", spread(300, 0.0)), numbers("c", [1.0])]);
    let current = table(vec![numbers("a", spread(250, 0.0)), numbers("b", spread(250, 0.4))]);
    let report = run("{}", &reference, &current).expect("there are columns");
    assert_eq!(breached(&report), ["ks:b", "drifted_share"]);
    let names: Vec<&str> = report.measurements.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["ks:a", "ks:b", "drifted_share"]);
    assert_eq!(report.measurements[0].threshold, Some(0.025), "two tests share 5 %");
    assert_eq!(report.measurements[1].severity, Severity::Alert);
    assert_eq!(report.detail["skipped"][0]["why"], "the window has no such column");
}

#[test]
fn a_small_effect_is_no_drift_however_certain() {
    let reference = table(vec![numbers("a", spread(1000, 0.0))]);
    let current = table(vec![numbers("a", spread(1000, 0.1))]);
    let ask = |least: f64| format!(r#"{{"tests": [{{"column": "a", "test": "ks", "least_effect": {least}}}]}}"#);
    assert_eq!(breached(&run(&ask(0.0), &reference, &current).expect("a column")).len(), 2);
    assert!(breached(&run(&ask(0.5), &reference, &current).expect("a column")).is_empty());
}

#[test]
fn a_threshold_of_its_own_takes_no_part_in_the_correction() {
    let reference = table(vec![numbers("a", spread(100, 0.0))]);
    let config = r#"{"tests": [{"column": "a", "test": "ks", "threshold": 0.3}, {"column": "a", "test": "z"},
        {"column": "a", "test": "chi_square"}, {"column": "a", "test": "psi"}]}"#;
    let report = run(config, &reference, &reference).expect("a column");
    let thresholds: Vec<Option<f64>> = report.measurements.iter().map(|one| one.threshold).collect();
    assert_eq!(thresholds, [Some(0.3), Some(0.05), Some(0.1), Some(0.5)]);
    assert_eq!(report.detail["skipped"][0]["why"], "it has 100 values, and z compares two");
    assert_eq!(report.detail["bins"]["psi:a"]["reference"].as_array().map(Vec::len), Some(10));
    assert!(report.detail["bins"]["psi:a"]["edges"][0].is_null(), "deciles have no first edge");
}

#[test]
fn vectors_are_rows_of_columns_without_holes() {
    let columns = |by: f64| {
        let mut first = numbers("e.0", spread(80, by));
        first.missing = vec![3];
        table(vec![first, numbers("e.1", spread(80, 0.0).map(|value| value * value))])
    };
    let config = r#"{"tests": [{"prefix": "e.", "test": "mmd", "permutations": 199}]}"#;
    let moved = run(config, &columns(0.0), &columns(0.5)).expect("two columns");
    assert_eq!((moved.measurements[0].name.as_str(), moved.measurements[0].p), ("mmd:e.*", Some(1.0 / 200.0)));
    assert!(moved.measurements[0].labels.contains(&("reference_rows".to_owned(), "79".to_owned())));
    let same = run(config, &columns(0.0), &columns(0.0)).expect("two columns");
    assert!(!same.measurements[0].breached, "{same:?}");
    assert_eq!(run(config, &columns(0.0), &columns(0.5)), Ok(moved), "chance has a seed");
}

#[test]
fn what_cannot_be_done_at_all_is_a_fault() {
    let reference = table(vec![numbers("a", spread(10, 0.0))]);
    let ask = r#"{"tests": [{"column": "b", "test": "ks"}]}"#;
    let fault = run(ask, &reference, &reference).expect_err("there is no b");
    assert_eq!(fault.to_string(), "ks:b asks for column b, which the reference has not");
    let fault = run("{}", &reference, &Table::default()).expect_err("nothing in common");
    assert_eq!(fault.to_string(), "nothing could be measured: the window has no such column");
    let few = run(r#"{"least_rows": 11}"#, &reference, &reference).expect_err("too few");
    assert!(few.to_string().contains("10 and 10 values are too few: 11 are asked"));
    let empty = table(vec![numbers("a", [f64::NAN])]);
    assert!(run("{}", &reference, &empty).expect_err("no value").to_string().contains("the window has no value"));
}

#[test]
fn texts_are_told_apart_and_compared_by_nothing_else() {
    let texts = |word: &str| {
        let all = (0..40).map(|row| format!("{word} number {}", row % 7)).collect();
        table(vec![Column { name: "t".to_owned(), data: Data::Texts(all), missing: Vec::new() }])
    };
    let report = run("{}", &texts("invoice"), &texts("password")).expect("a column");
    assert_eq!(breached(&report), ["text:t", "drifted_share"]);
    assert!(report.measurements[0].labels.contains(&("separation".to_owned(), "1".to_owned())));
    assert!(breached(&run("{}", &texts("invoice"), &texts("invoice")).expect("a column")).is_empty());
    let fault = run(r#"{"tests": [{"column": "t", "test": "psi"}]}"#, &texts("a"), &texts("b")).expect_err("texts");
    assert!(fault.to_string().contains("by the test text"), "{fault}");
}
