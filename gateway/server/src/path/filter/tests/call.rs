//! A call from its body to its last byte, with everything about it faked.

use super::fakes::Fake;
use crate::body;
use crate::listen::{Drain, Peer, Terms};
use crate::observe::metrics::Metrics;
use crate::operations::{Operations, ReloadRefused, WantedKey};
use crate::path::{arrive::Arrived, choose, permit, prompt, reply, send, voice::Voice};
use crate::server::{Ports, Server};
use crate::snapshot::{Arm, Critics, Keyring, Route, RouteFilter, ShadowArm, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::digest::Digest;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::port::events::{Events, Recorded};
use tidegate_core::port::filter::Filter;
use tidegate_core::port::limits::{Amounts, Demand, Denied, Limits, Reservation, Standings};
use tidegate_core::port::prompts::{PromptMessage, PromptRole, Prompts, Reach, RenderedPrompt};
use tidegate_core::port::shadow::{Copied, Place, Shadow};
use tidegate_core::port::verdicts::{Verdict, Verdicts};
use tidegate_core::port::watcher::{Answered, Watcher};
use tidegate_core::prompt::PromptPick;
use tidegate_core::spec::route::{Condition, FallbackSpec, PolicySpec, RetrySpec, TimeoutSpec, VariantSpec};
use tidegate_core::spec::{CascadeSpec, ContentPolicy, Durability, FilterSpec, OnFailure, RouteSpec, Watched};
use tidegate_core::{
    Api, Caller, Event, Fault, FaultKind, InferenceId, KeyRecord, MonitorName, PromptRef, PromptStamp, Role, Usage,
};
use tidegate_route::{Policy, RetryBudget, StateCell};

/// What an arm answers.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Whole(&'static str),
    Events(Vec<String>),
    Fails(FaultKind),
}

/// A model that answers what stands next, and keeps what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Model {
    says: Mutex<VecDeque<Says>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Model {
    fn next(&self, call: &Call) -> Says {
        self.asked.lock().unwrap().push(String::from_utf8(call.body.to_vec()).unwrap());
        self.says.lock().unwrap().pop_front().expect("it was asked too often")
    }
}

impl Backend for Model {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        let answer = match self.next(&call) {
            Says::Whole(body) => {
                let body = Bytes::from_static(body.as_bytes());
                Ok(Answer { usage: Usage::from_openai(&body), body, endpoint: None, predicted: None })
            }
            Says::Events(_) => panic!("no stream was asked for"),
            Says::Fails(kind) => Err(Fault::new(kind, "on purpose")),
        };
        Box::pin(std::future::ready(answer))
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        let answer = match self.next(&call) {
            Says::Events(events) => {
                let frames = events.into_iter().map(|event| Ok(Bytes::from(event)));
                Ok(Frames { endpoint: None, frames: Box::pin(futures_util::stream::iter(frames)) })
            }
            Says::Whole(_) => panic!("a stream was asked for"),
            Says::Fails(kind) => Err(Fault::new(kind, "on purpose")),
        };
        Box::pin(std::future::ready(answer))
    }

    fn ready(&self) -> bool {
        true
    }
}

/// Takes copies and calls, and keeps them.
#[derive(Debug, Default)]
pub(crate) struct Taker {
    pub(crate) copies: Mutex<Vec<Copied>>,
    pub(crate) calls: Mutex<Vec<Arc<Answered>>>,
    /// Whether it has a place, and how many are held.
    pub(crate) is_full: bool,
    pub(crate) places: Arc<()>,
    /// Whether it wants to know of calls whose inputs break a contract.
    pub(crate) takes_refused: bool,
}

impl Shadow for Taker {
    fn place(&self) -> Option<Place> {
        (!self.is_full).then(|| Place::new(Arc::clone(&self.places)))
    }

    fn take(&self, copy: Copied, _: Place) {
        self.copies.lock().unwrap().push(copy);
    }
}

impl Watcher for Taker {
    fn place(&self, _: InferenceId) -> Option<Place> {
        Shadow::place(self)
    }

    fn takes_refused(&self) -> bool {
        self.takes_refused
    }

    fn take(&self, call: Arc<Answered>, _: Place) {
        self.calls.lock().unwrap().push(call);
    }
}

impl crate::observe::shadows::Counted for Taker {
    fn counts(&self) -> crate::observe::shadows::ShadowCounts {
        Default::default()
    }
}

/// A prompt of one message, by its number.
#[derive(Debug)]
struct Kind;

impl Prompts for Kind {
    fn render(
        &self,
        reference: &PromptRef,
        _: &serde_json::Map<String, Value>,
        _: Reach,
    ) -> Result<RenderedPrompt, Fault> {
        let PromptPick::Number(n) = reference.pick else { panic!("a number is wanted") };
        Ok(RenderedPrompt {
            stamp: PromptStamp { name: reference.name.clone(), n, sha: None },
            messages: vec![PromptMessage { role: PromptRole::System, content: format!("be kind {n}") }],
            parameters: serde_json::Map::new(),
            response_format: None,
        })
    }

