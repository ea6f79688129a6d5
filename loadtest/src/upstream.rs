//! `loadtest upstream`: a mock model server that answers as fast as it can, or fails as it is told. Owns the answers;
//! which fault is asked for is `script`'s.

use crate::script::{Fault, parameter};
use crate::tensors::{HEADER_LENGTH, SERVER, Tensors};
use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{Error, ErrorKind, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The arguments of `upstream`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A fault is asked for by the header `x-mock-fail: K`, by `?fail=K` or by a model's name that ends in `-fail-K`, with K a
status such as 503 or 429 (which comes with `retry-after: 1`), reset, midreset, stall, midstall or firsterror.
GET /_stats counts what was served, POST /_reset begins anew.")]
pub(crate) struct Upstream {
    /// The port on 127.0.0.1; 0 takes a free one, which is printed
    #[arg(long, default_value_t = 9100)]
    port: u16,
    /// Bytes of a plain answer, and of the tensor of a raw one
    #[arg(long, default_value_t = 1024)]
    body: usize,
    /// Events of a stream whose caller sets no max_tokens
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Microseconds before each event of a stream
    #[arg(long, default_value_t = 0)]
    delay_us: u64,
}

#[derive(Debug, Default)]
struct Stats {
    requests: AtomicU64,
    streams_started: AtomicU64,
    streams_finished: AtomicU64,
    streams_left: AtomicU64,
    faults: AtomicU64,
    connections: AtomicU64,
}

#[derive(Debug)]
struct Mock {
    settings: Upstream,
    plain: Bytes,
    tensors: Tensors,
    stats: Stats,
}

#[derive(Debug, Deserialize)]
struct Ask<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<usize>,
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Upstream {
    /// Serves until the process is stopped.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", self.port)).await.context("the port cannot be had")?;
        writeln!(std::io::stdout(), "listening on {}", socket.local_addr()?)?;
        let mock = Arc::new(Mock {
            plain: plain(self.body),
            tensors: Tensors::new(self.body),
            settings: self,
            stats: Stats::default(),
        });
        loop {
            let (stream, _) = socket.accept().await?;
            stream.set_nodelay(true)?;
            mock.stats.connections.fetch_add(1, Relaxed);
            let mock = Arc::clone(&mock);
            tokio::spawn(async move {
                let service = service_fn(|request| answer(Arc::clone(&mock), request));
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                // Callers leave and faults are asked for: neither is worth a word.
                drop(served);
            });
        }
    }
}

async fn answer(mock: Arc<Mock>, request: Request<Incoming>) -> Result<Response<Reply>, Error> {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/healthz" | "/health") => return Ok(json(StatusCode::OK, r#"{"status":"ok"}"#)),
        (&Method::GET, "/v1/models") => {
            return Ok(json(
                StatusCode::OK,
                r#"{"object":"list","data":[{"id":"mock-model","object":"model","created":1,"owned_by":"mock"}]}"#,
            ));
        }
        (&Method::GET, "/_stats") => return Ok(json(StatusCode::OK, mock.stats.to_json())),
        (&Method::POST, "/_reset") => {
            mock.stats.reset();
            return Ok(json(StatusCode::OK, "{}"));
        }
        (&Method::GET, "/v2") => return Ok(json(StatusCode::OK, SERVER)),
        (&Method::POST, path) if path.starts_with("/v2/models/") && path.ends_with("/infer") => {
            body.collect().await.map_err(Error::other)?;
            mock.stats.requests.fetch_add(1, Relaxed);
            let (answer, header) = mock.tensors.answer(&head.headers);
            let mut response = json(StatusCode::OK, answer);
            if let Some(length) = header {
                response.headers_mut().insert(HEADER_LENGTH, length.into());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            }
            return Ok(response);
        }
        (&Method::POST, "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings") => {}
        _ => {
            return Ok(json(
                StatusCode::NOT_FOUND,
                r#"{"error":{"message":"no such path","type":"invalid_request_error"}}"#,
            ));
        }
    }
    let bytes = body.collect().await.map_err(Error::other)?.to_bytes();
    mock.stats.requests.fetch_add(1, Relaxed);
    let ask: Ask<'_> = match serde_json::from_slice(&bytes) {
        Ok(ask) => ask,
        Err(e) => {
            return Ok(json(
                StatusCode::BAD_REQUEST,
                serde_json::json!({"error": {"message": e.to_string(), "type": "invalid_request_error"}}).to_string(),
            ));
        }
    };
    let query = head.uri.query().unwrap_or_default();
    let header = head.headers.get("x-mock-fail").and_then(|value| value.to_str().ok());
    let fault = Fault::asked(header, query, &ask.model);
    if fault.is_some() {
        mock.stats.faults.fetch_add(1, Relaxed);
    }
    match fault {
        Some(Fault::Status(status)) => Ok(refusal(status)),
        Some(Fault::Reset) => Err(ErrorKind::ConnectionReset.into()),
        Some(Fault::Stall) => std::future::pending().await,
        _ if head.uri.path() == "/v1/embeddings" => Ok(json(StatusCode::OK, EMBEDDING)),
        _ if ask.stream => Ok(stream(mock, &ask, query, fault)),
        _ => Ok(json(StatusCode::OK, mock.plain.clone())),
    }
}

