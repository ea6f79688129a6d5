//! A server that answers each request by a script, byte for byte, and tells what it saw; and the specs and calls that
//! the tests share.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::backend::{Call, Deadlines, Turn};
use tidegate_core::spec::provider::{AuthSpec, Balance, EndpointSpec, OpenAiSpec, OutlierSpec, ProxySpec};
use tidegate_core::{Api, Secret};
use tidegate_upstream::{OpenAiBackend, TlsRoots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a server saw.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A request: its head and its body.
    Request { head: String, body: String },
    /// The client closed this connection, counted from 0.
    Closed { connection: usize },
}

/// What a server does after it has sent its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It waits for the next request.
    Next,
    /// It closes the connection.
    Close,
    /// It says nothing more.
    Hang,
}

/// An answer: pieces that go out one after the other, each in a write of its own.
pub(crate) struct Reply(pub(crate) Vec<String>, pub(crate) Then);

/// A scripted server.
pub(crate) struct Mock {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
    seen: UnboundedReceiver<Seen>,
}

impl Mock {
    /// A server that answers the `n`th request of the `c`th connection, both from 0, with `script(c, n, head)`.
    pub(crate) async fn start(script: impl Fn(usize, usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = unbounded_channel();
        let (connections, script) = (Arc::new(AtomicUsize::new(0)), Arc::new(script));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, connection, Arc::clone(&script), tell.clone()));
            }
        });
        Self { port, connections, seen }
    }

    /// A server that gives every request the same answer.
    pub(crate) async fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |_, _, _| reply()).await
    }

    pub(crate) fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn connected(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The next thing it sees.
    pub(crate) async fn seen(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(10), self.seen.recv()).await.expect("nothing seen in 10 s").unwrap()
    }

    /// The head and body of the next request.
    pub(crate) async fn request(&mut self) -> (String, String) {
        loop {
            if let Seen::Request { head, body } = self.seen().await {
                return (head, body);
            }
        }
    }

    /// Waits until the client has closed a connection; says which.
    pub(crate) async fn closed(&mut self) -> usize {
        loop {
            if let Seen::Closed { connection } = self.seen().await {
                return connection;
            }
        }
    }
}

/// Reads one request; `None` when the client has closed.
pub(crate) async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end + 4].to_vec()).unwrap();
            let length = header(&head, "content-length").map_or(0, |v| v.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).unwrap();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if socket.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// The value of a header in a head as text.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

async fn serve<S>(mut socket: TcpStream, connection: usize, script: Arc<S>, tell: UnboundedSender<Seen>)
where
    S: Fn(usize, usize, &str) -> Reply,
{
    socket.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    for nth in 0.. {
        let Some((head, body)) = read_request(&mut socket, &mut buffer).await else { break };
        let Reply(pieces, then) = script(connection, nth, &head);
        tell.send(Seen::Request { head, body }).ok();
        for piece in pieces {
            if socket.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
            // Lets the client read the piece by itself, mostly.
            tokio::task::yield_now().await;
        }
        match then {
            Then::Next => {}
            Then::Close => return,
            Then::Hang => {
                let mut rest = [0; 64];
                while socket.read(&mut rest).await.is_ok_and(|n| n > 0) {}
                break;
            }
        }
    }
    tell.send(Seen::Closed { connection }).ok();
}

/// A whole answer with a JSON body.
pub(crate) fn json(status: &str, body: &str) -> Reply {
    answer(status, "content-type: application/json\r\n", body)
}

/// A whole answer with these headers.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply(vec![format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())], Then::Next)
}

/// The head of a stream.
pub(crate) fn stream_head() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
}

/// A chunk of a chunked body.
pub(crate) fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// A chunked stream of these pieces, each in its chunk, with the end of the body.
pub(crate) fn stream(pieces: &[&str]) -> Reply {
    let pieces = pieces.iter().map(|p| chunk(p));
    Reply([stream_head()].into_iter().chain(pieces).chain(["0\r\n\r\n".to_owned()]).collect(), Then::Next)
}

/// A chunked stream of these pieces that does not end by itself.
pub(crate) fn open_stream(pieces: &[&str], then: Then) -> Reply {
    let Reply(mut all, _) = stream(pieces);
    all.pop();
    Reply(all, then)
}

/// A spec with these endpoints below `/v1`.
pub(crate) fn spec(scheme: &str, names: &[String]) -> OpenAiSpec {
    let endpoint =
        |n: &String| EndpointSpec { name: n.parse().unwrap(), url: format!("{scheme}://{n}/v1").parse().unwrap() };
    OpenAiSpec {
        endpoints: names.iter().map(endpoint).collect(),
        balance: Balance::P2c,
        auth: Some(AuthSpec::Bearer(Secret::new("sk-up"))),
        headers: Vec::new(),
        query: Vec::new(),
        ca: None,
        proxy: ProxySpec::Direct,
        http2: false,
        max_connections: 64,
        max_concurrency: None,
        outlier_detection: OutlierSpec::default(),
    }
}

/// A clock that stands.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
}

pub(crate) fn build(spec: &OpenAiSpec, clock: Arc<ManualClock>) -> OpenAiBackend {
    let dice = Arc::new(SplitMix::seeded(11));
    OpenAiBackend::build(&"mock".parse().unwrap(), spec, clock, dice, &TlsRoots::system()).unwrap()
}

/// A backend over plain servers.
pub(crate) fn backend(mocks: &[&Mock]) -> OpenAiBackend {
    let names: Vec<_> = mocks.iter().map(|m| m.name()).collect();
    build(&spec("http", &names), clock())
}

pub(crate) fn call() -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static("00-1-2-01"));
    let long = Duration::from_secs(20);
    Call {
        adapter: None,
        api: Api::ChatCompletions,
        model: "large".parse().unwrap(),
        body: Bytes::from_static(br#"{"model":"gpt-x","messages":[]}"#),
        headers: headers.into(),
        turn: Turn::default(),
        deadlines: Deadlines { connect: long, first_token: long, idle: long, total: long },
        avoid: None,
        taken: None,
        predict: None,
        aside: None,
    }
}
