//! `GET /v1/models` and `/v1/models/{id}`: the routes that a caller may call.

use crate::classic::{path_of, signatures, status};
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

/// One route; of a classic model also TF Serving's status of its versions, and below it its metadata.
///
/// # Errors
/// The same for an unknown and a forbidden one, so that nobody learns which exist.
pub(crate) async fn one(snapshot: &Snapshot, caller: &Caller, path: &str) -> Result<Response<ReplyBody>, Fault> {
    let find = |name: &str| snapshot.routes.get_key_value(name).filter(|(_, route)| caller.may_call(&route.spec.name));
    if let Some((found, route)) = find(path) {
        return Ok(reply::json(StatusCode::OK, &entry(found, route, snapshot.loaded)));
    }
    let (rest, is_metadata) = path.strip_suffix("/metadata").map_or((path, false), |rest| (rest, true));
    let (name, pick) = path_of(rest).ok_or_else(|| unknown(path))?;
    let (found, route) = find(&name).filter(|(_, route)| route.is_classic()).ok_or_else(|| unknown(path))?;
    if is_metadata {
        return signatures(snapshot, caller, &name, pick.as_ref()).await;
    }
    if let Some(pick) = &pick {
        crate::classic::picked(route, pick)?;
    }
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
    if let (true, Value::Object(more), Some(entry)) =
        (route.is_classic(), status(name.as_str(), route), entry.as_object_mut())
    {
        entry.extend(more);
    }
    if *name != route.spec.name {
        entry["parent"] = json!(route.spec.name);
    }
    entry
}
