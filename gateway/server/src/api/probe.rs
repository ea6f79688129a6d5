//! `/healthz`, `/readyz` and `/metrics`.

use crate::reply::{self, ReplyBody};
use crate::server::Server;
use http::{Response, StatusCode};
use tidegate_core::{Fault, FaultKind};

/// The process lives and answers.
#[must_use]
pub(crate) fn health() -> Response<ReplyBody> {
    reply::json(StatusCode::OK, &serde_json::json!({"status": "ok"}))
}

/// It takes calls: a configuration is loaded and it is not draining.
///
/// # Errors
/// Says that it is stopping.
pub(crate) fn ready(server: &Server) -> Result<Response<ReplyBody>, Fault> {
    if server.is_draining() {
        return Err(Fault::new(FaultKind::Unavailable, "the gateway is stopping: send calls to another replica"));
    }
    Ok(reply::json(StatusCode::OK, &serde_json::json!({"status": "ready", "config": *server.snapshot().config})))
}

/// The metrics, as Prometheus reads them.
#[must_use]
pub(crate) fn metrics(server: &Server) -> Response<ReplyBody> {
    reply::whole(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", server.ports().metrics.render())
}
