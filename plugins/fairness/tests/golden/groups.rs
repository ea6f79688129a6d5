//! What Fairlearn and AIF360 say of the same rows.

use fairness::{Against, Empty, Measure, Of, Pair, PairMeasure, Parity, Row, Spread, Table};
use tidegate_golden::vectors::{Case, Compared, Value, cases, digits, fields, labels, list, text};

fn table(case: &Case) -> Table {
    let names: Vec<&str> = list(&case.input["group_names"]).iter().map(text).collect();
    let (truth, predicted) = (labels(&case.input["y_true"]), labels(&case.input["y_pred"]));
    let rows = digits(&case.input["group"]).into_iter().zip(predicted).zip(truth);
    let rows = rows.map(|((group, predicted), truth)| Row { group, predicted, truth: Some(truth) });
    Table::from_rows(&names, rows, 1).expect("a table")
}

fn measure(name: &str) -> Measure {
    match name {
        "selection_rate" => Measure::SelectionRate,
        "mean_prediction" => Measure::MeanPrediction,
        "tpr" => Measure::TruePositiveRate,
        "fpr" => Measure::FalsePositiveRate,
        "tnr" => Measure::TrueNegativeRate,
        "fnr" => Measure::FalseNegativeRate,
        "accuracy" => Measure::Accuracy,
        "precision0" => Measure::Precision,
        "count" => Measure::Count,
        other => panic!("no measure {other}"),
    }
}

/// What Fairlearn says, which takes rates of nothing for 0.
fn fairlearn_says(table: &Table, name: &str) -> Option<f64> {
    let groups = Parity { empty: Empty::Zero, ..Parity::new(table) };
    let overall = Parity { against: Against::Overall, ..groups };
    let measured = match name {
        "demographic_parity_difference" => groups.demographic_parity_difference(),
        "demographic_parity_difference_to_overall" => overall.demographic_parity_difference(),
        "demographic_parity_ratio" => groups.demographic_parity_ratio(),
        "demographic_parity_ratio_to_overall" => overall.demographic_parity_ratio(),
        "equalized_odds_difference" => groups.equalized_odds_difference(Of::Worst),
        "equalized_odds_difference_mean" => groups.equalized_odds_difference(Of::Mean),
        "equalized_odds_ratio" => groups.equalized_odds_ratio(Of::Worst),
        "equal_opportunity_difference" => groups.equal_opportunity_difference(),
        "equal_opportunity_ratio" => groups.equal_opportunity_ratio(),
        other => panic!("no comparison {other}"),
    };
    measured.value()
}

#[test]
fn fairlearn() {
    let Some(cases) = cases("fairlearn") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let table = table(case);
        let mut same = |what: &str, got: Option<f64>, expected: &Value| {
            compared.same(&format!("fairlearn {}: {what}", case.name), got, expected, case.tolerance);
        };
        for (key, expected) in fields(&case.expected) {
            if key == "overall" {
                for (name, expected) in fields(expected) {
                    same(&format!("{key} {name}"), measure(name).of(table.overall(), Empty::Zero).value(), expected);
                }
            } else if key == "by_group" {
                assert_eq!(fields(expected).count(), table.groups().len());
                for (group, of) in fields(expected) {
                    let counts = &table.group(group).expect("the group").counts;
                    for (name, expected) in fields(of) {
                        same(&format!("{group} {name}"), measure(name).of(counts, Empty::Zero).value(), expected);
                    }
                }
            } else if let Some(spread) = Spread::ALL.into_iter().find(|spread| spread.name() == key) {
                for (name, expected) in fields(expected) {
                    same(&format!("{key} {name}"), spread.of(&table, measure(name), Empty::Zero).value(), expected);
                }
            } else {
                same(key, fairlearn_says(&table, key), expected);
            }
        }
    }
    compared.say("fairlearn", cases.len());
}

#[test]
fn aif360() {
    let Some(cases) = cases("aif360") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let pair = Pair::of(&table(case), text(&case.params["privileged"])).expect("the privileged group");
        for (name, expected) in fields(&case.expected) {
            let measure = PairMeasure::ALL.into_iter().find(|measure| measure.name() == name).expect("such a measure");
            let what = format!("aif360 {}: {name}", case.name);
            compared.same(&what, pair.measure(measure, Empty::Zero).value(), expected, case.tolerance);
        }
    }
    compared.say("aif360", cases.len());
}
