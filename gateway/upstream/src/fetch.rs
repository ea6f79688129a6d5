//! Downloads of files, such as models, over HTTP. Owns redirects and the offset to go on from; writing, checksums and
//! progress are the downloader's.

use crate::dial::{Target, bare_host, dial};
use crate::lane::{H1, Lane, Sent};
use crate::patience::Patience;
use crate::{BuildFault, TlsRoots};
use bytes::Bytes;
use http::header::{CONTENT_RANGE, HOST, LOCATION, PROXY_AUTHORIZATION, RANGE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::time::Duration;
use tidegate_core::spec::provider::ProxySpec;
use tokio::time::{Instant, timeout};

/// The most redirects that are followed.
const REDIRECTS: usize = 5;

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// Whom we trust.
    pub roots: TlsRoots,
    /// The proxy on the way.
    pub proxy: ProxySpec,
    /// The limit to have a connection.
    pub connect: Duration,
    /// The limit to the head of an answer, and between two reads after it.
    pub idle: Duration,
}

/// A file on its way.
pub struct Fetched {
    /// The status: 200 for the whole file, 206 for what follows the offset.
    pub status: u16,
    /// Where in the file the first byte stands: the offset asked for, or 0 where the server sends the whole file.
    pub offset: u64,
    /// The length of the whole file, where the server says it.
    pub total: Option<u64>,
    body: Incoming,
    lane: Lane,
    idle: Duration,
}

/// Why a file cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The address, or one that it redirects to.
    #[error("{url} cannot be fetched: {why}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// TLS or the proxy cannot be set up.
    #[error(transparent)]
    Build(#[from] BuildFault),
    /// No connection.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The server answers with another status than success.
    #[error("{host} answers with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The status; 416 where the offset is at or past the end of the file.
        status: u16,
    },
    /// Too many redirects.
    #[error("more than {REDIRECTS} redirects")]
    Redirects,
    /// Nothing came in time.
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    /// The connection ended early.
    #[error("the connection ended early: {0}")]
    Cut(String),
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Fetched");
        shown.field("status", &self.status).field("offset", &self.offset).field("total", &self.total);
        shown.finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Asks for the file at `url` from `offset` on; follows redirects, but never from `https` to `http`.
    ///
    /// # Errors
    /// The file is not on its way. A server that knows no ranges is none: it sends from 0.
    pub async fn fetch(&self, url: &Uri, offset: u64) -> Result<Fetched, FetchFault> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let (response, lane) = Box::pin(self.ask(&url, offset)).await?;
            let status = response.status();
            if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                url = redirected(&url, response.headers().get(LOCATION))?;
                continue;
            }
            let head = response.headers();
            let range = head.get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(content_range);
            let (start, total) = match (status.as_u16(), range) {
                (200, _) => (0, response.body().size_hint().exact()),
                (206, Some((start, total))) if start == offset => (start, total),
                (206, _) => return Err(fault(&url, "it answers with another range than was asked for")),
                (status, _) => return Err(FetchFault::Status { host: host_of(&url), status }),
            };
            let body = response.into_body();
            return Ok(Fetched { status: status.as_u16(), offset: start, total, body, lane, idle: self.idle });
        }
        Err(FetchFault::Redirects)
    }

    async fn ask(&self, url: &Uri, offset: u64) -> Result<(Response<Incoming>, Lane), FetchFault> {
        let target = self.target(url)?;
        let unreachable =
            |e: crate::dial::DialFault| FetchFault::Unreachable { host: host_of(url), why: e.to_string() };
        let (io, _) = dial(&target, self.connect).await.map_err(unreachable)?;
        let mut lane = Lane::H1(Box::new(H1::over(io).await.map_err(unreachable)?));
        let request = request(url, &target, offset)?;
        let until = Instant::now() + self.idle;
        let mut patience = Patience::until(until);
        match lane.send(request, &mut patience, until).await {
            Sent::Answered(response) => Ok((response, lane)),
            Sent::Lost(e) | Sent::Garbled(e) => Err(FetchFault::Cut(e.to_string())),
            Sent::Late => Err(FetchFault::Idle(self.idle)),
        }
    }

    fn target(&self, url: &Uri) -> Result<Target, FetchFault> {
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fault(url, "it must start with `https://` or `http://`")),
        };
        let host = bare_host(url.host().ok_or_else(|| fault(url, "it names no host"))?);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| fault(url, "its host is no DNS name"))?;
            Some((self.roots.client(&[b"http/1.1"])?, name))
        } else {
            None
        };
        let proxy = crate::proxy::for_address(&self.proxy, host, port, is_tls)?;
        Ok(Target { host: host.into(), port, tls, proxy })
    }
}

