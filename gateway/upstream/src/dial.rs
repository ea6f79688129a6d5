//! Opens a connection: names to addresses, TCP, a proxy's tunnel, TLS. Owns what can go wrong up to there; requests
//! are `lane`'s.

use crate::io::Io;
use crate::proxy::Proxy;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// The most bytes of a proxy's answer to CONNECT.
const PROXY_HEAD_CAP: usize = 8 << 10;

/// Where a connection goes, and by which way.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The host, without brackets.
    pub(crate) host: Box<str>,
    /// The port.
    pub(crate) port: u16,
    /// Encryption, and for whom the certificate must be.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The proxy on the way: a tunnel through it with TLS, a forwarder without.
    pub(crate) proxy: Option<Proxy>,
}

/// Why there is no connection; for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialFault {
    #[error("{host} has no address: {source}")]
    Resolve { host: Box<str>, source: io::Error },
    #[error("{address} does not take the connection: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("the proxy refuses the tunnel: {0}")]
    Tunnel(String),
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("the HTTP handshake failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("it took longer than {0:?}")]
    Slow(Duration),
}

/// A connection, and whether HTTP/2 was negotiated on it.
pub(crate) type Dialled = (Io, bool);

/// A host as it stands in an address, without the brackets of IPv6.
pub(crate) fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// Opens a connection within `limit`.
pub(crate) async fn dial(target: &Target, limit: Duration) -> Result<Dialled, DialFault> {
    let until = Instant::now() + limit;
    match timeout_at(until, open(target, until)).await {
        Ok(done) => done,
        Err(_) => Err(DialFault::Slow(limit)),
    }
}

async fn open(target: &Target, until: Instant) -> Result<Dialled, DialFault> {
    let (host, port) = match &target.proxy {
        Some(proxy) => (&proxy.host, proxy.port),
        None => (&target.host, target.port),
    };
    let mut tcp = tcp(host, port, until).await?;
    let Some((config, name)) = &target.tls else {
        return Ok((Io::Plain(TokioIo::new(tcp)), false));
    };
    if let Some(proxy) = &target.proxy {
        tunnel(&mut tcp, proxy, &target.host, target.port).await?;
    }
    let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await.map_err(DialFault::Tls)?;
    let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Io::Tls(Box::new(TokioIo::new(tls))), is_h2))
}

/// Tries the addresses of `host` in order; each gets its share of the time that is left, so that a dead one does not
/// hide those behind it.
async fn tcp(host: &str, port: u16, until: Instant) -> Result<TcpStream, DialFault> {
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|source| DialFault::Resolve { host: host.into(), source })?
            .collect(),
    };
    let mut last = None;
    for (i, &address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = now + until.saturating_duration_since(now) / left;
        let fault = match timeout_at(share, TcpStream::connect(address)).await {
            // Without it a request in two writes waits for a delayed ACK: 40 ms.
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(source) => source,
            },
            Ok(Err(source)) => source,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        last = Some(DialFault::Tcp { address, source: fault });
    }
    Err(last.unwrap_or_else(|| DialFault::Resolve { host: host.into(), source: io::ErrorKind::NotFound.into() }))
}

/// Asks `proxy` for a tunnel to `host` and `port`.
async fn tunnel(tcp: &mut TcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<(), DialFault> {
    let broken = |e: io::Error| DialFault::Tunnel(e.to_string());
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut ask = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(value) = &proxy.authorization {
        ask.extend_from_slice(b"proxy-authorization: ");
        ask.extend_from_slice(value.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    tcp.write_all(&ask).await.map_err(broken)?;

    let mut head = Vec::with_capacity(256);
    loop {
        // Nothing can follow the head before we speak TLS, so reading past it would be the proxy's mistake.
        if tcp.read_buf(&mut head).await.map_err(broken)? == 0 {
            return Err(DialFault::Tunnel("it closed the connection".to_owned()));
        }
        match memchr::memmem::find(&head, b"\r\n\r\n") {
            Some(end) if end + 4 == head.len() => break,
            Some(_) => return Err(DialFault::Tunnel("it sent more than a head".to_owned())),
            None if head.len() > PROXY_HEAD_CAP => return Err(DialFault::Tunnel("its head is too large".to_owned())),
            None => {}
        }
    }
    let line = String::from_utf8_lossy(head.split(|&b| b == b'\r').next().unwrap_or_default()).into_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    if status.is_some_and(|s| s.starts_with('2')) { Ok(()) } else { Err(DialFault::Tunnel(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nodelay_is_set_on_what_is_connected() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target { host: "127.0.0.1".into(), port, tls: None, proxy: None };
        let (io, is_h2) = dial(&target, Duration::from_secs(5)).await.unwrap();
        let Io::Plain(stream) = io else { panic!("no TLS was asked for") };
        assert!(stream.inner().nodelay().unwrap());
        assert!(!is_h2);
    }

    #[tokio::test]
    async fn a_refused_connection_says_which_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let target = Target { host: "127.0.0.1".into(), port, tls: None, proxy: None };
        let fault = dial(&target, Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(fault.contains(&format!("127.0.0.1:{port}")), "{fault}");
    }
}
