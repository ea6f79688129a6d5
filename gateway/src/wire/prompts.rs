//! Prompts: opened from their spec, served below `/v1/prompts`, and kept up to date with what is pushed.

pub(crate) mod deed;
mod hook;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use hook::Hook;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::once::Once;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::audit::Audit;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::outbound::{self, Outbound as _};
use tidegate_core::port::prompts::{Prompts, Reach};
use tidegate_core::port::shelf::PromptShelf;
use tidegate_core::spec::{PromptsSpec, RemoteSpec};
use tidegate_core::{Caller, Clock, Fault, FaultKind, Role, percent};
use tidegate_prompts::{Asked, Author, Mirror, Need, Options, PromptStore, Web, need};
use tidegate_server::mounted::refusal;
use tidegate_upstream::TlsRoots;
use tidegate_upstream::outbound::{Appetite, OneShot};
use tokio::task::spawn_blocking;

/// How often the repository is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The largest body taken.
const LARGEST: usize = 1024 * 1024;

/// Where prompts are served.
const fn root(door: Door) -> &'static str {
    match door {
        Door::Public => "/v1/prompts",
        Door::Admin => "/admin/v1/prompts",
    }
}

/// The prompts of a repository, served.
#[derive(Debug)]
pub(crate) struct PromptMount {
    store: Arc<PromptStore>,
    remote: Option<Remote>,
    /// Where what is done is noted, where there is a registry.
    audit: OnceLock<Arc<dyn Audit>>,
}

/// Opens the repository of `spec` and reads its history; a remote one is fetched first.
///
/// # Errors
/// There is none, or it cannot be read. A remote one that was fetched before may be out of reach.
pub(crate) async fn open(spec: &PromptsSpec, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<PromptMount>> {
    let mut options = Options {
        path: spec.path.clone(),
        branch: spec.branch.clone(),
        has_dev: spec.remote.is_none(),
        clock: Arc::clone(clock),
        ..Options::default()
    };
    let remote = spec.remote.clone().map(|remote| mirror(spec, remote, clock)).transpose()?;
    if let Some(remote) = &remote {
        options.is_writable = false;
        options.branch = Some(Mirror::BRANCH.to_owned());
        let mirror = Arc::clone(&remote.mirror);
        match spawn_blocking(move || mirror.fetch(&AtomicBool::new(false))).await? {
            Err(fault) if remote.mirror.is_filled() => {
                tracing::error!(%fault, "the prompts are those of the last fetch");
            }
            fetched => fetched.with_context(|| format!("prompts: {}", remote.url))?,
        }
    }
    let folder = spec.repository.clone();
    let open = move || {
        if !folder.exists() {
            tidegate_prompts::init(&folder)?;
            tracing::info!(folder = %folder.display(), "an empty repository of prompts was made");
        }
        PromptStore::open(&folder, options)
    };
    let opened = spawn_blocking(open).await?;
    let store = opened.with_context(|| format!("prompts: the repository {}", spec.repository.display()))?;
    Ok(Arc::new(PromptMount { store: Arc::new(store), remote, audit: OnceLock::new() }))
}

/// Opens the repository of `spec` as it lies here: of a remote one, what a gateway fetched last.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn offline(spec: &PromptsSpec) -> anyhow::Result<PromptStore> {
    let mut options = Options {
        path: spec.path.clone(),
        branch: spec.branch.clone(),
        has_dev: spec.remote.is_none(),
        ..Options::default()
    };
    if spec.remote.is_some() {
        (options.is_writable, options.branch) = (false, Some(Mirror::BRANCH.to_owned()));
    }
    PromptStore::open(&spec.repository, options)
        .with_context(|| format!("prompts: the repository {}", spec.repository.display()))
}

/// A repository elsewhere.
#[derive(Debug)]
struct Remote {
    mirror: Arc<Mirror>,
    url: String,
    poll: Duration,
    hook: Option<Arc<Hook>>,
}

fn mirror(spec: &PromptsSpec, remote: RemoteSpec, clock: &Arc<dyn Clock>) -> anyhow::Result<Remote> {
    let folder = &spec.repository;
    std::fs::create_dir_all(folder).with_context(|| format!("prompts: the mirror {}", folder.display()))?;
    let sender = Arc::new(OneShot::new(TlsRoots::system, Appetite::Whole));
    let runtime = tokio::runtime::Handle::current();
    // gix reads and writes as it goes, on a thread that may block.
    let exchange = move |request| runtime.block_on(sender.send(request, outbound::Reach::Any));
    let web = Web { exchange: Arc::new(exchange), login: remote.login };
    let (branch, identity) = (spec.branch.as_deref(), remote.identity.as_deref());
    let mirror = Mirror::open(folder, &remote.url, branch, identity, Some(web), Arc::clone(clock))?;
    let hook = remote.webhook.map(|secret| Arc::new(Hook::new(secret)));
    Ok(Remote { mirror: Arc::new(mirror), url: remote.url, poll: remote.poll, hook })
}

