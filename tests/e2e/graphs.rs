//! Graphs of classic models in a route, from outside: on real models of the repository, and in front of a server that
//! does as it is told.

use crate::classic::{ROW, Served, model_of, output, x};
use crate::harness::events::newest;
use crate::harness::upstream::failure;
use crate::harness::{Upstream, eventually};
use serde_json::{Value, json};

/// The two models beside `fraud`, behind a comma.
pub(crate) fn beside() -> String {
    let one = |name: &str| model_of(name, &format!("configs/models/fraud_{name}.json"), "input: x");
    format!(", {}, {}", one("shallow"), one("second"))
}

/// The graph of `configs/graphs.yaml`.
pub(crate) const FRAUD: &str = "careful: {graph: {root: careful, nodes: {
  careful: {sequence: [{model: shallow}, {node: doubtful}]},
  doubtful: {switch: {cases: [{when: {tensor: probabilities, column: 2, is: {above: 0.05}}, node: panel, takes: request}]}},
  panel: {ensemble: {combine: weighted, members: [{model: fraud, weight: 2}, {model: shallow}, {model: second}], outputs: [probabilities]}}}}}";

/// A row of the training data, and what XGBoost 3.2.0 says of it by the three models: two against one.
pub(crate) const DOUBTFUL: [f32; 3] = [0.5099, -1.984, -1.503];
const SAID: [f64; 3] = [0.100_235_082, 0.638_337_195, 0.460_642_01];

