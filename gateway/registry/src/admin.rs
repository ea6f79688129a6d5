//! The registry's own interface, `/admin/v1/models` on the admin listener: paths, roles, and how an answer is made. A file
//! below holds the calls of one kind; what is done is the registry's, and the form of faults that of the listener.

mod baselines;
mod fields;
mod files;
mod governance;
mod listing;
mod registering;
mod shape;
mod table;
mod uri;

use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::model::RegisteredName;
use crate::registry::{Actor, Registry};
use crate::request::{actor, gather, gather_at_most};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use table::{Call, ROOT};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::blobs::Blobs;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, percent};

/// The form that faults have on the listener.
pub type Refusal = fn(&Fault) -> Response<Content>;

/// The registry's own interface.
#[derive(Debug)]
pub struct Admin {
    registry: Arc<Registry>,
    blobs: Arc<dyn Blobs>,
    /// The longest file that is taken, in bytes.
    largest_file: u64,
    refusal: Refusal,
}

/// A request whose body has been read.
struct Asked<'a> {
    registry: &'a Registry,
    blobs: &'a dyn Blobs,
    /// The parts of the path behind the root, decoded.
    parts: &'a [String],
    query: Vec<(String, String)>,
    body: Bytes,
    by: Actor,
}

impl Asked<'_> {
    /// The model of the path.
    fn name(&self) -> Result<RegisteredName, RegistryFault> {
        RegisteredName::new(self.part(0))
    }

    /// The version of the path.
    fn version(&self) -> Result<i64, RegistryFault> {
        let text = self.part(2);
        let is_number = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).ok_or_else(|| {
            RegistryFault::invalid(format!(
                "version: '{}' is none: a version is a number from 1",
                crate::kind::short(text)
            ))
        })
    }

    fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("", String::as_str)
    }

    /// A parameter of the query.
    fn parameter(&self, key: &str) -> Option<&str> {
        parameter(&self.query, key)
    }
}

fn parameter<'a>(query: &'a [(String, String)], key: &str) -> Option<&'a str> {
    query.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
}

impl Admin {
    /// The interface of `registry`, whose files lie in `blobs`, each of at most `largest_file` bytes, and whose faults look
    /// as `refusal` makes them.
    #[must_use]
    pub fn new(registry: Arc<Registry>, blobs: Arc<dyn Blobs>, largest_file: u64, refusal: Refusal) -> Self {
        Self { registry, blobs, largest_file, refusal }
    }

    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<(StatusCode, Value), RegistryFault> {
        let (head, body) = request.into_parts();
        let parts = parts(head.uri.path()).unwrap_or_default();
        let no_call = || RegistryFault::new(RegistryFaultKind::NoEndpoint, "there is no such call");
        let (call, _) = table::find(&head.method, &parts).ok_or_else(no_call)?;
        let query: Vec<_> = percent::pairs(head.uri.query().unwrap_or_default()).collect();
        let (registry, blobs) = (&*self.registry, &*self.blobs);
        if call == Call::Upload {
            let name = RegisteredName::new(parts.first().map_or("", String::as_str))?;
            let path = parameter(&query, "path");
            let kept = files::upload(registry, blobs, &name, path, body, self.largest_file).await?;
            return Ok((StatusCode::CREATED, kept));
        }
        let body = match call {
            Call::SetBaseline => gather_at_most(body, crate::baseline::LARGEST).await?,
            _ => gather(body).await?,
        };
        let by = actor(caller, &head, &body)?;
        let asked = Asked { registry, blobs, parts: &parts, query, body, by };
        let found = match call {
            Call::List => listing::models(&asked).await?,
            Call::Show => listing::model(&asked).await?,
            Call::Versions => listing::versions(&asked).await?,
            Call::Version => listing::version(&asked).await?,
            Call::Register => registering::register(&asked).await?,
            Call::Upload => return Err(RegistryFault::internal("a call without a handler")),
            Call::Classify => governance::classify(&asked).await?,
            Call::Alias => governance::alias(&asked).await?,
            Call::MoveAlias => governance::move_alias(&asked).await?,
            Call::RemoveAlias => governance::remove_alias(&asked).await?,
            Call::Card => governance::card(&asked).await?,
            Call::SetCard => governance::set_card(&asked).await?,
            Call::Baseline => baselines::baseline(&asked).await?,
            Call::SetBaseline => baselines::set_baseline(&asked).await?,
            Call::Evaluations => governance::evaluations(&asked).await?,
            Call::Evaluate => governance::evaluate(&asked).await?,
            Call::Approvals => governance::approvals(&asked).await?,
            Call::Approve => governance::approve(&asked).await?,
            Call::Withdraw => governance::withdraw(&asked).await?,
            Call::Verify => governance::verify(&asked).await?,
        };
        let is_new = matches!(call, Call::Register | Call::Evaluate | Call::Approve);
        Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, found))
    }
}

impl Mount for Admin {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        match parts(path) {
            Some(parts) if door == Door::Admin => table::passage(method, &parts),
            _ => Passage::Nothing,
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else {
                return (self.refusal)(&Fault::internal("a call that needs a role came without a caller"));
            };
            match self.answer(&caller, request).await {
                Ok((status, answer)) => {
                    let mut response = Response::new(Content::Whole(answer.to_string().into()));
                    *response.status_mut() = status;
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
                Err(fault) => {
                    if matches!(fault.kind, RegistryFaultKind::Internal | RegistryFaultKind::Unavailable) {
                        tracing::error!(%fault, "a call of the registry failed");
                    }
                    (self.refusal)(&of_registry(fault))
                }
            }
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        (self.refusal)(fault)
    }
}

/// The parts of a path behind the root, decoded; `None` where it lies elsewhere.
fn parts(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.strip_prefix('/').map(|rest| rest.split('/').map(percent::decoded).collect())
}

/// The fault of the registry as one that every listener knows.
fn of_registry(fault: RegistryFault) -> Fault {
    let kind = match fault.kind {
        RegistryFaultKind::Invalid | RegistryFaultKind::Unsupported => FaultKind::InvalidRequest,
        RegistryFaultKind::Exists | RegistryFaultKind::Conflict => FaultKind::Conflict,
        RegistryFaultKind::Missing | RegistryFaultKind::NoEndpoint => FaultKind::NotFound,
        RegistryFaultKind::Forbidden => FaultKind::Forbidden,
        RegistryFaultKind::TooLarge => FaultKind::TooLarge,
        RegistryFaultKind::Unavailable => FaultKind::Unavailable,
        RegistryFaultKind::Internal => FaultKind::Internal,
    };
    Fault { detail: fault.detail.map(String::into_boxed_str), ..Fault::new(kind, fault.says) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_decoded_once_and_by_its_parts() {
        assert_eq!(parts("/admin/v1/models").unwrap(), Vec::<String>::new());
        assert_eq!(parts("/admin/v1/models/a%2Fb/versions").unwrap(), ["a/b", "versions"]);
        assert_eq!(parts("/admin/v1/models/%252e").unwrap(), ["%2e"]);
        for elsewhere in ["/admin/v1/modelsx", "/v1/models", "/admin/v1/model"] {
            assert_eq!(parts(elsewhere), None);
        }
    }
}
