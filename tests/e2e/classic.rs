//! Classic models, from outside: in process and at others, by every protocol that is served, through the same routes,
//! policies, shadows, limits and records as language models.

use crate::harness::client::Answer;
use crate::harness::events::{Counts, event};
use crate::harness::home::repository;
use crate::harness::upstream::Act;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, home};
use serde_json::{Value, json};

/// A model of `configs/`, as a configuration names it.
fn model(name: &str, file: &str) -> String {
    model_of(name, &format!("configs/models/{file}.json"), "input: x")
}

/// A model that lies in the repository, with what is said of it besides.
pub(crate) fn model_of(name: &str, path: &str, besides: &str) -> String {
    let path = repository().join(path);
    let digest = tidegate_core::digest::Digest::of(&std::fs::read(&path).unwrap());
    let path = path.display();
    format!("{name}: {{provider: here, source: {{uris: [\"file:{path}\"], sha256: {digest}}}, {besides}}}")
}

/// The model for fraud under another name, behind a comma.
pub(crate) fn another(name: &str) -> String {
    format!(", {}", model(name, "fraud"))
}

/// Before the rest of a configuration: contents are kept.
pub(crate) const FULL: &str = "content: full\n";

/// A gateway with both models in process, and whatever a test adds.
pub(crate) struct Served {
    pub(crate) home: Home,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
}

impl Served {
    pub(crate) async fn with(providers: &str, more_models: &str, routes: &str, rest: &str) -> Self {
        let (rest, base) = match rest.strip_prefix(FULL) {
            Some(rest) => (rest, home::BASE.replace("to: \"file:events\"", "to: \"file:events\", content: full")),
            None => (rest, home::BASE.to_owned()),
        };
        Self::of(Home::new(), &base, providers, more_models, routes, rest).await
    }

    /// In a folder, with what its configuration begins with.
    pub(crate) async fn of(
        home: Home,
        base: &str,
        providers: &str,
        more_models: &str,
        routes: &str,
        rest: &str,
    ) -> Self {
        let models = format!("{}, {}{more_models}", model("fraud", "fraud"), model("iris", "iris"));
        let text = format!(
            "{base}providers: {{here: {{local: {{}}}}{providers}}}\nmodels: {{{models}}}\nroutes: {{fraud: {{model: fraud}}, iris: {{model: iris}}{routes}}}\n{rest}"
        );
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read", "feedback", "admin"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client }
    }

    pub(crate) async fn start() -> Self {
        Self::with("", "", "", "").await
    }

    pub(crate) async fn infer(&self, route: &str, body: &Value) -> Answer {
        self.client.post(&format!("/v2/models/{route}/infer"), body).await
    }
}

pub(crate) fn x(shape: [u64; 2], data: &[f32]) -> Value {
    json!({"inputs": [{"name": "x", "shape": shape, "datatype": "FP32", "data": data}]})
}

pub(crate) fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["name"] == name).unwrap_or_else(|| panic!("{answer}"))
}

