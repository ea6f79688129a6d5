//! One address of a provider: the prepared parts of its requests, its seats and its connections. Owns what is
//! shared between calls there; which endpoint takes a call is decided in `ward`.

use crate::BuildFault;
use crate::ask::{self, Ask, Base};
use crate::dial::{DialFault, Target, bare_host, dial};
use crate::grpc;
use crate::lane::{H1, Lane, Out, h2_over};
use crate::pool::Pool;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::backend::Call;
use tidegate_core::spec::provider::{AuthSpec, EndpointSpec, OpenAiSpec};
use tidegate_core::{Api, EndpointName};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// One address of a provider.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: EndpointName,
    pub(crate) pool: Arc<Pool>,
    target: Target,
    /// HTTP/2 without TLS.
    is_prior: bool,
    seats: Semaphore,
    capacity: usize,
    /// Whether a call waits where all seats are taken.
    pub(crate) waits: bool,
    h1: Form,
    h2: Form,
    base: Base,
}

/// The parts of a request that are the same for every call.
#[derive(Debug)]
struct Form {
    uris: [Uri; Api::OPENAI.len()],
    /// With `accept: application/json`.
    whole: HeaderMap,
    /// With `accept: text/event-stream`.
    stream: HeaderMap,
}

/// A call's place at an endpoint; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat(pub(crate) Arc<Endpoint>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.add_permits(1);
    }
}

impl Endpoint {
    pub(crate) fn build(
        spec: &EndpointSpec,
        provider: &OpenAiSpec,
        tls: &mut dyn FnMut() -> Result<Arc<ClientConfig>, BuildFault>,
    ) -> Result<Self, BuildFault> {
        let fault = |why| BuildFault::Url { url: spec.url.to_string(), why };
        let is_tls = match spec.url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fault("it must start with `http://` or `https://`")),
        };
        let authority = spec.url.authority().ok_or_else(|| fault("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(fault("it holds credentials; give them as `auth`"));
        }
        let host = bare_host(authority.host());
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls {
            let name =
                ServerName::try_from(host.to_owned()).map_err(|_| fault("its host is no DNS name or address"))?;
            Some((tls()?, name))
        } else {
            None
        };
        let proxy = crate::proxy::for_address(&provider.proxy, host, port, is_tls)?;
        let forwarder = proxy.as_ref().filter(|_| !is_tls);
        let shared = shared_headers(provider)?;
        let with_host = {
            let mut headers = shared.clone();
            let value = HeaderValue::try_from(authority.as_str()).map_err(|_| fault("its host fits into no header"))?;
            headers.insert(HOST, value);
            if let Some(authorization) = forwarder.and_then(|p| p.authorization.clone()) {
                headers.insert(http::header::PROXY_AUTHORIZATION, authorization);
            }
            headers
        };
        let paths =
            |api: Api| path(&spec.url, api, &provider.query).map_err(|_| fault("its path or query is malformed"));
        let absolute = |path: PathAndQuery| {
            let scheme = if is_tls { "https" } else { "http" };
            let uri = Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query(path);
            uri.build().map_err(|_| fault("it is malformed"))
        };
        let [chat, completions, embeddings, rerank] = Api::OPENAI;
        let [chat, completions, embeddings, rerank] =
            [paths(chat)?, paths(completions)?, paths(embeddings)?, paths(rerank)?];
        let origin = [&chat, &completions, &embeddings, &rerank].map(|path| Uri::from(path.clone()));
        let abs = [absolute(chat)?, absolute(completions)?, absolute(embeddings)?, absolute(rerank)?];
        let most = provider.max_concurrency.unwrap_or(provider.max_connections);
        let capacity = most.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            base: Base::of(&paths(Api::ChatCompletions)?, Api::ChatCompletions.path()),
            name: spec.name.clone(),
            pool: Arc::default(),
            h1: Form::new(if forwarder.is_some() { abs.clone() } else { origin }, &with_host),
            h2: Form::new(abs, &shared),
            target: Target { host: host.into(), port, tls, proxy },
            is_prior: provider.http2 && !is_tls,
            seats: Semaphore::new(capacity),
            capacity,
            waits: provider.max_concurrency.is_none(),
        })
    }

    /// Calls under way.
    pub(crate) fn load(&self) -> usize {
        self.capacity - self.seats.available_permits().min(self.capacity)
    }

    /// Whether a call may come here now.
    pub(crate) fn has_room(&self) -> bool {
        self.waits || self.seats.available_permits() > 0
    }

    /// Takes a seat, waiting for one no longer than `limit`.
    pub(crate) async fn seat(self: &Arc<Self>, limit: Duration) -> Option<Seat> {
        let permit = match self.seats.try_acquire() {
            Ok(permit) => permit,
            Err(_) if !self.waits => return None,
            Err(_) => timeout(limit, self.seats.acquire()).await.ok()?.ok()?,
        };
        permit.forget();
        Some(Seat(Arc::clone(self)))
    }

    /// Opens a new connection within `limit`.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Lane, DialFault> {
        let until = Instant::now() + limit;
        let (io, is_h2) = dial(&self.target, limit).await?;
        if is_h2 || self.is_prior {
            let send = tokio::time::timeout_at(until, h2_over(io)).await.map_err(|_| DialFault::Slow(limit))??;
            return Ok(self.pool.share(send));
        }
        self.pool.keep_swept();
        Ok(Lane::H1(Box::new(H1::over(io).await?)))
    }

    /// The request of `call` as it goes out on `lane`.
    pub(crate) fn request(&self, call: &Call, ask: Option<&Ask>, lane: &Lane, is_stream: bool) -> Request<Out> {
        let form = if lane.is_h2() { &self.h2 } else { &self.h1 };
        let mut headers = if is_stream { form.stream.clone() } else { form.whole.clone() };
        for (name, value) in &*call.headers {
            // What is configured stands, and framing is hyper's; what may be sent on does not collide with either.
            if !is_ours(name) && !headers.contains_key(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        match ask.map(|ask| ask.form) {
            None | Some(ask::Form::Json) => {}
            Some(ask::Form::Raw(length)) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
                headers.insert(HEADER_LENGTH, HeaderValue::from(length));
            }
            Some(ask::Form::Message) => grpc::dress(&mut headers, call.deadlines.total),
        }
        let (method, uri, body) = match ask {
            None => (Method::POST, form.uris[index(call.api)].clone(), &call.body),
            Some(ask) => (ask.method.clone(), self.base.address(&form.uris[0], &ask.path), &ask.body),
        };
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = if lane.is_h2() { Version::HTTP_2 } else { Version::HTTP_11 };
        *request.headers_mut() = headers;
        request
    }
}

