//! Other servers for plugins: what one asks for goes to the servers that its entry lists, by the client for single requests.
//! Owns where a request may go; what one may be is the host's to say, and how a listed server is written is `core`'s.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::spec::{HostIs, PluginSpec, WebHost, WebHosts};
use tidegate_core::{Fault, FaultKind};
use tidegate_host::{ANSWER_BYTES, About, Unsent, Web, WebRequest, WebResponse};
use tidegate_upstream::outbound::{Appetite, OneShot};
use tidegate_upstream::{TlsRoots, is_public};
use tokio::runtime::Handle;

/// How an import of `http-out` begins.
const IMPORT: &str = "tidegate:plugin/http-out@";
/// Cookies are nobody's here: none is kept, and none is handed on.
const DROPPED: [&str; 2] = ["set-cookie", "set-cookie2"];

/// Sends what one plugin asks for.
#[derive(Debug)]
pub(super) struct ListedWeb {
    hosts: WebHosts,
    outbound: Arc<dyn Outbound>,
    runtime: Handle,
}

/// What a plugin is granted by its entry; nothing where that lists no server, or where nothing can be sent.
///
/// # Errors
/// It can do nothing with what it is granted.
pub(super) fn granted(spec: &PluginSpec, about: &About) -> Result<Option<Arc<dyn Web>>, String> {
    if spec.web.0.is_empty() {
        return Ok(None);
    }
    if about.world.is_warm() {
        return Err(format!(
            "`http` grants it servers, and its world `{}` looks at calls: in this version only what judges windows reaches any",
            about.world
        ));
    }
    if !about.imports.iter().any(|import| import.starts_with(IMPORT)) {
        return Err("`http` grants it servers, and it asks for none: leave that out".to_owned());
    }
    // A check loads plugins without a runtime, and calls none.
    let Ok(runtime) = Handle::try_current() else { return Ok(None) };
    let outbound = Arc::new(OneShot::new(TlsRoots::system, Appetite::UpTo(ANSWER_BYTES)));
    Ok(Some(Arc::new(ListedWeb { hosts: spec.web.clone(), outbound, runtime })))
}

impl Web for ListedWeb {
    fn send(&self, request: WebRequest, within: Duration) -> Result<WebResponse, Unsent> {
        // Windows are judged on threads that may block.
        self.runtime.block_on(async {
            let sent = tokio::time::timeout(within, self.exchange(request)).await;
            sent.unwrap_or(Err(Unsent::Late))
        })
    }
}

impl ListedWeb {
    async fn exchange(&self, request: WebRequest) -> Result<WebResponse, Unsent> {
        let WebRequest { method, url, headers, body } = request;
        let denied = |says: &str| Unsent::Denied(format!("`{url}` is not reached: {says}"));
        let uri: Uri = url.parse().map_err(|_| denied("it is no address"))?;
        let asked = WebHost::asked(&uri).map_err(denied)?;
        if !self.hosts.lists(&asked) {
            return Err(denied(&format!("`{asked}` is not in the list `http` of this plugin")));
        }
        let address = self.address(&asked).await?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut sent = Request::builder().method(method.as_str()).uri(format!("{asked}{slash}{path}"));
        for (name, value) in &headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| denied("a header has no name"))?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| denied("a header has no value"))?;
            sent = sent.header(name, value);
        }
        let sent = sent.body(body.into()).map_err(|_| denied("it is no address"))?;
        let answer = self.outbound.send(sent, Reach::At(address)).await.map_err(|fault| failed(&fault))?;
        Ok(shown(answer))
    }

    /// The address of a listed server that was looked at, and so is the one that is connected to.
    async fn address(&self, asked: &WebHost) -> Result<IpAddr, Unsent> {
        let name = match &asked.host {
            HostIs::Address(address) => return Ok(*address),
            HostIs::Name(name) => name,
        };
        let gone = || Unsent::Unavailable(format!("`{name}` has no address"));
        let found = tokio::net::lookup_host((name.as_str(), asked.port)).await.map_err(|_| gone())?;
        let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        // Which address it is stays here: that is the operator's to know, and no plugin's.
        let chosen = self.hosts.chosen(asked, &found, is_public).map_err(|address| {
            tracing::warn!(host = name, %address, "a plugin's server has an address that is not public, and that is not listed");
            Unsent::Denied(format!("`{name}` leads to an address that is not public: list that address itself"))
        })?;
        chosen.ok_or_else(gone)
    }
}

