//! `GET /v1/models` and `/v1/models/{id}`: the routes that a caller may call.

use crate::reply::{self, ReplyBody};
use crate::snapshot::{Route, Snapshot};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tidegate_core::{Caller, Fault, FaultKind, RouteName};

/// The routes that `caller` may call, by name.
#[must_use]
pub(crate) fn list(snapshot: &Snapshot, caller: &Caller) -> Response<ReplyBody> {
    let mut routes: Vec<_> = snapshot.routes.iter().filter(|(_, route)| caller.may_call(&route.spec.name)).collect();
    routes.sort_by_key(|(name, _)| *name);
    let data: Vec<Value> = routes.iter().map(|(name, route)| entry(name, route, snapshot.loaded)).collect();
    reply::json(StatusCode::OK, &json!({"object": "list", "data": data}))
}

/// One route.
///
/// # Errors
/// The same for an unknown and a forbidden one, so that nobody learns which exist.
pub(crate) fn one(snapshot: &Snapshot, caller: &Caller, name: &str) -> Result<Response<ReplyBody>, Fault> {
    let (found, route) = snapshot
        .routes
        .get_key_value(name)
        .filter(|(_, route)| caller.may_call(&route.spec.name))
        .ok_or_else(|| unknown(name))?;
    Ok(reply::json(StatusCode::OK, &entry(found, route, snapshot.loaded)))
}

/// The fault of a model that is not there, or not for this caller.
#[must_use]
pub(crate) fn unknown(name: &str) -> Fault {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let says = format!(
        "the model `{shown}` does not exist or this key may not call it; GET /v1/models lists those that it may"
    );
    Fault { param: Some("model".into()), ..Fault::new(FaultKind::ModelNotFound, says) }
}

fn entry(name: &RouteName, route: &Route, created: u64) -> Value {
    let mut entry = json!({"id": name, "object": "model", "created": created, "owned_by": "tidegate"});
    if let Some(tokens) = route.context_length() {
        entry["context_length"] = tokens.into();
    }
    if *name != route.spec.name {
        entry["parent"] = json!(route.spec.name);
    }
    entry
}