fn near(found: &Value, wanted: f64) -> bool {
    (found.as_f64().unwrap() - wanted).abs() < 1e-5
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_called_as_a_model_is_and_its_record_says_what_it_came_by() {
    let vote = "vote: {graph: {nodes: {majority: {ensemble: {combine: vote, members: [{model: fraud}, {model: shallow}, {model: second}], outputs: [label, predict]}}}}}";
    let served = Served::with("", &beside(), &format!(", {FRAUD}, {vote}"), "").await;
    let answer = served.infer("careful", &x([1, 3], &DOUBTFUL)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let id = answer.header("x-request-id").unwrap().to_owned();
    let json = answer.json();
    let wanted = (2.0 * SAID[0] + SAID[1] + SAID[2]) / 4.0;
    assert!(near(&output(&json, "probabilities")["data"][1], wanted), "{json}");
    assert_eq!((&json["model_name"], json["outputs"].as_array().unwrap().len()), (&json!("careful"), 1));
    // A clear case ends with the first model, and that has all its outputs.
    let clear = served.infer("careful", &x([1, 3], &ROW)).await.json();
    assert!(near(&output(&clear, "predict")["data"][0], 0.008_205_288), "{clear}");
    // Votes: `shallow` alone says that it is fraud.
    let voted = served.infer("vote", &x([1, 3], &DOUBTFUL)).await.json();
    assert_eq!(output(&voted, "label")["data"], json!([0]), "{voted}");
    // Other protocols reach it, too: MLflow's with columns, TF Serving's with rows.
    let rows = served.client.post("/v1/models/careful:predict", &json!({"instances": [DOUBTFUL]})).await;
    assert!(near(&rows.json()["predictions"][0][1], wanted), "{}", rows.text());
    let csv = format!("f2,f1,f0\n{},{},{}\n", DOUBTFUL[2], DOUBTFUL[1], DOUBTFUL[0]);
    let headers = [("x-model", "careful"), ("content-type", "text/csv")];
    let answer = served.client.send("POST", "/invocations", &headers, csv.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let meta = served.client.get("/v2/models/careful").await.json();
    assert_eq!((&meta["platform"], &meta["inputs"][0]["name"]), (&json!("tidegate_graph"), &json!("x")));

    let admin = served.gateway.admin();
    let event = eventually("the record", async || {
        newest(&admin, 50).await.into_iter().find(|event| event["id"] == id.as_str())
    });
    let event = event.await;
    assert_eq!((&event["provider"], &event["model"]), (&json!("graph"), &json!("graph:graph")));
    let visits: Vec<(String, Option<u64>)> = event["visits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|visit| {
            let name = visit["node"].as_str().or(visit["model"].as_str()).unwrap().to_owned();
            assert!(visit["us"].is_u64(), "{visit}");
            (name, visit["within"].as_u64())
        })
        .collect();
    let wanted = [
        ("careful", None),
        ("shallow", Some(0)),
        ("doubtful", Some(0)),
        ("panel", Some(2)),
        ("fraud", Some(3)),
        ("shallow", Some(3)),
        ("second", Some(3)),
    ];
    assert_eq!(visits, wanted.map(|(name, within)| (name.to_owned(), within)));
    assert_eq!(event["visits"][2]["branch"], 0);
    let says = served.home.run(&["explain", &id, "--config", "config.yaml"]);
    assert_eq!(says.code(), 0, "{}", says.err());
    for part in [
        "    node `careful` answered after ",
        "      node `doubtful` took its branch 1 and answered",
        "          model `second` answered",
    ] {
        assert!(says.out().contains(part), "{part}: {}", says.out());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_splitter_goes_by_the_call_and_by_its_shares() {
    let split = ", split: {graph: {nodes: {trial: {splitter: [{share: 50%, model: fraud}, {share: 50%, model: iris, inputs: {y: x}}]}}}}";
    let served = Served::with("", "", split, "").await;
    let (mut first, mut second) = (0, 0);
    for _ in 0..40 {
        let answer = served.infer("split", &x([1, 3], &ROW)).await;
        match answer.status() {
            200 => first += 1,
            // The other model takes four values, and has no input `y`.
            400 => {
                assert!(answer.text().contains("the node `trial`, model `iris`:"), "{}", answer.text());
                second += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    // One in 2^39 if the shares are right.
    assert!(first > 0 && second > 0, "{first} {second}");
    let admin = served.gateway.admin();
    let records = async || Some(newest(&admin, 100).await).filter(|found| found.len() >= 40);
    for event in eventually("all records", records).await {
        let visit = &event["visits"][0];
        let draw = visit["draw"].as_f64().unwrap();
        assert_eq!(visit["branch"].as_u64().unwrap(), u64::from(draw >= 0.5), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_fails_is_named_and_calls_fall_back_to_another_variant() {
    let upstream = Upstream::start().await;
    upstream.always(failure(500));
    let provider =
        format!(", peer: {{open_inference: {{endpoints: [{{url: \"{}\"}}]}}}}", upstream.url().trim_end_matches("/v1"));
    let graph = "graph: {nodes: {both: {ensemble: {combine: mean, members: [{model: fraud}, {model: far}], outputs: [predict]}}}}";
    let routes = format!(
        ", fails: {{{graph}, retry: {{attempts: 1}}}}, falls: {{variants: {{together: {{{graph}}}, alone: {{model: fraud}}}}, policy: {{weighted: {{together: 100%, alone: 0%}}}}, fallback: [{{when: [\"5xx\"], to: {{variant: alone}}}}], retry: {{attempts: 1}}}}"
    );
    let served = Served::with(&provider, ", far: {provider: peer}", &routes, "").await;
    let failed = served.infer("fails", &x([1, 3], &ROW)).await;
    assert!(failed.status() >= 500, "{}", failed.text());
    assert!(failed.json()["error"].as_str().unwrap().contains("the node `both`, model `far`:"), "{}", failed.text());
    let answer = served.infer("falls", &x([1, 3], &ROW)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let admin = served.gateway.admin();
    let record = async || newest(&admin, 10).await.into_iter().find(|event| event["route"] == "falls");
    let event = eventually("the record", record).await;
    assert_eq!((&event["variant"], event["attempts"].as_array().unwrap().len()), (&json!("alone"), 2));
    let far = event["visits"].as_array().unwrap().iter().find(|visit| visit["model"] == "far").unwrap();
    assert_eq!(far["fault"], "upstream_failed", "{event}");
    let fraud = event["visits"].as_array().unwrap().iter().any(|visit| visit["model"] == "fraud");
    assert!(fraud, "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_go_different_ways_and_outputs_that_do_not_fit_are_refused() {
    let routes = ", way: {graph: {nodes: {way: {switch: {cases: [{when: {tensor: x, is: {above: 0}}, model: fraud}], otherwise: {model: fraud}}}}}}, \
                  all: {graph: {nodes: {all: {ensemble: {combine: mean, members: [{model: fraud}, {model: iris, takes: request}]}}}}}";
    let served = Served::with("", "", routes, "").await;
    let apart = served.infer("way", &x([2, 3], &[1.0, 0.0, 0.0, -1.0, 0.0, 0.0])).await;
    assert!(apart.status() == 400 && apart.text().contains("go different ways"), "{}", apart.text());
    let same = served.infer("way", &x([2, 3], &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0])).await;
    assert_eq!(same.status(), 200, "{}", same.text());
    let wrong = served.infer("all", &x([1, 3], &ROW)).await;
    assert!(wrong.status() == 400 && wrong.text().contains("the node `all`, model `iris`"), "{}", wrong.text());
}
