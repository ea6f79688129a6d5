//! The Open Inference Protocol over gRPC, by a client that is not ours: the same models, keys, limits and records as over HTTP.

use crate::classic::{FULL, ROW, Served, another};
use crate::harness::events::{Counts, event, newest};
use crate::harness::grpc::about::{
    ModelMetadataResponse, ModelRequest, Nothing, RepositoryIndexResponse, RepositoryModelRequest, ServerLiveResponse,
    ServerMetadataResponse,
};
use crate::harness::grpc::messages::{
    InferParameter, InferTensor, InferTensorContents, ModelInferRequest, ModelInferResponse, ParameterChoice,
};
use crate::harness::grpc::{Bytewise, Grpc, framed};
use crate::harness::{Home, Upstream, eventually, home, server, soon, upstream::Act};
use prost::Message as _;
use serde_json::{Value, json};
use std::time::Duration;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};

/// Answers that refuse a caller.
const REFUSALS: &str = r#"tidegate_http_responses_total{status_class="4xx"}"#;
/// What XGBoost says of [`ROW`].
const FRAUD: f32 = 0.001_247_193_2;

impl Served {
    pub(crate) async fn grpc(&self) -> Grpc {
        Grpc::of(self.gateway.address("public")).await
    }

    /// With the key of its client.
    pub(crate) async fn keyed(&self) -> Grpc {
        self.grpc().await.with_key(&self.key())
    }

    pub(crate) fn key(&self) -> String {
        self.client.key().to_owned()
    }
}

pub(crate) fn tensor(name: &str, datatype: &str, shape: &[i64]) -> InferTensor {
    InferTensor { name: name.to_owned(), datatype: datatype.to_owned(), shape: shape.to_vec(), ..Default::default() }
}

/// A row for `route`, raw.
pub(crate) fn raw(route: &str) -> ModelInferRequest {
    ModelInferRequest {
        model_name: route.to_owned(),
        inputs: vec![tensor("x", "FP32", &[1, 3])],
        raw_input_contents: vec![ROW.iter().flat_map(|value| value.to_le_bytes()).collect()],
        ..Default::default()
    }
}

/// The same as a list of numbers.
fn typed(route: &str) -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: ROW.to_vec(), ..Default::default() };
    let input = InferTensor { contents: Some(contents), ..tensor("x", "FP32", &[1, 3]) };
    ModelInferRequest { raw_input_contents: vec![], inputs: vec![input], ..raw(route) }
}

fn parameter(name: &str, choice: ParameterChoice) -> (String, InferParameter) {
    (name.to_owned(), InferParameter { choice: Some(choice) })
}

/// The score of a row, which stands in this place among the outputs.
fn predicted(answer: &ModelInferResponse) -> usize {
    answer.outputs.iter().position(|output| output.name == "predict").unwrap_or_else(|| panic!("{answer:?}"))
}