    fn ready(&self, _: &PromptRef) -> Result<PromptStamp, Fault> {
        Err(Fault::internal("nobody asks"))
    }
}

#[derive(Debug)]
struct Free;

impl Limits for Free {
    fn reserve(&self, _: &Demand<'_>) -> Result<Reservation, Denied> {
        Ok(Reservation::new(Standings::default(), Amounts::default(), None))
    }
}

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Event>>);

impl Events for Kept {
    fn record(&self, event: Box<Event>) -> Recorded {
        self.0.lock().unwrap().push(*event);
        Recorded::Queued
    }
}

#[derive(Debug)]
struct NoOperations;

impl Operations for NoOperations {
    fn config(&self) -> Value {
        Value::Null
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, ReloadRefused>> {
        unreachable!()
    }

    fn events(&self, _: usize) -> BoxFuture<'_, Result<Vec<Event>, Fault>> {
        unreachable!()
    }

    fn event(&self, _: InferenceId) -> BoxFuture<'_, Result<Option<Event>, Fault>> {
        unreachable!()
    }

    fn keys(&self) -> Value {
        Value::Null
    }

    fn new_key(&self, _: WantedKey) -> BoxFuture<'_, Result<Value, Fault>> {
        unreachable!()
    }

    fn serving(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        unreachable!()
    }

    fn revoke_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        unreachable!()
    }
}

/// A route and a call of it.
#[derive(Debug, Default)]
pub(crate) struct Case {
    /// The filters, and whether a failure of each ends the call.
    pub(crate) filters: Vec<(Arc<Fake>, OnFailure)>,
    /// The numbers of the arms' prompts; one arm without a prompt where there are none.
    pub(crate) prompts: Vec<u32>,
    pub(crate) says: Vec<Says>,
    pub(crate) shadow: Option<Arc<Taker>>,
    pub(crate) watchers: Vec<Arc<Taker>>,
    pub(crate) content: Option<ContentPolicy>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// The plugins that a cascade of the arms asks; there is none where these are empty and there is no alarm.
    pub(crate) critics: Vec<Arc<Fake>>,
    /// Whether a monitor has an alarm of the version of all arms, and a cascade goes by that.
    pub(crate) has_alarm: bool,
}

/// A monitor that has an alarm of the third version.
#[derive(Debug)]
struct Alarm;

impl Verdicts for Alarm {
    fn verdict(&self, _: &MonitorName) -> Verdict {
        unreachable!("a cascade asks of one version")
    }

    fn verdict_of(&self, monitor: &MonitorName, watched: &Watched) -> Verdict {
        assert_eq!((monitor.as_str(), watched.model.as_str()), ("drift", "m"));
        if watched.version == Some(3) { Verdict::Alarm("it drifts".to_owned()) } else { Verdict::Unknown }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) event: Event,
    /// What the model was asked.
    pub(crate) asked: Vec<String>,
}

impl Came {
    /// The error's code.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body));
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn arm(number: usize, prompt: Option<u32>, model: &Arc<Model>) -> Arm {
    Arm {
        name: format!("v{number}").parse().unwrap(),
        model: "m".parse().unwrap(),
        adapter: None,
        upstream: "there".to_owned(),
        provider: "p".parse().unwrap(),
        version: Some(3),
        prompt: prompt.map(|n| format!("kind/{n}").parse().unwrap()),
        parameters: Vec::new(),
        price: None,
        context_length: None,
        backend: Arc::<Model>::clone(model),
        gauge: None,
        pace: None,
    }
}

fn caller() -> Caller {
    Caller(Arc::new(KeyRecord {
        id: "k".parse().unwrap(),
        digest: Digest::of(b"k"),
        principal: "p".parse().unwrap(),
        tenant: "t".parse().unwrap(),
        roles: BTreeSet::from([Role::Infer]),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    }))
}

impl Case {
    /// With one filter, that ends calls where it fails.
    pub(crate) fn of(fake: Fake) -> (Self, Arc<Fake>) {
        let fake = Arc::new(fake);
        (Self { filters: vec![(Arc::clone(&fake), OnFailure::Closed)], ..Self::default() }, fake)
    }

