//! Reports of small windows: who is counted, who is shown, what breaches.

use super::*;
use tidegate_window::{Column, Data};

fn texts(name: &str, values: &[&str]) -> Column {
    Column::full(name, Data::Texts(values.iter().map(|value| (*value).to_owned()).collect()))
}

/// Groups of so many rows, of which so many are predicted good.
fn window(groups: &[(&str, usize, usize)]) -> tidegate_window::Table {
    let mut names = Vec::new();
    let mut predictions = Vec::new();
    for (name, rows, good) in groups {
        names.extend(std::iter::repeat_n(*name, *rows));
        predictions.extend((0..*rows).map(|row| row < *good));
    }
    let rows = u32::try_from(names.len()).expect("few");
    let labels = predictions.iter().enumerate().map(|(row, good)| good ^ (row % 5 == 0)).collect();
    let columns = vec![
        texts("sex", &names),
        Column::full("p", Data::Booleans(predictions)),
        Column::full("y", Data::Booleans(labels)),
    ];
    tidegate_window::Table { rows, columns }
}

fn roles(label: Option<&str>, min_group_size: u32) -> Roles {
    Roles {
        prediction: "p".to_owned(),
        score: None,
        label: label.map(str::to_owned),
        protected: vec!["sex".to_owned()],
        positive: "true".to_owned(),
        min_group_size,
    }
}

fn run(config: &str, window: &tidegate_window::Table, roles: &Roles) -> Report {
    evaluate(&Config::read(config).expect("settings"), window, roles).expect("a report")
}

fn one<'a>(report: &'a Report, name: &str) -> &'a Measurement {
    report.measurements.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn label<'a>(measurement: &'a Measurement, name: &str) -> Option<&'a str> {
    measurement.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn groups_are_compared_with_intervals() {
    let report = run("", &window(&[("f", 100, 30), ("m", 100, 60)]), &roles(Some("y"), 30));
    assert_eq!(one(&report, "selection_rate").value, 0.45);
    let women = one(&report, "selection_rate:f");
    assert_eq!((women.value, label(women, "group"), label(women, "rows")), (0.3, Some("f"), Some("100")));
    let low: f64 = label(women, "low").and_then(|low| low.parse().ok()).expect("an interval");
    assert!((0.18..0.26).contains(&low), "{low}");
    let ratio = one(&report, "demographic_parity_ratio");
    assert_eq!((ratio.value, ratio.threshold, ratio.breached), (0.5, Some(0.8), true));
    assert_eq!(run("", &window(&[("f", 100, 30), ("m", 100, 60)]), &roles(Some("y"), 30)), report, "chance has a seed");
    let names: std::collections::BTreeSet<&str> = report.measurements.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), report.measurements.len(), "two measurements have two names");
}

#[test]
fn a_small_group_is_counted_and_not_shown() {
    let report = run("", &window(&[("f", 40, 10), ("m", 50, 30), ("x", 3, 3)]), &roles(None, 10));
    let suppressed = one(&report, "suppressed_groups");
    assert_eq!((suppressed.value, label(suppressed, "rows")), (1.0, Some("3")));
    assert!(report.measurements.iter().all(|one| !one.name.contains(":x")));
    assert_eq!(one(&report, "selection_rate").value, 40.0 / 90.0, "nor is it in what is said of all");
    assert!(!report.detail["groups"].to_string().contains("\"x\""));
}

#[test]
fn more_groups_than_are_shown_are_small_ones() {
    let groups: Vec<(String, usize)> = (0..30).map(|at| (format!("g{at:02}"), 10 + at)).collect();
    let groups: Vec<(&str, usize, usize)> = groups.iter().map(|(name, rows)| (name.as_str(), *rows, 5)).collect();
    let report = run(r#"{"most_groups": 4, "bootstrap": {"draws": 0}}"#, &window(&groups), &roles(None, 0));
    assert_eq!(one(&report, "suppressed_groups").value, 26.0);
    assert_eq!(report.detail["groups"].as_array().map(Vec::len), Some(4));
}

#[test]
fn without_labels_what_needs_them_is_left_out_by_name() {
    let report = run(r#"{"privileged": "m"}"#, &window(&[("f", 9, 3), ("m", 9, 6)]), &roles(None, 0));
    let left: Vec<&str> = report.detail["left_out"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["measure"].as_str())
        .collect();
    assert!(left.contains(&"true_positive_rate") && left.contains(&"equalized_odds_ratio"), "{left:?}");
    assert!(left.contains(&"pair.theil_index") && !left.contains(&"pair.disparate_impact"), "{left:?}");
    assert_eq!(one(&report, "pair.disparate_impact").value, 0.5);
}

#[test]
fn what_is_undefined_says_its_n() {
    let config = r#"{"bootstrap": {"draws": 0}, "privileged": "nobody"}"#;
    let report = run(config, &window(&[("f", 9, 3)]), &roles(None, 20));
    let nothing = one(&report, "selection_rate");
    assert_eq!(
        (nothing.number(), label(nothing, "undefined"), label(nothing, "n")),
        (None, Some("it rests on no row"), Some("0"))
    );
    assert!(one(&report, "demographic_parity_ratio").number().is_none());
    assert!(!one(&report, "demographic_parity_ratio").breached);
    assert!(one(&report, "pair.disparate_impact").number().is_none());
    let alone = run(config, &window(&[("f", 9, 3)]), &roles(None, 0));
    assert_eq!(label(one(&alone, "demographic_parity_ratio"), "n"), Some("9"));
}

#[test]
fn a_breach_by_interval_is_certain() {
    let config = |breach: &str| format!(r#"{{"breach": "{breach}", "comparisons": ["demographic_parity_ratio"]}}"#);
    let few = window(&[("f", 20, 8), ("m", 20, 12)]);
    let breached =
        |breach: &str| one(&run(&config(breach), &few, &roles(None, 0)), "demographic_parity_ratio").breached;
    assert!(breached("value") && !breached("interval"));
    let many = window(&[("f", 2000, 800), ("m", 2000, 1200)]);
    assert!(one(&run(&config("interval"), &many, &roles(None, 0)), "demographic_parity_ratio").breached);
}

#[test]
fn rows_that_lack_something_are_said() {
    let mut window = window(&[("f", 10, 5), ("m", 10, 5)]);
    window.columns[0].missing = vec![0, 1];
    window.columns[1].missing = vec![1, 2];
    window.columns[2].missing = vec![19];
    let report = run("", &window, &roles(Some("y"), 0));
    assert_eq!(
        report.detail["rows"],
        json!({"all": 20, "without_prediction": 2, "without_group": 2, "without_label": 1})
    );
    assert_eq!(one(&report, "count").value, 17.0);
    let nothing = Roles { protected: Vec::new(), ..roles(None, 0) };
    let fault = evaluate(&Config::read("").expect("settings"), &window, &nothing).expect_err("nobody to compare");
    assert!(fault.to_string().contains("`protected`"));
}
