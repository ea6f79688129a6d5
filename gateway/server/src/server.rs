//! A request meets the gate and the table, and goes to its handler. Owns what lives as long as the process: the
//! snapshot's slot and the ports.

use crate::api::{admin, cors, error, models, probe};
use crate::classic::{self, About, Target};
use crate::closing::Closing;
use crate::gate;
use crate::grpc;
use crate::listen::{Drain, Peer};
use crate::mounted;
use crate::observe::metrics::Metrics;
use crate::observe::span::Spans;
use crate::observe::trace::TraceContext;
use crate::operations::Operations;
use crate::path::{self, arrive, caller};
use crate::reply::ReplyBody;
use crate::router::{self, Endpoint, Found};
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use http::header::{ALLOW, CONNECTION, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_core::port::events::Events;
use tidegate_core::port::mount::{Door, Mount};
use tidegate_core::{Api, Caller, Clock, Dice, Fault, FaultKind, InferenceId, Ledger, Role};

/// The header by which a caller names an answer to us.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the server meets outside.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub dice: Arc<dyn Dice>,
    /// The event store.
    pub events: Arc<dyn Events>,
    /// Where traces go, if anywhere.
    pub spans: Option<Arc<dyn Spans>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What the admin interface can do.
    pub operations: Arc<dyn Operations>,
    /// Interfaces that other organs bring.
    pub mounts: Vec<Arc<dyn Mount>>,
}

/// Serves requests from the snapshot that is in force.
#[derive(Debug)]
pub struct Server {
    snapshot: ArcSwap<Snapshot>,
    ports: Ports,
    closing: Arc<Closing>,
    drain: Drain,
}

