//! Ensembles against the libraries that grew them: what they predict, the classes, and their SHAP values. The goldens
//! come from `golden/make_trees.py`.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use tidegate_classic::{Explaining, Model};
use tidegate_core::Tensor;

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

fn rows(case: &Value, count: usize) -> [Tensor; 1] {
    let rows: Vec<Vec<f64>> = case["rows"].as_array().unwrap().iter().take(count).map(numbers).collect();
    let shape = vec![rows.len() as u64, rows[0].len() as u64];
    [Tensor::of_f64("rows", shape, &rows.concat()).unwrap()]
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn floats(output: &Tensor) -> Vec<f64> {
    output.numbers().unwrap().collect()
}

fn named<'a>(outputs: &'a [Tensor], name: &str) -> &'a Tensor {
    outputs.iter().find(|output| output.name() == name).unwrap()
}

/// The largest difference.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max)
}

#[test]
fn predictions_are_the_librarys() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let ours = model(&case).predict(&rows(&case, usize::MAX), &[]).unwrap();
        let apart = apart(&floats(&ours[0]), &numbers(&case["predict"]));
        eprintln!("{name}: {apart:e}");
        assert!(apart <= 1e-5, "{name} is {apart} from the library's");
    }
}

#[test]
fn classes_are_the_librarys() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case["label"].is_array()) {
        let ours = model(case).predict(&rows(case, usize::MAX), &[]).unwrap();
        assert_eq!(floats(named(&ours, "label")), numbers(&case["label"]), "{}", case["name"]);
        let probabilities = floats(named(&ours, "probabilities"));
        assert!(probabilities.iter().all(|share| (0.0..=1.0).contains(share)));
        compared += 1;
    }
    assert!(compared >= 12, "{compared} classifiers");
}

#[test]
fn contributions_are_the_librarys_and_add_up() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case["contributions"].is_array()) {
        let name = case["name"].as_str().unwrap();
        let ours = model(case).explain(&rows(case, 4), &Explaining::default()).unwrap();
        let groups = ours.contributions.chunks(ours.features.len()).zip(&ours.base);
        let as_theirs: Vec<f64> = groups.clone().flat_map(|(group, base)| [group, &[*base]].concat()).collect();
        let apart_by = apart(&as_theirs, &numbers(&case["contributions"]));
        let sums: Vec<f64> = groups.map(|(group, base)| group.iter().sum::<f64>() + base).collect();
        let unexplained = apart(&sums, &ours.explained);
        eprintln!("{name}: {apart_by:e}, and {unexplained:e} of the margin unexplained");
        assert!(apart_by <= 1e-4, "{name} is {apart_by} from the library's");
        assert!(unexplained <= 1e-4, "{name} leaves {unexplained} unexplained");
        assert_eq!(ours.to_tensors().unwrap()[0].shape(), [4, ours.groups as u64, ours.features.len() as u64]);
        compared += 1;
    }
    assert!(compared >= 18, "{compared} models");
}

#[test]
fn the_metadata_are_what_is_taken_and_given() {
    for case in cases() {
        let model = model(&case);
        let rows = rows(&case, 3);
        assert_eq!(model.inputs()[0].shape, [None, Some(rows[0].shape()[1])]);
        let outputs = model.predict(&rows, &[]).unwrap();
        assert_eq!(model.outputs().len(), outputs.len());
        for (declared, given) in model.outputs().iter().zip(&outputs) {
            assert_eq!((declared.name.as_str(), declared.datatype), (given.name(), given.datatype()));
            assert_eq!(declared.shape.len(), given.shape().len(), "{} of {}", given.name(), case["name"]);
            let mut sizes = declared.shape.iter().zip(given.shape());
            assert!(
                sizes.all(|(declared, given)| declared.is_none_or(|size| size == *given)),
                "{declared:?}: {given:?}"
            );
        }
    }
}

#[test]
fn rows_come_whole_or_feature_by_feature() {
    let model = Model::open(&golden().join("xgb_softprob.json")).unwrap();
    let whole = Tensor::of_f32("x", vec![2, 4], &[5.0, 3.0, 1.0, 0.5, 6.0, 3.0, 5.0, f32::NAN]).unwrap();
    let expected = model.predict(&[whole], &[]).unwrap();
    let columns = [("f3", [0.5, f64::NAN]), ("f0", [5.0, 6.0]), ("f1", [3.0, 3.0]), ("f2", [1.0, 5.0])];
    let columns = columns.map(|(name, values)| Tensor::of_f64(name, vec![2, 1], &values).unwrap());
    assert_eq!(model.predict(&columns, &[]).unwrap(), expected);
    let row = Tensor::of_i64("x", vec![4], &[5, 3, 1, 0]).unwrap();
    assert_eq!(model.predict(&[row], &["label".to_owned()]).unwrap()[0].shape(), [1]);
    let says = |inputs: &[Tensor], wanted: &[String]| model.predict(inputs, wanted).unwrap_err().to_string();
    let short = Tensor::of_f32("x", vec![1, 3], &[1.0; 3]).unwrap();
    assert_eq!(says(&[short], &[]), "each row must have 4 values, one for each feature, but has 3");
    assert!(says(&columns[..3], &[]).starts_with("the feature `f2` is missing"));
    let other = Tensor::of_f32("f9", vec![2], &[1.0; 2]).unwrap();
    let more = [&columns[..], &[other]].concat();
    assert_eq!(says(&more, &[]), "the model has no feature `f9`; it has `f0`, `f1`, `f2`, `f3`");
    let texts = Tensor::of_texts("x", vec![1, 4], &["a"; 4]).unwrap();
    assert!(says(&[texts], &[]).starts_with("`x` is of BYTES, but the model reads numbers"));
    assert!(says(&columns, &["scores".to_owned()]).contains("no output `scores`; it has `predict`, `label`"));
}

#[test]
fn the_binary_form_is_the_same_model() {
    let case = cases().into_iter().find(|case| case["name"] == "xgb_categories").unwrap();
    let binary = Model::open(&golden().join("xgb_categories.ubj")).unwrap();
    let (rows, json) = (rows(&case, usize::MAX), model(&case));
    assert_eq!(binary.predict(&rows, &[]).unwrap(), json.predict(&rows, &[]).unwrap());
    let explain = |model: &Model| model.explain(&rows, &Explaining::default()).unwrap().contributions;
    assert_eq!(explain(&binary), explain(&json));
    // Cut or changed, it is refused or another model, and never a panic.
    let whole = std::fs::read(golden().join("xgb_categories.ubj")).unwrap();
    for end in (1..whole.len()).step_by(53) {
        assert!(Model::read(&whole[..end]).is_err(), "cut at {end}");
    }
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] = changed[at].wrapping_add(101);
        if let Ok(model) = Model::read(&changed) {
            let row = vec![1.0; model.features().len()];
            drop(model.predict(&[Tensor::of_f64("x", vec![1, row.len() as u64], &row).unwrap()], &[]));
        }
    }
}
