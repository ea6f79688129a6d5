//! What scikit-learn says of the same probabilities.

use calibration::{Reliability, Scores, average_precision, brier, log_loss, roc_auc};
use tidegate_golden::vectors::{Case, Compared, Value, cases, fields, labels, list, number};

fn scores(case: &Case) -> Scores {
    let probabilities: Vec<f64> = list(&case.input["prob"]).iter().map(number).collect();
    Scores::of(&probabilities, &labels(&case.input["y_true"])).expect("scores")
}

fn curve(compared: &mut Compared, what: &str, table: &Reliability, expected: &Value, tolerance: f64) {
    let got: Vec<(f64, f64)> = table.curve().collect();
    let (observed, predicted) = (list(&expected["prob_true"]), list(&expected["prob_pred"]));
    assert_eq!((got.len(), got.len()), (observed.len(), predicted.len()), "{what}");
    for ((got, observed), predicted) in got.iter().zip(observed).zip(predicted) {
        compared.same(what, Some(got.0), predicted, tolerance);
        compared.same(what, Some(got.1), observed, tolerance);
    }
}

#[test]
fn calibration() {
    let Some(cases) = cases("calibration") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let scores = scores(case);
        for (key, expected) in fields(&case.expected) {
            let what = format!("calibration {}: {key}", case.name);
            let (kind, bins) = key.rsplit_once('_').unwrap_or((key, ""));
            let uniform = || Reliability::uniform(&scores, bins.parse().expect("a number of bins"));
            let got = match kind {
                "curve_uniform" => {
                    curve(&mut compared, &what, &uniform(), expected, case.tolerance);
                    continue;
                }
                "curve_quantile" => {
                    let table = Reliability::quantiles(&scores, bins.parse().expect("a number of bins"));
                    curve(&mut compared, &what, &table.expect("rows"), expected, case.tolerance);
                    continue;
                }
                "brier" => brier(&scores),
                "ece" => uniform().expected_error(),
                "mce" => uniform().maximum_error(),
                "rmsce" => uniform().root_mean_square_error(),
                "log" => log_loss(&scores),
                "roc" => roc_auc(&scores),
                "average" => average_precision(&scores),
                other => panic!("no measure {other}"),
            };
            compared.same(&what, got, expected, case.tolerance);
        }
    }
    compared.say("calibration", cases.len());
}
