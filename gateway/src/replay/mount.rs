//! `GET /admin/v1/experiments/{route}`: a route, or several of one experiment, as an experiment. Owns the path and the query.

use super::experiment::{Words, experiment, least_of, meant, rail_of};
use crate::wire::Reloader;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use tidegate_core::percent::{decoded, pairs};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::RouteSpec;
use tidegate_core::{Caller, Fault, FaultKind, Role};
use tidegate_server::mounted::refusal;

const PATH: &str = "/admin/v1/experiments/";

/// Shows routes as experiments.
#[derive(Debug)]
pub(crate) struct ExperimentMount {
    reloader: Arc<OnceLock<Weak<Reloader>>>,
    events: Option<PathBuf>,
}

impl ExperimentMount {
    /// Experiments of the configuration in force, on the events of a folder.
    pub(crate) const fn new(reloader: Arc<OnceLock<Weak<Reloader>>>, events: Option<PathBuf>) -> Self {
        Self { reloader, events }
    }

    async fn answer(&self, route: &str, query: &str) -> Result<Vec<u8>, Fault> {
        let none = || Fault::new(FaultKind::NotFound, "this gateway keeps no events: set `store.events`");
        let folder = self.events.clone().ok_or_else(none)?;
        let gone = || Fault::new(FaultKind::Unavailable, "the gateway is starting or stopping: come again");
        let spec = self.reloader.get().and_then(Weak::upgrade).ok_or_else(gone)?.spec();
        let parts: Vec<RouteSpec> = meant(&spec, route).into_iter().cloned().collect();
        let none =
            || Fault::new(FaultKind::NotFound, format!("there is no route `{route}`, nor an experiment of routes"));
        let first = parts.first().ok_or_else(none)?;
        let asking = words(query)?.of(&spec, first).map_err(|(word, says)| Fault::field(in_query(word), says))?;
        let reading = move || experiment(&folder, &parts.iter().collect::<Vec<_>>(), &asking);
        let shown = tokio::task::spawn_blocking(reading).await.map_err(Fault::internal)?;
        serde_json::to_vec(&shown.map_err(|error| Fault::internal(format!("{error:#}")))?).map_err(Fault::internal)
    }
}

/// What a query asks.
fn words(query: &str) -> Result<Words, Fault> {
    let moment = |name: &'static str, value: &str| {
        value.parse().map_err(|_| Fault::field(name, format!("{name} is a moment in milliseconds since 1970")))
    };
    let change = |name: &'static str, value: &str| least_of(value).map_err(|says| Fault::field(name, says));
    let mut words = Words::default();
    for (name, value) in pairs(query) {
        match name.as_str() {
            "reward" => words.reward = Some(value),
            "control" => words.control = Some(value),
            "since_ms" => words.since = moment("since_ms", &value)?,
            "covariate_since_ms" => words.covariate_since = Some(moment("covariate_since_ms", &value)?),
            "least" => words.least = Some(change("least", &value)?),
            "effect" => words.effect = Some(change("effect", &value)?),
            "guardrail" => {
                words.guardrails.push(rail_of(&value).map_err(|says| Fault::field("guardrail", says))?);
            }
            _ => {
                let says = "the query has reward, control, since_ms, covariate_since_ms, least, effect and guardrail (again \
                            for each), and no other";
                return Err(Fault::field(name, says));
            }
        }
    }
    Ok(words)
}

/// What a word is called in the query: moments say there of what they are counted.
const fn in_query(word: &'static str) -> &'static str {
    match word.as_bytes() {
        b"covariate_since" => "covariate_since_ms",
        _ => word,
    }
}

impl Mount for ExperimentMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        let is_ours = door == Door::Admin && path.strip_prefix(PATH).is_some_and(|route| !route.is_empty());
        match (is_ours, method) {
            (false, _) => Passage::Nothing,
            (true, &Method::GET) => Passage::Needs(Role::Read),
            (true, _) => Passage::WrongMethod("GET".to_owned()),
        }
    }

    fn serve(&self, _: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let route = decoded(request.uri().path().strip_prefix(PATH).unwrap_or_default());
            match self.answer(&route, request.uri().query().unwrap_or_default()).await {
                Ok(shown) => {
                    let mut response = Response::new(Content::Whole(shown.into()));
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
                Err(fault) => refusal(&fault),
            }
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}
