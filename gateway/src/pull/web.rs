//! The web as a client sees it: one connection a request, TLS by the system's roots, the proxies that the environment
//! names. For downloads and the commands that ask a gateway; calls to providers go through the upstream crate's pools.

mod file;

use super::transport::{Body, BodyFault, Transport, TransportFault};
use bytes::Bytes;
use file::FileBody;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The web.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    proxies: Proxies,
}

#[derive(Debug, Clone, Default)]
struct Proxies {
    https: Option<Uri>,
    http: Option<Uri>,
    except: Vec<String>,
}

impl Web {
    /// With the proxies of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case of letters.
    pub(crate) fn from_environment() -> Self {
        let value = |name: &str| {
            let read = |name: &str| {
                std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty())
            };
            read(&name.to_ascii_lowercase()).or_else(|| read(name))
        };
        let proxy = |name| {
            let text = value(name).or_else(|| value("ALL_PROXY"))?;
            let text = if text.contains("://") { text } else { format!("http://{text}") };
            text.parse::<Uri>().ok().filter(|uri| uri.host().is_some())
        };
        let except = value("NO_PROXY").unwrap_or_default();
        let except = except
            .split(',')
            .map(|host| host.trim().trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase());
        let except = except.filter(|host| !host.is_empty()).collect();
        // Of HTTP_PROXY only the lower-case form is honoured: a CGI's caller can set the other by a `Proxy` header.
        let http = value("http_proxy").and_then(|text| text.parse::<Uri>().ok()).filter(|uri| uri.host().is_some());
        Self { proxies: Proxies { https: proxy("HTTPS_PROXY"), http, except } }
    }

    /// Without proxies.
    #[cfg(test)]
    pub(crate) fn direct() -> Self {
        Self { proxies: Proxies::default() }
    }
}

impl Web {
    /// Sends a request whose body is this file.
    pub(crate) async fn upload(
        &self,
        request: Request<()>,
        path: &Path,
        connect: Duration,
    ) -> Result<Response<Body>, TransportFault> {
        let file = FileBody::open(path).await;
        let file = file.map_err(|e| TransportFault::failed(format!("{} cannot be read: {e}", path.display())))?;
        self.exchange(request.map(|()| file), connect).await
    }

    async fn exchange<B>(&self, request: Request<B>, connect: Duration) -> Result<Response<Body>, TransportFault>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let (host, port, is_tls) = destination(request.uri())?;
        let proxy = self.proxies.of(&host, is_tls);
        let limit = TransportFault::Unreachable(format!("no connection within {} s", connect.as_secs_f32()));
        let opened = tokio::time::timeout(connect, open(&host, port, is_tls, proxy)).await;
        let stream = opened.unwrap_or(Err(limit))?;
        let is_proxied_plain = proxy.is_some() && !is_tls;
        exchange(stream, request, is_proxied_plain).await
    }
}

impl Proxies {
    fn of(&self, host: &str, is_tls: bool) -> Option<&Uri> {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let excepted = |name: &String| {
            name == "*" || host == *name || host.strip_suffix(name.as_str()).is_some_and(|head| head.ends_with('.'))
        };
        if loopback || self.except.iter().any(excepted) {
            return None;
        }
        if is_tls { self.https.as_ref() } else { self.http.as_ref() }
    }
}

impl Transport for Web {
    fn send(
        &self,
        request: Request<Bytes>,
        connect: Duration,
    ) -> BoxFuture<'_, Result<Response<Body>, TransportFault>> {
        Box::pin(self.exchange(request.map(Full::new), connect))
    }
}

fn destination(uri: &Uri) -> Result<(String, u16, bool), TransportFault> {
    let is_tls = uri.scheme_str() == Some("https");
    let host = uri.host().ok_or_else(|| TransportFault::failed(format!("{uri} names no host")))?;
    Ok((host.to_owned(), uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }), is_tls))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn open(host: &str, port: u16, is_tls: bool, proxy: Option<&Uri>) -> Result<Box<dyn Stream>, TransportFault> {
    let unreachable = |e: std::io::Error| TransportFault::Unreachable(e.to_string());
    let bare = host.trim_matches(['[', ']']);
    let tcp = match proxy {
        None => TcpStream::connect((bare, port)).await.map_err(unreachable)?,
        Some(proxy) => through(proxy, host, port, is_tls).await?,
    };
    tcp.set_nodelay(true).map_err(unreachable)?;
    if !is_tls {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|e| TransportFault::Unreachable(e.to_string()))?;
    let tls =
        tokio_rustls::TlsConnector::from(Arc::new(client_config()?)).connect(name, tcp).await.map_err(unreachable)?;
    Ok(Box::new(tls))
}

/// Connects to the proxy, and for TLS through it.
async fn through(proxy: &Uri, host: &str, port: u16, is_tls: bool) -> Result<TcpStream, TransportFault> {
    let at = proxy.host().unwrap_or_default().trim_matches(['[', ']']);
    let says = |e: &dyn std::fmt::Display| TransportFault::Unreachable(format!("the proxy {at}: {e}"));
    if proxy.scheme_str() == Some("https") {
        return Err(says(&"proxies are spoken to by http:// alone"));
    }
    let mut tcp = TcpStream::connect((at, proxy.port_u16().unwrap_or(80))).await.map_err(|e| says(&e))?;
    if is_tls {
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await.map_err(|e| says(&e))?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // A byte at a time: what follows the head belongs to TLS.
            head.push(tcp.read_u8().await.map_err(|e| says(&e))?);
            if head.len() > 16 * 1024 {
                return Err(says(&"its answer has no end"));
            }
        }
        let status = head.get(9..12).unwrap_or_default();
        if status != b"200" {
            return Err(says(&format!("it answered CONNECT with status {}", String::from_utf8_lossy(status))));
        }
    }
    Ok(tcp)
}

/// The system's roots, or Mozilla's where the system has none.
fn client_config() -> Result<rustls::ClientConfig, TransportFault> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(TransportFault::failed)?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn exchange<B>(
    stream: Box<dyn Stream>,
    request: Request<B>,
    absolute: bool,
) -> Result<Response<Body>, TransportFault>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    let host = HeaderValue::try_from(authority.unwrap_or_default()).map_err(TransportFault::failed)?;
    parts.headers.insert(header::HOST, host);
    parts.headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    if !absolute {
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        parts.uri = path.parse().map_err(TransportFault::failed)?;
    }
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(TransportFault::failed)?;
    // It ends with the answer's body, or when that is dropped; its failure is seen there.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    let answer = sender.send_request(Request::from_parts(parts, body)).await;
    let answer = answer.map_err(TransportFault::failed)?;
    Ok(answer.map(|body| body.map_err(|e| BodyFault(chain(&e))).boxed_unsync()))
}

/// An error with its causes: hyper's own words alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_for_hosts_that_are_not_excepted() {
        let proxy = Uri::from_static("http://proxy:3128");
        let proxies = Proxies { https: Some(proxy), http: None, except: vec!["corp.example".to_owned()] };
        assert!(proxies.of("hub.example", true).is_some());
        assert!(proxies.of("hub.example", false).is_none());
        for direct in ["corp.example", "a.corp.example", "A.CORP.EXAMPLE", "localhost", "127.0.0.1", "[::1]"] {
            assert!(proxies.of(direct, true).is_none(), "{direct}");
        }
        assert!(proxies.of("notcorp.example", true).is_some());
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_at_once() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let request = Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).unwrap();
        let fault = Web::direct().send(request, Duration::from_secs(3)).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Unreachable(_)), "{fault}");
    }
}