impl PromptMount {
    /// Notes in `audit` what is done from now on. It is set once, after the registry was opened, which reads prompts.
    pub(crate) fn audited(&self, audit: Arc<dyn Audit>) {
        drop(self.audit.set(audit));
    }

    /// What renders them.
    pub(crate) fn port(&self) -> Arc<dyn Prompts> {
        Arc::<PromptStore>::clone(&self.store)
    }

    /// The same as a registry lists them.
    pub(crate) fn shelf(&self) -> Arc<dyn PromptShelf> {
        Arc::<PromptStore>::clone(&self.store)
    }

    /// Follows what is pushed into the repository, until aborted.
    pub(crate) fn follow(&self) -> tokio::task::JoinHandle<()> {
        let store = Arc::clone(&self.store);
        let mirror = self.remote.as_ref().map(|remote| Arc::clone(&remote.mirror));
        let pause = self.remote.as_ref().map_or(LOOK, |remote| remote.poll);
        let hook = self.hook().cloned();
        tokio::spawn(async move {
            let mut was_lost = false;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = told(hook.as_deref()) => tracing::info!("the forge says that prompts were pushed"),
                }
                let (looking, mirror) = (Arc::clone(&store), mirror.clone());
                let look = move || {
                    mirror.map_or(Ok(()), |mirror| mirror.fetch(&AtomicBool::new(false)))?;
                    looking.refresh()
                };
                let Ok(looked) = spawn_blocking(look).await else { return };
                match &looked {
                    Ok(true) => tracing::info!("the prompts' repository changed"),
                    Err(fault) if !was_lost => tracing::error!(%fault, "the prompts' repository cannot be read"),
                    _ => {}
                }
                was_lost = looked.is_err();
            }
        })
    }

    fn hook(&self) -> Option<&Arc<Hook>> {
        self.remote.as_ref().and_then(|remote| remote.hook.as_ref())
    }

    async fn answer(&self, caller: Caller, reach: Reach, request: Request<Frames>) -> Result<Response<Content>, Fault> {
        let (head, body) = request.into_parts();
        let body = gather(body).await?;
        let store = Arc::clone(&self.store);
        let (status, value, done) = spawn_blocking(move || {
            let path = head.uri.path();
            let rest = [Door::Admin, Door::Public].into_iter().find_map(|door| path.strip_prefix(root(door)));
            let segments = rest.and_then(segments).unwrap_or_default();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let query: Vec<_> = percent::pairs(head.uri.query().unwrap_or_default()).collect();
            let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let principal = caller.0.principal.as_str();
            let once = head.headers.get("idempotency-key").map(|key| {
                Once::new(principal, &String::from_utf8_lossy(key.as_bytes()), digest_of(&head.method, path, &body))
            });
            let (status, value) = store.answer(&Asked {
                method: as_get(&head.method),
                segments: &segments,
                query: &query,
                body: &body,
                reach,
                by: &Author::new(principal, &format!("{principal}@{}", caller.0.tenant)).with(once),
            })?;
            let said = serde_json::from_slice(&body).unwrap_or_default();
            let done = deed::deed(principal, &head.method, &segments, &said, &value);
            Ok::<_, Fault>((status, value, done))
        })
        .await
        .map_err(Fault::internal)??;
        if let (Some(done), Some(audit)) = (done, self.audit.get()) {
            audit.enter(done).await?;
        }
        let mut response = Response::new(Content::Whole(value.to_string().into()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

impl Mount for PromptMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        let Some(segments) = path.strip_prefix(root(door)).and_then(segments) else {
            return self.hook().map_or(Passage::Nothing, |_| Hook::find(door, method, path));
        };
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

    fn serve(
        &self,
        caller: Option<Caller>,
        reach: Reach,
        request: Request<Frames>,
    ) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let answered = match (caller, self.hook()) {
                (Some(caller), _) => self.answer(caller, reach, request).await,
                // Nothing else here is open to anybody.
                (None, Some(hook)) => {
                    let (head, body) = request.into_parts();
                    hook.take(&head.headers, body).await
                }
                (None, None) => Err(Fault::internal("a prompt was asked for by nobody")),
            };
            answered.unwrap_or_else(|fault| {
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

/// What a request is known by when it comes again.
fn digest_of(method: &Method, path: &str, body: &[u8]) -> Digest {
    let mut content = format!("{method} {path}\n").into_bytes();
    content.extend_from_slice(body);
    Digest::of(&content)
}

/// Resolves when the forge told of a push; never where it tells nothing.
async fn told(hook: Option<&Hook>) {
    match hook {
        Some(hook) => hook.pushed().await,
        None => std::future::pending().await,
    }
}

/// `HEAD` is answered wherever `GET` is.
fn as_get(method: &Method) -> &Method {
    if *method == Method::HEAD { &Method::GET } else { method }
}

/// The parts of a path behind the root, decoded; `None` where it lies elsewhere.
fn segments(rest: &str) -> Option<Vec<String>> {
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
