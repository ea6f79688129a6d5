//! What is fetched, and from whom: against a web that is a function. The real one is `tests/e2e/sources.rs`.

use super::*;
use crate::pull::transport::{Body, TransportFault};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::sync::Mutex;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::port::BoxFuture;

/// What a web answers: a status, headers and a body.
type Said = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// What a web says to a request; nothing where it never answers.
type Says = dyn Fn(&Request<Bytes>) -> Option<Said> + Send + Sync;

/// A web that answers by a function, and remembers who was asked with what.
struct Web {
    says: Box<Says>,
    asked: Mutex<Vec<(String, Option<String>)>>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Web")
    }
}

impl Transport for Web {
    fn send(&self, request: Request<Bytes>, _: Duration) -> BoxFuture<'_, Result<Response<Body>, TransportFault>> {
        let shown = request.headers().get(http::header::AUTHORIZATION);
        let shown = shown.map(|value| value.to_str().unwrap().to_owned());
        self.asked.lock().unwrap().push((request.uri().to_string(), shown));
        let said = (self.says)(&request);
        Box::pin(async move {
            let Some((status, headers, body)) = said else { return std::future::pending().await };
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
            Ok(response.body(body).unwrap())
        })
    }
}

fn web(says: impl Fn(&Request<Bytes>) -> Option<Said> + Send + Sync + 'static) -> Arc<Web> {
    Arc::new(Web { says: Box::new(says), asked: Mutex::default() })
}

fn depot(web: &Arc<Web>) -> Depot {
    Depot { kept: None, transport: Some(Arc::<Web>::clone(web)) }
}

async fn fetch(web: &Arc<Web>, at: &str, auth: Option<&ComponentAuth>) -> Result<Parcel, String> {
    depot(web).fetch(&at.parse().unwrap(), auth, Wants::default(), 16).await
}

fn ok(body: &[u8]) -> Option<Said> {
    Some((200, Vec::new(), body.to_vec()))
}

fn moved(to: &str) -> Option<Said> {
    Some((302, vec![("location", to.to_owned())], Vec::new()))
}

#[tokio::test]
async fn a_secret_stays_with_the_server_that_it_is_for() {
    let web = web(|request| match request.uri().host() {
        Some("a.example") => moved("https://cdn.example/x"),
        _ => ok(b"component"),
    });
    let token = ComponentAuth::Bearer(Secret::new("t"));
    assert_eq!(fetch(&web, "https://a.example/x.wasm", Some(&token)).await.unwrap().component, b"component");
    let asked = web.asked.lock().unwrap().clone();
    let shown = |uri: &str, shown: Option<&str>| (uri.to_owned(), shown.map(str::to_owned));
    assert_eq!(asked, [shown("https://a.example/x.wasm", Some("Bearer t")), shown("https://cdn.example/x", None)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_component_in_time_is_said() {
    let web = web(|request| match request.uri().path() {
        "/large" => ok(&[0; 17]),
        "/said-large" => Some((200, vec![("content-length", "17".to_owned())], Vec::new())),
        "/open" => moved("http://a.example/x"),
        "/here" => moved("https://127.0.0.1/x"),
        "/round" => moved("/round"),
        "/nowhere" => Some((302, Vec::new(), Vec::new())),
        "/who" => Some((401, Vec::new(), Vec::new())),
        "/never" => None,
        _ => Some((404, Vec::new(), Vec::new())),
    });
    for (path, why) in [
        ("large", "larger than the 16 bytes"),
        ("said-large", "larger than the 16 bytes"),
        ("open", "where we could be overheard"),
        ("here", "where we could be overheard"),
        ("round", "redirects more than 5 times"),
        ("nowhere", "to no address"),
        ("who", "see `auth`"),
        ("never", "within 60 s"),
        ("none", "status 404"),
    ] {
        let says = fetch(&web, &format!("https://a.example/{path}"), None).await.unwrap_err();
        assert!(says.starts_with("a.example ") || says.contains(" a.example "), "{says}");
        assert!(says.contains(why), "{path}: {says}");
    }
}

#[tokio::test]
async fn a_registry_cannot_have_a_login_sent_where_it_is_overheard() {
    let realm = |realm: &str| vec![("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s\""))];
    let login = ComponentAuth::Basic(Secret::new("ann:secret"));
    for bad in ["http://tokens.example/", "https://127.0.0.1/"] {
        let web = web(move |_| Some((401, realm(bad), Vec::new())));
        let says = fetch(&web, "oci://r.example/x:1", Some(&login)).await.unwrap_err();
        assert!(says.contains("overheard"), "{says}");
        assert!(web.asked.lock().unwrap().iter().all(|(_, shown)| shown.is_none()));
    }
    // Nor does one to whom it sends us on get it.
    let web = web(move |request| match request.uri().host() {
        Some("r.example") => moved("https://cdn.example/x"),
        _ => Some((401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())], Vec::new())),
    });
    let says = fetch(&web, "oci://r.example/x:1", Some(&login)).await.unwrap_err();
    assert!(says.contains("cdn.example answered with status 401"), "{says}");
    assert!(web.asked.lock().unwrap().iter().all(|(_, shown)| shown.is_none()));
}

#[tokio::test]
async fn what_a_registry_gives_is_what_it_said() {
    let component = b"component".to_vec();
    let (_, manifest) = manifest::made(&Parcel { component: component.clone(), signature: None });
    let by_digest = format!("oci://r.example/x@sha256:{}", Digest::of(&manifest));
    let web_of = |manifest: Vec<u8>, blob: &'static [u8]| {
        web(move |request| if request.uri().path().contains("/blobs/") { ok(blob) } else { ok(&manifest) })
    };
    let good = web_of(manifest.clone(), b"component");
    assert_eq!(fetch(&good, &by_digest, None).await.unwrap().component, component);
    let changed = web_of(manifest.clone(), b"componenT");
    assert!(fetch(&changed, "oci://r.example/x:1", None).await.unwrap_err().contains("other bytes than it said"));
    let other = web_of([manifest.as_slice(), b" "].concat(), b"component");
    assert!(fetch(&other, &by_digest, None).await.unwrap_err().contains("another manifest"));
    // What is pinned is not there: nothing is fetched but the manifest.
    let wants = Wants { pinned: Some(Digest::of(b"other")), signature: false };
    let says = depot(&good).fetch(&by_digest.parse().unwrap(), None, wants, 16).await.unwrap_err();
    assert!(says.contains("is pinned"), "{says}");
    let wants = Wants { pinned: None, signature: true };
    let says = depot(&good).fetch(&by_digest.parse().unwrap(), None, wants, 16).await.unwrap_err();
    assert!(says.contains("no signature there"), "{says}");
    let says = depot(&good).fetch(&by_digest.parse().unwrap(), None, Wants::default(), 8).await.unwrap_err();
    assert!(says.contains("9 bytes, and 8 are taken"), "{says}");
}
