//! Models that scikit-learn and skl2onnx exported, against onnxruntime. The goldens come from `golden/make_onnx.py`.
#![cfg(feature = "onnx")]
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use tidegate_classic::{Explaining, Model, Unreadable};
use tidegate_core::{Datatype, Tensor};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn all() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden().join("onnx.json")).unwrap()).unwrap()
}

fn cases() -> Vec<Value> {
    let cases = all()["cases"].as_array().unwrap().clone();
    assert!(cases.len() >= 20, "there are {} cases", cases.len());
    cases
}

fn open(case: &Value) -> Result<Model, Unreadable> {
    Model::open(&golden().join(case["model"].as_str().unwrap()))
}

fn rows(case: &Value) -> Tensor {
    let values = numbers(&case["rows"]);
    let columns = case["columns"].as_u64().unwrap();
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Tensor::of_f32("rows", vec![values.len() as u64 / columns, columns], &values).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

#[test]
fn outputs_are_those_of_onnxruntime() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case["refused"].is_null()) {
        let name = case["name"].as_str().unwrap();
        let model = open(case).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let given = model.predict(&[rows(case)], &[]).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(given.len(), case["outputs"].as_object().unwrap().len(), "{name}");
        for output in &given {
            let expected = &case["outputs"][output.name()];
            let shape: Vec<u64> = numbers(&expected["shape"]).iter().map(|size| *size as u64).collect();
            assert_eq!(output.shape(), shape, "{name} {}", output.name());
            let declared = model.outputs().iter().find(|meta| meta.name == output.name()).unwrap();
            assert_eq!(declared.datatype, output.datatype(), "{name}");
            assert_eq!(declared.shape[0], None, "{name}: {declared:?}");
            if let Some(texts) = output.texts() {
                let expected =
                    expected["values"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().as_bytes());
                assert_eq!(texts.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
                continue;
            }
            let (ours, theirs) = (output.numbers().unwrap().collect::<Vec<_>>(), numbers(&expected["values"]));
            let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);
            eprintln!("{name} {}: {apart:e}", output.name());
            let bound = if output.datatype() == Datatype::Int64 { 0.0 } else { 1e-5 };
            assert!(apart <= bound, "{name} {} is {apart} apart: {ours:?} against {theirs:?}", output.name());
        }
        compared += 1;
    }
    assert!(compared >= 19, "{compared} models");
}

#[test]
fn rows_are_the_same_alone_and_together() {
    for case in cases().iter().filter(|case| case["refused"].is_null()) {
        let (model, rows) = (open(case).unwrap(), rows(case));
        let together = model.predict(std::slice::from_ref(&rows), &[]).unwrap();
        let columns = usize::try_from(rows.shape()[1]).unwrap();
        let first = Tensor::of_f32("one", vec![1, columns as u64], &rows.to_f32().unwrap()[..columns]).unwrap();
        for (one, all) in model.predict(&[first], &[]).unwrap().iter().zip(&together) {
            let Some(numbers) = one.numbers() else { continue };
            let all: Vec<f64> = all.numbers().unwrap().collect();
            for (alone, beside) in numbers.zip(all) {
                assert!((alone - beside).abs() <= 1e-6 * beside.abs().max(1.0), "{}: {alone} {beside}", case["name"]);
            }
        }
    }
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let mut refused = 0;
    for case in cases().iter().filter(|case| case["refused"].is_string()) {
        let operator = case["refused"].as_str().unwrap();
        let said = open(case).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains(&format!("needs the operator `{operator}` of the domain `ai.onnx.ml`")), "{said}");
        refused += 1;
    }
    assert!(refused >= 1);
}

