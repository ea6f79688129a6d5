//! Ensembles against the libraries that grew them: what they predict, the classes, and their SHAP values. The goldens
//! come from `golden/make_trees.py`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use tidegate_classic::{Matrix, Model, Output, Values};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(golden().join("trees.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let cases = all["cases"].as_array().unwrap().clone();
    assert!(cases.len() >= 20, "there are {} cases", cases.len());
    cases
}

fn model(case: &Value) -> Model {
    Model::open(&golden().join(case["model"].as_str().unwrap())).unwrap()
}

fn rows(case: &Value, count: usize) -> Matrix {
    let rows: Vec<Vec<f64>> = case["rows"].as_array().unwrap().iter().take(count).map(numbers).collect();
    let columns = rows[0].len();
    Matrix::new(rows.len(), columns, rows.concat()).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn floats(output: &Output) -> Vec<f64> {
    match &output.values {
        Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::F64(values) => values.clone(),
        Values::I64(values) => values.iter().map(|value| *value as f64).collect(),
    }
}

fn named<'a>(outputs: &'a [Output], name: &str) -> &'a Output {
    outputs.iter().find(|output| output.name == name).unwrap()
}

/// The largest difference, and where.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max)
}

#[test]
fn predictions_are_the_librarys() {
    let mut worst = (0.0, String::new());
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let ours = model(&case).predict(&rows(&case, usize::MAX)).unwrap();
        let apart = apart(&floats(&ours[0]), &numbers(&case["predict"]));
        eprintln!("{name}: {apart:e}");
        // Targets of some hundreds are told in the ninth digit.
        assert!(apart <= 1e-5, "{name} is {apart} from the library's");
        if apart > worst.0 {
            worst = (apart, name.to_owned());
        }
    }
    eprintln!("furthest: {worst:?}");
}

#[test]
fn classes_are_the_librarys() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case["label"].is_array()) {
        let ours = model(case).predict(&rows(case, usize::MAX)).unwrap();
        assert_eq!(floats(named(&ours, "label")), numbers(&case["label"]), "{}", case["name"]);
        let probabilities = named(&ours, "probabilities");
        assert_eq!(probabilities.shape.len(), 2);
        assert_eq!(probabilities.shape.iter().product::<usize>(), floats(probabilities).len());
        compared += 1;
    }
    assert!(compared >= 12, "{compared} classifiers");
}

#[test]
fn contributions_are_the_librarys_and_add_up() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case["contributions"].is_array()) {
        let name = case["name"].as_str().unwrap();
        let (model, rows) = (model(case), rows(case, 4));
        let ours = model.explain(&rows).unwrap();
        let apart_by = apart(&ours.contributions, &numbers(&case["contributions"]));
        let sums: Vec<f64> = ours.contributions.chunks(ours.shape[2]).map(|group| group.iter().sum()).collect();
        let unexplained = apart(&sums, &model.margins(&rows).unwrap());
        eprintln!("{name}: {apart_by:e}, and {unexplained:e} of the margin unexplained");
        assert!(apart_by <= 1e-4, "{name} is {apart_by} from the library's");
        assert!(unexplained <= 1e-4, "{name} leaves {unexplained} unexplained");
        compared += 1;
    }
    assert!(compared >= 18, "{compared} models");
}

#[test]
fn the_signature_is_what_is_taken_and_given() {
    for case in cases() {
        let model = model(&case);
        let rows = rows(&case, 3);
        assert_eq!(model.signature().inputs[0].shape, [None, Some(rows.columns())]);
        let outputs = model.predict(&rows).unwrap();
        for (declared, given) in model.signature().outputs.iter().zip(&outputs) {
            assert_eq!(declared.name, given.name);
            assert_eq!(declared.shape.len(), given.shape.len(), "{} of {}", given.name, case["name"]);
            let fits =
                declared.shape.iter().zip(&given.shape).all(|(declared, given)| declared.is_none_or(|d| d == *given));
            assert!(fits, "{} of {}: {:?} against {:?}", given.name, case["name"], declared.shape, given.shape);
        }
        assert_eq!(model.signature().outputs.len(), outputs.len());
    }
}

#[test]
fn rows_of_another_width_are_refused_with_both_widths() {
    let model = Model::open(&golden().join("xgb_softprob.json")).unwrap();
    let fault = model.predict(&Matrix::of_row(vec![1.0; 3])).unwrap_err();
    assert_eq!(fault.to_string(), "each row must have 4 values, one for each feature, but has 3");
    assert!(model.explain(&Matrix::of_row(vec![1.0; 5])).is_err());
}
