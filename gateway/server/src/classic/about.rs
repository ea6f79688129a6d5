//! What is said of classic models: metadata, versions, whether they are ready. Owns the shapes of the protocols' answers.

use super::asked::{picked, version_of};
use super::target::{About, Pick};
use crate::api::models::unknown;
use crate::reply::{self, ReplyBody};
use crate::server::Server;
use crate::snapshot::{Arm, Route, Snapshot};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_core::percent::decoded;
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Caller, Datatype, Fault, FaultKind, RouteName, TensorMeta};
use tidegate_dialect::Served;

/// What the server is called.
pub(crate) const NAME: &str = "tidegate";
/// What it can beyond the protocol.
pub(crate) const EXTENSIONS: [&str; 2] = ["binary_tensor_data", "model_repository"];

/// Answers what is asked about; who asks about a model must be one who may call it.
///
/// # Errors
/// There is no such model for this caller, or its provider does not say.
pub(crate) async fn answer(
    server: &Server,
    snapshot: &Snapshot,
    caller: Option<&Caller>,
    about: About,
) -> Result<Response<ReplyBody>, Fault> {
    Ok(match about {
        About::Server => reply::json(
            StatusCode::OK,
            &json!({
                "name": NAME, "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS,
            }),
        ),
        About::Live => reply::json(StatusCode::OK, &json!({"live": true})),
        About::Ready if server.is_draining() => reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"ready": false})),
        About::Ready => reply::json(StatusCode::OK, &json!({"ready": true})),
        About::Ping if server.is_draining() => {
            reply::whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "\n".to_owned())
        }
        About::Ping => reply::whole(StatusCode::OK, "text/plain", "\n".to_owned()),
        About::Version => reply::whole(StatusCode::OK, "text/plain", env!("CARGO_PKG_VERSION").to_owned()),
        About::Model(name, pick) => {
            let (route, arm) = found(snapshot, caller, &name, pick.as_ref())?;
            reply::json(StatusCode::OK, &Served::metadata(&name, &described(&route, arm).await?))
        }
        About::ModelReady(name, pick) => {
            let (route, arm) = found(snapshot, caller, &name, pick.as_ref())?;
            let is_ready = if pick.is_some() { route.arms[arm].backend.ready() } else { is_ready(&route) };
            let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            reply::json(status, &json!({"name": name, "ready": is_ready}))
        }
    })
}

/// The route of a classic model, and an arm of it.
fn found(
    snapshot: &Snapshot,
    caller: Option<&Caller>,
    name: &str,
    pick: Option<&Pick>,
) -> Result<(Arc<Route>, usize), Fault> {
    let may = |name| caller.is_some_and(|caller| caller.may_call(name));
    let known = snapshot.routes.get_key_value(name).filter(|(name, route)| may(name) && route.is_classic());
    let (_, route) = known.ok_or_else(|| unknown(name))?;
    let arm = pick.map_or(Ok(0), |pick| picked(route, pick))?;
    Ok((Arc::clone(route), arm))
}

/// Whether a model is ready, or a version of it.
///
/// # Errors
/// There is no such model for this caller.
pub(crate) fn is_model_ready(
    snapshot: &Snapshot,
    caller: Option<&Caller>,
    name: &str,
    version: Option<String>,
) -> Result<bool, Fault> {
    let pick = version.map(Pick::Version);
    let (route, arm) = found(snapshot, caller, name, pick.as_ref())?;
    Ok(if pick.is_some() { route.arms[arm].backend.ready() } else { is_ready(&route) })
}

/// What a model says of itself, or a version of it.
///
/// # Errors
/// There is no such model for this caller, or its provider does not say.
pub(crate) async fn metadata(
    snapshot: &Snapshot,
    caller: Option<&Caller>,
    name: &str,
    version: Option<String>,
) -> Result<ModelMeta, Fault> {
    let (route, arm) = found(snapshot, caller, name, version.map(Pick::Version).as_ref())?;
    described(&route, arm).await
}

fn is_ready(route: &Route) -> bool {
    route.arms.iter().any(|arm| arm.backend.ready())
}

/// What an arm says of itself, with the versions of its route.
async fn described(route: &Route, arm: usize) -> Result<ModelMeta, Fault> {
    let arm = &route.arms[arm];
    let meta = arm.backend.describe(&arm.upstream).await?;
    Ok(ModelMeta { versions: versions(route), ..meta })
}

