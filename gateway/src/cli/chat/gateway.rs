//! The gateway as its caller sees it: lists routes, streams answers. Owns addresses, the key and what failures mean.

use super::stream::{Events, Said, message};
use crate::pull::transport::{Body, Transport, TransportFault};
use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::Secret;

const CONNECT: Duration = Duration::from_secs(5);
/// More of an error's body is not read.
const LARGEST_ERROR: usize = 64 * 1024;

/// A gateway that serves somewhere.
#[derive(Debug)]
pub(in crate::cli) struct Gateway {
    base: String,
    key: Option<Secret>,
    web: Arc<dyn Transport>,
}

/// How an answer ended.
#[derive(Debug, PartialEq)]
pub(in crate::cli) enum Answer {
    /// At its end.
    Done {
        /// Its tokens, where the gateway said.
        tokens: Option<u64>,
        /// How long it took.
        seconds: f64,
    },
    /// By the person.
    Stopped,
    /// Otherwise, and why.
    Failed(String),
}

impl Gateway {
    /// A gateway at `url`, with or without `/v1`.
    pub(in crate::cli) fn new(url: &str, key: Option<Secret>, web: Arc<dyn Transport>) -> Result<Self, String> {
        let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let is_address = base
            .parse::<Uri>()
            .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
        if !is_address {
            return Err(format!("{url:?} is not an address such as http://127.0.0.1:8080"));
        }
        Ok(Self { base, key, web })
    }

    /// The route that the gateway lists first.
    pub(in crate::cli) async fn first_route(&self) -> anyhow::Result<String> {
        let request = self.request("GET", "/v1/models", Bytes::new())?;
        let response =
            self.web.send(request, CONNECT).await.map_err(|fault| anyhow::anyhow!(self.no_answer(&fault)))?;
        let is_well = response.status().is_success();
        let status = response.status();
        let body = whole(response).await;
        anyhow::ensure!(is_well, "{}", refusal(status, &body));
        let list: Value = serde_json::from_slice(&body)?;
        let first = list.pointer("/data/0/id").and_then(Value::as_str).map(str::to_owned);
        first.ok_or_else(|| anyhow::anyhow!("the gateway at {} lists no routes for this key", self.base))
    }

    /// Asks, and shows the answer as it comes.
    pub(in crate::cli) async fn ask(
        &self,
        body: &Value,
        show: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let request = self.request("POST", "/v1/chat/completions", Bytes::from(serde_json::to_vec(body)?))?;
        let response = match self.web.send(request, CONNECT).await {
            Ok(response) => response,
            Err(fault) => return Ok(Answer::Failed(self.no_answer(&fault))),
        };
        if !response.status().is_success() {
            let status = response.status();
            return Ok(Answer::Failed(refusal(status, &whole(response).await)));
        }
        let (mut body, mut events, mut tokens) = (response.into_body(), Events::default(), None);
        loop {
            let data = match body.frame().await {
                None => {
                    return Ok(Answer::Failed("the answer was cut: the stream ended before it was done".to_owned()));
                }
                Some(Err(fault)) => return Ok(Answer::Failed(format!("the answer was cut: {fault}"))),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            let mut said = Vec::new();
            events.take(&data, &mut said);
            for said in said {
                match said {
                    Said::Part(part) => show(&part)?,
                    Said::Tokens(count) => tokens = Some(count),
                    Said::Done => return Ok(Answer::Done { tokens, seconds: began.elapsed().as_secs_f64() }),
                    Said::Failed(why) => return Ok(Answer::Failed(why)),
                }
            }
        }
    }

    /// Sends JSON and reads JSON.
    pub(in crate::cli) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.request("POST", path, Bytes::from(serde_json::to_vec(body)?))?;
        let response =
            self.web.send(request, CONNECT).await.map_err(|fault| anyhow::anyhow!(self.no_answer(&fault)))?;
        let status = response.status();
        let body = whole(response).await;
        anyhow::ensure!(status.is_success(), "{}", refusal(status, &body));
        Ok(serde_json::from_slice(&body)?)
    }

    fn request(&self, method: &str, path: &str, body: Bytes) -> anyhow::Result<Request<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, "text/event-stream, application/json");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            let mut value = http::HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| super::super::Wrong("the key has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        Ok(request.body(body)?)
    }

    fn no_answer(&self, fault: &TransportFault) -> String {
        match fault {
            TransportFault::Unreachable(why) => {
                format!("no gateway answers at {} ({why}); start one with `tidegate serve`, or give --url", self.base)
            }
            TransportFault::Failed(why) => format!("the gateway at {} gave no answer: {why}", self.base),
        }
    }
}

/// The body of an answer that is small; what breaks off is what there is.
async fn whole(response: Response<Body>) -> Vec<u8> {
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        if bytes.len() > LARGEST_ERROR {
            break;
        }
    }
    bytes
}

fn refusal(status: http::StatusCode, body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|json| json.get("error").map(message));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect());
    let hint = if status == http::StatusCode::UNAUTHORIZED { "; give a key by --key or TIDEGATE_API_KEY" } else { "" };
    format!("the gateway refused it with status {}: {}{hint}", status.as_u16(), said.trim())
}