/// What XGBoost 3.2.0 says of the first row that the model was trained on (`configs/models/train.py`).
pub(crate) const ROW: [f32; 3] = [-0.7501, 1.805, -0.7855];
const FRAUD: f64 = 0.001_247_193_2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_inference_is_served_with_json_and_raw_tensors_both_ways() {
    let served = Served::start().await;
    let mut body = x([1, 3], &ROW);
    body["id"] = "r-1".into();
    let answer = served.infer("fraud", &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!((&json["id"], &json["model_name"]), (&json!("r-1"), &json!("fraud")));
    let score = output(&json, "predict");
    assert_eq!((&score["shape"], &score["datatype"]), (&json!([1]), &json!("FP32")));
    assert!((score["data"][0].as_f64().unwrap() - FRAUD).abs() < 1e-6, "{json}");
    // The same row raw, and one output raw in the answer.
    let head =
        json!({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}],
        "outputs": [{"name": "predict", "parameters": {"binary_data": true}}]})
        .to_string();
    let raw: Vec<u8> = head.bytes().chain(ROW.iter().flat_map(|value| value.to_le_bytes())).collect();
    let length = head.len().to_string();
    let headers = [("inference-header-content-length", &*length), ("content-type", "application/octet-stream")];
    let answer = served.client.send("POST", "/v2/models/fraud/infer", &headers, &raw).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let json: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 4);
    assert_eq!(json["outputs"].as_array().unwrap().len(), 1, "one output was named");
    let score = f32::from_le_bytes(answer.body[length..].try_into().unwrap());
    assert!((f64::from(score) - FRAUD).abs() < 1e-6, "{score}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metadata_are_said_and_errors_are_texts() {
    let served = Served::start().await;
    let open = served.client.without_key();
    for path in ["/v2/health/live", "/v2/health/ready", "/ping"] {
        assert_eq!(open.get(path).await.status(), 200, "{path}");
    }
    let server = served.client.get("/v2").await.json();
    assert_eq!((&server["name"], &server["extensions"][0]), (&json!("tidegate"), &json!("binary_tensor_data")));
    assert_eq!(served.client.get("/v2/models/fraud/ready").await.status(), 200);
    assert_eq!(served.client.get("/v2/models/fraud/versions/1/ready").await.status(), 200);
    let meta = served.client.get("/v2/models/iris").await.json();
    assert_eq!(meta["inputs"], json!([{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]));
    assert_eq!((&meta["name"], &meta["versions"]), (&json!("iris"), &json!(["1"])));
    let index = served.client.send("POST", "/v2/repository/index", &[], b"{}").await.json();
    assert_eq!(index[0], json!({"name": "fraud", "version": "1", "state": "READY", "reason": ""}));
    assert_eq!(served.client.send("POST", "/v2/repository/models/fraud/load", &[], b"").await.status(), 200);
    let unload = served.client.send("POST", "/v2/repository/models/fraud/unload", &[], b"").await;
    assert!(unload.status() == 400 && unload.json()["error"].as_str().unwrap().contains("configuration"));
    // OpenAI's object, with what TF Serving's clients look for.
    let model = served.client.get("/v1/models/fraud").await.json();
    assert_eq!(
        (&model["object"], &model["ready"], &model["model_version_status"][0]["state"]),
        (&json!("model"), &json!(true), &json!("AVAILABLE"))
    );
    let meta = served.client.get("/v1/models/fraud/metadata").await.json();
    assert_eq!(
        meta["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]["dtype"],
        "DT_FLOAT"
    );
    for (method, path, status) in [
        ("POST", "/v2/models/none/infer", 404),
        ("POST", "/v2/models/fraud/versions/7/infer", 404),
        ("POST", "/v1/models/fraud/labels/none:predict", 404),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/none/ready", 404),
        ("GET", "/v2/none", 404),
        ("DELETE", "/v2/models/fraud", 405),
    ] {
        let body = if path.starts_with("/v1") { json!({"instances": [[1, 2, 3]]}) } else { x([1, 3], &ROW) };
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let answer = served.client.send(method, path, &[], body.as_bytes()).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
        assert!(answer.json()["error"].as_str().is_some_and(|says| says.len() > 10), "{}", answer.text());
    }
    let refused = open.post("/v2/models/fraud/infer", &x([1, 3], &ROW)).await;
    assert!(refused.status() == 401 && refused.json()["error"].is_string(), "{}", refused.text());
    // Each kind of model has its own interfaces.
    let chatted = served.client.post("/v1/chat/completions", &chat("fraud")).await;
    assert!(chatted.status() == 400 && chatted.text().contains("/v2/models/fraud/infer"), "{}", chatted.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tf_serving_mlflow_and_seldon_are_served_by_the_same_model() {
    let served = Served::start().await;
    let client = &served.client;
    let near = |found: &Value| (found.as_f64().unwrap() - FRAUD).abs() < 1e-6;
    let rows = client.post("/v1/models/fraud:predict", &json!({"instances": [ROW, ROW]})).await;
    assert_eq!(rows.status(), 200, "{}", rows.text());
    let rows = rows.json();
    assert!(near(&rows["predictions"][1]), "{rows}");
    let columns = client.post("/v1/models/fraud/versions/1:predict", &json!({"inputs": {"x": [ROW]}})).await.json();
    assert!(near(&columns["outputs"][0]), "{columns}");
    let names = ["f0", "f1", "f2"];
    let record: serde_json::Map<String, Value> =
        names.iter().zip(ROW).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    for body in [
        json!({"dataframe_split": {"columns": names, "data": [ROW]}}),
        json!({"dataframe_records": [record]}),
        json!({"inputs": [ROW]}),
        json!({"instances": [ROW]}),
    ] {
        let body = body.to_string();
        let answer = client.send("POST", "/invocations", &[("x-model", "fraud")], body.as_bytes()).await;
        assert!(near(&answer.json()["predictions"][0]), "{body}: {}", answer.text());
    }
    let csv = format!("f2,f1,f0\n{},{},{}\n", ROW[2], ROW[1], ROW[0]);
    let headers = [("x-model", "fraud"), ("content-type", "text/csv")];
    let answer = client.send("POST", "/invocations", &headers, csv.as_bytes()).await;
    assert!(near(&answer.json()["predictions"][0]), "{}", answer.text());
    // Without a name there are two that could be meant.
    let unclear = client.post("/invocations", &json!({"inputs": [ROW]})).await;
    assert!(unclear.status() == 400 && unclear.text().contains("fraud, iris"), "{}", unclear.text());
    let body = json!({"data": {"ndarray": [ROW]}}).to_string();
    let answer = client.send("POST", "/api/v1.0/predictions", &[("x-model", "fraud")], body.as_bytes()).await;
    let answer = answer.json();
    assert!(near(&answer["data"]["ndarray"][0]), "{answer}");
    assert_eq!(answer["meta"]["requestPath"]["fraud"], "fraud");
}

/// An answer of an Open Inference server.
fn outputs(value: f64) -> Act {
    let body = json!({"model_name": "up", "model_version": "3", "outputs": [{"name": "y", "datatype": "FP64", "shape": [1], "data": [value]}]});
    Act::Answer(200, vec![], body.to_string().into())
}

/// A provider of this kind, behind a comma.
pub(crate) fn provider(name: &str, kind: &str, upstream: &Upstream) -> String {
    format!(", {name}: {{{kind}: {{endpoints: [{{url: \"{}\"}}]}}}}", upstream.url().trim_end_matches("/v1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_asked_in_their_protocols_whatever_callers_speak() {
    let upstream = Upstream::start().await;
    let kinds = ["open_inference", "tf_serving", "mlflow", "seldon", "bentoml", "torchserve"];
    let providers: String = kinds.iter().map(|kind| provider(kind, kind, &upstream)).collect();
    let more: String = kinds.iter().map(|kind| format!(", m_{kind}: {{provider: {kind}, model: half}}")).collect();
    let routes: String = kinds.iter().map(|kind| format!(", {kind}: {{model: m_{kind}}}")).collect();
    let served = Served::with(&providers, &more, &routes, "").await;
    for (kind, path, answered) in [
        (
            "open_inference",
            "/v2/models/half/infer",
            r#"{"model_name":"half","outputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[0.5]}]}"#,
        ),
        ("tf_serving", "/v1/models/half:predict", r#"{"outputs":[0.5]}"#),
        ("mlflow", "/invocations", r#"{"predictions":[0.5]}"#),
        ("seldon", "/api/v1.0/predictions", r#"{"data":{"names":[],"ndarray":[0.5]},"meta":{}}"#),
        ("bentoml", "/half", "[0.5]"),
        ("torchserve", "/predictions/half", r#"{"predictions":[0.5]}"#),
    ] {
        upstream.always(Act::Answer(200, vec![], answered.into()));
        let answer = served.infer(kind, &x([1, 3], &ROW)).await;
        assert_eq!(answer.status(), 200, "{kind}: {}", answer.text());
        assert_eq!(answer.json()["outputs"][0]["data"], json!([0.5]), "{kind}");
        assert_eq!(upstream.last().path, path);
        assert!(upstream.last().header("authorization").is_none(), "a caller's key stays here");
        let rows = served.client.post(&format!("/v1/models/{kind}:predict"), &json!({"inputs": {"x": [ROW]}})).await;
        assert_eq!(rows.json()["outputs"], json!([0.5]), "{kind}: {}", rows.text());
    }
    // A refusal keeps its words, an answer of another protocol is the provider's fault.
    upstream.always(Act::Answer(400, vec![], r#"{"error":"unexpected shape for input 'x'"}"#.into()));
    let refused = served.infer("open_inference", &x([1, 3], &ROW)).await;
    assert!(
        refused.status() == 400 && refused.json()["error"].as_str().unwrap().contains("unexpected shape"),
        "{}",
        refused.text()
    );
    upstream.always(Act::Answer(200, vec![], "<html>".into()));
    assert_eq!(served.infer("open_inference", &x([1, 3], &ROW)).await.status(), 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_server_is_tried_again_and_fallen_back_from_and_the_record_says_so() {
    let upstream = Upstream::start().await;
    upstream.always(Act::Answer(500, vec![], r#"{"error":"boom"}"#.into()));
    let routes = ", safe: {variants: {far: {model: up}, near: {model: fraud}}, policy: {weighted: {far: 100%, near: 0%}}, retry: {attempts: 2, backoff: 1ms, budget: 100%}, fallback: [{when: [5xx], to: {variant: near}}]}";
    let served =
        Served::with(&provider("far", "open_inference", &upstream), ", up: {provider: far, model: up}", routes, "")
            .await;
    let answer = served.infer("safe", &x([1, 3], &ROW)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!((output(&answer.json(), "predict")["data"][0].as_f64().unwrap() - FRAUD).abs() < 1e-6);
    let record = event(&served.gateway.admin(), &answer.request_id()).await;
    assert_eq!(
        (&record["api"], &record["variant"], &record["route"]),
        (&json!("predict"), &json!("near"), &json!("safe")),
        "{record}"
    );
    assert_eq!(record["attempts"].as_array().unwrap().len(), 3, "{record}");
    let page = Counts::read(&served.gateway.admin()).await;
    assert!(page.text().contains("api=\"predict\""), "{}", page.text());
    let limited = served.client.post("/v2/models/safe/infer", &x([1, 2], &ROW[..2])).await;
    assert!(limited.status() == 400 && limited.text().contains("3 values"), "{}", limited.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_tensors_go_raw_to_whoever_takes_them() {
    let upstream = Upstream::start().await;
    let served = Served::with(
        &provider("far", "open_inference", &upstream),
        ", up: {provider: far, model: up}",
        ", far: {model: up}",
        "",
    )
    .await;
    let data: Vec<f32> = (0..1000u16).map(f32::from).collect();
    upstream.then(Act::Answer(200, vec![], r#"{"name":"triton","extensions":["binary_tensor_data"]}"#.into()));
    upstream.then(outputs(1.0));
    let answer = served.infer("far", &x([1, 1000], &data)).await;
    assert_eq!(answer.json()["outputs"][0]["data"], json!([1.0]), "{}", answer.text());
    assert_eq!((&*upstream.seen()[0].method, &*upstream.seen()[0].path), ("GET", "/v2"));
    let seen = upstream.last();
    let length: usize = seen.header("inference-header-content-length").unwrap().parse().unwrap();
    assert_eq!(seen.body.len() - length, 4000);
    assert_eq!(&seen.body[length + 4..length + 8], 1.0f32.to_le_bytes());
    // Small ones are not worth it, and what was said once is remembered.
    upstream.always(outputs(1.0));
    served.infer("far", &x([1, 3], &ROW)).await;
    assert!(upstream.last().header("inference-header-content-length").is_none());
    served.infer("far", &x([1, 1000], &data)).await;
    assert_eq!(upstream.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadows_compare_numbers_of_classic_answers() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    first.always(outputs(100.0));
    second.always(outputs(100.5));
    let providers = provider("a", "open_inference", &first) + &provider("b", "open_inference", &second);
    let routes = ", r: {model: ma, shadow: [{variant: {model: mb}, compare: {numeric_tolerance: 1%}}]}";
    let served =
        Served::with(&providers, ", ma: {provider: a, model: up}, mb: {provider: b, model: up}", routes, "").await;
    let entries = || -> Vec<Value> {
        let files = std::fs::read_dir(served.home.path().join("events/shadows")).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts
            .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>())
            .collect()
    };
    assert_eq!(served.infer("r", &x([1, 3], &ROW)).await.json()["outputs"][0]["data"], json!([100.0]));
    let seen = eventually("compared", async || entries().first().cloned()).await;
    assert!(seen["compared"]["paths"].as_array().is_none_or(Vec::is_empty), "{seen}");
    second.always(outputs(120.0));
    served.infer("r", &x([1, 3], &ROW)).await;
    let seen = eventually("compared again", async || entries().get(1).cloned()).await;
    assert!(seen.to_string().contains("/y/data/0"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learning_route_learns_between_classic_models() {
    let (good, bad) = (Upstream::start().await, Upstream::start().await);
    good.always(outputs(1.0));
    bad.always(outputs(0.0));
    let providers = provider("a", "open_inference", &good) + &provider("b", "open_inference", &bad);
    let routes = ", r: {variants: {good: {model: ma}, bad: {model: mb}}, policy: {thompson: {reward: caught}}}";
    let rest = "rewards: {caught: {kind: boolean}, reward: {kind: float}}\n";
    let served =
        Served::with(&providers, ", ma: {provider: a, model: up}, mb: {provider: b, model: up}", routes, rest).await;
    for _ in 0..300 {
        let answer = served.infer("r", &x([1, 3], &ROW)).await;
        let is_good = answer.json()["outputs"][0]["data"][0] == json!(1.0);
        let body = json!({"inference_id": answer.request_id(), "reward": "caught", "value": is_good});
        let told = served.client.post("/v1/feedback", &body).await;
        assert!(told.status() < 300, "{}", told.text());
    }
    // The same in Seldon's form, about an answer in Seldon's form, whose reward has to be declared.
    let body = json!({"data": {"ndarray": [ROW]}}).to_string();
    let answer = served.client.send("POST", "/api/v1.0/predictions", &[("x-model", "r")], body.as_bytes()).await.json();
    let said = json!({"request": {}, "response": answer, "reward": 1.0, "truth": {"data": {"ndarray": [1]}}});
    let told = served.client.post("/api/v1.0/feedback", &said).await;
    assert_eq!(told.status(), 200, "{}", told.text());
    let (good_before, bad_before) = (good.count(), bad.count());
    assert!(good_before > bad_before * 3, "{good_before} against {bad_before}");
    // Who names a variant gets it, whatever was learnt.
    let picked = served.client.post("/v1/models/r/labels/bad:predict", &json!({"inputs": {"x": [ROW]}})).await;
    assert_eq!(picked.json()["outputs"][0].as_f64(), Some(0.0), "{}", picked.text());
    assert!(bad.count() > bad_before);
}
