//! Others' classic models asked over gRPC, whatever callers speak: what goes there, what its status means, and whose endpoint is
//! left alone.

use crate::classic::{ROW, Served, x};
use crate::classic_grpc::raw;
use crate::harness::grpc::GrpcUpstream;
use crate::harness::grpc::about::{ModelMetadataResponse, TensorMetadata};
use crate::harness::grpc::messages::{InferTensor, ModelInferRequest, ModelInferResponse};
use crate::harness::{Home, eventually, home};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::{Code, Status};

/// What the models there take.
fn meta() -> ModelMetadataResponse {
    let input = TensorMetadata { name: "x".to_owned(), datatype: "FP32".to_owned(), shape: vec![-1, 3] };
    ModelMetadataResponse { platform: "tests".to_owned(), inputs: vec![input], ..Default::default() }
}

/// The sum of the first input, as FP64 and raw.
fn sum(asked: &ModelInferRequest) -> ModelInferResponse {
    let words = asked.raw_input_contents[0].as_chunks::<4>().0;
    let sum: f64 = words.iter().map(|word| f64::from(f32::from_le_bytes(*word))).sum();
    let output = |name: &str| InferTensor {
        name: name.to_owned(),
        datatype: "FP64".to_owned(),
        shape: vec![1],
        ..Default::default()
    };
    ModelInferResponse {
        model_name: asked.model_name.clone(),
        model_version: "7".to_owned(),
        outputs: vec![output("sum"), output("same")],
        raw_output_contents: vec![sum.to_le_bytes().to_vec(); 2],
        ..Default::default()
    }
}

fn provider(urls: &[String], more: &str) -> String {
    let endpoints: Vec<String> = urls.iter().map(|url| format!("{{url: \"{url}\"}}")).collect();
    format!(", far: {{open_inference: {{endpoints: [{}]{more}}}}}", endpoints.join(", "))
}

