//! The model server behind the gateway: does what each test tells it and remembers what it was sent. Owns a port; runs
//! on the runtime of its test.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

/// What the upstream does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers with this status, these further headers and this body.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// Streams: each step in turn.
    Stream(Vec<Step>),
    /// Never answers.
    Hang,
    /// Ends the connection before the head of an answer.
    Reset,
    /// As the call itself says.
    By(fn(&Seen) -> Act),
    /// Takes so long before it does this.
    After(Duration, Box<Act>),
}

/// A step of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Writes these bytes.
    Send(Bytes),
    /// Waits until the test lets it go on.
    Hold(Arc<Semaphore>),
    /// Breaks the connection.
    Cut,
    /// Ends the body as if it were whole.
    End,
    /// Stays open and says no more.
    Stall,
}

/// A call that the upstream was sent.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a call is JSON")
    }
}

struct Memory {
    seen: Mutex<Vec<Seen>>,
    next: Mutex<VecDeque<Act>>,
    always: Mutex<Option<Act>>,
    left: Semaphore,
}

/// The model server.
pub(crate) struct Upstream {
    address: SocketAddr,
    memory: Arc<Memory>,
    serving: tokio::task::JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port")).await
    }

    pub(crate) async fn on(listener: TcpListener) -> Self {
        let memory = Arc::new(Memory {
            seen: Mutex::default(),
            next: Mutex::default(),
            always: Mutex::default(),
            left: Semaphore::new(0),
        });
        let address = listener.local_addr().expect("it is bound");
        let serving = tokio::spawn(accept(listener, Arc::clone(&memory)));
        tokio::task::yield_now().await;
        Self { address, memory, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it does with the next call for which nothing else is said; once.
    pub(crate) fn then(&self, act: Act) {
        self.memory.next.lock().expect("no test panicked").push_back(act);
    }

    /// What it does with every call for which nothing else is said.
    pub(crate) fn always(&self, act: Act) {
        *self.memory.always.lock().expect("no test panicked") = Some(act);
    }

    /// The calls so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.memory.seen.lock().expect("no test panicked").clone()
    }

    /// The newest call.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream was called")
    }

    pub(crate) fn count(&self) -> usize {
        self.memory.seen.lock().expect("no test panicked").len()
    }

    /// Waits until the gateway has left a stream, once for each that it left.
    pub(crate) async fn was_left(&self) {
        super::soon("the gateway to leave the upstream's stream", self.memory.left.acquire())
            .await
            .expect("it is never closed")
            .forget();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, memory: Arc<Memory>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap_or_default();
        let memory = Arc::clone(&memory);
        tokio::spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&memory), request));
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn serve(memory: Arc<Memory>, request: Request<Incoming>) -> Result<Response<Reply>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let seen = Seen { method: head.method.to_string(), path, headers, body };
    let act = memory.next.lock().expect("no test panicked").pop_front();
    let act = act.or_else(|| memory.always.lock().expect("no test panicked").clone()).unwrap_or_else(|| usual(&seen));
    let act = if let Act::By(say) = act { say(&seen) } else { act };
    memory.seen.lock().expect("no test panicked").push(seen);
    let act = match act {
        Act::After(pause, act) => {
            tokio::time::sleep(pause).await;
            *act
        }
        act => act,
    };
    match act {
        Act::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Reply::Whole(Some(body))).expect("a response"))
        }
        Act::Stream(steps) => {
            let reply = Reply::Steps(play(steps, memory));
            Ok(Response::builder().header("content-type", "text/event-stream").body(reply).expect("a response"))
        }
        Act::Hang => std::future::pending().await,
        Act::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Act::By(_) | Act::After(..) => unreachable!("what a call says is no further question"),
    }
}