impl Form {
    fn new(uris: [Uri; Api::OPENAI.len()], shared: &HeaderMap) -> Self {
        let accepting = |what| {
            let mut headers = shared.clone();
            headers.entry(ACCEPT).or_insert(HeaderValue::from_static(what));
            headers
        };
        Self { uris, whole: accepting("application/json"), stream: accepting("text/event-stream") }
    }
}

const fn index(api: Api) -> usize {
    match api {
        // A classic model is asked at a path of its own.
        Api::ChatCompletions | Api::Predict => 0,
        Api::Completions => 1,
        Api::Embeddings => 2,
        Api::Rerank => 3,
    }
}

/// How many bytes of a body are JSON, where raw tensors follow.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

fn is_ours(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name)
}

fn shared_headers(provider: &OpenAiSpec) -> Result<HeaderMap, BuildFault> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &provider.headers {
        headers.insert(name.clone(), value.clone());
    }
    let (name, text) = match &provider.auth {
        None => return Ok(headers),
        Some(AuthSpec::Bearer(secret)) => (AUTHORIZATION, format!("Bearer {}", secret.expose())),
        Some(AuthSpec::Header(name, secret)) => (name.clone(), secret.expose().to_owned()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| BuildFault::Credentials)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// The path of `api` below the base address, with the query parameters of both.
fn path(base: &Uri, api: Api, query: &[(String, String)]) -> Result<PathAndQuery, http::uri::InvalidUri> {
    let mut text = base.path().trim_end_matches('/').to_owned();
    text.push_str(api.path());
    let mut separator = '?';
    if let Some(own) = base.query().filter(|q| !q.is_empty()) {
        text.push(separator);
        text.push_str(own);
        separator = '&';
    }
    for (key, value) in query {
        text.push(separator);
        push_encoded(&mut text, key);
        text.push('=');
        push_encoded(&mut text, value);
        separator = '&';
    }
    PathAndQuery::try_from(text)
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn push_encoded(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.extend(['%', char::from(HEX[usize::from(b >> 4)]), char::from(HEX[usize::from(b & 15)])]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_keeps_the_base_and_encodes_parameters() {
        let query = [("api-version".to_owned(), "2024-10 21&x".to_owned())];
        let base = Uri::from_static("https://host/openai/v1?a=b");
        assert_eq!(
            path(&base, Api::Embeddings, &query).unwrap(),
            "/openai/v1/embeddings?a=b&api-version=2024-10%2021%26x"
        );
        let bare = Uri::from_static("https://host");
        assert_eq!(path(&bare, Api::ChatCompletions, &[]).unwrap(), "/chat/completions");
    }

    #[test]
    fn every_interface_has_a_place() {
        for (i, api) in Api::OPENAI.into_iter().enumerate() {
            assert_eq!(index(api), i);
        }
    }
}