const EMBEDDING: &str = r#"{"object":"list","model":"mock-embed","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
const USAGE: &str = r#"{"prompt_tokens":180,"completion_tokens":160,"total_tokens":340}"#;

fn plain(size: usize) -> Bytes {
    let before = r#"{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock-model","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let behind = format!(r#""}},"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE}}}"#);
    let text: String =
        "All work and no play. ".chars().cycle().take(size.saturating_sub(before.len() + behind.len())).collect();
    format!("{before}{text}{behind}").into()
}

fn refusal(status: u16) -> Response<Reply> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        json(status, r#"{"error":{"message":"a fault that was asked for","type":"mock_error","code":"mock"}}"#);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn stream(mock: Arc<Mock>, ask: &Ask<'_>, query: &str, fault: Option<Fault>) -> Response<Reply> {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock-model\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let number = |name: &str| parameter(query, name).and_then(|value| value.parse::<usize>().ok());
    let tokens = number("tokens").or(ask.max_tokens).unwrap_or(mock.settings.tokens);
    let delay = Duration::from_micros(number("delay_us").map_or(mock.settings.delay_us, |us| us as u64));
    let wants_usage = ask.stream_options.as_ref().is_some_and(|options| options.include_usage);
    let usage = if wants_usage {
        format!(
            "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock-model\",\"choices\":[],\"usage\":{USAGE}}}\n\n"
        )
    } else {
        String::new()
    };
    mock.stats.streams_started.fetch_add(1, Relaxed);
    let breaks = matches!(fault, Some(Fault::MidReset | Fault::MidStall));
    let events = Events {
        event: match fault {
            Some(Fault::FirstError) => {
                "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":null}}\n\n".into()
            }
            _ => chunk(r#"{"content":" token"}"#, "null").into(),
        },
        left: match fault {
            Some(Fault::FirstError) => 1,
            _ if breaks => tokens / 2,
            _ => tokens,
        },
        end: (fault != Some(Fault::FirstError))
            .then(|| format!("{}{usage}data: [DONE]\n\n", chunk("{}", "\"stop\"")).into()),
        fault: fault.filter(|_| breaks),
        delay,
        sleep: None,
        has_yielded: false,
        is_over: false,
        mock,
    };
    let mut response = Response::new(Reply::Events(Box::new(events)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Stats {
    fn all(&self) -> [(&'static str, &AtomicU64); 6] {
        [
            ("requests", &self.requests),
            ("streams_started", &self.streams_started),
            ("streams_finished", &self.streams_finished),
            ("streams_left", &self.streams_left),
            ("faults", &self.faults),
            ("connections", &self.connections),
        ]
    }

    fn to_json(&self) -> String {
        let counts: serde_json::Map<_, _> =
            self.all().iter().map(|(name, count)| ((*name).to_owned(), count.load(Relaxed).into())).collect();
        serde_json::Value::Object(counts).to_string()
    }

    fn reset(&self) {
        for (_, count) in self.all() {
            count.store(0, Relaxed);
        }
    }
}

/// The body of an answer.
enum Reply {
    Whole(Option<Bytes>),
    Events(Box<Events>),
}

/// A stream: each event is written by itself, as a model server does.
struct Events {
    event: Bytes,
    left: usize,
    end: Option<Bytes>,
    fault: Option<Fault>,
    delay: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    has_yielded: bool,
    is_over: bool,
    mock: Arc<Mock>,
}

impl Events {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.left == 0 {
            return match self.fault {
                Some(Fault::MidStall) => Poll::Pending,
                Some(_) => Poll::Ready(Some(Err(ErrorKind::ConnectionReset.into()))),
                None => Poll::Ready(self.finish()),
            };
        }
        if !self.delay.is_zero() {
            let delay = self.delay;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(delay)));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        } else if !self.has_yielded {
            // Going back to the scheduler makes hyper flush what it has.
            self.has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_yielded = false;
        self.left -= 1;
        Poll::Ready(Some(Ok(self.event.clone())))
    }

    fn finish(&mut self) -> Option<Result<Bytes, Error>> {
        let end = self.end.take();
        self.is_over = true;
        if end.is_some() {
            self.mock.stats.streams_finished.fetch_add(1, Relaxed);
        }
        end.map(Ok)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.is_over && self.fault.is_none() {
            self.mock.stats.streams_left.fetch_add(1, Relaxed);
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => events.poll_next(cx).map(|next| next.map(|event| event.map(Frame::data))),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Events(_) => hyper::body::SizeHint::default(),
        }
    }
}
