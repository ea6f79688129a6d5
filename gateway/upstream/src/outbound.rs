//! Single requests to other servers. Owns their deadlines, the bound of an answer, and that an address which a caller
//! wrote leads to nobody but the public: names are resolved once, checked, and what was checked is connected to.

use crate::TlsRoots;
use crate::dial::{Target, bare_host, dial};
use crate::lane::{H1, Lane, Sent};
use crate::patience::Patience;
use crate::public::is_public;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::Full;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::{Fault, FaultKind};
use tokio::time::{Instant, timeout_at};

/// Until when a connection must be there.
const CONNECT: Duration = Duration::from_secs(10);

/// What is had of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appetite {
    /// Its beginning: 64 KiB within 30 seconds; the rest is not read.
    Beginning,
    /// All of it: 256 MiB within 5 minutes at most; a longer one is a fault.
    Whole,
    /// All of it: so many bytes within a minute at most; a longer one is a fault.
    UpTo(usize),
}

impl Appetite {
    const fn most(self) -> usize {
        match self {
            Self::Beginning => 64 * 1024,
            Self::Whole => 256 * 1024 * 1024,
            Self::UpTo(most) => most,
        }
    }

    const fn patience(self) -> Duration {
        match self {
            Self::Beginning => Duration::from_secs(30),
            Self::Whole => Duration::from_secs(300),
            Self::UpTo(_) => Duration::from_secs(60),
        }
    }
}

/// Sends single requests.
#[derive(Debug)]
pub struct OneShot {
    roots: fn() -> TlsRoots,
    appetite: Appetite,
}

impl OneShot {
    /// Requests whose servers are certified by what `roots` gives, asked anew for each: they are rare.
    #[must_use]
    pub const fn new(roots: fn() -> TlsRoots, appetite: Appetite) -> Self {
        Self { roots, appetite }
    }

    async fn exchange(&self, request: Request<Bytes>, reach: Reach) -> Result<Response<Bytes>, Fault> {
        let until = Instant::now() + self.appetite.patience();
        let (mut head, body) = request.into_parts();
        let url = std::mem::take(&mut head.uri);
        let target = self.target(&url, reach).await?;
        let (io, _) = dial(&target, CONNECT).await.map_err(|e| unreachable(&url, e))?;
        let mut lane = Lane::H1(Box::new(H1::over(io).await.map_err(|e| unreachable(&url, e))?));
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        let bare = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        head.uri = url.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        let host = HeaderValue::try_from(bare).map_err(|_| refused("its host fits into no header"))?;
        head.headers.insert(HOST, host);
        head.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let mut patience = Patience::until(until);
        let answered = match lane.send(Request::from_parts(head, Full::new(body)), &mut patience, until).await {
            Sent::Answered(response) => response,
            Sent::Lost(e) | Sent::Garbled(e) => return Err(unreachable(&url, e)),
            Sent::Late => return Err(late(&url)),
        };
        let (head, mut incoming) = answered.into_parts();
        let mut all = BytesMut::new();
        let most = self.appetite.most();
        while all.len() <= most {
            let next = timeout_at(until, poll_fn(|cx| lane.poll_frame(&mut incoming, cx))).await;
            match next.map_err(|_| late(&url))? {
                None => break,
                Some(frame) => {
                    if let Ok(data) = frame.map_err(|e| unreachable(&url, e))?.into_data() {
                        all.extend_from_slice(&data);
                    }
                }
            }
        }
        if all.len() > most && self.appetite != Appetite::Beginning {
            return Err(Fault::new(FaultKind::TooLarge, format!("{url} answered with more than {most} bytes")));
        }
        all.truncate(most);
        Ok(Response::from_parts(head, all.freeze()))
    }

    async fn target(&self, url: &Uri, reach: Reach) -> Result<Target, Fault> {
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") if reach != Reach::Public => false,
            _ => return Err(refused("it must start with `https://`")),
        };
        let name = bare_host(url.host().ok_or_else(|| refused("it names no host"))?);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls {
            let server = ServerName::try_from(name.to_owned()).map_err(|_| refused("its host is no DNS name"))?;
            let config = (self.roots)().client(&[b"http/1.1"]).map_err(Fault::internal)?;
            Some((config, server))
        } else {
            None
        };
        let host = match reach {
            Reach::Any => name.to_owned(),
            Reach::Public => public_address(name, port).await?.to_string(),
            Reach::At(address) => address.to_string(),
        };
        Ok(Target { host: host.into(), port, tls, proxy: None })
    }
}

impl Outbound for OneShot {
    fn send(&self, request: Request<Bytes>, reach: Reach) -> BoxFuture<'_, Result<Response<Bytes>, Fault>> {
        Box::pin(self.exchange(request, reach))
    }
}

/// An address of `host`, all of whose addresses are public.
async fn public_address(host: &str, port: u16) -> Result<IpAddr, Fault> {
    let addresses: Vec<IpAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|e| Fault::new(FaultKind::Unreachable, format!("{host} has no address")).because(e))?
            .map(|address: SocketAddr| address.ip())
            .collect(),
    };
    if let Some(private) = addresses.iter().find(|address| !is_public(**address)) {
        return Err(refused("it leads to an address that is not public").because(format!("{host} is {private}")));
    }
    addresses.first().copied().ok_or_else(|| Fault::new(FaultKind::Unreachable, format!("{host} has no address")))
}

fn refused(why: &'static str) -> Fault {
    Fault::new(FaultKind::InvalidRequest, format!("the address cannot be sent to: {why}"))
}

fn unreachable(url: &Uri, why: impl std::fmt::Display) -> Fault {
    let host = url.host().unwrap_or_default();
    Fault::new(FaultKind::Unreachable, format!("{host} cannot be reached")).because(why)
}

fn late(url: &Uri) -> Fault {
    let host = url.host().unwrap_or_default();
    Fault::new(FaultKind::UpstreamTimeout, format!("{host} did not answer in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_caller_wrote_cannot_reach_this_machine() {
        let sender = OneShot::new(TlsRoots::none, Appetite::Beginning);
        for url in
            ["http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://0x7f000001/", "https://localhost/"]
        {
            let request = Request::post(url).body(Bytes::new()).unwrap();
            let fault = sender.send(request, Reach::Public).await.unwrap_err();
            assert!(matches!(fault.kind, FaultKind::InvalidRequest | FaultKind::Unreachable), "{url}: {fault}");
        }
    }
}
