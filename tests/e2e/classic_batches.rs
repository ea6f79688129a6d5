//! Calls of a classic model that come at once are run together, and nobody sees it in his answer; a full queue is refused with
//! the time to come again; what cannot be warmed up does not serve.

use crate::classic::{Served, model_of, output, x};
use crate::harness::events::Counts;
use crate::harness::{Home, home};
use serde_json::{Value, json};
use tidegate_core::dice::{mix, unit};

const GOLDEN: &str = "gateway/classic/tests/golden";

fn golden(name: &str, file: &str, besides: &str) -> String {
    format!(", {}", model_of(name, &format!("{GOLDEN}/{file}"), besides))
}

/// Numbers that are of no kind.
fn numbers(from: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|nth| (unit(mix(mix(from) ^ nth)) * 8.0 - 1.0) as f32).collect()
}

fn values(answer: &Value, name: &str) -> Vec<f64> {
    serde_json::from_value(output(answer, name)["data"].clone()).expect("numbers")
}

/// Rows of a route's input, of four features.
fn rows(input: &str, from: u64, n: usize) -> Value {
    let mut body = x([n as u64, 4], &numbers(from, 4 * n));
    body["inputs"][0]["name"] = input.into();
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_come_at_once_are_answered_as_alone() {
    let more = golden("trees", "xgb_softprob.json", "batch: {max: 100000, wait: 20ms}, input: x")
        + &golden("graph", "mlp_classes.onnx", "batch: {max: 64, wait: 5ms}, instances: 2, input: x");
    let served = Served::with("", &more, ", trees: {model: trees}, graph: {model: graph}", "").await;
    // Many rows of trees, so that a call is worth a thread; single ones of a graph, which always is.
    for (route, n, apart) in [("trees", 1500, 0.0), ("graph", 1, 1e-5)] {
        let said = |answer: crate::harness::client::Answer| {
            assert_eq!(answer.status(), 200, "{}", answer.text());
            values(&answer.json(), "probabilities")
        };
        let mut alone = Vec::new();
        for call in 0..24 {
            alone.push(said(served.infer(route, &rows("x", call, n)).await));
        }
        let joined = async || {
            let page = Counts::read(&served.gateway.admin()).await;
            let of = |name: &str| page.series(&format!("tidegate_classic_batch_rows_{name}{{model=\"{route}\"}}"));
            (of("sum"), of("count"))
        };
        // Whether two calls meet is chance; that no answer tells is none.
        for round in 0.. {
            assert!(round < 50, "no two calls of `{route}` were run together");
            let (rows_before, runs_before) = joined().await;
            let bodies: Vec<Value> = (0..24).map(|call| rows("x", call, n)).collect();
            let answers = futures_util::future::join_all(bodies.iter().map(|body| served.infer(route, body))).await;
            for (call, answer) in answers.into_iter().enumerate() {
                for (one, other) in said(answer).into_iter().zip(&alone[call]) {
                    assert!((one - other).abs() <= apart, "`{route}`, call {call}: {one} and alone {other}");
                }
            }
            let (rows, runs) = joined().await;
            if rows - rows_before > (runs - runs_before) * n as f64 {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_is_refused_with_the_time_to_come_again() {
    let more = golden("slow", "xgb_digits.json", "batch: {queue: 1}, input: x");
    let served = Served::with("", &more, ", slow: {model: slow}", "").await;
    // As raw tensors, since reading JSON would take longer than the model.
    let (n, width) = (20_000, 64);
    let head = json!({"inputs": [{"name": "x", "shape": [n, width], "datatype": "FP32",
        "parameters": {"binary_data_size": 4 * n * width}}], "outputs": [{"name": "label", "parameters": {"binary_data": true}}]})
    .to_string();
    let mut body = head.clone().into_bytes();
    body.extend(numbers(3, n * width).iter().flat_map(|number| number.to_le_bytes()));
    let length = head.len().to_string();
    let headers = [("inference-header-content-length", &*length), ("content-type", "application/octet-stream")];
    let call = async || served.client.send("POST", "/v2/models/slow/infer", &headers, &body).await;
    let mut refused = None;
    for _ in 0..20 {
        let all = futures_util::future::join_all((0..12).map(|_| call())).await;
        assert!(all.iter().any(|answer| answer.status() == 200), "{}", all[0].text());
        refused = all.into_iter().find(|answer| answer.status() != 200);
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("twelve calls at once and one place");
    assert_eq!(refused.status(), 429, "{}", refused.text());
    assert!(
        refused.header("retry-after").is_some() && refused.header("retry-after-ms").is_some(),
        "{:?}",
        refused.head
    );
    assert!(refused.json()["error"].as_str().unwrap().contains("calls wait for this model"), "{}", refused.text());
    let page = Counts::read(&served.gateway.admin()).await;
    assert!(page.series("tidegate_classic_refused_total{model=\"slow\"}") >= 1.0);
    assert_eq!(page.series("tidegate_classic_waiting{model=\"slow\"}"), 0.0);
    // A place is free again.
    assert_eq!(call().await.status(), 200);
}

#[test]
fn what_is_said_of_batches_is_of_classic_models_in_process() {
    let home = Home::new();
    let with = |model: &str| {
        let text = format!(
            "{}providers: {{far: {{open_inference: {{endpoints: [{{url: \"http://127.0.0.1:1\"}}]}}}}, here: {{local: {{}}}}}}\n\
             models: {{m: {{{model}}}}}\nroutes: {{m: {{model: m}}}}\n",
            home::BASE
        );
        home.write("config.yaml", &text);
        let ran = home.run(&["check", "config.yaml"]);
        (ran.code(), ran.out() + &ran.err())
    };
    home.key(&["infer"]);
    let (code, says) = with("provider: far, batch: {max: 8}, instances: 2");
    assert!(code == 2 && says.contains("this model has `batch`, and its provider `far` is not local"), "{says}");
    assert!(says.contains("`instances`"), "{says}");
    let (code, says) = with("provider: here, source: smollm2, batch: {wait: 1h}, instances: 65");
    assert!(code == 2 && says.contains("no call waits so long") && says.contains("65 is more than 64"), "{says}");
}
