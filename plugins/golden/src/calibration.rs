//! The family of calibration as checks of the calibration plugin. Owns which measurement, or which place of the detail, has
//! which number of scikit-learn's.

use crate::draft::Draft;
use crate::generate::{letters, number, numbers};
use crate::{Asked, Case, Check, Column, GoldenFault, Part, Roles, Tolerance, Values};
use serde_json::{Value, json};

/// The families that this knows, by their files.
pub const FAMILIES: [&str; 1] = ["calibration"];

/// What a case asks.
///
/// # Errors
/// The case is not as its family's are.
pub fn checks(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let tables: Vec<Value> = ["uniform", "quantile"]
        .iter()
        .flat_map(|strategy| [5, 10, 15].map(|bins| json!({"strategy": strategy, "bins": bins})))
        .collect();
    let mut draft = Draft::new(case, json!({"bins": tables}), asked(case)?);
    let tolerance = case.tolerance("")?;
    let expected = case.body["expected"].as_object().ok_or_else(|| case.odd("it expects nothing"))?;
    for (key, value) in expected {
        if let Some(table) = key.strip_prefix("curve_") {
            curve(case, &mut draft, table, value, tolerance)?;
            continue;
        }
        let name = match key.rsplit_once('_') {
            Some((error @ ("ece" | "mce" | "rmsce"), bins)) => format!("{error}:uniform_{bins}"),
            _ => key.clone(),
        };
        let value = number(value).ok_or_else(|| case.odd(format!("{key} is no number")))?;
        draft.add(0, &name, Part::Value, value, tolerance);
    }
    Ok(vec![draft.done()])
}

/// What was said and what was so in each bin that is not empty.
fn curve(
    case: &Case,
    draft: &mut Draft<'_>,
    table: &str,
    curve: &Value,
    tolerance: Tolerance,
) -> Result<(), GoldenFault> {
    for (ours, theirs) in [("observed", "prob_true"), ("predicted", "prob_pred")] {
        let listed = numbers(&curve[theirs]).ok_or_else(|| case.odd(format!("{table} has no {theirs}")))?;
        let place = format!("/reliability/{table}/{ours}");
        let bins = u32::try_from(listed.len()).map_or(f64::NAN, f64::from);
        draft.add(0, &place, Part::Detail, bins, Tolerance::NONE);
        for (at, value) in listed.into_iter().enumerate() {
            draft.add(0, &format!("{place}/{at}"), Part::Detail, value, tolerance);
        }
    }
    Ok(())
}

fn asked(case: &Case) -> Result<Asked, GoldenFault> {
    let input = &case.body["input"];
    let scores = numbers(&input["prob"]).ok_or_else(|| case.odd("it has no probabilities"))?;
    let labels = letters(&input["y_true"]).ok_or_else(|| case.odd("it has no labels"))?;
    let column = |name: &str, values| Column { name: name.to_owned(), values: Values::Numbers(values) };
    let data = vec![column("score", scores), column("label", labels.into_iter().map(f64::from).collect())];
    let roles = Roles {
        score: Some("score".to_owned()),
        label: Some("label".to_owned()),
        positive: "1".to_owned(),
        ..Roles::default()
    };
    Ok(Asked::Fairness { data, roles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_place() {
        let body = json!({"input": {"y_true": "01", "prob": [0.25, 0.5]}, "tol": 1e-9, "expected": {
            "ece_5": 0.5, "log_loss": 0.25, "curve_quantile_5": {"prob_true": [1.0], "prob_pred": [0.5]}}});
        let case = Case { family: "calibration".to_owned(), id: "00".to_owned(), body };
        let found = checks(&case).expect("a case of its family");
        let named: Vec<&str> = found[0].expected.iter().map(|one| one.measurement.as_str()).collect();
        let table = "/reliability/quantile_5";
        let places = ["observed", "observed/0", "predicted", "predicted/0"].map(|place| format!("{table}/{place}"));
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        assert_eq!(named, [&places[..], &["ece:uniform_5", "log_loss"]].concat());
    }
}
