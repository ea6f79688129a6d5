//! `/admin/v1/plugins`: the plugins in force, and a trial of a component that is sent. Owns the paths, the role that each
//! needs and the body's form. Nothing is installed here: the files of the configuration are the only truth.

use super::rack::Rack;
use super::trial::{self, Refused};
use super::workshop::Workshop;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::percent::{decoded, pairs};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, PluginName, Role};
use tidegate_server::mounted::refusal;
use tokio::sync::Semaphore;

const ALL: &str = "/admin/v1/plugins";
/// How long a component may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads<'a> {
    All,
    /// The plugin of this name, as it came.
    One(&'a str),
}

/// What is done with each path, and the role that it needs. `HEAD` is answered wherever `GET` is.
const TABLE: [(&str, bool, Role); 3] =
    [("GET", true, Role::Read), ("POST", true, Role::Admin), ("GET", false, Role::Read)];

/// Shows plugins, and tries components.
#[derive(Debug)]
pub(crate) struct PluginMount {
    rack: Arc<Rack>,
    workshop: Arc<Workshop>,
    /// One trial at a time: compiling is work.
    trials: Arc<Semaphore>,
}

impl PluginMount {
    pub(crate) fn new(rack: Arc<Rack>, workshop: Arc<Workshop>) -> Self {
        Self { rack, workshop, trials: Arc::new(Semaphore::new(1)) }
    }

    async fn answer(&self, request: Request<Frames>) -> Result<Value, Refused> {
        let (head, body) = request.into_parts();
        match leads(head.uri.path()) {
            Some(Leads::All) if head.method == Method::POST => {
                self.tried(&head.headers, head.uri.query().unwrap_or_default(), body).await
            }
            Some(Leads::All) => Ok(self.rack.all()),
            Some(Leads::One(name)) => {
                let found = named(&decoded(name)).ok().and_then(|name| self.rack.one(&name));
                let says = "there is no plugin of this name: `GET /admin/v1/plugins` lists those that are loaded";
                found.ok_or_else(|| Refused::Fault(Fault::new(FaultKind::NotFound, says)))
            }
            None => Err(Refused::Fault(Fault::internal("a path that leads nowhere"))),
        }
    }

    async fn tried(&self, headers: &HeaderMap, query: &str, body: Frames) -> Result<Value, Refused> {
        let name = wanted(query).map_err(Refused::Fault)?;
        takes(headers).map_err(Refused::Fault)?;
        let internal = |e: &dyn std::fmt::Display| Refused::Fault(Fault::internal(e));
        // The turn comes before the body, so that those who wait hold none.
        let turn = Arc::clone(&self.trials).acquire_owned().await.map_err(|e| internal(&e))?;
        let gathered = tokio::time::timeout(PATIENCE, gather(body)).await.unwrap_or_else(|_| {
            Err(Fault::new(FaultKind::RequestTimeout, "the component did not arrive in time: send it without pauses"))
        });
        let bytes = gathered.map_err(Refused::Fault)?;
        let workshop = Arc::clone(&self.workshop);
        let trying = tokio::task::spawn_blocking(move || {
            let tried = trial::tried(&workshop, &name, &bytes);
            // Whoever asked may be gone: the turn is over when the work is.
            drop(turn);
            tried
        });
        trying.await.map_err(|e| internal(&e))?
    }
}

fn leads(path: &str) -> Option<Leads<'_>> {
    if path == ALL {
        return Some(Leads::All);
    }
    path.strip_prefix(ALL)?.strip_prefix('/').filter(|rest| !rest.is_empty()).map(Leads::One)
}

fn passage(method: &Method, path: &str) -> Passage {
    let Some(leads) = leads(path) else { return Passage::Nothing };
    let rows = || TABLE.iter().filter(|(_, is_all, _)| *is_all == (leads == Leads::All));
    let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some((_, _, role)) = rows().find(|(method, ..)| *method == wanted) {
        return Passage::Needs(*role);
    }
    let taken: Vec<&str> = rows().map(|(method, ..)| if *method == "GET" { "GET, HEAD" } else { *method }).collect();
    Passage::WrongMethod(taken.join(", "))
}

/// The name that a component is tried under.
fn wanted(query: &str) -> Result<PluginName, Fault> {
    let mut names = pairs(query).filter(|(key, _)| key == "name").map(|(_, name)| name);
    match (names.next(), names.next()) {
        (Some(name), None) => named(&name),
        (None, _) => Err(Fault::field("name", "it is missing: send the component to `/admin/v1/plugins?name=NAME`")),
        (Some(_), Some(_)) => Err(Fault::field("name", "it stands there twice: name the plugin once")),
    }
}

fn named(name: &str) -> Result<PluginName, Fault> {
    name.parse().map_err(|fault| Fault::field("name", format!("this is no name of a plugin: {fault}")))
}