fn versions(route: &Route) -> Vec<String> {
    let mut all: Vec<String> = route.arms.iter().map(version_of).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What TF Serving's clients read of a model beside OpenAI's members of it.
pub(crate) fn status(name: &str, route: &Route) -> Value {
    let status = |arm: &Arm| {
        let state = if arm.backend.ready() { "AVAILABLE" } else { "UNAVAILABLE" };
        json!({
            "version": version_of(arm), "state": state,
            "status": {"error_code": "OK", "error_message": ""},
        })
    };
    json!({
        "name": name, "ready": is_ready(route),
        "model_version_status": route.arms.iter().map(status).collect::<Vec<_>>(),
    })
}

/// TF Serving's metadata of a model.
///
/// # Errors
/// There is no such model for this caller, or its provider does not say.
pub(crate) async fn signatures(
    snapshot: &Snapshot,
    caller: &Caller,
    name: &str,
    pick: Option<&Pick>,
) -> Result<Response<ReplyBody>, Fault> {
    let (route, arm) = found(snapshot, Some(caller), name, pick)?;
    let meta = described(&route, arm).await?;
    let tensors = |all: &[TensorMeta]| -> serde_json::Map<String, Value> {
        all.iter().map(|one| (one.name.clone(), tensor(one))).collect()
    };
    let signature = json!({
        "inputs": tensors(&meta.inputs), "outputs": tensors(&meta.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    let version = version_of(&route.arms[arm]);
    Ok(reply::json(
        StatusCode::OK,
        &json!({
            "model_spec": {"name": name, "signature_name": "", "version": version},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        }),
    ))
}

fn tensor(meta: &TensorMeta) -> Value {
    let dims: Vec<Value> = meta
        .shape
        .iter()
        .map(|size| json!({"size": size.map_or_else(|| "-1".to_owned(), |size| size.to_string()), "name": ""}))
        .collect();
    json!({
        "name": meta.name, "dtype": dtype(meta.datatype),
        "tensor_shape": {"dim": dims, "unknown_rank": false},
    })
}

const fn dtype(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "DT_BOOL",
        Datatype::Uint8 => "DT_UINT8",
        Datatype::Uint16 => "DT_UINT16",
        Datatype::Uint32 => "DT_UINT32",
        Datatype::Uint64 => "DT_UINT64",
        Datatype::Int8 => "DT_INT8",
        Datatype::Int16 => "DT_INT16",
        Datatype::Int32 => "DT_INT32",
        Datatype::Int64 => "DT_INT64",
        Datatype::Fp16 => "DT_HALF",
        Datatype::Fp32 => "DT_FLOAT",
        Datatype::Fp64 => "DT_DOUBLE",
        Datatype::Bf16 => "DT_BFLOAT16",
        Datatype::Bytes => "DT_STRING",
    }
}

/// The models that a caller may call, each of their arms with its version and whether it is ready.
pub(crate) fn index<'a>(snapshot: &'a Snapshot, caller: Option<&Caller>) -> Vec<(&'a str, String, bool)> {
    let is_shown = |(name, route): &(&RouteName, &Arc<Route>)| {
        route.is_classic() && caller.is_some_and(|caller| caller.may_call(name))
    };
    let mut routes: Vec<_> = snapshot.routes.iter().filter(is_shown).collect();
    routes.sort_by_key(|(name, _)| *name);
    let arms = |(name, route): (&'a RouteName, &'a Arc<Route>)| {
        route.arms.iter().map(move |arm| (name.as_str(), version_of(arm), arm.backend.ready()))
    };
    routes.into_iter().flat_map(arms).collect()
}

/// Orders a model to be loaded, or else unloaded. What is loaded is said by the configuration alone: the first says whether
/// it is there, and the second is refused, since the next call would find it gone that others rely on.
///
/// # Errors
/// There is no such model for this caller, it is not ready, or it is to be unloaded.
pub(crate) fn order(snapshot: &Snapshot, caller: Option<&Caller>, name: &str, is_load: bool) -> Result<(), Fault> {
    let (route, _) = found(snapshot, caller, name, None)?;
    if !is_load {
        let says = "models are loaded and unloaded by the configuration: take the route out of it and reload";
        return Err(Fault::new(FaultKind::InvalidRequest, says));
    }
    if !is_ready(&route) {
        return Err(Fault::new(FaultKind::Unavailable, format!("the model `{name}` is not ready")));
    }
    Ok(())
}

/// The repository as its protocol has it.
///
/// # Errors
/// There is no such model for this caller, or it is to be unloaded.
pub(crate) fn repository(snapshot: &Snapshot, caller: &Caller, path: &str) -> Result<Response<ReplyBody>, Fault> {
    let below = path.strip_prefix("/v2/repository/").unwrap_or_default();
    if below == "index" {
        let entry = |(name, version, is_ready): (&str, String, bool)| {
            let state = if is_ready { "READY" } else { "UNAVAILABLE" };
            json!({"name": name, "version": version, "state": state, "reason": ""})
        };
        let entries = index(snapshot, Some(caller)).into_iter().map(entry);
        return Ok(reply::json(StatusCode::OK, &Value::Array(entries.collect())));
    }
    let model = below.strip_prefix("models/").and_then(|rest| {
        let load = rest.strip_suffix("/load").map(|name| (name, true));
        load.or_else(|| rest.strip_suffix("/unload").map(|name| (name, false)))
    });
    let (name, is_load) = model.ok_or_else(|| Fault::new(FaultKind::NotFound, "there is nothing at this path"))?;
    order(snapshot, Some(caller), &decoded(name), is_load)?;
    Ok(reply::json(StatusCode::OK, &json!({})))
}
