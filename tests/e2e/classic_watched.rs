//! A monitor watches the numbers of a classic route, by places that are the same whatever protocol a call came by: traffic that
//! shifts is an alarm on what shifted, and the canary goes back on it. What is kept of such calls is the same JSON.

use crate::classic::{FULL, Served};
use crate::harness::events::event;
use crate::harness::eventually;
use crate::harness::home::repository;
use serde_json::{Value, json};
use tidegate_core::dice::{mix, unit};

/// A reference and windows of so many calls of a version.
const WINDOW: usize = 150;

/// A number that looks normal: the sum of twelve uniform ones less six.
fn normal(call: usize, feature: usize) -> f64 {
    let nth = |n: u64| unit(mix(mix(mix(11) ^ call as u64) ^ (feature as u64 * 16 + n)));
    (0..12).map(nth).sum::<f64>() - 6.0
}

/// Calls a route by one protocol after the other.
async fn calls(served: &Served, from: usize, n: usize, shift: f64) -> String {
    let mut id = String::new();
    for call in from..from + n {
        let row = [normal(call, 0), normal(call, 1) + shift, normal(call, 2)];
        let answer = if call % 2 == 0 {
            let tensor = json!({"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [row]});
            served.client.post("/v2/models/scores/infer", &json!({"inputs": [tensor]})).await
        } else {
            served.client.post("/v1/models/scores:predict", &json!({"instances": [row]})).await
        };
        assert_eq!(answer.status(), 200, "{}", answer.text());
        id = answer.request_id();
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_between_classic_models_goes_back_on_drift() {
    let plugin = repository().join("plugins/dist/drift.wasm");
    let rest = format!(
        "plugins: {{drift: {{component: \"{}\"}}}}\n\
         monitors: {{features: {{plugin: drift, route: scores, fields: {{amount: /inputs/0/data/0, hour: /inputs/0/data/1, score: \"answer:/outputs/0/data/0\"}}, window: {{size: {WINDOW}, min: 50}}, baseline: {{first: 200}}, config: {{alpha: 0.001}}, alarm: {{breaches: 1, of: 1}}}}}}\n",
        plugin.display()
    );
    let route = ", scores: {variants: {blue: {model: fraud}, green: {model: next}}, rollout: {canary: {from: blue, to: green, steps: [50%, 100%], every: 10m, interval: 1s, min_samples: 20, analysis: [{monitor: features}]}}}";
    let served = Served::with("", &crate::classic::another("next"), route, &rest).await;
    let monitor = async || served.gateway.admin().get("/admin/v1/monitors/features").await.json();
    calls(&served, 0, 500, 0.0).await;
    eventually("a reference", async || (monitor().await["reference"]["is_ready"] == true).then_some(())).await;
    calls(&served, 1000, 5 * WINDOW, 1.5).await;
    let over = eventually("rolled back", async || {
        let standing = served.gateway.admin().get("/admin/v1/rollouts/scores").await.json();
        Some(standing).filter(|now| now["stage"] == "rolled back")
    })
    .await;
    let why = over["turns"][0]["why"].as_str().expect("a reason");
    assert!(why.starts_with("monitor features: "), "{why}");
    let now = monitor().await;
    let breached: Vec<&Value> = now["watched"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|watched| watched["windows"].as_array().into_iter().flatten())
        .flat_map(|window| window["measurements"].as_array().into_iter().flatten())
        .filter(|one| one["breached"] == true)
        .map(|one| &one["labels"]["column"])
        .collect();
    assert!(breached.contains(&&json!("hour")) && !breached.contains(&&json!("amount")), "{breached:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_a_call_is_the_same_json_whatever_it_came_as() {
    let served = Served::with("", "", ", scores: {model: fraud}", FULL).await;
    for from in [0, 1] {
        let id = calls(&served, from, 1, 0.0).await;
        let record = event(&served.gateway.admin(), &id).await;
        let kept = |what: &str| serde_json::from_str::<Value>(record["content"][what].as_str().expect("kept")).unwrap();
        let (request, answer) = (kept("request"), kept("answer"));
        assert_eq!(request["inputs"][0]["data"].as_array().map(Vec::len), Some(3), "{request}");
        assert_eq!(request["inputs"][0]["data"][0], json!(normal(from, 0)), "{request}");
        assert!(answer["outputs"][0]["data"][0].is_f64(), "{answer}");
    }
}
