//! The families of group fairness as checks of the fairness plugin. Owns which measurement has which number of Fairlearn's
//! and AIF360's; both take a rate of nothing for 0.

use crate::draft::Draft;
use crate::generate::{letters, number};
use crate::{Asked, Case, Check, Column, GoldenFault, Part, Roles, Values};
use serde_json::{Map, Value, json};

/// The families that this knows, by their files.
pub const FAMILIES: [&str; 2] = ["fairlearn", "aif360"];

/// What a case asks.
///
/// # Errors
/// The case is not as its family's are.
pub fn checks(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    match case.family.as_str() {
        "fairlearn" => fairlearn(case),
        "aif360" => aif360(case),
        _ => Err(case.odd("its family is none of group fairness")),
    }
}

fn fairlearn(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let config = json!({"empty": "zero", "bootstrap": {"draws": 0}});
    let mut draft = Draft::new(case, config, asked(case)?);
    let tolerance = case.tolerance("")?;
    let mut add = |name: &str, value: &Value| {
        let value = number(value).ok_or_else(|| case.odd(format!("{name} is no number")))?;
        draft.add(0, name, Part::Value, value, tolerance);
        Ok::<_, GoldenFault>(())
    };
    for (key, expected) in fields(case, &case.body["expected"])? {
        match key.as_str() {
            "overall" => {
                for (name, value) in fields(case, expected)? {
                    add(measure(case, name)?, value)?;
                }
            }
            "by_group" => {
                for (group, of) in fields(case, expected)? {
                    for (name, value) in fields(case, of)? {
                        add(&format!("{}:{group}", measure(case, name)?), value)?;
                    }
                }
            }
            _ if expected.is_object() => {
                for (name, value) in fields(case, expected)? {
                    add(&format!("{}.{key}", measure(case, name)?), value)?;
                }
            }
            _ => add(key, expected)?,
        }
    }
    Ok(vec![draft.done()])
}

fn aif360(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let privileged = &case.body["params"]["privileged"];
    let config = json!({"empty": "zero", "bootstrap": {"draws": 0}, "privileged": privileged});
    let mut draft = Draft::new(case, config, asked(case)?);
    let tolerance = case.tolerance("")?;
    for (name, expected) in fields(case, &case.body["expected"])? {
        let value = number(expected).ok_or_else(|| case.odd(format!("{name} is no number")))?;
        draft.add(0, &format!("pair.{name}"), Part::Value, value, tolerance);
    }
    Ok(vec![draft.done()])
}

/// Fairlearn's short names, and the plugin's.
fn measure(case: &Case, name: &str) -> Result<&'static str, GoldenFault> {
    Ok(match name {
        "selection_rate" => "selection_rate",
        "mean_prediction" => "mean_prediction",
        "tpr" => "true_positive_rate",
        "fpr" => "false_positive_rate",
        "tnr" => "true_negative_rate",
        "fnr" => "false_negative_rate",
        "accuracy" => "accuracy",
        "precision0" => "precision",
        "count" => "count",
        other => return Err(case.odd(format!("expects an unknown measure {other}"))),
    })
}

fn asked(case: &Case) -> Result<Asked, GoldenFault> {
    let input = &case.body["input"];
    let digits = |name: &str| letters(&input[name]).ok_or_else(|| case.odd(format!("{name} has no digits")));
    let yes = |name: &str| Ok::<_, GoldenFault>(digits(name)?.into_iter().map(f64::from).collect());
    let names = input["group_names"].as_array().ok_or_else(|| case.odd("it names no groups"))?;
    let levels = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let column = |name: &str, values| Column { name: name.to_owned(), values };
    let data = vec![
        column("prediction", Values::Numbers(yes("y_pred")?)),
        column("label", Values::Numbers(yes("y_true")?)),
        column("group", Values::Categories { codes: digits("group")?, levels }),
    ];
    let roles = Roles {
        prediction: "prediction".to_owned(),
        score: None,
        label: Some("label".to_owned()),
        protected: vec!["group".to_owned()],
        positive: "1".to_owned(),
    };
    Ok(Asked::Fairness { data, roles })
}

fn fields<'a>(case: &Case, value: &'a Value) -> Result<&'a Map<String, Value>, GoldenFault> {
    value.as_object().ok_or_else(|| case.odd("what it expects has no fields"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_measurement() {
        let body = json!({
            "input": {"y_true": "01", "y_pred": "10", "group": "01", "group_names": ["a", "b"]},
            "params": {"privileged": "a"}, "tol": 1e-12,
            "expected": {"overall": {"tpr": 0.5}, "by_group": {"a": {"fnr": null}}, "group_min": {"count": 1.0},
                "equalized_odds_ratio": 0.25},
        });
        let case = |family: &str| Case { family: family.to_owned(), id: "00".to_owned(), body: body.clone() };
        let found = checks(&case("fairlearn")).expect("a case of its family");
        let named: Vec<&str> = found[0].expected.iter().map(|one| one.measurement.as_str()).collect();
        assert_eq!(named, ["false_negative_rate:a", "equalized_odds_ratio", "count.group_min", "true_positive_rate"]);
        assert!(found[0].expected[0].value.is_nan());
        let Asked::Fairness { data, .. } = &found[0].asked else { panic!("{found:?}") };
        assert_eq!(data[0].values, Values::Numbers(vec![1.0, 0.0]));
        assert!(checks(&case("poetry")).is_err() && checks(&case("aif360")).is_err());
    }
}
