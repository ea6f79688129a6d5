//! Spans at a collector: an own gRPC server that takes what the program exports and looks for what must be in it.

use crate::harness::upstream::Upstream;
use crate::harness::{Stage, chat, soon};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Takes exports and hands their bodies on.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Bytes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, exports) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let told = told.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let told = told.clone();
                async move {
                    assert_eq!(request.uri().path(), EXPORT);
                    let body = request.into_body().collect().await.expect("an export is whole").to_bytes();
                    told.send(body).expect("the test listens");
                    // An empty message, and the status in the trailers.
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().expect("a value"));
                    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
                    let response = Response::builder().header("content-type", "application/grpc").body(body);
                    Ok::<_, Infallible>(response.expect("a response"))
                }
            });
            tokio::spawn(async move {
                drop(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, exports)
}

fn holds(export: &[u8], what: &[u8]) -> bool {
    export.windows(what.len()).any(|window| window == what)
}

#[tokio::test]
async fn a_call_is_a_span_below_its_callers_and_a_stop_loses_none() {
    let (address, mut exports) = collector().await;
    let telemetry = format!("telemetry: {{otlp: {{endpoint: \"http://{address}\", service: edge-7}}}}\n");
    let mut stage = Stage::with(&telemetry).await;
    let parent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let answer = stage.client.send("POST", "/v1/chat/completions", &parent, chat("mock").to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200);
    // The span of a call is the lower half of its id, and what the provider is told of.
    let span = answer.request_id().replace('-', "")[16..].to_owned();
    let sent = stage.upstream.last();
    assert_eq!(sent.header("traceparent"), Some(format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01").as_str()));

    // What the caller does not record is not ours to export.
    let unsampled = [("traceparent", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")];
    let quiet =
        stage.client.send("POST", "/v1/chat/completions", &unsampled, chat("mock").to_string().as_bytes()).await;
    assert_eq!(quiet.status(), 200);

    stage.gateway.signal("TERM");
    let export = soon("the export", exports.recv()).await.expect("the spans come before the end");
    assert!(stage.gateway.ended().await.success());
    let span = u64::from_str_radix(&span, 16).expect("a span id").to_be_bytes();
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let caller = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
    assert!(!holds(&export, &0x1af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()), "an unsampled trace");
    for (what, bytes) in [
        ("its service", &b"edge-7"[..]),
        ("its name", b"chat mock"),
        ("an attribute", b"gen_ai.usage.input_tokens"),
        ("the trace", &trace),
        ("our span", &span),
        ("the caller's span", &caller),
    ] {
        assert!(holds(&export, bytes), "{what} is missing: {:?}", String::from_utf8_lossy(&export));
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_no_call() {
    // Bound and closed again: nobody listens.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let mut stage = Stage::with(&format!("telemetry: {{otlp: {{endpoint: \"http://{gone}\"}}}}\n")).await;
    assert_eq!(stage.client.chat(&chat("mock")).await.status(), 200);
    assert_eq!(Upstream::count(&stage.upstream), 1);
    stage.gateway.signal("TERM");
    assert!(stage.gateway.ended().await.success(), "it stops all the same");
}
