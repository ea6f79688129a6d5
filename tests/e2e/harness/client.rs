//! A caller: one connection a call, unless it is told to keep one. Owns how requests are written and answers are read.

use super::soon;
use super::wire::{Framing, Head, Part, Wire};
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A caller.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    key: Option<String>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// An answer whose body is still coming.
pub(crate) struct Open {
    pub(crate) head: Head,
    wire: Wire,
    framing: Framing,
    waiting: Vec<u8>,
    /// Whether the body ended as its framing says it should.
    pub(crate) is_whole: bool,
}

impl Client {
    pub(crate) const fn of(address: SocketAddr) -> Self {
        Self { address, key: None, tls: None }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Its key, which it has.
    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().expect("a client with a key")
    }

    pub(crate) fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    pub(crate) fn with_tls(&self, tls: Arc<rustls::ClientConfig>) -> Self {
        Self { tls: Some(tls), ..self.clone() }
    }

    /// A connection, or why there is none.
    pub(crate) async fn try_connect(&self) -> std::io::Result<Wire> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Wire::over(stream),
            Some(tls) => Wire::over(
                TlsConnector::from(Arc::clone(tls))
                    .connect(ServerName::try_from("localhost").expect("a name"), stream)
                    .await?,
            ),
        })
    }

    pub(crate) async fn connect(&self) -> Wire {
        self.try_connect().await.expect("the gateway accepts connections")
    }

    /// The bytes of a request, without a word about the connection.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(key) = &self.key {
            head += &format!("authorization: Bearer {key}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            let names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            if !names.iter().any(|name| name == "content-type") {
                head += "content-type: application/json\r\n";
            }
            if !names.iter().any(|name| name == "content-length" || name == "transfer-encoding") {
                head += &format!("content-length: {}\r\n", body.len());
            }
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// Sends a request on a connection of its own and reads the head of its answer.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Open {
        let mut wire = self.connect().await;
        wire.write(&self.request(method, path, headers, body)).await;
        let head =
            soon(&format!("the head of an answer to {method} {path}"), wire.head()).await.expect("the gateway answers");
        Open::new(head, wire, method == "HEAD")
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let open = self.open(method, path, headers, body).await;
        soon(&format!("the body of an answer to {method} {path}"), open.whole()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string().as_bytes()).await
    }

    /// A chat completion.
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body).await
    }

    /// A chat completion whose stream is read by its events.
    pub(crate) async fn stream(&self, body: &Value) -> Open {
        self.open("POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).await
    }

    /// The ids of the models that it may call.
    pub(crate) async fn models(&self) -> Vec<String> {
        let answer = self.get("/v1/models").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect()
    }
}

impl Answer {
    pub(crate) const fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn request_id(&self) -> String {
        self.header("x-request-id").expect("every answer has an id").to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.text()))
    }

    /// The error of an answer, whose envelope must be whole.
    pub(crate) fn error(&self) -> Value {
        assert!(
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
            "an error is JSON: {:?}",
            self.head
        );
        let error = self.json()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|message| message.len() >= 10), "no useful message: {error}");
        assert!(
            error["type"].is_string() && error.get("param").is_some() && error.get("code").is_some(),
            "the envelope lacks a member: {error}"
        );
        error
    }
}

impl Open {
    pub(crate) fn new(head: Head, wire: Wire, is_bodiless: bool) -> Self {
        let framing = if is_bodiless { Framing::Length(0) } else { head.framing() };
        Self { head, wire, framing, waiting: Vec::new(), is_whole: false }
    }

    pub(crate) const fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn request_id(&self) -> String {
        self.head.header("x-request-id").expect("every answer has an id").to_owned()
    }

    /// Reads on; false where the body is over.
    async fn more(&mut self) -> bool {
        match self.wire.part(&mut self.framing).await {
            Part::Data(data) => {
                self.waiting.extend_from_slice(&data);
                true
            }
            end => {
                self.is_whole = end == Part::End;
                false
            }
        }
    }

    /// The data of the next event of a stream; none at its end.
    pub(crate) async fn event(&mut self) -> Option<String> {
        soon("the next event of a stream", async {
            loop {
                if let Some(at) = self.waiting.windows(2).position(|window| window == b"\n\n") {
                    let block: Vec<u8> = self.waiting.drain(..at + 2).collect();
                    let block = String::from_utf8(block).expect("an event is UTF-8");
                    match block.trim_end().strip_prefix("data: ") {
                        Some(data) => return Some(data.to_owned()),
                        // A comment, such as a heartbeat.
                        None if block.starts_with(':') => continue,
                        None => panic!("not an event: {block:?}"),
                    }
                }
                if !self.more().await {
                    assert!(
                        self.waiting.is_empty(),
                        "half an event at the end: {:?}",
                        String::from_utf8_lossy(&self.waiting)
                    );
                    return None;
                }
            }
        })
        .await
    }

    /// All further events.
    pub(crate) async fn events(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(event) = self.event().await {
            all.push(event);
        }
        all
    }

    /// The whole answer, as bytes.
    pub(crate) async fn whole(mut self) -> Answer {
        while self.more().await {}
        Answer { head: self.head, body: self.waiting }
    }
}