fn failed(fault: &Fault) -> Unsent {
    match fault.kind {
        FaultKind::TooLarge => Unsent::TooLong,
        FaultKind::UpstreamTimeout => Unsent::Late,
        FaultKind::InvalidRequest => Unsent::Denied(fault.to_string()),
        _ => Unsent::Unavailable(fault.to_string()),
    }
}

fn shown(answer: Response<bytes::Bytes>) -> WebResponse {
    let (head, body) = answer.into_parts();
    let headers = head.headers.iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    WebResponse { status: head.status.as_u16(), headers: headers.collect(), body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::BoxFuture;

    /// Keeps what it was to send, and where to.
    #[derive(Debug, Default)]
    struct Fake(std::sync::Mutex<Vec<(Request<bytes::Bytes>, Reach)>>);

    impl Outbound for Fake {
        fn send(
            &self,
            request: Request<bytes::Bytes>,
            reach: Reach,
        ) -> BoxFuture<'_, Result<Response<bytes::Bytes>, Fault>> {
            self.0.lock().unwrap().push((request, reach));
            let answer =
                Response::builder().status(307).header("location", "http://127.0.0.1/").header("set-cookie", "a=b");
            Box::pin(async { Ok(answer.body(bytes::Bytes::from_static(b"there")).unwrap()) })
        }
    }

    fn web(listed: &[&str]) -> (ListedWeb, Arc<Fake>) {
        let hosts = WebHosts(listed.iter().map(|text| WebHost::listed(text).unwrap()).collect());
        let fake = Arc::new(Fake::default());
        (ListedWeb { hosts, outbound: Arc::clone(&fake) as Arc<dyn Outbound>, runtime: Handle::current() }, fake)
    }

    fn get(url: &str) -> WebRequest {
        let headers = vec![("x-a".to_owned(), "b".to_owned())];
        WebRequest { method: "GET".to_owned(), url: url.to_owned(), headers, body: vec![] }
    }

    #[tokio::test]
    async fn a_listed_server_is_sent_to_and_its_redirect_comes_back() {
        let (web, fake) = web(&["http://127.0.0.1:9000"]);
        let answer = web.exchange(get("http://127.0.0.1:9000/a?b=c#d")).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (307, &b"there"[..]));
        assert_eq!(answer.headers, [("location".to_owned(), "http://127.0.0.1/".to_owned())]);
        let sent = fake.0.lock().unwrap();
        let [(request, reach)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(request.uri(), "http://127.0.0.1:9000/a?b=c");
        assert_eq!((request.headers()["x-a"].as_bytes(), *reach), (&b"b"[..], Reach::At([127, 0, 0, 1].into())));
    }

    #[tokio::test]
    async fn nothing_else_is_sent_to() {
        let (web, fake) = web(&["api.example.com", "http://localhost:9000"]);
        for url in [
            "http://api.example.com/",
            "https://api.example.com:444/",
            "https://api.example.com@evil.example/",
            "https://evil.example/",
            "http://127.0.0.1:9000/",
            "http://[::1]:9000/",
            "http://2130706433:9000/",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "",
            // Its name is listed, and leads to this machine, which is not.
            "http://localhost:9000/",
        ] {
            let unsent = web.exchange(get(url)).await.unwrap_err();
            assert!(matches!(unsent, Unsent::Denied(_)), "{url}: {unsent:?}");
        }
        assert!(fake.0.lock().unwrap().is_empty());
    }
}