impl Fetched {
    /// The next bytes; `None` at the end of the file.
    ///
    /// # Errors
    /// The rest does not come; what came can be kept and the fetch repeated from there.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchFault> {
        loop {
            let next = poll_fn(|cx| self.lane.poll_frame(&mut self.body, cx));
            match timeout(self.idle, next).await {
                Err(_) => return Err(FetchFault::Idle(self.idle)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(e))) => return Err(FetchFault::Cut(e.to_string())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

fn request(url: &Uri, target: &Target, offset: u64) -> Result<Request<crate::lane::Out>, FetchFault> {
    let mut request = Request::new(crate::lane::Out::default());
    *request.method_mut() = Method::GET;
    let forwarder = target.proxy.as_ref().filter(|_| target.tls.is_none());
    *request.uri_mut() = match (forwarder, url.path_and_query()) {
        (Some(_), _) => url.clone(),
        (None, Some(path)) => Uri::from(path.clone()),
        (None, None) => Uri::from_static("/"),
    };
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let bare = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(bare).map_err(|_| fault(url, "its host fits into no header"))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    if offset > 0 {
        let range = HeaderValue::try_from(format!("bytes={offset}-"));
        headers.insert(RANGE, range.map_err(|_| fault(url, "its offset fits into no header"))?);
    }
    if let Some(value) = forwarder.and_then(|p| p.authorization.clone()) {
        headers.insert(PROXY_AUTHORIZATION, value);
    }
    Ok(request)
}

/// The address that `location` names, seen from `from`.
fn redirected(from: &Uri, location: Option<&HeaderValue>) -> Result<Uri, FetchFault> {
    let bad = || fault(from, "it redirects to no address");
    let text = location.and_then(|l| l.to_str().ok()).ok_or_else(bad)?;
    let text = text.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", http::uri::Authority::as_str);
    let absolute = if text.contains("://") {
        text.to_owned()
    } else if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.starts_with('/') {
        format!("{scheme}://{authority}{text}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{text}")
    };
    let to: Uri = absolute.parse().map_err(|_| bad())?;
    if scheme == "https" && to.scheme_str() != Some("https") {
        return Err(fault(from, "it redirects from https to something that is not encrypted"));
    }
    Ok(to)
}

/// Start and total of `bytes START-END/TOTAL`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn host_of(url: &Uri) -> String {
    url.host().unwrap_or_default().to_owned()
}

/// A fault that names the address without its query, which may hold a signature.
fn fault(url: &Uri, why: &'static str) -> FetchFault {
    let shown = format!("{}://{}{}", url.scheme_str().unwrap_or_default(), host_of(url), url.path());
    FetchFault::Url { url: shown, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &'static str, location: &'static str) -> Result<String, String> {
        let location = HeaderValue::from_static(location);
        redirected(&Uri::from_static(from), Some(&location)).map(|u| u.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn redirects_resolve_against_their_origin() {
        assert_eq!(to("https://a/x/y", "/z?s=1").unwrap(), "https://a/z?s=1");
        assert_eq!(to("https://a/x/y", "z").unwrap(), "https://a/x/z");
        assert_eq!(to("https://a/x", "//b/c").unwrap(), "https://b/c");
        assert_eq!(to("http://a/x", "https://b/c#d").unwrap(), "https://b/c");
        let downgrade = to("https://a/x?secret", "http://b/c").unwrap_err();
        assert!(downgrade.contains("https://a/x") && !downgrade.contains("secret"), "{downgrade}");
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("items 5-9/10"), None);
    }
}
