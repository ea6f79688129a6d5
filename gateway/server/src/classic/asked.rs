//! What a classic model is asked: read when the body is there, written back when the answer is. Owns which route is meant where
//! the path names none, and the types of bodies that each protocol takes.

use super::target::{Pick, Target};
use crate::path::caller::text;
use crate::snapshot::{Arm, Route, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use std::sync::{Arc, OnceLock};
use tidegate_core::port::backend::{Answer, Written};
use tidegate_core::{Caller, Fault, FaultKind, Ledger, PredictRequest, RouteName};
use tidegate_dialect::grpc::Message;
use tidegate_dialect::{Served, Sheet, Wire};

/// How many bytes of a body are JSON, where raw tensors follow.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// The header that says which route is meant where the path does not.
const X_MODEL: &str = "x-model";
/// The most routes that a message names.
const SHOWN: usize = 16;

/// What a classic model is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The route.
    pub(crate) route: String,
    /// Which of its arms, where the caller says so.
    pub(crate) pick: Option<Pick>,
    /// The caller's tensors.
    pub(crate) request: Arc<PredictRequest>,
    /// The same with what was looked up for them, where the route has that.
    enriched: OnceLock<Arc<PredictRequest>>,
    served: Served,
    /// The body, where another server of the same protocol can have it as it is.
    written: Option<Written>,
}

/// Refuses what is of another type than the protocol's; whether it is CSV.
pub(crate) fn takes(wire: Wire, headers: &HeaderMap) -> Result<bool, Fault> {
    let unsupported = |says| Fault::new(FaultKind::UnsupportedMedia, says);
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("compressed bodies are not taken: send it without content-encoding"));
    }
    let value = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = value.unwrap_or("application/json").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (wire, &*essence) {
        (_, "application/json") => Ok(false),
        // tritonclient and others name raw tensors so, or nothing at all.
        (Wire::OpenInference, "application/octet-stream" | "application/vnd.kserve.binary" | "binary/octet-stream") => {
            Ok(false)
        }
        (Wire::Mlflow, "text/csv") => Ok(true),
        (Wire::OpenInference, _) if headers.contains_key(HEADER_LENGTH) => Ok(false),
        (Wire::Mlflow, _) => {
            Err(unsupported("the body must be JSON or CSV: send `content-type: application/json` or `text/csv`"))
        }
        _ => Err(unsupported("the body must be JSON: send `content-type: application/json`")),
    }
}

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it, or which route is meant is not said.
pub(crate) fn read(
    target: Target,
    snapshot: &Snapshot,
    caller: &Caller,
    headers: &HeaderMap,
    is_csv: bool,
    body: &Bytes,
) -> Result<Asked, Fault> {
    let route = match target.route {
        Some(route) => route,
        None => meant(snapshot, caller, headers)?,
    };
    let length = headers.get(HEADER_LENGTH).map(HeaderValue::as_bytes);
    let (request, served) =
        Served::read(target.wire, body, length, is_csv).map_err(tidegate_dialect::Wrong::of_caller)?;
    let header_length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let written = served.is_sent_on().then(|| Written { body: body.clone(), header_length });
    Ok(Asked { route, pick: target.pick, request: Arc::new(request), enriched: OnceLock::new(), served, written })
}

/// The route that the header names, else the only one of a classic model that the caller may call.
pub(crate) fn meant(snapshot: &Snapshot, caller: &Caller, headers: &HeaderMap) -> Result<String, Fault> {
    if let Some(name) = text(headers, X_MODEL) {
        return Ok(name.to_owned());
    }
    let is_classic = |(name, route): &(&RouteName, &Arc<Route>)| route.is_classic() && caller.may_call(name);
    let mut names: Vec<&str> = snapshot.routes.iter().filter(is_classic).map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match &*names {
        [only] => Ok((*only).to_owned()),
        [] => Err(Fault::field("x-model", "this key may call no classic model")),
        many => {
            let shown = many.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = if many.len() > SHOWN { " and others" } else { "" };
            Err(Fault::field("x-model", format!("the header x-model must name one of {shown}{more}")))
        }
    }
}

/// The version that an arm has for callers.
pub(crate) fn version_of(arm: &Arm) -> String {
    arm.version.map_or_else(|| "1".to_owned(), |version| version.to_string())
}

/// The arm that a caller picks.
///
/// # Errors
/// The route has none such.
pub(crate) fn picked(route: &Route, pick: &Pick) -> Result<usize, Fault> {
    let is_it = |arm: &Arm| match pick {
        Pick::Version(version) => version_of(arm) == *version,
        Pick::Label(label) => arm.name.as_str() == label,
    };
    route.arms.iter().position(is_it).ok_or_else(|| {
        let (what, all): (_, Vec<String>) = match pick {
            Pick::Version(_) => ("version", route.arms.iter().map(version_of).collect()),
            Pick::Label(_) => ("label", route.arms.iter().map(|arm| arm.name.to_string()).collect()),
        };
        let shown = all.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
        let says = format!("the model `{}` has no such {what}; it has {shown}", route.spec.name);
        Fault { param: Some(what.into()), ..Fault::new(FaultKind::ModelNotFound, says) }
    })
}

impl Asked {
    /// What a message of gRPC asks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of_message(message: &Bytes, is_streamed: bool) -> Result<Self, Fault> {
        let Message { model, version, request, served } =
            Message::read(message, is_streamed).map_err(tidegate_dialect::Wrong::of_caller)?;
        Ok(Self {
            route: model,
            pick: version.map(Pick::Version),
            request: Arc::new(request),
            served,
            enriched: OnceLock::new(),
            written: None,
        })
    }

    /// What models get: the caller's tensors, with what was looked up for them.
    pub(crate) fn sent(&self) -> &Arc<PredictRequest> {
        self.enriched.get().unwrap_or(&self.request)
    }

    /// The caller's body, where models get just that.
    pub(crate) fn written(&self) -> Option<Written> {
        self.written.clone().filter(|_| self.enriched.get().is_none())
    }

    /// Takes what was looked up; a call is looked up once.
    pub(crate) fn enrich(&self, request: PredictRequest) {
        drop(self.enriched.set(Arc::new(request)));
    }

    /// What is asked as JSON of the Open Inference Protocol, as records and monitors have it.
    pub(crate) fn as_json(&self) -> Bytes {
        Served::asked(self.sent()).unwrap_or_default()
    }

    /// The same of an answer.
    pub(crate) fn answer_as_json(&self, answer: &Answer) -> Bytes {
        let said = answer.predicted.as_ref();
        said.and_then(|said| Served::answered(&self.route, &self.request, said).ok()).unwrap_or_default()
    }

    /// Writes the answer for the caller.
    ///
    /// # Errors
    /// His protocol cannot say it, or there is none.
    pub(crate) fn write(&self, answer: &Answer, ledger: &Ledger) -> Result<Sheet, Fault> {
        let said =
            answer.predicted.as_ref().ok_or_else(|| Fault::internal("a classic model answered without tensors"))?;
        let call = ledger.event().map(|event| event.id.to_string()).unwrap_or_default();
        self.served.write(&self.route, &call, &self.request, said).map_err(|wrong| {
            let says = format!("the answer cannot be said in this protocol: {}", wrong.says);
            Fault::field(wrong.field, says)
        })
    }
}
