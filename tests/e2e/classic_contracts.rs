//! Inputs of a classic model are held to what was agreed: the signature of the registered version, whoever wrote it, and a
//! suite of expectations. Who breaks it learns field, row and rule; metrics and monitors have it, too.

use crate::classic::x;
use crate::harness::client::Answer;
use crate::harness::events::{Counts, event};
use crate::harness::home::repository;
use crate::harness::shelf::file;
use crate::harness::{Shelf, eventually};
use serde_json::{Value, json};

const GRAPH: &str = "gateway/classic/tests/golden/mlp_classes.onnx";
const NAMES: [&str; 4] = ["sepal_length", "sepal_width", "petal_length", "petals"];
const FLOWER: [f32; 4] = [5.1, 3.5, 1.4, 3.0];

/// Three lengths, and a number of petals.
fn signature() -> Value {
    let kind = |name: &str| if name == "petals" { "long" } else { "double" };
    let inputs: Vec<Value> =
        NAMES.iter().map(|name| json!({"name": name, "type": kind(name), "required": true})).collect();
    json!({"inputs": inputs, "outputs": [{"type": "long", "name": "label"}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_of_both_libraries_are_registered_with_their_signature() {
    let shelf = Shelf::open("").await;
    let names = ["amount", "hour", "rate"];
    let inputs: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": "double"})).collect();
    shelf.home.write("signature.json", &json!({"inputs": inputs}).to_string());
    for (model, path) in
        [("fraud", "configs/models/fraud.json"), ("cells", "gateway/classic/tests/golden/lgb_categories.txt")]
    {
        let path = repository().join(path);
        let path = path.to_str().expect("UTF-8");
        let registered =
            shelf.model(&["register", model, "--file", path, "--kind", "classic", "--signature", "signature.json"]);
        assert_eq!(registered.code(), 0, "{model}: {}", registered.err());
        shelf.alias(model, "champion", 1).await;
    }
    let model = |name: &str| format!("{name}: {{provider: here, source: \"models:/{name}@champion\"}}");
    let models = format!("{}, {}", model("fraud"), model("cells"));
    shelf.serve(&models, "fraud: {model: fraud}, cells: {model: cells}", "").await;
    for route in ["fraud", "cells"] {
        let ask = async |columns: &[&str]| {
            let row: Vec<f64> = columns.iter().map(|column| column.len() as f64 - 4.0).collect();
            let body = json!({"dataframe_split": {"columns": columns, "data": [row]}}).to_string();
            shelf.client.send("POST", "/invocations", &[("x-model", route)], body.as_bytes()).await
        };
        let (one, other) = (ask(&names).await, ask(&["rate", "amount", "hour"]).await);
        assert_eq!(one.status(), 200, "{route}: {}", one.text());
        assert_eq!(one.json(), other.json(), "{route}: the order of columns is nobody's");
        refused(&ask(&names[..2]).await, &["field `rate`: is missing"]);
    }
    // What is no model is not taken, whatever it is called.
    shelf.home.write("model.json", "{\"config\": {\"learner\": 1}}");
    let none = shelf.model(&["register", "none", "--file", "model.json"]);
    assert!(none.code() == 1 && none.err().contains("no member `learner`"), "{}", none.err());
}

/// A registry with the model `flowers`, whose version 1 was registered with a signature.
async fn shelf() -> Shelf {
    let shelf = Shelf::open("").await;
    shelf.home.write("signature.json", &signature().to_string());
    let path = repository().join(GRAPH);
    let registered = shelf.model(&[
        "register",
        "flowers",
        "--file",
        path.to_str().expect("UTF-8"),
        "--kind",
        "classic",
        "--signature",
        "signature.json",
    ]);
    assert_eq!(registered.code(), 0, "{}", registered.err());
    shelf
}

fn model(more: &str) -> String {
    format!("flowers: {{provider: here, input: x, source: \"models:/flowers/1\"{more}}}")
}

async fn call(shelf: &Shelf, rows: &[[f32; 4]]) -> Answer {
    shelf.client.post("/v2/models/flowers/infer", &x([rows.len() as u64, 4], &rows.concat())).await
}

fn refused(answer: &Answer, says: &[&str]) {
    assert_eq!(answer.status(), 400, "{}", answer.text());
    for part in says {
        assert!(answer.json()["error"].as_str().expect("a text").contains(part), "{part}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registered_signature_is_kept_to() {
    let shelf = shelf().await;
    shelf.serve(&model(""), "flowers: {model: flowers}", "").await;
    let mut half = FLOWER;
    half[3] = 2.5;
    assert_eq!(call(&shelf, &[FLOWER, FLOWER]).await.status(), 200);
    let answer = call(&shelf, &[FLOWER, half, half]).await;
    refused(&answer, &["field `petals`, row 1: 2.5 is no whole number, but INT64 is agreed", "(2 of 3 values)"]);
    let record = event(&shelf.gateway.admin(), &answer.request_id()).await;
    assert_eq!(record["outcome"], json!({"fault": "contract_broken"}), "{record}");
    // By names, in whatever order; and one that is missing.
    let columns = |names: &[&str]| {
        let at = |name: &&str| NAMES.iter().position(|known| known == name).expect("a name");
        let row: Vec<f32> = names.iter().map(|name| FLOWER[at(name)]).collect();
        json!({"dataframe_split": {"columns": names, "data": [row]}}).to_string()
    };
    let invoke = async |body: String| {
        shelf.client.send("POST", "/invocations", &[("x-model", "flowers")], body.as_bytes()).await
    };
    let whole = shelf.client.post("/v1/models/flowers:predict", &json!({"instances": [FLOWER]})).await;
    assert_eq!(whole.status(), 200, "{}", whole.text());
    let turned = invoke(columns(&["petals", "petal_length", "sepal_length", "sepal_width"])).await;
    assert_eq!(turned.json()["predictions"], whole.json()["predictions"], "{}", turned.text());
    refused(&invoke(columns(&["petals", "petal_length", "sepal_width"])).await, &["field `sepal_length`: is missing"]);
    let page = Counts::read(&shelf.gateway.admin()).await;
    let of = |field: &str, rule: &str| {
        page.series(&format!(
            "tidegate_contract_violations_total{{model=\"flowers\",field=\"{field}\",rule=\"{rule}\"}}"
        ))
    };
    assert_eq!((of("petals", "type"), of("sepal_length", "required")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logged_models_own_signature_counts_unless_it_shall_not() {
    let shelf = Shelf::open("").await;
    let inputs = signature()["inputs"].to_string();
    let mlmodel = format!("flavors:\n  onnx: {{data: model.onnx}}\nsignature:\n  inputs: '{inputs}'\n  params: null\n");
    shelf.make("flowers").await;
    let graph = file(GRAPH);
    shelf.version("flowers", 1, &[("model.onnx", &graph), ("MLmodel", mlmodel.as_bytes())]).await;
    let free = "free: {provider: here, input: x, source: \"models:/flowers/1\", contract: {signature: false}}";
    shelf.serve(&format!("{}, {free}", model("")), "flowers: {model: flowers}, free: {model: free}", "").await;
    let mut half = FLOWER;
    half[3] = 2.5;
    refused(&call(&shelf, &[half]).await, &["field `petals`, row 0"]);
    assert_eq!(shelf.client.post("/v2/models/free/infer", &x([1, 4], &half)).await.status(), 200);
}

fn suite() -> Value {
    json!({"name": "flowers", "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "sepal_length", "min_value": 4, "max_value": 8}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "sepal_width"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "petals", "value_set": [3, 4], "mostly": 0.5}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
    ]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suite_of_expectations_is_kept_to_and_another_one_is_loaded() {
    let shelf = shelf().await;
    shelf.home.write("suite.json", &suite().to_string());
    shelf.serve(&model(", contract: {suite: suite.json}"), "flowers: {model: flowers}", "").await;
    let with = |place: usize, value: f32| {
        let mut flower = FLOWER;
        flower[place] = value;
        flower
    };
    assert_eq!(call(&shelf, &[FLOWER, with(3, 9.0)]).await.status(), 200, "half of the petals are enough");
    let answer = call(&shelf, &[FLOWER, with(0, 12.0), with(3, 9.0), with(3, 9.0), with(3, 9.0)]).await;
    refused(
        &answer,
        &[
            "field `sepal_length`, row 1: 12 is not between 4 and 8",
            "field `petals`, row 2: 9 is none of 3, 4 for at least 50 %",
        ],
    );
    assert!(
        !shelf.gateway.log_of("expectations of whole tables are for monitors").is_empty(),
        "it says what it leaves out"
    );
    // Another suite in the same file is another configuration; one that is none changes nothing.
    let mut wider = suite();
    wider["expectations"][0]["kwargs"]["max_value"] = json!(20);
    shelf.home.replace("suite.json", &wider.to_string());
    let tall = [FLOWER, with(0, 12.0), FLOWER];
    eventually("the other suite", async || (call(&shelf, &tall).await.status() == 200).then_some(())).await;
    shelf.home.replace("suite.json", "{}");
    let reloaded = shelf.gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert!(reloaded.status() >= 400 && reloaded.text().contains("a suite has the list"), "{}", reloaded.text());
    assert_eq!(call(&shelf, &tall).await.status(), 200);
}

#[cfg(feature = "host")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_sees_what_is_refused_and_what_is_only_noted() {
    let shelf = shelf().await;
    let plugin = repository().join("plugins/dist/drift.wasm");
    let rest = format!(
        "plugins: {{drift: {{component: \"{}\"}}}}\n\
         monitors: {{strict: {{plugin: drift, route: flowers, fields: {{broken: violations}}, window: {{size: 60, min: 50}}, baseline: {{first: 60}}, alarm: {{breaches: 1, of: 1}}}}, \
         lenient: {{plugin: drift, route: noted, fields: {{broken: violations}}, window: {{size: 60, min: 50}}, baseline: {{first: 60}}, alarm: {{breaches: 1, of: 1}}}}, \
         inputs: {{plugin: drift, route: flowers, fields: {{petals: /inputs/0/data/3}}, window: {{size: 60, min: 50}}, baseline: {{first: 60}}}}}}\n",
        plugin.display()
    );
    let noted = "noted: {provider: here, input: x, source: \"models:/flowers/1\", contract: {on_violation: note}}";
    shelf.serve(&format!("{}, {noted}", model("")), "flowers: {model: flowers}, noted: {model: noted}", &rest).await;
    let ask = async |route: &str, petals: f32, status: u16| {
        let mut flower = FLOWER;
        flower[3] = petals;
        let answer = shelf.client.post(&format!("/v2/models/{route}/infer"), &x([1, 4], &flower)).await;
        assert_eq!(answer.status(), status, "{}", answer.text());
    };
    let monitor = async |name: &str| shelf.gateway.admin().get(&format!("/admin/v1/monitors/{name}")).await.json();
    for (route, watched, broken) in [("flowers", "strict", 400), ("noted", "lenient", 200)] {
        for _ in 0..60 {
            ask(route, 3.0, 200).await;
        }
        eventually("a reference", async || (monitor(watched).await["reference"]["is_ready"] == true).then_some(()))
            .await;
        for _ in 0..60 {
            ask(route, 2.5, broken).await;
        }
        let alarm =
            eventually("the alarm", async || Some(monitor(watched).await).filter(|now| now["state"] == "alarm")).await;
        assert!(alarm.to_string().contains("broken"), "{alarm:#}");
    }
    // What was refused is in no window of those who do not ask for it.
    let inputs = monitor("inputs").await;
    assert_eq!(
        (&inputs["counts"]["windows"], &inputs["reference"]["is_ready"]),
        (&json!(0), &json!(true)),
        "{inputs:#}"
    );
}
