//! A small event store for the tests of this module: calls of the route `r` with the arms `a` and `b`, and its learning log.

use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::port::events::{Events as _, Recorded};
use tidegate_core::spec::{GatewaySpec, PolicySpec, RouteSpec};
use tidegate_core::{Event, InferenceId, StateId};
use tidegate_storage::configurations::Configurations;
use tidegate_storage::learning::{FeedbackEntry, Learnt, RewardEntry, StateEntry, SumsEntry, log_at};
use tidegate_storage::{EventStore, Options};

/// The folder of a store.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
}

/// A call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: u64,
    pub(crate) arm: usize,
    pub(crate) shares: Vec<f64>,
    pub(crate) draw: f64,
    pub(crate) sticky: bool,
    pub(crate) state: Option<StateId>,
    pub(crate) episode: Option<&'static str>,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) is_ok: bool,
}

impl Call {
    pub(crate) fn at(at: u64) -> Self {
        let shares = vec![0.5, 0.5];
        Self { at, arm: 0, shares, draw: 0.25, sticky: false, state: None, episode: None, tenant: None, is_ok: true }
    }

    pub(crate) fn id(&self) -> InferenceId {
        // A UUIDv7 begins with its time.
        InferenceId::from_u128(u128::from(self.at) << 80 | 7 << 76 | 2 << 62 | u128::from(self.at))
    }

    pub(crate) fn event(&self) -> Event {
        let name = ["a", "b", "c"][self.arm];
        let outcome = if self.is_ok { json!("ok") } else { json!({"fault": "upstream_failed"}) };
        serde_json::from_value(json!({
            "id": self.id(), "unix_ms": self.at, "api": "chat_completions", "config": "00ff", "route": "r",
            "episode": self.episode, "tenant": self.tenant, "variant": name,
            "decision": {
                "shares": self.shares, "arm": self.arm, "draw": self.draw, "sticky": self.sticky, "state": self.state,
            },
            "attempts": [{"variant": name, "us": 1}], "stream": false, "outcome": outcome, "status": 200,
            "request_bytes": 1, "answer_bytes": 1, "total_us": 1000,
        }))
        .unwrap()
    }

    /// What a caller said of it.
    pub(crate) fn judged(&self, at: u64, value: f64) -> Learnt {
        Learnt::Feedback(FeedbackEntry {
            at,
            id: Some(self.id()),
            episode: None,
            tenant: None,
            reward: "solved".into(),
            value,
            by: "tester".to_owned(),
            once: None,
        })
    }
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the configuration that all calls name.
    pub(crate) fn configured(&self, text: &str) {
        Configurations::at(self.folder()).keep("00ff", text).unwrap();
    }

    pub(crate) fn called(&self, calls: &[Call]) {
        let (store, _) = EventStore::open(self.folder(), Options::default()).unwrap();
        for call in calls {
            assert!(matches!(store.record(Box::new(call.event())), Recorded::Queued));
        }
        store.close();
    }

    pub(crate) fn said(&self, entries: &[Learnt]) {
        log_at(self.folder()).append(1_000, entries, true).unwrap();
    }

    pub(crate) fn state(&self, name: &[u8], shares: [f64; 2]) -> Learnt {
        Learnt::State(StateEntry {
            at: 1,
            route: "r".parse().unwrap(),
            id: StateId::of(name),
            reward: "solved".into(),
            variants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            shares: Arc::from(shares),
            tallies: vec![SumsEntry::Plain([0.0; 3]); 2],
            features: None,
            folded: 0,
            heard: None,
        })
    }
}

/// The route `r` under this policy.
pub(crate) fn route(policy: &str) -> RouteSpec {
    loaded(policy).routes.into_values().next().unwrap()
}

/// A configuration of it, with a reward that callers give.
pub(crate) fn loaded(policy: &str) -> GatewaySpec {
    let text = format!(
        "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
         providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1\"}}]}}}}}}\n\
         models: {{m: {{provider: p, model: x}}}}\n\
         rewards: {{solved: {{kind: boolean}}}}\n\
         routes: {{r: {{variants: {{a: {{model: m}}, b: {{model: m}}}}, policy: {policy}}}}}\n"
    );
    tidegate_config::load_str(&text, Path::new("c.yaml"), &|_| None).unwrap().spec
}

/// A log of three states with rewards between, as a learner of the reward `error` with this half-life writes it.
pub(crate) fn learnt(half_life: u32) -> Vec<Learnt> {
    let PolicySpec::Learned(learned) =
        route(&format!("{{thompson: {{reward: error, half_life: {half_life}}}}}")).policy
    else {
        panic!("a policy that learns");
    };
    let mut learner = crate::learning::learner_of(&learned, 2).unwrap();
    let mut log = Vec::new();
    for round in 0..3u32 {
        let state = learner.state().unwrap();
        log.push(Learnt::State(StateEntry {
            at: 1,
            route: "r".parse().unwrap(),
            id: state.id().unwrap(),
            reward: "error".into(),
            variants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            shares: Arc::clone(state.shares()),
            tallies: learner.tallies().iter().map(crate::learning::entry).collect(),
            features: None,
            folded: 0,
            heard: None,
        }));
        for nth in 0..7u32 {
            let (arm, value) = ((nth * round % 2) as usize, f64::from(nth % 3 % 2));
            let (route, variant) = ("r".parse().unwrap(), ["a", "b"][arm].parse().unwrap());
            let id = Call::at(1_000).id();
            let reward = "error".into();
            log.push(Learnt::Reward(RewardEntry { at: 2_000, route, variant, reward, value, id, regarded: None }));
            learner.fold(arm, learned.reward.oriented(value));
        }
    }
    log
}