/// Refuses by the head alone what is no component, or too large a one.
fn takes(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(value) = headers.get(CONTENT_TYPE) {
        let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !["application/wasm", "application/octet-stream"].iter().any(|taken| essence.eq_ignore_ascii_case(taken)) {
            let says = "the body is a component: send it as `content-type: application/wasm`";
            return Err(Fault::new(FaultKind::UnsupportedMedia, says));
        }
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let says = "compressed bodies are not taken: send it without content-encoding";
        return Err(Fault::new(FaultKind::UnsupportedMedia, says));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > trial::largest() as u64) {
        return Err(too_large());
    }
    Ok(())
}

async fn gather(mut body: Frames) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let frame = frame?;
        if all.len() + frame.len() > trial::largest() {
            return Err(too_large());
        }
        all.extend_from_slice(&frame);
    }
    Ok(all.freeze())
}

fn too_large() -> Fault {
    Fault::new(FaultKind::TooLarge, format!("a component is at most {} bytes long", trial::largest()))
}

impl Mount for PluginMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        if door == Door::Admin { passage(method, path) } else { Passage::Nothing }
    }

    fn serve(&self, _: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            match self.answer(request).await {
                Ok(value) => {
                    let mut response = Response::new(Content::Whole(value.to_string().into()));
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
                Err(Refused::Fault(fault)) => refusal(&fault),
                Err(Refused::Unfit(says)) => {
                    let mut response = refusal(&Fault::new(FaultKind::InvalidRequest, says));
                    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
                    response
                }
            }
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn asked(method: Method, target: &str, headers: &[(&str, &str)], body: &'static [u8]) -> (u16, Value) {
        let mount = PluginMount::new(Arc::default(), Arc::default());
        let mut request = Request::builder().method(method).uri(format!("http://gate{target}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let frames: Frames = Box::pin(stream::iter([Ok(Bytes::from_static(body))]));
        let (head, content) = mount.serve(None, Reach::Loopback, request.body(frames).unwrap()).await.into_parts();
        let Content::Whole(bytes) = content else { panic!("it is whole") };
        (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn each_path_has_its_role_at_the_admin_door_alone() {
        let mount = PluginMount::new(Arc::default(), Arc::default());
        for (method, is_all, role) in TABLE {
            let path = if is_all { ALL.to_owned() } else { format!("{ALL}/org/x") };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(mount.find(Door::Admin, &method, &path), Passage::Needs(role), "{method} {path}");
            assert_eq!(mount.find(Door::Public, &method, &path), Passage::Nothing);
            assert_eq!(role == Role::Read, method == Method::GET, "what does something needs more than to read");
        }
        assert_eq!(mount.find(Door::Admin, &Method::HEAD, ALL), Passage::Needs(Role::Read));
        assert_eq!(passage(&Method::DELETE, ALL), Passage::WrongMethod("GET, HEAD, POST".to_owned()));
        assert_eq!(passage(&Method::POST, "/admin/v1/plugins/x"), Passage::WrongMethod("GET, HEAD".to_owned()));
        for path in ["/admin/v1/plugins/", "/admin/v1/pluginsx", "/admin/v1"] {
            assert_eq!(passage(&Method::GET, path), Passage::Nothing, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_no_component_is_refused_with_a_sentence() {
        let long = u64::try_from(trial::largest()).unwrap() + 1;
        for (target, headers, body, status) in [
            ("?name=p", &[("content-type", "application/wasm")][..], &b""[..], 400),
            ("", &[], b"\0asm\x0d\0\x01\0", 400),
            ("?name=a&name=b", &[], b"\0asm\x0d\0\x01\0", 400),
            ("?name=../p", &[], b"\0asm\x01\0\0\0", 400),
            ("?name=%00", &[], b"\0asm\x01\0\0\0", 400),
            ("?name=p", &[("content-type", "text/plain")], b"x", 415),
            ("?name=p", &[("content-encoding", "gzip")], b"x", 415),
            ("?name=p", &[], b"\0asm\x01\0\0\0", 415),
            ("?name=p", &[], b"MZ", 415),
            ("?name=p", &[("content-type", "application/octet-stream")], b"\0asm\x0d\0\x01\0", 422),
            ("?name=p", &[("content-length", &long.to_string())], b"", 413),
        ] {
            let (found, answer) = asked(Method::POST, &format!("{ALL}{target}"), headers, body).await;
            assert_eq!(found, status, "{target} {headers:?}: {answer}");
            assert!(answer["error"]["message"].as_str().is_some_and(|says| says.len() > 10), "{answer}");
        }
    }

    #[tokio::test]
    async fn nothing_is_loaded_and_that_is_said() {
        assert_eq!(asked(Method::GET, ALL, &[], b"").await.1["data"], serde_json::json!([]));
        for name in ["x", "..%2Fx", "%00", "a%20b"] {
            assert_eq!(asked(Method::GET, &format!("{ALL}/{name}"), &[], b"").await.0, 404, "{name}");
        }
    }
}