const ROUTE: &str = ", far: {model: half}";
const MODEL: &str = ", half: {provider: far, model: half}";
const SUM: f64 = 0.2694;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_callers_speak_others_are_asked_over_grpc() {
    let upstream = GrpcUpstream::start(meta(), |asked| Ok(sum(asked))).await;
    let more = ", auth: {bearer: \"${env:UPSTREAM_KEY}\"}";
    let served = Served::with(&provider(&[upstream.url()], more), MODEL, ROUTE, "").await;
    let near = |found: &serde_json::Value| (found.as_f64().unwrap() - SUM).abs() < 1e-5;
    let mut body = x([1, 3], &ROW);
    (body["id"], body["outputs"]) = (json!("7"), json!([{"name": "sum"}]));
    let answer = served.infer("far", &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!((&json["model_version"], json["outputs"].as_array().unwrap().len()), (&json!("7"), 1), "{json}");
    assert!(near(&json["outputs"][0]["data"][0]) && json["id"] == "7", "{json}");
    let (metadata, asked) = upstream.asked().pop().unwrap();
    assert_eq!((&*asked.model_name, &*asked.id, asked.raw_input_contents.len()), ("half", "7", 1));
    assert_eq!(asked.outputs[0].name, "sum");
    assert_eq!(metadata.get("authorization").unwrap(), &format!("Bearer {}", home::UPSTREAM_KEY));
    assert!(metadata.get("grpc-timeout").is_some() && metadata.get("traceparent").is_some(), "{metadata:?}");
    // Without names and datatypes: they are the model's own, which is asked for them.
    let rows = served.client.post("/v1/models/far:predict", &json!({"inputs": [ROW]})).await;
    assert!(near(&rows.json()["outputs"]["sum"][0]), "{}", rows.text());
    assert_eq!(upstream.asked().pop().unwrap().1.inputs[0].name, "x");
    let meta = served.client.get("/v2/models/far").await.json();
    assert_eq!((&meta["platform"], &meta["inputs"][0]["shape"]), (&json!("tests"), &json!([-1, 3])));
    // And over gRPC on both sides, alone and in a stream.
    let client = served.keyed().await;
    let said = client.infer(raw("far")).await.unwrap().into_inner();
    assert!((f64::from_le_bytes(said.raw_output_contents[0][..].try_into().unwrap()) - SUM).abs() < 1e-5);
    let (answers, ended) = client.stream(vec![raw("far"), raw("far")]).await;
    assert!(ended.is_none() && answers.iter().all(|answer| answer.error_message.is_empty()), "{answers:?}");
    assert_eq!(upstream.asked().len(), 5);
    let shown = served.gateway.admin().get("/admin/v1/config").await.text();
    assert!(shown.contains(&upstream.url()), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_a_fault_of_its_side() {
    let status = Arc::new(std::sync::Mutex::new(Status::ok("")));
    let told = Arc::clone(&status);
    let upstream = GrpcUpstream::start(meta(), move |_| Err(told.lock().unwrap().clone())).await;
    let lenient = ", outlier_detection: {max_ejected: 0%}";
    let served = Served::with(&provider(&[upstream.url()], lenient), MODEL, ROUTE, "").await;
    let client = served.keyed().await;
    for (code, http, grpc, is_told) in [
        (Code::InvalidArgument, 400, Code::InvalidArgument, true),
        (Code::FailedPrecondition, 400, Code::InvalidArgument, true),
        (Code::NotFound, 502, Code::Internal, false),
        (Code::Unauthenticated, 502, Code::Internal, false),
        (Code::Unimplemented, 502, Code::Internal, false),
        (Code::ResourceExhausted, 429, Code::ResourceExhausted, true),
        (Code::DeadlineExceeded, 504, Code::DeadlineExceeded, true),
        (Code::Unavailable, 503, Code::Unavailable, true),
        (Code::Internal, 502, Code::Internal, true),
        (Code::Unknown, 502, Code::Internal, true),
    ] {
        *status.lock().unwrap() = Status::new(code, "so it is, 100 %");
        let answer = served.infer("far", &x([1, 3], &ROW)).await;
        assert_eq!(answer.status(), http, "{code:?}: {}", answer.text());
        assert_eq!(answer.text().contains("so it is, 100 %"), is_told, "{code:?}: {}", answer.text());
        let refused = client.infer(raw("far")).await.unwrap_err();
        assert_eq!(refused.code(), grpc, "{code:?}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_tried_again_elsewhere_and_who_is_gone_is_left_alone() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let alive = GrpcUpstream::start(meta(), move |asked| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(sum(asked))
    })
    .await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("grpc://{}", listener.local_addr().unwrap())
    };
    let route = ", far: {model: half, retry: {attempts: 3, backoff: 1ms, budget: 100%}}";
    let urls = [gone.clone(), alive.url()];
    let more = ", balance: round_robin, outlier_detection: {ejection_time: 30s}";
    let served = Served::with(&provider(&urls, more), MODEL, route, "").await;
    for _ in 0..20 {
        let answer = served.infer("far", &x([1, 3], &ROW)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(count.load(Ordering::SeqCst), 20);
    let ejected = eventually("the ejection", async || served.gateway.log_of("endpoint ejected").pop()).await;
    assert_eq!(ejected["endpoint"], gone.trim_start_matches("grpc://"), "{ejected}");
}

#[test]
fn what_grpc_has_not_is_a_fault_of_the_configuration() {
    let home = Home::new();
    home.write("keys.yaml", "keys: []\n");
    for (provider, says) in [
        ("{openai: {endpoints: [{url: \"grpc://127.0.0.1:1\"}]}}", "only providers of `open_inference`"),
        ("{open_inference: {endpoints: [{url: \"grpc://127.0.0.1:1/v2\"}]}}", "gRPC has none"),
        (
            "{open_inference: {endpoints: [{url: \"grpc://127.0.0.1:1\"}, {url: \"http://127.0.0.1:2\"}]}}",
            "this one is not",
        ),
        ("{open_inference: {endpoints: [{url: \"grpc://127.0.0.1:1\"}], query: {a: b}}}", "can never apply"),
        ("{open_inference: {endpoints: [{url: \"grpcx://127.0.0.1:1\"}]}}", "is not spoken"),
    ] {
        home.write(
            "config.yaml",
            &format!(
                "{}providers: {{far: {provider}}}\nmodels: {{m: {{provider: far}}}}\nroutes: {{m: {{model: m}}}}\n",
                home::BASE
            ),
        );
        let ran = home.run(&["check", "config.yaml"]);
        let said = format!("{}{}", ran.out(), ran.err());
        assert!(ran.code() == 2 && said.contains(says), "{provider}: {said}");
    }
}