impl Server {
    /// A server that begins with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, ports: Ports, drain: Drain) -> Self {
        let closing = Closing::new(
            Arc::clone(&ports.events),
            Arc::clone(&ports.metrics),
            ports.spans.clone(),
            snapshot.durability,
        );
        Self { snapshot: ArcSwap::new(snapshot), ports, closing: Arc::new(closing), drain }
    }

    /// The snapshot in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another snapshot into force; calls under way keep theirs.
    pub fn replace(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
    }

    /// What it meets outside.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Whether it is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.has_begun()
    }

    /// Resolves when it is told to stop.
    pub(crate) async fn drained(&self) {
        self.drain.begun().await;
    }

    /// Opens the ledger of a call.
    pub(crate) fn open(&self, api: Api, snapshot: &Snapshot) -> Ledger {
        self.ports.metrics.accepted(api);
        let events: Arc<dyn Events> = Arc::<Closing>::clone(&self.closing);
        Ledger::open(api, Arc::clone(&snapshot.config), events, Arc::clone(&self.ports.clock), &*self.ports.dice)
    }

    /// The headers that go on to a provider: what may pass, and the trace with a span of ours.
    pub(crate) fn outgoing(&self, headers: &HeaderMap, ledger: &mut Ledger) -> Arc<HeaderMap> {
        let mut out = gate::forwarded(headers);
        ledger.note(|event| {
            let trace = TraceContext::of(event.id, headers, &*self.ports.dice);
            (event.trace_id, event.parent_span, event.sampled) = (Some(trace.trace), trace.parent, trace.sampled());
            trace.write(&mut out);
        });
        Arc::new(out)
    }

    /// Answers one request.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Arc<Peer>) -> Response<ReplyBody> {
        let (head, body) = request.into_parts();
        // Boxed, since every step would move it.
        let head = Box::new(head);
        let origin = head.headers.get(ORIGIN).cloned();
        let mut response = match gate::check(&head.method, &head.uri, head.version, &head.headers) {
            Ok(()) => self.route(head, body, &peer).await,
            Err(refusal) => {
                let mut response = self.refuse(&head, &refusal.fault, &peer);
                if refusal.close {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        };
        if let Some(origin) = origin {
            cors::allow(&peer.terms.cors, Some(&origin), response.headers_mut());
        }
        if !response.headers().contains_key(X_REQUEST_ID) {
            let id = InferenceId::new(&*self.ports.clock, &*self.ports.dice).encode();
            if let Ok(id) = HeaderValue::from_bytes(&id) {
                response.headers_mut().insert(X_REQUEST_ID, id);
            }
        }
        let meant = response.extensions().get::<grpc::Meant>().map(|meant| meant.0);
        self.ports.metrics.responded(meant.unwrap_or(response.status()));
        response
    }

    /// What the gate refuses is said in the form of the interface that the path is of: its clients read no other.
    fn refuse(&self, head: &Parts, fault: &Fault, peer: &Peer) -> Response<ReplyBody> {
        if grpc::is_call(head) {
            return grpc::refused(fault);
        }
        let door = if peer.terms.admin { Door::Admin } else { Door::Public };
        match mounted::find(&self.ports.mounts, door, head) {
            // A head too large has a status of its own, which not every interface knows.
            Some((mount, _)) if fault.kind == FaultKind::InvalidRequest => mounted::refuse(&**mount, fault),
            _ => error::respond_at(head.uri.path(), fault),
        }
    }

    async fn route(self: &Arc<Self>, head: Box<Parts>, body: Incoming, peer: &Peer) -> Response<ReplyBody> {
        if grpc::is_call(&head) {
            // Boxed, as what is seldom is.
            return Box::pin(grpc::serve(self, head, body, peer)).await;
        }
        match router::find(&head.method, head.uri.path(), peer.terms.admin) {
            Found::Endpoint(Endpoint::Infer(api), ..) => {
                path::serve(self, self.snapshot(), path::Entry::Text(api, body), &head, peer, None).await
            }
            Found::Endpoint(Endpoint::Predict, ..) => match Target::of(head.uri.path()) {
                Some(target) => {
                    path::serve(self, self.snapshot(), path::Entry::Tensors(target, body), &head, peer, None).await
                }
                None => error::plain(&Fault::new(
                    FaultKind::NotFound,
                    "there is nothing to POST at this path: ask models at /v2/models/NAME/infer, /v1/models/NAME:predict or /v1/models/NAME:explain",
                )),
            },
            Found::Endpoint(endpoint, role, rest) => {
                let (path, rest) = (head.uri.path().to_owned(), rest.to_owned());
                // Boxed, since its room would else be in the future of every call.
                let other = Box::pin(self.other(endpoint, role, &rest, head, body, peer));
                other.await.unwrap_or_else(|fault| error::respond_at(&path, &fault))
            }
            Found::Preflight(allowed) => cors::preflight(&head.headers, &allowed),
            Found::WrongMethod(allowed) => {
                let says = format!("this path takes {allowed} only");
                let mut response = error::respond_at(head.uri.path(), &Fault::new(FaultKind::MethodNotAllowed, says));
                if let Ok(allowed) = HeaderValue::try_from(allowed) {
                    response.headers_mut().insert(ALLOW, allowed);
                }
                response
            }
            Found::Nothing
                if let Some((mount, passage)) = mounted::find(
                    &self.ports.mounts,
                    if peer.terms.admin { Door::Admin } else { Door::Public },
                    &head,
                ) =>
            {
                // Boxed, as above.
                Box::pin(mounted::serve(self, &**mount, passage, *head, body, peer)).await
            }
            Found::Nothing => error::respond_at(
                head.uri.path(),
                &Fault::new(
                    FaultKind::NotFound,
                    "there is nothing at this path; the interface begins at /v1/chat/completions and /v1/models",
                ),
            ),
        }
    }

    /// What is asked about classic models.
    async fn about(
        &self,
        snapshot: &Snapshot,
        caller: Option<&Caller>,
        path: &str,
    ) -> Result<Response<ReplyBody>, Fault> {
        let nothing =
            || Fault::new(FaultKind::NotFound, "there is nothing at this path: models are at /v2/models/NAME");
        classic::answer(self, snapshot, caller, About::of(path).ok_or_else(nothing)?).await
    }

    /// Everything that is no call to a model.
    async fn other(
        self: &Arc<Self>,
        endpoint: Endpoint,
        role: Option<Role>,
        rest: &str,
        head: Box<Parts>,
        body: Incoming,
        peer: &Peer,
    ) -> Result<Response<ReplyBody>, Fault> {
        let snapshot = self.snapshot();
        let Some(role) = role else {
            return match endpoint {
                Endpoint::Health => Ok(probe::health()),
                Endpoint::Classic => self.about(&snapshot, None, head.uri.path()).await,
                _ => probe::ready(self),
            };
        };
        let now: SystemTime = self.ports.clock.wall();
        let caller = caller::authenticate(snapshot.keys_of(peer.terms.admin), &head.headers, peer, now)?;
        if !caller.may(role) {
            return Err(Fault::new(FaultKind::Forbidden, "this key does not have the role that this path needs"));
        }
        match endpoint {
            Endpoint::Models => Ok(models::list(&snapshot, &caller)),
            Endpoint::Model => models::one(&snapshot, &caller, rest).await,
            Endpoint::Classic => self.about(&snapshot, Some(&caller), head.uri.path()).await,
            Endpoint::Repository => classic::repository(&snapshot, &caller, head.uri.path()),
            Endpoint::Metrics => Ok(probe::metrics(self)),
            _ => {
                let body = arrive::collect(&head.headers, body, peer.terms.max_body, peer.terms.body_timeout).await?;
                admin::answer(&*self.ports.operations, endpoint, rest, head.uri.query(), body).await
            }
        }
    }
}
