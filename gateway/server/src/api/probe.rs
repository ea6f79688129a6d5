//! `/healthz`, `/readyz` and `/metrics`.

use crate::observe::{adapters, endpoints, engines, pools, shadows, shares, views};
use crate::reply::{self, ReplyBody};
use crate::server::Server;
use crate::snapshot::Served;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tidegate_core::{Fault, FaultKind};

/// The process lives and answers.
#[must_use]
pub(crate) fn health() -> Response<ReplyBody> {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// It takes calls: a configuration is loaded and it is not draining.
///
/// # Errors
/// Says that it is stopping.
pub(crate) fn ready(server: &Server) -> Result<Response<ReplyBody>, Fault> {
    if server.is_draining() {
        return Err(Fault::new(FaultKind::Unavailable, "the gateway is stopping: send calls to another replica"));
    }
    let snapshot = server.snapshot();
    let mut says = json!({"status": "ready", "config": *snapshot.config});
    if !snapshot.served.is_empty() {
        let models = snapshot.served.iter().map(|it| (it.model.to_string(), shown(it)));
        says["models"] = Value::Object(models.collect());
    }
    let degraded = endpoints::degraded(&snapshot);
    if !degraded.is_empty() {
        says["degraded"] = Value::Object(degraded);
    }
    Ok(reply::json(StatusCode::OK, &says))
}

/// A model of the registry, and the version of it that could not be loaded.
fn shown(served: &Served) -> Value {
    let mut shown = json!({"source": served.reference.to_string(), "version": served.version});
    if let Some(version) = served.refused {
        shown["refused"] = json!({"version": version, "why": "it could not be loaded: the gateway's log says why"});
    }
    shown
}

/// The metrics, as Prometheus reads them.
#[must_use]
pub(crate) fn metrics(server: &Server) -> Response<ReplyBody> {
    let snapshot = server.snapshot();
    let page = server.ports().metrics.render()
        + &endpoints::render(&snapshot)
        + &adapters::render(&snapshot)
        + &engines::render(&snapshot)
        + &pools::render(&snapshot)
        + &views::render(&snapshot)
        + &shares::render(&snapshot)
        + &shadows::render(&snapshot);
    reply::whole(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
}
