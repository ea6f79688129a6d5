//! The calls of a batch: by the Open Inference Protocol, tried again where the gateway is busy, and parted where rows are
//! refused, so that one wrong row spoils no other.

use super::rows::{Chunk, Row, refused, tensors, with_outputs};
use crate::cli::Wrong;
use crate::pull::transport::Transport as _;
use crate::pull::web::Web;
use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::time::Duration;
use tidegate_core::percent::segment;
use tidegate_core::spec::Dialect;
use tidegate_core::{PredictRequest, Secret};

const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LARGEST: usize = 1 << 30;
/// So often a call is tried that finds the gateway busy or gone.
const TRIES: u32 = 8;
const LENGTH: &str = "inference-header-content-length";

/// Asks a route.
#[derive(Debug)]
pub(super) struct Asking {
    base: String,
    key: Option<Secret>,
    route: String,
    leave: Vec<String>,
    /// The name of the input that gets whole rows, where it does.
    whole: Option<String>,
    web: Web,
}

/// What a call came to that was no answer.
enum Refusal {
    /// Its rows are refused.
    Rows(String),
    /// It may be tried again, after so long.
    Later(Duration, String),
}

impl Asking {
    /// For this route; it is asked what its input is called where whole rows are sent.
    ///
    /// # Errors
    /// There is no such gateway or route.
    pub(super) async fn open(
        url: &str,
        key: Option<Secret>,
        route: &str,
        by_position: bool,
        leave: &[String],
    ) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let (route, leave) = (route.to_owned(), leave.to_vec());
        let mut asking = Self { base, key, route, leave, whole: None, web: Web::from_environment() };
        let path = format!("/v2/models/{}", segment(&asking.route));
        let (status, _, body) = asking.send("GET", &path, None, Bytes::new()).await?;
        if !status.is_success() {
            bail!("the gateway refused it with status {}: {}{}", status.as_u16(), said(&body), hint(status));
        }
        if by_position {
            let meta: Value = serde_json::from_slice(&body).context("the gateway's answer is no JSON")?;
            let name = meta["inputs"][0]["name"].as_str().unwrap_or("input");
            asking.whole = Some(name.to_owned());
        }
        Ok(asking)
    }

    /// The rows with what the model says of them, or with why it does not.
    pub(super) fn answer(&self, chunk: Chunk) -> BoxFuture<'_, anyhow::Result<Vec<Row>>> {
        async move {
            let Chunk(mut rows) = chunk;
            let why = match self.ask(&rows).await? {
                Ok(answer) => return with_outputs(rows, &answer).map_err(anyhow::Error::msg),
                Err(why) => why,
            };
            if let [_] = &rows[..] {
                return Ok(rows.into_iter().map(|row| refused(row, &why)).collect());
            }
            // Which of them it is, is found by halves.
            let rest = rows.split_off(rows.len() / 2);
            let mut answered = self.answer(Chunk(rows)).await?;
            answered.extend(self.answer(Chunk(rest)).await?);
            Ok(answered)
        }
        .boxed()
    }

    /// Asks about rows, until there is an answer or they are refused.
    async fn ask(&self, rows: &[Row]) -> anyhow::Result<Result<tidegate_core::PredictAnswer, String>> {
        let inputs = match tensors(rows, &self.leave, self.whole.as_deref()) {
            Ok(inputs) => inputs,
            Err(why) => return Ok(Err(why)),
        };
        let request = PredictRequest { inputs, ..PredictRequest::default() };
        for nth in 0..TRIES {
            match self.once(&request).await? {
                Ok(answer) => return Ok(Ok(answer)),
                Err(Refusal::Rows(why)) => return Ok(Err(why)),
                Err(Refusal::Later(wait, why)) if nth + 1 == TRIES => {
                    bail!(
                        "tried {TRIES} times, and again in {wait:?} it says: {why}; the same command goes on from here"
                    );
                }
                Err(Refusal::Later(wait, _)) => tokio::time::sleep(wait.max(pause(nth))).await,
            }
        }
        bail!("it was never tried")
    }

    async fn once(&self, request: &PredictRequest) -> anyhow::Result<Result<tidegate_core::PredictAnswer, Refusal>> {
        let wrong = |wrong: tidegate_dialect::Wrong| anyhow::anyhow!("{}", wrong.says);
        let sheet = tidegate_dialect::write_request(Dialect::OpenInference, request, true, None).map_err(wrong)?;
        let path = tidegate_dialect::request_path(Dialect::OpenInference, &self.route);
        let sent = self.send("POST", &path, sheet.header_length, sheet.joined()).await;
        let (status, headers, body) = match sent {
            Ok(sent) => sent,
            Err(fault) => return Ok(Err(Refusal::Later(Duration::ZERO, format!("{fault:#}")))),
        };
        if status.is_success() {
            let length = headers.get(LENGTH).map(header::HeaderValue::as_bytes);
            let answer = tidegate_dialect::read_answer(Dialect::OpenInference, &body, length);
            return answer.map(Ok).map_err(wrong).context("the gateway's answer is none of its protocol");
        }
        let why = said(&body);
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
                Ok(Err(Refusal::Rows(why)))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Ok(Err(Refusal::Later(after(&headers), why)))
            }
            status if status.is_server_error() => Ok(Err(Refusal::Later(after(&headers), why))),
            status => bail!("the gateway refused it with status {}: {why}{}", status.as_u16(), hint(status)),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        length: Option<usize>,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let address = format!("{}{path}", self.base);
        let uri: Option<http::Uri> = address.parse().ok().filter(|uri: &http::Uri| uri.host().is_some());
        let none = || Wrong(format!("{:?} is no address such as http://127.0.0.1:8080", self.base));
        let mut request = Request::builder().method(method).uri(uri.ok_or_else(none)?);
        if let Some(length) = length {
            request = request.header(LENGTH, length).header(header::CONTENT_TYPE, "application/octet-stream");
        }
        if let Some(key) = &self.key {
            let mut value = http::HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| Wrong("the key has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let sent = self.web.send(request.body(body)?, CONNECT).await;
        let answer = sent.map_err(|fault| anyhow::anyhow!("the gateway at {} cannot be asked: {fault}", self.base))?;
        let (head, mut body) = answer.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|fault| anyhow::anyhow!("the answer was cut: {fault}"))?;
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
            ensure!(bytes.len() <= LARGEST, "the answer is longer than {LARGEST} bytes: ask about fewer --rows");
        }
        Ok((head.status, head.headers, bytes.freeze()))
    }
}