#[test]
fn inputs_that_do_not_fit_are_refused_in_words() {
    let case = cases().into_iter().find(|case| case["name"] == "mlp_classes").unwrap();
    let model = open(&case).unwrap();
    let says = |tensor: Tensor| model.predict(&[tensor], &[]).unwrap_err().to_string();
    let narrow = Tensor::of_f32("x", vec![2, 3], &[0.0; 6]).unwrap();
    assert_eq!(says(narrow), "`x` has the shape [2, 3], but the model takes [-1, 4]");
    let texts = Tensor::of_texts("x", vec![1, 4], &["a"; 4]).unwrap();
    assert_eq!(says(texts), "`x` is of BYTES, but the model takes `X` as FP32");
    // Other numbers, and a single row as a list.
    let whole = Tensor::of_i64("x", vec![4], &[5, 3, 1, 0]).unwrap();
    let doubles = Tensor::of_f64("x", vec![1, 4], &[5.0, 3.0, 1.0, 0.0]).unwrap();
    assert_eq!(model.predict(&[whole], &[]).unwrap(), model.predict(&[doubles], &[]).unwrap());
    let nothing = Tensor::of_f32("x", vec![0, 4], &[]).unwrap();
    if let Ok(outputs) = model.predict(&[nothing], &[]) {
        assert!(outputs.iter().all(|output| output.elements() == 0));
    }
}

#[test]
fn damaged_graphs_are_refused_and_never_panic() {
    let whole = std::fs::read(golden().join("forest_classes.onnx")).unwrap();
    for end in (2..whole.len()).step_by(41) {
        assert!(Model::read(&whole[..end]).is_err(), "cut at {end}");
    }
    let mut seed = 1_u64;
    let mut read = 0;
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] = (seed >> 25) as u8;
        }
        if let Ok(model) = Model::read(&bytes) {
            read += 1;
            let columns = model.inputs().first().and_then(|meta| meta.shape.get(1).copied().flatten()).unwrap_or(13);
            let row = vec![f32::NAN; usize::try_from(columns.min(1000)).unwrap()];
            drop(model.predict(&[Tensor::of_f32("x", vec![1, row.len() as u64], &row).unwrap()], &[]));
        }
    }
    eprintln!("{read} of 400 are still models");
}

#[test]
fn graphs_are_explained_by_what_they_give_beyond_the_background() {
    for name in ["mlp_classes", "forest_binary", "linear"] {
        let case = cases().into_iter().find(|case| case["name"] == name).unwrap();
        let (model, rows) = (open(&case).unwrap(), rows(&case));
        let columns = usize::try_from(rows.shape()[1]).unwrap();
        let background = rows.numbers().unwrap().take(columns).collect();
        let how = Explaining { background: Some(background), orders: 2, seed: 1 };
        let given = model.explain(std::slice::from_ref(&rows), &how).unwrap();
        assert_eq!((given.rows, given.features.len(), given.method.name()), (6, columns, "permutation"));
        let groups = given.contributions.chunks(columns).zip(&given.base).zip(&given.explained);
        for ((contributions, base), explained) in groups {
            let sum: f64 = contributions.iter().sum::<f64>() + base;
            assert!((sum - explained).abs() <= 1e-4 * explained.abs().max(1.0), "{name}: {sum} {explained}");
        }
        // The background itself has nothing to explain.
        assert!(given.contributions[..columns].iter().all(|contribution| *contribution == 0.0), "{name}");
        assert!(given.contributions.iter().any(|contribution| *contribution != 0.0), "{name}");
    }
}

#[test]
fn columns_of_texts_and_numbers_are_inputs_of_their_own() {
    let (all, model) = (all(), Model::open(&golden().join("columns.onnx")).unwrap());
    let given = &all["columns"];
    let texts: Vec<&str> = given["colour"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let rows = texts.len() as u64;
    let kinds: Vec<i64> = numbers(&given["kind"]).into_iter().map(|kind| kind as i64).collect();
    let inputs = [
        Tensor::of_i64("kind", vec![rows, 1], &kinds).unwrap(),
        Tensor::of_texts("colour", vec![rows, 1], &texts).unwrap(),
        Tensor::of_f64("size", vec![rows, 1], &numbers(&given["size"])).unwrap(),
    ];
    assert_eq!(model.features(), ["colour", "size", "kind"]);
    let outputs = model.predict(&inputs, &[]).unwrap();
    for output in &outputs {
        let theirs = numbers(&given[output.name()]);
        let apart =
            output.numbers().unwrap().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);
        assert!(apart <= 1e-5, "{} is {apart} apart", output.name());
    }
    assert_eq!(outputs.len(), 2);
    let said = model.predict(&inputs[1..], &[]).unwrap_err().to_string();
    assert_eq!(said, "the input `kind` is missing; the model takes `colour`, `size`, `kind`");
}
