//! The admin interface of a running gateway, as its commands ask it. Owns the address, the key and what a refusal says.

use crate::cli::Wrong;
use crate::pull::transport::{Body, Transport as _, TransportFault};
use crate::pull::web::Web;
use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tidegate_core::Secret;

const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LARGEST: usize = 256 * 1024 * 1024;

/// Which gateway, and as whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct Door {
    /// Where the gateway's admin interface listens
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    url: String,
    /// The key to ask with; better given by TIDEGATE_ADMIN_TOKEN, as others can see a program's arguments
    #[arg(long)]
    key: Option<String>,
}

/// The admin interface.
#[derive(Debug)]
pub(in crate::cli) struct Admin {
    base: String,
    key: Option<Secret>,
    web: Web,
}

impl Door {
    pub(in crate::cli) fn open(&self) -> Admin {
        self.open_at(&self.url)
    }

    /// Another listener of the same gateway.
    pub(in crate::cli) fn open_at(&self, url: &str) -> Admin {
        let from_environment = || std::env::var("TIDEGATE_ADMIN_TOKEN").ok().filter(|key| !key.is_empty());
        Admin {
            base: url.trim_end_matches('/').to_owned(),
            key: self.key.clone().or_else(from_environment).map(Secret::new),
            web: Web::from_environment(),
        }
    }
}

impl Admin {
    /// Asks, with a JSON body where there is one, and reads the JSON that is answered.
    pub(in crate::cli) async fn ask(&self, method: &str, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        let bytes = body.map(serde_json::to_vec).transpose()?.map(Bytes::from).unwrap_or_default();
        let request = self.request(method, path)?.body(bytes)?;
        self.answered(self.web.send(request, CONNECT).await).await
    }

    /// Reads the JSON at a path with a query of ours.
    pub(in crate::cli) async fn ask_at(&self, path: &[&str], query: &str) -> anyhow::Result<Value> {
        let mut request = self.request("GET", path)?.body(Bytes::new())?;
        *request.uri_mut() = format!("{}{query}", request.uri()).parse()?;
        self.answered(self.web.send(request, CONNECT).await).await
    }

    /// Asks for what stands at a path of several parts below the interface.
    pub(in crate::cli) async fn at(&self, method: &str, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        let path: String = path.iter().map(|part| format!("/{}", escaped(part))).collect();
        let bytes = body.map(serde_json::to_vec).transpose()?.map(Bytes::from).unwrap_or_default();
        let request = self.request_at(method, &format!("/admin/v1{path}"))?.body(bytes)?;
        self.answered(self.web.send(request, CONNECT).await).await
    }

    /// What each replica serves.
    pub(in crate::cli) async fn serving(&self) -> anyhow::Result<Value> {
        let request = self.request_at("GET", "/admin/v1/serving")?.body(Bytes::new())?;
        self.answered(self.web.send(request, CONNECT).await).await
    }

    /// Sends a file.
    pub(in crate::cli) async fn upload(&self, path: &[&str], file: &Path) -> anyhow::Result<Value> {
        let request = self.request("POST", path)?.body(())?;
        self.answered(self.web.upload(request, file, CONNECT).await).await
    }

    /// Puts a file to a place of the artifact store, by MLflow's wire.
    pub(in crate::cli) async fn put(&self, path: &[&str], file: &Path) -> anyhow::Result<()> {
        let path: String = path.iter().map(|part| format!("/{}", escaped(part))).collect();
        let request = self.request_at("PUT", &format!("/api/2.0/mlflow-artifacts/artifacts{path}"))?.body(())?;
        // Nothing is said where it went well.
        self.said(self.web.upload(request, file, CONNECT).await).await.map(drop)
    }

    fn request(&self, method: &str, path: &[&str]) -> anyhow::Result<http::request::Builder> {
        let path: String = path.iter().map(|part| format!("/{}", escaped(part))).collect();
        self.request_at(method, &format!("/admin/v1/models{path}"))
    }

    fn request_at(&self, method: &str, path: &str) -> anyhow::Result<http::request::Builder> {
        let address = format!("{}{path}", self.base);
        let uri: http::Uri = address
            .parse()
            .ok()
            .filter(|uri: &http::Uri| uri.host().is_some())
            .ok_or_else(|| Wrong(format!("{:?} is no address such as http://127.0.0.1:8081", self.base)))?;
        let mut request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            let mut value = http::HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| Wrong("the key has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn answered(&self, answer: Result<Response<Body>, TransportFault>) -> anyhow::Result<Value> {
        let bytes = self.said(answer).await?;
        serde_json::from_slice(&bytes).context("the answer is no JSON: is this the admin interface?")
    }

    /// The body of an answer that is no refusal.
    async fn said(&self, answer: Result<Response<Body>, TransportFault>) -> anyhow::Result<Vec<u8>> {
        let answer =
            answer.map_err(|fault| anyhow::anyhow!("the gateway at {} cannot be asked: {fault}", self.base))?;
        let (status, mut body, mut bytes) = (answer.status(), answer.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|fault| anyhow::anyhow!("the answer was cut: {fault}"))?;
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
            anyhow::ensure!(bytes.len() <= LARGEST, "the answer is longer than {LARGEST} bytes");
        }
        anyhow::ensure!(status.is_success(), "{}", refusal(status, &bytes));
        Ok(bytes)
    }
}

/// What the gateway said, or what its answer begins with.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let said = json.as_ref().and_then(|json| json.pointer("/error/message")).and_then(Value::as_str);
    let said = said.map_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect(), str::to_owned);
    let hint = match status {
        StatusCode::UNAUTHORIZED => "; give a key by TIDEGATE_ADMIN_TOKEN or --key",
        _ => "",
    };
    format!("the gateway refused it with status {}: {}{hint}", status.as_u16(), said.trim())
}

/// One part of a path: what could end it is escaped.
fn escaped(part: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@".contains(&b);
    part.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(escaped("a b/c?d#e%"), "a%20b%2Fc%3Fd%23e%25");
        assert_eq!(escaped("modèle"), "mod%C3%A8le");
    }

    #[test]
    fn a_refusal_says_what_the_gateway_said() {
        let said = refusal(StatusCode::FORBIDDEN, br#"{"error": {"message": "`production` is governed"}}"#);
        assert_eq!(said, "the gateway refused it with status 403: `production` is governed");
        assert!(refusal(StatusCode::UNAUTHORIZED, b"x").ends_with("give a key by TIDEGATE_ADMIN_TOKEN or --key"));
    }
}
