//! One call over HTTP/1 on a connection that is kept for the next. Owns what a call came to; when calls are sent is the
//! sender's.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpStream;

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered to the end.
    Whole,
    /// We left it, as planned.
    Left,
    /// Answered with another status than 200.
    Refused(u16),
    /// A stream that ended without `[DONE]`.
    Short,
    /// No connection, or it broke.
    Broken,
}

/// What a call came to, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    /// What it came to.
    pub(crate) outcome: Outcome,
    /// When the first byte of its body was there.
    pub(crate) first: Option<Instant>,
    /// When it was over.
    pub(crate) over: Instant,
}

/// Where calls go, and what they carry.
#[derive(Debug)]
pub(crate) struct Target {
    authority: String,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    stream: bool,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Target {
    /// Calls of `body` to `url`, a plain `http` address.
    ///
    /// # Errors
    /// The address or a header is malformed.
    pub(crate) fn new(
        url: &str,
        key: Option<&str>,
        headers: &[String],
        body: Bytes,
        stream: bool,
    ) -> anyhow::Result<Self> {
        let url: Uri = url.parse().context("the URL is malformed")?;
        anyhow::ensure!(url.scheme_str() == Some("http"), "the URL must begin with http://");
        let authority = url.authority().context("the URL names no host")?.to_string();
        let mut carried = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HOST, HeaderValue::try_from(&authority)?),
        ];
        if let Some(key) = key {
            carried.push((AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))?));
        }
        for header in headers {
            let (name, value) = header.split_once(':').context("a header has the form name:value")?;
            carried.push((name.trim().parse()?, value.trim().parse()?));
        }
        let path = url.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        Ok(Self { authority, uri: path, headers: carried, body, stream, idle: Mutex::default() })
    }

    /// Sends one call; `leaves` drops it at its first byte.
    pub(crate) async fn call(&self, leaves: bool) -> Served {
        let mut first = None;
        let outcome = self.attempt(leaves, &mut first).await.unwrap_or(Outcome::Broken);
        Served { outcome, first, over: Instant::now() }
    }

    async fn attempt(&self, leaves: bool, first: &mut Option<Instant>) -> anyhow::Result<Outcome> {
        let mut connection = self.connection().await?;
        let mut request = Request::post(self.uri.clone()).body(Full::new(self.body.clone()))?;
        request.headers_mut().extend(
            self.headers
                .iter()
                .map(|(name, value)| (Some(name.clone()), value.clone()))
                .filter_map(|(name, value)| name.map(|name| (name, value))),
        );
        let response = connection.send_request(request).await?;
        let outcome = self.read(response, leaves, first).await?;
        if outcome != Outcome::Left && !connection.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        Ok(outcome)
    }

    async fn connection(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        while let Some(mut connection) = self.take_idle() {
            if !connection.is_closed() && connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        leaves: bool,
        first: &mut Option<Instant>,
    ) -> anyhow::Result<Outcome> {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut tail = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            first.get_or_insert_with(Instant::now);
            if leaves && status == 200 {
                return Ok(Outcome::Left);
            }
            tail.extend_from_slice(&data);
            let surplus = tail.len().saturating_sub(DONE.len() + 2);
            tail.drain(..surplus);
        }
        Ok(match status {
            200 if self.stream && !tail.trim_ascii_end().ends_with(DONE) => Outcome::Short,
            200 => Outcome::Whole,
            status => Outcome::Refused(status),
        })
    }
}

const DONE: &[u8] = b"data: [DONE]";