/// Plays a stream in a task of its own, which learns that the gateway has left from its closed channel.
fn play(steps: Vec<Step>, memory: Arc<Memory>) -> mpsc::Receiver<Result<Bytes, io::Error>> {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut left = steps.len();
        for step in steps {
            left -= 1;
            let is_over = tokio::select! {
                biased;
                () = send.closed() => true,
                is_over = perform(step, &send) => is_over,
            };
            if send.is_closed() && left > 0 {
                memory.left.add_permits(1);
                return;
            }
            if is_over {
                return;
            }
        }
    });
    receive
}

/// Whether the stream is over.
async fn perform(step: Step, send: &mpsc::Sender<Result<Bytes, io::Error>>) -> bool {
    match step {
        Step::Send(bytes) => send.send(Ok(bytes)).await.is_err(),
        Step::Hold(hold) => {
            hold.acquire().await.expect("it is never closed").forget();
            false
        }
        Step::Cut => {
            send.send(Err(io::ErrorKind::ConnectionReset.into())).await.unwrap_or_default();
            true
        }
        Step::End => true,
        Step::Stall => std::future::pending().await,
    }
}

enum Reply {
    Whole(Option<Bytes>),
    Steps(mpsc::Receiver<Result<Bytes, io::Error>>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Steps(steps) => Poll::Ready(ready!(steps.poll_recv(cx)).map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Steps(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// What a good model server answers.
fn usual(seen: &Seen) -> Act {
    let asked = serde_json::from_slice::<serde_json::Value>(&seen.body).unwrap_or_default();
    if seen.path.ends_with("/embeddings") {
        return embedding();
    }
    if asked["stream"] == true {
        let usage = asked["stream_options"]["include_usage"] == true;
        return stream(&["Hel", "lo"], usage);
    }
    if seen.path.ends_with("/chat/completions") { completion("Hello", 5, 2) } else { text_completion() }
}

/// A chat completion.
pub(crate) fn completion(text: &str, prompt: u64, completion: u64) -> Act {
    let body = json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": super::UPSTREAM_MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    });
    Act::Answer(200, vec![], body.to_string().into())
}

fn text_completion() -> Act {
    let body = json!({
        "id": "cmpl-up", "object": "text_completion", "created": 1, "model": super::UPSTREAM_MODEL,
        "choices": [{"index": 0, "text": " there was", "logprobs": null, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    });
    Act::Answer(200, vec![], body.to_string().into())
}

fn embedding() -> Act {
    let body = json!({"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    Act::Answer(200, vec![], body.to_string().into())
}

/// An error as OpenAI-compatible servers give it.
pub(crate) fn failure(status: u16) -> Act {
    let body =
        json!({"error": {"message": "the upstream's own words", "type": "server_error", "param": null, "code": null}});
    Act::Answer(status, vec![], body.to_string().into())
}

/// An event with this JSON.
pub(crate) fn event(json: &serde_json::Value) -> Step {
    Step::Send(format!("data: {json}\n\n").into())
}

/// A chunk of a chat.
pub(crate) fn chunk(delta: &serde_json::Value, finish: Option<&str>) -> Step {
    event(&json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": super::UPSTREAM_MODEL,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    }))
}

/// The first chunk of a chat.
pub(crate) fn opening() -> Step {
    chunk(&json!({"role": "assistant", "content": ""}), None)
}

/// A chunk with a piece of text.
pub(crate) fn piece(text: &str) -> Step {
    chunk(&json!({"content": text}), None)
}

/// The chunk that says how many tokens there were.
pub(crate) fn usage(prompt: u64, completion: u64) -> Step {
    event(&json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": super::UPSTREAM_MODEL, "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }))
}

/// The end of a good stream.
pub(crate) fn done() -> Step {
    Step::Send("data: [DONE]\n\n".into())
}

/// A whole good stream of these pieces.
pub(crate) fn stream(pieces: &[&str], with_usage: bool) -> Act {
    let mut steps = vec![opening()];
    steps.extend(pieces.iter().map(|text| piece(text)));
    steps.push(chunk(&json!({}), Some("stop")));
    if with_usage {
        steps.push(usage(5, pieces.len() as u64));
    }
    steps.push(done());
    Act::Stream(steps)
}
