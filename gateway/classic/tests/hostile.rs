//! Files that lie: each is refused in words that say what is wrong, and none panics, loops or makes room for what is not
//! there.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use tidegate_classic::{Explaining, Model};
use tidegate_core::Tensor;

fn golden(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn row(values: &[f32]) -> [Tensor; 1] {
    [Tensor::of_f32("x", vec![1, values.len() as u64], values).unwrap()]
}

/// What is said of an XGBoost model that was changed.
fn xgboost(name: &str, change: impl FnOnce(&mut Value)) -> Result<Model, String> {
    let mut file: Value = serde_json::from_str(&golden(name)).unwrap();
    change(&mut file["learner"]);
    Model::read(file.to_string().as_bytes()).map_err(|fault| fault.to_string())
}

fn first_tree(learner: &mut Value) -> &mut Value {
    &mut learner["gradient_booster"]["model"]["trees"][0]
}

fn lightgbm(name: &str, from: &str, to: &str) -> Result<Model, String> {
    let text = golden(name);
    assert!(text.contains(from), "{name} has no `{from}`");
    Model::read(text.replacen(from, to, 1).as_bytes()).map_err(|fault| fault.to_string())
}

fn refused(read: Result<Model, String>, part: &str) {
    let said = read.map(|_| ()).unwrap_err();
    assert!(said.contains(part), "`{said}` does not say `{part}`");
}

#[test]
fn xgboost_nodes_that_are_no_tree_are_refused() {
    let circle = |learner: &mut Value| first_tree(learner)["left_children"][1] = json!(0);
    refused(xgboost("xgb_binary.json", circle), "tree 0: node 0 is reached twice: this is no tree");
    let shared = |learner: &mut Value| {
        let tree = first_tree(learner);
        let right = tree["right_children"][0].clone();
        tree["left_children"][0] = right;
    };
    refused(xgboost("xgb_binary.json", shared), "reached twice");
    let beyond = |learner: &mut Value| first_tree(learner)["left_children"][0] = json!(4_000_000_000_u64);
    refused(xgboost("xgb_binary.json", beyond), "node 4000000000 is named as a child, but there are");
    let below = |learner: &mut Value| first_tree(learner)["left_children"][0] = json!(-7);
    refused(xgboost("xgb_binary.json", below), "node 0 has the child -7");
    let empty = |learner: &mut Value| {
        for list in
            ["left_children", "right_children", "split_indices", "split_conditions", "default_left", "split_type"]
        {
            first_tree(learner)[list] = json!([]);
        }
    };
    refused(xgboost("xgb_binary.json", empty), "node 0 is named as a child, but there are 0 nodes");
    let feature = |learner: &mut Value| first_tree(learner)["split_indices"][0] = json!(30);
    refused(xgboost("xgb_binary.json", feature), "node 0 looks at feature 30, but there are 30");
    let short = |learner: &mut Value| first_tree(learner)["split_conditions"] = json!([1.0]);
    refused(xgboost("xgb_binary.json", short), "its lists are not of one length");
}

#[test]
fn xgboost_sizes_that_are_not_there_get_no_room() {
    let classes = |learner: &mut Value| learner["learner_model_param"]["num_class"] = json!("100000000000");
    refused(xgboost("xgb_softprob.json", classes), "trees are too few for 100000000000 classes");
    let features = |learner: &mut Value| learner["learner_model_param"]["num_feature"] = json!("99999999999");
    refused(xgboost("xgb_softprob.json", features), "`num_feature` is 99999999999, which is too many");
    let category = |learner: &mut Value| first_tree(learner)["categories"][0] = json!(9_000_000_000_000_u64);
    refused(xgboost("xgb_categories.json", category), "9000000000000 is no category");
    let beyond = |learner: &mut Value| first_tree(learner)["categories_sizes"][0] = json!(1_000_000_000_000_u64);
    refused(xgboost("xgb_categories.json", beyond), "are not there");
}

#[test]
fn xgboost_models_of_other_kinds_are_refused_by_name() {
    let linear = |learner: &mut Value| learner["gradient_booster"] = json!({"name": "gblinear", "model": null});
    refused(xgboost("xgb_binary.json", linear), "needs the booster `gblinear`, which is not served in process");
    let objective = |learner: &mut Value| learner["objective"]["name"] = json!("reg:mine");
    refused(xgboost("xgb_binary.json", objective), "the objective `reg:mine`");
    let vector = |learner: &mut Value| first_tree(learner)["tree_param"]["size_leaf_vector"] = json!("3");
    refused(xgboost("xgb_binary.json", vector), "multi_output_tree");
    let forbidden = |learner: &mut Value| learner["learner_model_param"]["base_score"] = json!("[1.5E0]");
    refused(xgboost("xgb_binary.json", forbidden), "`base_score` is 1.5, which this objective forbids");
}

#[test]
fn base_scores_are_read_in_both_notations_and_truths_too() {
    let ones = row(&[1.0; 30]);
    let newer = xgboost("xgb_binary.json", |_| {}).unwrap().predict(&ones, &[]).unwrap();
    let old = xgboost("xgb_binary.json", |learner| {
        let score = learner["learner_model_param"]["base_score"].as_str().unwrap().trim_matches(['[', ']']).to_owned();
        learner["learner_model_param"]["base_score"] = json!(score);
        for tree in learner["gradient_booster"]["model"]["trees"].as_array_mut().unwrap() {
            for flag in tree["default_left"].as_array_mut().unwrap() {
                *flag = json!(flag.as_u64() == Some(1));
            }
        }
    });
    assert_eq!(old.unwrap().predict(&ones, &[]).unwrap(), newer);
    let each = |learner: &mut Value| learner["learner_model_param"]["base_score"] = json!("[0,1E1,0]");
    let outputs = xgboost("xgb_softprob.json", each).unwrap().predict(&row(&[1.0; 4]), &[]).unwrap();
    let shares = outputs[0].to_f32().unwrap();
    assert!(shares[1] > 0.99, "{shares:?}");
}

#[test]
fn lightgbm_files_that_lie_are_refused() {
    let text = golden("lgb_squared.txt");
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let children = line("left_child=");
    refused(lightgbm("lgb_squared.txt", &children, "left_child=1 0 3 -2 -4 -3"), "tree 0: node 0 is reached twice");
    refused(lightgbm("lgb_squared.txt", &children, "left_child=1 2 3 9 -4 -3"), "node 3 has the child 9");
    refused(lightgbm("lgb_squared.txt", &children, "left_child=1 2 3 -90 -4 -3"), "is named as a child");
    refused(lightgbm("lgb_squared.txt", &children, "left_child=1 2"), "`left_child` has 2 numbers instead of 6");
    refused(lightgbm("lgb_squared.txt", "num_leaves=7", "num_leaves=7000000000"), "numbers instead of 7000000000");
    refused(
        lightgbm("lgb_squared.txt", "num_tree_per_iteration=1", "num_tree_per_iteration=4000000000"),
        "whole rounds",
    );
    refused(lightgbm("lgb_squared.txt", "max_feature_idx=9", "max_feature_idx=99999999999"), "but there are 10 names");
    refused(lightgbm("lgb_squared.txt", &line("split_feature="), "split_feature=8 2 10 2 3 8"), "looks at feature 10");
    refused(lightgbm("lgb_squared.txt", "is_linear=0", "is_linear=1"), "linear trees");
    refused(lightgbm("lgb_squared.txt", "objective=regression", "objective=mine"), "the objective `mine`");
    refused(lightgbm("lgb_categories.txt", "cat_boundaries=0", "cat_boundaries=900"), "`cat_boundaries` does not rise");
}

#[test]
fn what_is_of_no_format_is_refused_with_its_beginning() {
    let said = Model::read(b"\x80\x04pickle").map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("it begins with `�\\u{4}pickle`") && said.contains("XGBoost's JSON"), "{said}");
    assert!(Model::read(b"").is_err());
}

#[test]
fn files_cut_anywhere_are_refused() {
    for name in ["xgb_categories.json", "lgb_categories.txt", "xgb_dart_softmax.json"] {
        let whole = golden(name).into_bytes();
        for end in (0..whole.len() - 200).step_by(97) {
            assert!(Model::read(&whole[..end]).is_err(), "{name} cut at {end} was read");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_panic(
        file in prop::sample::select(vec!["xgb_categories.json", "lgb_categories.txt", "lgb_ova.txt", "xgb_dart_softmax.json"]),
        places in prop::collection::vec((any::<prop::sample::Index>(), "[-0-9,.e\\[\\] ]"), 1..6),
    ) {
        let mut bytes = golden(file).into_bytes();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte.as_bytes()[0];
        }
        if let Ok(model) = Model::read(&bytes) {
            let rows = row(&vec![f32::NAN; model.features().len()]);
            prop_assert!(model.predict(&rows, &[]).is_ok());
            drop(model.explain(&rows, &Explaining::default()));
        }
    }
}