/// After a try that found the gateway busy, twice as long each time.
fn pause(nth: u32) -> Duration {
    Duration::from_millis(200) * 2_u32.saturating_pow(nth.min(7))
}

/// When to come again, as the gateway says.
fn after(headers: &HeaderMap) -> Duration {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let ms = number("retry-after-ms").map(Duration::from_millis);
    ms.or_else(|| number("retry-after").map(Duration::from_secs)).unwrap_or_default().min(Duration::from_secs(60))
}

fn said(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    json["error"].as_str().map_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect(), str::to_owned)
}

fn hint(status: StatusCode) -> &'static str {
    if status == StatusCode::UNAUTHORIZED { "; give a key by TIDEGATE_API_KEY or --key" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_gateway_says_when_to_come_again() {
        let mut headers = HeaderMap::new();
        assert_eq!(after(&headers), Duration::ZERO);
        headers.insert("retry-after", "2".parse().unwrap());
        assert_eq!(after(&headers), Duration::from_secs(2));
        headers.insert("retry-after-ms", "150".parse().unwrap());
        assert_eq!(after(&headers), Duration::from_millis(150));
        assert_eq!(
            (pause(0), pause(3), pause(30)),
            (Duration::from_millis(200), Duration::from_millis(1600), Duration::from_millis(25_600))
        );
    }
}