    fn route(&self, model: &Arc<Model>) -> Route {
        let prompts: Vec<_> =
            if self.prompts.is_empty() { vec![None] } else { self.prompts.iter().copied().map(Some).collect() };
        let arms: Vec<Arm> = prompts.iter().enumerate().map(|(at, prompt)| arm(at, *prompt, model)).collect();
        let mut shares = vec![0.0; arms.len()];
        shares[0] = 1.0;
        let variant = |arm: &Arm| VariantSpec {
            graph: None,
            name: arm.name.clone(),
            model: arm.model.clone(),
            adapter: None,
            prompt: None,
            parameters: Vec::new(),
        };
        let spec = |failure| FilterSpec { plugin: super::fakes::plugin(), at_request: true, at_answer: true, failure };
        let cascade = (self.has_alarm || !self.critics.is_empty()).then(|| CascadeSpec {
            order: (0..arms.len()).collect(),
            shares: shares.clone(),
            escalate: Vec::new(),
            monitors: self.has_alarm.then(|| "drift".parse().unwrap()).into_iter().collect(),
            plugins: self.critics.iter().map(|_| super::fakes::plugin()).collect(),
            judge: None,
        });
        let second = Duration::from_secs(1);
        let route = RouteSpec {
            name: "r".parse().unwrap(),
            variants: arms.iter().map(variant).collect(),
            policy: cascade.map_or_else(|| PolicySpec::Weighted(shares.clone()), PolicySpec::Cascade),
            sticky: None,
            experiment: None,
            fallback: (1..arms.len()).map(|to| FallbackSpec { when: vec![Condition::Class(5)], to }).collect(),
            retry: RetrySpec { attempts: 2, backoff: Duration::from_millis(1), budget: 1.0 },
            hedge: None,
            timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: 60 * second },
            priority: tidegate_core::spec::Priority::Normal,
            filters: self.filters.iter().map(|(_, failure)| spec(*failure)).collect(),
            shadows: Vec::new(),
            check: Vec::new(),
            features: None,
            exposes_adapters: false,
        };
        let filter = |(fake, failure): &(Arc<Fake>, OnFailure)| RouteFilter {
            plugin: super::fakes::plugin(),
            spec: spec(*failure),
            filter: Arc::<Fake>::clone(fake),
        };
        let shadow = |taker: &Arc<Taker>| ShadowArm {
            arm: arm(9, None, model),
            share: 1.0,
            taker: Arc::<Taker>::clone(taker),
            counts: Arc::<Taker>::clone(taker),
        };
        let critic = |fake: &Arc<Fake>| (super::fakes::plugin(), Arc::<Fake>::clone(fake) as Arc<dyn Filter>);
        Route {
            policy: Policy::new(&route, StateCell::fixed(&shares).unwrap()).unwrap(),
            by_call: None,
            budget: Arc::new(RetryBudget::new(&route.retry, Arc::new(SystemClock))),
            allowance: None,
            features: None,
            filters: self.filters.iter().map(filter).collect(),
            shadows: self.shadow.iter().map(shadow).collect(),
            watchers: self.watchers.iter().map(|taker| Arc::<Taker>::clone(taker) as Arc<dyn Watcher>).collect(),
            critics: Critics {
                verdicts: self.has_alarm.then(|| Arc::new(Alarm) as Arc<dyn Verdicts>),
                plugins: self.critics.iter().map(critic).collect(),
                judge: None,
            },
            spec: Arc::new(route),
            arms,
        }
    }

    /// Serves a call with this body.
    pub(crate) async fn serve(&self, api: Api, body: &str) -> Came {
        let model = Arc::new(Model { says: Mutex::new(self.says.iter().cloned().collect()), ..Model::default() });
        let kept = Arc::new(Kept::default());
        let snapshot = Arc::new(Snapshot {
            config: "c".into(),
            loaded: 0,
            routes: HashMap::from([("r".parse().unwrap(), Arc::new(self.route(&model)))]),
            prompts: Some(Arc::new(Kind)),
            served: Vec::new(),
            keys: Keyring::of([]),
            admin_keys: Keyring::of([]),
            limits: Arc::new(Free),
            content: self.content.unwrap_or(ContentPolicy::None),
            durability: Durability::Queue,
            subject: None,
        });
        let ports = Ports {
            clock: Arc::new(SystemClock),
            dice: Arc::new(SplitMix::seeded(1)),
            events: Arc::<Kept>::clone(&kept),
            spans: None,
            metrics: Arc::new(Metrics::new([])),
            operations: Arc::new(NoOperations),
            mounts: Vec::new(),
        };
        let server = Server::new(Arc::clone(&snapshot), ports, Drain::default());
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let mut ledger = server.open(api, &snapshot);
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let scan = body::scan(api, &bytes).unwrap();
        let arrived = Arrived { api, scan, bytes, predict: None, most: tidegate_core::spec::Priority::High };
        let admitted = permit::admit(&snapshot, caller(), arrived, &mut ledger).await.unwrap();
        let prepared = prompt::read(admitted, &peer()).unwrap();
        let planned = choose::plan(prepared, &headers, server.ports(), &mut ledger);
        let response = match send::send(&server, &snapshot, planned, &headers, &mut ledger).await {
            Ok(answered) => reply::send(answered, ledger, &Voice::OpenAi).await,
            Err(fault) => reply::refuse(&fault, ledger, &Voice::OpenAi).await,
        };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let mut events = std::mem::take(&mut *kept.0.lock().unwrap());
        assert_eq!(events.len(), 1, "each call leaves one record");
        let asked = std::mem::take(&mut *model.asked.lock().unwrap());
        Came { status, body: String::from_utf8(body.to_vec()).unwrap(), event: events.remove(0), asked }
    }
}

fn peer() -> Peer {
    let minute = Duration::from_secs(60);
    let terms = Terms {
        admin: false,
        is_tls: false,
        cors: tidegate_core::spec::CorsSpec::Off,
        max_body: 1 << 20,
        head_timeout: minute,
        body_timeout: minute,
    };
    Peer { certified: None, reach: Reach::Loopback, most: tidegate_core::spec::Priority::High, terms: Arc::new(terms) }
}