/// The score of a row, raw.
fn value(answer: &ModelInferResponse) -> f32 {
    f32::from_le_bytes(answer.raw_output_contents[predicted(answer)][..].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_asked_with_raw_tensors_and_with_lists_and_answer_alike() {
    let served = Served::start().await;
    let client = served.keyed().await;
    let mut asked = raw("fraud");
    asked.id = "r-1".to_owned();
    let answer = client.infer(asked).await.unwrap();
    let id = answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let said = answer.into_inner();
    assert_eq!((&*said.model_name, &*said.id, said.outputs.len()), ("fraud", "r-1", said.raw_output_contents.len()));
    let output = &said.outputs[predicted(&said)];
    assert_eq!((&*output.datatype, &*output.shape), ("FP32", &[1][..]));
    assert!((value(&said) - FRAUD).abs() < 1e-6 && output.contents.is_none(), "{said:?}");
    let record = event(&served.gateway.admin(), &id).await;
    assert_eq!(
        (&record["api"], &record["route"], &record["status"]),
        (&json!("predict"), &json!("fraud"), &json!(200))
    );
    // Lists get lists, unless the caller says how he wants it.
    let said = client.infer(typed("fraud")).await.unwrap().into_inner();
    let contents = said.outputs[predicted(&said)].contents.as_ref().unwrap();
    assert!((contents.fp32_contents[0] - FRAUD).abs() < 1e-6 && said.raw_output_contents.is_empty(), "{said:?}");
    let mut asked = typed("fraud");
    asked.parameters.extend([parameter("binary_data_output", ParameterChoice::Bool(true))]);
    assert!((value(&client.infer(asked).await.unwrap().into_inner()) - FRAUD).abs() < 1e-6);
    // What is said beside the tensors does the same as over HTTP: texts stand among the outputs.
    let mut asked = typed("fraud");
    asked.parameters.extend([parameter("explain", ParameterChoice::Bool(true))]);
    let said = client.infer(asked).await.unwrap().into_inner();
    let output = |name: &str| said.outputs.iter().find(|output| output.name == name).unwrap();
    let contents = |name: &str| output(name).contents.clone().unwrap();
    assert_eq!(output("explanation.contributions").shape, [1, 1, 3]);
    assert_eq!(contents("explanation.features").bytes_contents.len(), 3);
    let sum: f64 = contents("explanation.contributions").fp64_contents.iter().sum::<f64>()
        + contents("explanation.contributions").fp32_contents.iter().map(|part| f64::from(*part)).sum::<f64>();
    assert!(sum.abs() > 0.0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_shadows_have_such_calls_as_any() {
    let routes = ", safe: {variants: {a: {model: fraud}, b: {model: twin}}, policy: {weighted: {a: 0%, b: 100%}}, shadow: [{variant: {model: fraud}, share: 100%}]}";
    let served = Served::with("", &another("twin"), routes, FULL).await;
    let answer = served.keyed().await.with("x-tidegate-episode", "e-1").infer(raw("safe")).await.unwrap();
    let id = answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let admin = served.gateway.admin();
    let record = event(&admin, &id).await;
    assert_eq!((&record["variant"], &record["episode"]), (&json!("b"), &json!("e-1")), "{record}");
    // As JSON, whatever the caller spoke: what watches finds its fields.
    let kept = |part: &str| -> Value { serde_json::from_str(record["content"][part].as_str().unwrap()).unwrap() };
    assert_eq!(kept("request")["inputs"][0]["data"][0].as_f64().map(|x| x as f32), Some(ROW[0]));
    let said = kept("answer");
    let score = said["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "predict").unwrap();
    assert!((score["data"][0].as_f64().unwrap() - f64::from(FRAUD)).abs() < 1e-6, "{said}");
    eventually("the shadow's answer", async || {
        let page = served.gateway.admin().get("/metrics").await.text();
        let is_it = |line: &str| {
            line.starts_with("tidegate_shadow_copies_total") && line.contains("compared") && line.ends_with(" 1")
        };
        page.lines().any(is_it).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_models_are_asked_about_and_who_may_is_asked_too() {
    let served = Served::start().await;
    let (open, client) = (served.grpc().await, served.keyed().await);
    for method in ["ServerLive", "ServerReady"] {
        assert!(open.call::<_, ServerLiveResponse>(method, Nothing {}).await.unwrap().into_inner().live, "{method}");
    }
    let server: ServerMetadataResponse = client.call("ServerMetadata", Nothing {}).await.unwrap().into_inner();
    assert_eq!((&*server.name, server.extensions.len()), ("tidegate", 2));
    let named = |name: &str, version: &str| ModelRequest { name: name.to_owned(), version: version.to_owned() };
    for version in ["", "1"] {
        let ready = client.call::<_, ServerLiveResponse>("ModelReady", named("fraud", version)).await.unwrap();
        assert!(ready.into_inner().live);
    }
    let meta: ModelMetadataResponse = client.call("ModelMetadata", named("iris", "")).await.unwrap().into_inner();
    assert_eq!((&*meta.name, &*meta.versions, &*meta.inputs[0].shape), ("iris", &["1".to_owned()][..], &[-1, 4][..]));
    assert_eq!((&*meta.inputs[0].name, &*meta.inputs[0].datatype), ("x", "FP32"));
    let index: RepositoryIndexResponse = client.call("RepositoryIndex", Nothing {}).await.unwrap().into_inner();
    assert_eq!((index.models.len(), &*index.models[0].name, &*index.models[0].state), (2, "fraud", "READY"));
    let model = |name: &str| RepositoryModelRequest { model_name: name.to_owned(), ..Default::default() };
    client.call::<_, Nothing>("RepositoryModelLoad", model("fraud")).await.unwrap();
    let code = |status: Result<tonic::Response<Nothing>, Status>| status.unwrap_err().code();
    assert_eq!(code(client.call("RepositoryModelUnload", model("fraud")).await), Code::InvalidArgument);
    assert_eq!(code(client.call("ModelReady", named("none", "")).await), Code::NotFound);
    assert_eq!(code(client.call("ModelMetadata", named("fraud", "7")).await), Code::NotFound);
    assert_eq!(code(client.call("ModelReady", Nothing {}).await), Code::InvalidArgument);
    assert_eq!(code(client.call("ModelConfig", Nothing {}).await), Code::Unimplemented);
    // Who has no key, or one without the role.
    let asks = served.grpc().await.with_key(&served.home.key(&["read"]));
    for method in ["ServerMetadata", "ModelReady", "ModelMetadata", "RepositoryIndex", "RepositoryModelLoad"] {
        assert_eq!(code(open.call(method, named("fraud", "")).await), Code::Unauthenticated, "{method}");
    }
    for method in ["ModelInfer", "ModelStreamInfer"] {
        assert_eq!(code(open.call(method, raw("fraud")).await), Code::Unauthenticated, "{method}");
    }
    eventually("the new key", async || {
        let status = asks.call::<_, Nothing>("RepositoryModelUnload", model("fraud")).await.unwrap_err();
        (status.code() == Code::PermissionDenied).then_some(())
    })
    .await;
    let status = asks.infer(raw("fraud")).await.unwrap_err();
    assert!(status.code() == Code::PermissionDenied && status.metadata().contains_key("x-request-id"), "{status:?}");
    // A key goes as metadata of other clients, too.
    assert!(open.with("x-api-key", &served.key()).infer(raw("fraud")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_has_the_code_of_its_kind() {
    let upstream = Upstream::start().await;
    upstream.always(Act::Hang);
    let url = upstream.url().trim_end_matches("/v1").to_owned();
    let providers = format!(", far: {{open_inference: {{endpoints: [{{url: \"{url}\"}}]}}}}");
    let rest = "limits: [{per: route, requests: 2/min}]\n";
    let models = format!(", slow: {{provider: far}}{}", another("few"));
    let served = Served::with(&providers, &models, ", slow: {model: slow}, few: {model: few}", rest).await;
    let client = served.keyed().await;
    let refused = async |asked: ModelInferRequest| client.infer(asked).await.unwrap_err();
    let status = refused(raw("none")).await;
    assert!(status.code() == Code::NotFound && status.message().contains("none"), "{status:?}");
    assert_eq!(
        refused(ModelInferRequest { model_version: "7".to_owned(), ..raw("fraud") }).await.code(),
        Code::NotFound
    );
    let mut wrong = raw("fraud");
    wrong.inputs[0].name = "y".to_owned();
    let status = refused(wrong).await;
    assert!(status.code() == Code::InvalidArgument && status.message().contains("`y`"), "{status:?}");
    let id = status.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(event(&served.gateway.admin(), &id).await["status"], 400);
    // Its status in HTTP is 200, but the counts say what it means.
    let refusals = async || Counts::read(&served.gateway.admin()).await.series(REFUSALS);
    let before = refusals().await;
    refused(raw("none")).await;
    assert_eq!(refusals().await, before + 1.0);
    // Who waits no longer is told so, and the record says it.
    let mut bytewise = Bytewise::of(served.gateway.address("public"), &served.key()).await;
    let body = framed(&raw("slow").encode_to_vec());
    let came = bytewise.send("ModelInfer", &[("grpc-timeout", "150m")], body).await;
    assert!(came.code == Code::DeadlineExceeded && came.says.contains("150ms"), "{came:?}");
    let id = came.headers["x-request-id"].to_str().unwrap();
    assert_eq!(event(&served.gateway.admin(), id).await["outcome"], json!({"fault": "request_timeout"}));
    // A limit says when to come again.
    for _ in 0..2 {
        client.infer(raw("few")).await.unwrap();
    }
    let status = refused(raw("few")).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details:?}");
    let wait: u64 = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_stream_is_answered_in_its_turn_and_a_wrong_one_spoils_no_other() {
    let served = Served::start().await;
    let client = served.keyed().await;
    let mut asked: Vec<ModelInferRequest> = (0..5).map(|_| raw("fraud")).collect();
    asked[2].inputs[0].shape = vec![1, 4];
    asked[3].model_name = "iris".to_owned();
    asked[3].inputs[0].shape = vec![1, 4];
    asked[3].raw_input_contents[0].extend([0; 4]);
    for (nth, one) in asked.iter_mut().enumerate() {
        one.id = nth.to_string();
    }
    let (answers, ended) = client.stream(asked).await;
    assert!(ended.is_none(), "{ended:?}");
    let ids: Vec<_> = answers.iter().map(|answer| answer.infer_response.as_ref().unwrap().id.clone()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    for (nth, answer) in answers.iter().enumerate() {
        let said = answer.infer_response.as_ref().unwrap();
        assert_eq!(answer.error_message.is_empty(), nth != 2, "{answer:?}");
        if nth == 2 {
            assert!(answer.error_message.contains("shape") && said.outputs.is_empty(), "{answer:?}");
        } else if nth != 3 {
            assert!((value(said) - FRAUD).abs() < 1e-6, "{answer:?}");
        }
        // Each has a record of its own.
        let Some(ParameterChoice::String(id)) = &said.parameters["inference_id"].choice else { panic!("{said:?}") };
        let record = event(&served.gateway.admin(), id).await;
        assert_eq!(record["status"], if nth == 2 { 400 } else { 200 }, "{record}");
    }
    // Nobody asks, and nothing is wrong with that.
    let (answers, ended) = client.stream(vec![]).await;
    assert!(answers.is_empty() && ended.is_none(), "{ended:?}");
    // A deadline is that of the stream. tonic would hold to it by itself.
    let mut bytewise = Bytewise::of(served.gateway.address("public"), &served.key()).await;
    let came = bytewise.send("ModelStreamInfer", &[("grpc-timeout", "0m")], Vec::new()).await;
    assert_eq!(came.code, Code::DeadlineExceeded, "{came:?}");
    // A message that is cut, or says that it is too large, ends the stream and is a call that failed.
    let mut cut = framed(&raw("fraud").encode_to_vec());
    cut.pop();
    let large = vec![0, 0xFF, 0xFF, 0xFF, 0xFF, 0];
    for (body, code, status) in [(cut, Code::InvalidArgument, 400), (large, Code::ResourceExhausted, 413)] {
        let came = bytewise.send("ModelStreamInfer", &[], body).await;
        assert_eq!(came.code, code, "{came:?}");
        eventually("a record of it", async || {
            (newest(&served.gateway.admin(), 1).await[0]["status"] == status).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_waits_ends_when_the_gateway_stops() {
    let mut served = Served::start().await;
    let mut answers = served.keyed().await.waiting(raw("fraud")).await;
    assert!(answers.message().await.unwrap().unwrap().error_message.is_empty());
    served.gateway.signal("TERM");
    let status = soon("the end of the stream", answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(served.gateway.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_http_2_is_agreed_on_and_other_types_are_no_grpc() {
    let pair = server::certificate();
    let secured = Home::new();
    secured.write("cert.pem", &pair.0);
    secured.write("key.pem", &pair.1);
    let tls = "{address: \"127.0.0.1:0\", tls: {cert: cert.pem, key: key.pem}}}\nadmin";
    let base = home::BASE.replace("{address: \"127.0.0.1:0\"}}\nadmin", tls);
    let served = Served::of(secured, &base, "", "", "", "").await;
    let port = served.gateway.address("public").port();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&pair.0)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap();
    let client = Grpc::over(endpoint.connect_timeout(Duration::from_secs(20))).await.with_key(&served.key());
    assert!((value(&client.infer(raw("fraud")).await.unwrap().into_inner()) - FRAUD).abs() < 1e-6);
    let plain = Served::start().await;
    let mut bytewise = Bytewise::of(plain.gateway.address("public"), &plain.key()).await;
    for (kind, http, code) in [
        ("application/grpc", 200, Code::Ok),
        ("application/grpc+proto", 200, Code::Ok),
        ("Application/gRPC; charset=x", 200, Code::Ok),
        ("application/grpc-web", 404, Code::Unknown),
        ("application/json", 404, Code::Unknown),
    ] {
        let came = bytewise.send("ServerLive", &[("content-type", kind)], framed(b"")).await;
        assert_eq!((came.http, came.code), (http, code), "{kind}: {came:?}");
    }
    // The admin listener serves none.
    let mut admin = Bytewise::of(plain.gateway.address("admin"), &plain.key()).await;
    assert_eq!(admin.send("ServerLive", &[], framed(b"")).await.code, Code::Unimplemented);
}
