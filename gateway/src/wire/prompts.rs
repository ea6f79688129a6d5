//! Prompts: opened from their spec, served below `/v1/prompts`, and kept up to date with what is pushed.

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::PromptsSpec;
use tidegate_core::{Caller, Clock, Fault, FaultKind, Role, percent};
use tidegate_prompts::{Asked, Author, Need, Options, PromptStore, need};
use tidegate_server::mounted::refusal;
use tokio::task::spawn_blocking;

/// How often the repository is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The largest body taken.
const LARGEST: usize = 1024 * 1024;
/// Where prompts are served.
const ROOT: &str = "/v1/prompts";

/// The prompts of a repository, served.
#[derive(Debug)]
pub(crate) struct PromptMount {
    store: Arc<PromptStore>,
}

/// Opens the repository of `spec` and reads its history.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) async fn open(spec: &PromptsSpec, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<PromptMount>> {
    let options = Options {
        path: spec.path.clone(),
        branch: spec.branch.clone(),
        clock: Arc::clone(clock),
        ..Options::default()
    };
    let folder = spec.repository.clone();
    let opened = spawn_blocking(move || PromptStore::open(&folder, options)).await?;
    let store = opened.with_context(|| format!("prompts: the repository {}", spec.repository.display()))?;
    Ok(Arc::new(PromptMount { store: Arc::new(store) }))
}

impl PromptMount {
    /// Follows what is pushed into the repository, until aborted.
    pub(crate) fn follow(&self) -> tokio::task::JoinHandle<()> {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let mut was_lost = false;
            loop {
                tokio::time::sleep(LOOK).await;
                let looking = Arc::clone(&store);
                let Ok(looked) = spawn_blocking(move || looking.refresh()).await else { return };
                match &looked {
                    Ok(true) => tracing::info!("the prompts' repository changed"),
                    Err(fault) if !was_lost => tracing::error!(%fault, "the prompts' repository cannot be read"),
                    _ => {}
                }
                was_lost = looked.is_err();
            }
        })
    }

    async fn answer(&self, caller: Caller, request: Request<Frames>) -> Result<Response<Content>, Fault> {
        let (head, body) = request.into_parts();
        let body = gather(body).await?;
        let store = Arc::clone(&self.store);
        let (status, value) = spawn_blocking(move || {
            let segments = segments(head.uri.path()).unwrap_or_default();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let query: Vec<_> = percent::pairs(head.uri.query().unwrap_or_default()).collect();
            let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let principal = caller.0.principal.as_str();
            store.answer(&Asked {
                method: as_get(&head.method),
                segments: &segments,
                query: &query,
                body: &body,
                reach: Reach::Afar,
                by: &Author::new(principal, &format!("{principal}@{}", caller.0.tenant)),
            })
        })
        .await
        .map_err(Fault::internal)??;
        let mut response = Response::new(Content::Whole(value.to_string().into()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

impl Mount for PromptMount {
    fn find(&self, method: &Method, path: &str) -> Passage {
        let Some(segments) = segments(path) else { return Passage::Nothing };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match need(as_get(method), &segments) {
            Some(Need::Read) => Passage::Needs(Role::Read),
            Some(Need::Write) => Passage::Needs(Role::Write),
            None => {
                let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
                let taken = methods.iter().filter(|method| need(as_get(method), &segments).is_some());
                let taken: Vec<&str> = taken.map(Method::as_str).collect();
                if taken.is_empty() { Passage::Nothing } else { Passage::WrongMethod(taken.join(", ")) }
            }
        }
    }

    fn serve(&self, caller: Option<Caller>, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("a prompt was asked for by nobody")) };
            self.answer(caller, request).await.unwrap_or_else(|fault| {
                if fault.kind == FaultKind::Internal {
                    tracing::error!(%fault, "a call on prompts failed");
                }
                refusal(&fault)
            })
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}

/// `HEAD` is answered wherever `GET` is.
fn as_get(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}

/// The parts of a path behind the root, decoded; `None` where it lies elsewhere.
fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.strip_prefix('/').map(|rest| rest.split('/').map(percent::decoded).collect())
}

async fn gather(mut body: Frames) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, "a body about prompts is at most 1 MiB long"));
        }
    }
    Ok(all.freeze())
}
