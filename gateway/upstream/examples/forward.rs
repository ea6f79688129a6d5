//! Measures the CPU time of calls through `OpenAiBackend` against a mock upstream:
//! `forward HOST:PORT [CALLS] [CONCURRENCY] [THREADS]`. It prints microseconds per call of this whole process, buffered
//! and streamed, beside the same calls on bare hyper connections with a task each, which do nothing else. Linux only:
//! CPU time is read from `/proc/self/task`.

#![expect(clippy::print_stdout, reason = "an example that reports to its user")]

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::backend::{Backend, Call, Deadlines, Turn};
use tidegate_core::spec::provider::{AuthSpec, Balance, EndpointSpec, OpenAiSpec, OutlierSpec, ProxySpec};
use tidegate_core::{Api, Secret};
use tidegate_upstream::{OpenAiBackend, TlsRoots};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn cpu() -> Result<Duration, Failure> {
    // Nanoseconds on a CPU, summed over the threads.
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

fn call(is_stream: bool) -> Call {
    let content = "All work and no play makes Jack a dull boy. ".repeat(20);
    let body = format!(
        r#"{{"model":"mock-model","stream":{is_stream},"messages":[{{"role":"user","content":"{content}"}}]}}"#
    );
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    let long = Duration::from_secs(60);
    Call {
        adapter: None,
        api: Api::ChatCompletions,
        model: "mock".parse().unwrap_or_else(|_| unreachable!("a fixed name")),
        body: Bytes::from(body),
        headers: headers.into(),
        deadlines: Deadlines { connect: long, first_token: long, idle: long, total: long },
        avoid: None,
        taken: None,
        predict: None,
        aside: None,
        turn: Turn::default(),
    }
}

/// Who makes the calls: the backend, or bare hyper connections kept in a list.
#[derive(Clone)]
enum Sender {
    Backend(Arc<OpenAiBackend>),
    Bare(Arc<str>),
}

type Connection = http1::SendRequest<Full<Bytes>>;

async fn bare(address: &str, kept: &mut Option<Connection>, call: Call) -> Result<usize, Failure> {
    let mut send = match kept.take() {
        Some(send) => send,
        None => {
            let socket = tokio::net::TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let (send, machine) = http1::handshake(TokioIo::new(socket)).await?;
            tokio::spawn(machine);
            send
        }
    };
    send.ready().await?;
    let request = http::Request::post("/v1/chat/completions")
        .header("host", address)
        .header("content-type", "application/json")
        .body(Full::new(call.body))?;
    let mut body = send.send_request(request).await?.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    *kept = Some(send);
    Ok(bytes)
}

async fn one(sender: &Sender, kept: &mut Option<Connection>, call: Call, is_stream: bool) -> Result<usize, Failure> {
    let backend = match sender {
        Sender::Backend(backend) => backend,
        Sender::Bare(address) => return bare(address, kept, call).await,
    };
    if !is_stream {
        return Ok(backend.complete(call).await?.body.len());
    }
    let mut frames = backend.stream(call).await?.frames;
    let mut bytes = 0;
    while let Some(item) = frames.next().await {
        bytes += item?.len();
    }
    Ok(bytes)
}

async fn measure(sender: &Sender, calls: usize, lanes: usize, is_stream: bool) -> Result<(), Failure> {
    let template = call(is_stream);
    for round in 0..4 {
        let (start, before) = (Instant::now(), cpu()?);
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..lanes {
            let (sender, template) = (sender.clone(), template.clone());
            workers.spawn(async move {
                let mut kept = None;
                for _ in 0..calls / lanes {
                    one(&sender, &mut kept, template.clone(), is_stream).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        let per_call = (cpu()? - before).as_secs_f64() * 1e6 / calls as f64;
        let rate = calls as f64 / start.elapsed().as_secs_f64();
        let kind = if is_stream { "stream" } else { "buffered" };
        let who = if matches!(sender, Sender::Bare(_)) { "bare" } else { "backend" };
        if round > 0 {
            println!("{who:8} {kind:8} {per_call:7.2} µs CPU per call, {rate:.0} calls/s");
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("usage: forward HOST:PORT [CALLS] [CONCURRENCY] [THREADS]")?;
    let calls = args.next().map_or(Ok(20_000), |n| n.parse())?;
    let lanes = args.next().map_or(Ok(16), |n| n.parse())?;
    let threads = args.next().map_or(Ok(2), |n| n.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async move { tokio::spawn(compare(address, calls, lanes)).await? })
}

async fn compare(address: String, calls: usize, lanes: usize) -> Result<(), Failure> {
    let spec = OpenAiSpec {
        endpoints: vec![EndpointSpec { name: address.parse()?, url: format!("http://{address}/v1").parse()? }],
        balance: Balance::P2c,
        auth: Some(AuthSpec::Bearer(Secret::new("sk-example"))),
        headers: Vec::new(),
        query: Vec::new(),
        ca: None,
        proxy: ProxySpec::Direct,
        http2: false,
        max_connections: 1024,
        max_concurrency: None,
        outlier_detection: OutlierSpec::default(),
    };
    let (clock, dice) = (Arc::new(SystemClock), Arc::new(SplitMix::seeded(1)));
    let backend = OpenAiBackend::build(&"example".parse()?, &spec, clock, dice, &TlsRoots::system())?;
    let senders = [Sender::Backend(Arc::new(backend)), Sender::Bare(address.into())];
    for sender in &senders {
        measure(sender, calls, lanes, false).await?;
    }
    for sender in &senders {
        measure(sender, calls / 10, lanes, true).await?;
    }
    Ok(())
}
