//! Inputs of classic models that run elsewhere are held to what was agreed, whatever their provider speaks: a call that breaks it is
//! refused before anybody is asked, and counted.

use crate::classic::x;
use crate::harness::events::{Counts, event};
use crate::harness::home::repository;
use crate::harness::server::{Asked, Said, Server};
use crate::harness::shelf::Shelf;
use serde_json::{Value, json};

const FLOWER: [f32; 4] = [5.1, 3.5, 1.4, 3.0];
/// Providers by what they speak; the last one is asked over gRPC at a port where nobody is.
const KINDS: [&str; 6] = ["open_inference", "tf_serving", "mlflow", "seldon", "bentoml", "torchserve"];

fn signature() -> Value {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "required": true});
    let mut inputs = ["sepal_length", "sepal_width", "petal_length"].map(|name| field(name, "double")).to_vec();
    inputs.push(field("petals", "long"));
    json!({"inputs": inputs})
}

fn suite() -> Value {
    let range = json!({"column": "sepal_length", "min_value": 4, "max_value": 8});
    json!({"name": "flowers", "expectations": [{"type": "expect_column_values_to_be_between", "kwargs": range}]})
}

/// Answers one and a half, in the words of whoever is asked there.
fn peer(asked: &Asked) -> Said {
    let body = match asked.path.as_str() {
        "/v2/models/m/infer" => {
            json!({"model_name": "m", "outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [1.5]}]})
        }
        "/v1/models/m:predict" => json!({"outputs": [1.5]}),
        "/invocations" | "/predictions/m" => json!({"predictions": [1.5]}),
        "/api/v1.0/predictions" => json!({"data": {"names": [], "ndarray": [1.5]}}),
        "/m" => json!([1.5]),
        _ => return (404, Vec::new(), b"{}".to_vec()),
    };
    (200, vec![("content-type".to_owned(), "application/json".to_owned())], body.to_string().into_bytes())
}

/// A gateway with the signature of `flowers` in its registry and in a file, and a suite; with these further providers.
async fn shelf(providers: &str) -> Shelf {
    let shelf = Shelf::open("").await;
    shelf.home.write("signature.json", &signature().to_string());
    shelf.home.write("suite.json", &suite().to_string());
    let graph = repository().join("gateway/classic/tests/golden/mlp_classes.onnx");
    let graph = graph.to_str().expect("UTF-8");
    let registered =
        shelf.model(&["register", "flowers", "--file", graph, "--kind", "classic", "--signature", "signature.json"]);
    assert_eq!(registered.code(), 0, "{}", registered.err());
    shelf.alias("flowers", "champion", 1).await;
    let text = shelf.home.read("config.yaml").replace("providers: {", &format!("providers: {{{providers}, "));
    shelf.home.replace("config.yaml", &text);
    shelf
}

async fn violations(shelf: &Shelf, model: &str, field: &str, rule: &str) -> f64 {
    let page = Counts::read(&shelf.gateway.admin()).await;
    page.series(&format!("tidegate_contract_violations_total{{model=\"{model}\",field=\"{field}\",rule=\"{rule}\"}}"))
}

fn flower(place: usize, value: f32) -> [f32; 4] {
    let mut flower = FLOWER;
    flower[place] = value;
    flower
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_asked_is_asked_nothing_that_breaks_the_contract() {
    let server = Server::start(peer);
    let provider = |kind: &str| format!("{kind}: {{{kind}: {{endpoints: [{{url: \"{}\"}}]}}}}", server.url(""));
    let providers = KINDS.map(provider).join(", ");
    let shelf =
        shelf(&format!("{providers}, message: {{open_inference: {{endpoints: [{{url: \"grpc://127.0.0.1:1\"}}]}}}}"))
            .await;
    let model = |(nth, kind): (usize, &&str)| {
        let of = if nth % 2 == 0 { "\"models:/flowers@champion\"" } else { "signature.json" };
        format!("{kind}: {{provider: {kind}, model: m, contract: {{of: {of}, suite: suite.json}}}}")
    };
    let all = [&KINDS[..], &["message"]].concat();
    let models = all.iter().enumerate().map(model).collect::<Vec<_>>().join(", ");
    let routes = all.iter().map(|kind| format!("{kind}: {{model: {kind}}}")).collect::<Vec<_>>().join(", ");
    shelf.serve(&models, &routes, "").await;
    for kind in all {
        let ask = async |rows: &[[f32; 4]]| {
            let body = x([rows.len() as u64, 4], &rows.concat());
            shelf.client.post(&format!("/v2/models/{kind}/infer"), &body).await
        };
        let before = server.asked().len();
        let answer = ask(&[FLOWER, flower(3, 2.5), flower(0, 12.0)]).await;
        let says = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status(), 400, "{kind}: {}", answer.text());
        for part in
            ["field `petals`, row 1: 2.5 is no whole number", "field `sepal_length`, row 2: 12 is not between 4 and 8"]
        {
            assert!(says.contains(part), "{kind}: {says}");
        }
        // By names, where one is missing; and by a protocol that has no datatypes.
        let table = json!({"dataframe_split": {"columns": ["sepal_length", "sepal_width"], "data": [[5.0, 3.0]]}});
        let table = shelf.client.send("POST", "/invocations", &[("x-model", kind)], table.to_string().as_bytes()).await;
        assert!(
            table.status() == 400 && table.text().contains("field `petals`: is missing"),
            "{kind}: {}",
            table.text()
        );
        let rows =
            shelf.client.post(&format!("/v1/models/{kind}:predict"), &json!({"instances": [flower(3, 0.5)]})).await;
        assert!(rows.status() == 400 && rows.text().contains("field `petals`, row 0"), "{kind}: {}", rows.text());
        assert_eq!(server.asked().len(), before, "{kind} was asked what breaks its contract");
        let record = event(&shelf.gateway.admin(), &answer.request_id()).await;
        assert_eq!(record["outcome"], json!({"fault": "contract_broken"}), "{record}");
        let counts = [("petals", "type", 2.0), ("sepal_length", "between", 1.0), ("petal_length", "required", 1.0)];
        for (field, rule, count) in counts {
            assert_eq!(violations(&shelf, kind, field, rule).await, count, "{kind}: {field} {rule}");
        }
        let answer = ask(&[FLOWER]).await;
        if kind == "message" {
            assert!(answer.status() >= 500, "{}", answer.text());
        } else {
            assert_eq!(
                (answer.status(), &answer.json()["outputs"][0]["data"]),
                (200, &json!([1.5])),
                "{kind}: {}",
                answer.text()
            );
            assert_eq!(server.asked().len(), before + 1, "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_noted_is_asked_and_counts_outlive_a_reload() {
    let server = Server::start(peer);
    let shelf = shelf(&format!("tf: {{tf_serving: {{endpoints: [{{url: \"{}\"}}]}}}}", server.url(""))).await;
    let model = "noted: {provider: tf, model: m, contract: {of: \"models:/flowers/1\", on_violation: note}}";
    shelf.serve(model, "noted: {model: noted}", "").await;
    let ask = async || {
        let answer = shelf.client.post("/v1/models/noted:predict", &json!({"instances": [flower(3, 2.5)]})).await;
        assert_eq!((answer.status(), answer.json()), (200, json!({"predictions": [1.5]})), "{}", answer.text());
    };
    ask().await;
    assert_eq!(violations(&shelf, "noted", "petals", "type").await, 1.0);
    let reloaded = shelf.gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    ask().await;
    assert_eq!((violations(&shelf, "noted", "petals", "type").await, server.asked().len()), (2.0, 2));
    // A version that is not there is none to be held to, and what was agreed stays.
    let text = shelf.home.read("config.yaml").replace("models:/flowers/1", "models:/flowers/7");
    shelf.home.replace("config.yaml", &text);
    let refused = shelf.gateway.admin().post("/admin/v1/reload", &json!({})).await;
    assert!(
        refused.status() >= 400 && refused.text().contains("the contract of the model `noted`"),
        "{}",
        refused.text()
    );
    ask().await;
}
