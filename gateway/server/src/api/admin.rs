//! `/admin/v1/…`: thin handlers over the port of operations.

use crate::operations::{Operations, WantedKey};
use crate::reply::{self, ReplyBody};
use crate::router::Endpoint;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_core::{Fault, FaultKind, InferenceId};

const MOST_EVENTS: usize = 1000;

/// Answers an admin request whose caller has the role for it.
///
/// # Errors
/// Says what was wrong with it.
pub(crate) async fn answer(
    operations: &dyn Operations,
    endpoint: Endpoint,
    rest: &str,
    query: Option<&str>,
    body: Bytes,
) -> Result<Response<ReplyBody>, Fault> {
    match endpoint {
        Endpoint::Config => Ok(reply::json(StatusCode::OK, &operations.config())),
        Endpoint::Reload => Ok(match operations.reload().await {
            Ok(done) => reply::json(StatusCode::OK, &done),
            Err(refused) => reply::json(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({"error": {"message": refused.report, "type": "invalid_request_error", "param": null, "code": "invalid_configuration", "findings": refused.findings}}),
            ),
        }),
        Endpoint::Events => {
            let events = operations.events(limit(query)?).await?;
            Ok(reply::json(StatusCode::OK, &json!({"object": "list", "data": events})))
        }
        Endpoint::Event => {
            let id: InferenceId = rest.parse().map_err(|e| Fault::field("id", format!("{e}")))?;
            let found = operations.event(id).await?;
            let event = found.ok_or_else(|| Fault::new(FaultKind::NotFound, "no event of this id is kept"))?;
            Ok(reply::json(StatusCode::OK, &json!(event)))
        }
        Endpoint::Serving => Ok(reply::json(StatusCode::OK, &operations.serving().await?)),
        Endpoint::Keys => Ok(reply::json(StatusCode::OK, &operations.keys())),
        Endpoint::NewKey => Ok(reply::json(StatusCode::CREATED, &operations.new_key(wanted_key(&body)?).await?)),
        Endpoint::RevokeKey if operations.revoke_key(rest).await? => Ok(reply::empty(StatusCode::NO_CONTENT)),
        Endpoint::RevokeKey => Err(Fault::new(FaultKind::NotFound, "there is no key of this id")),
        _ => Err(Fault::internal("an endpoint without a handler")),
    }
}

/// The key that is asked for; fields that no key has are all named.
fn wanted_key(body: &[u8]) -> Result<WantedKey, Fault> {
    const KNOWN: [&str; 5] = ["principal", "tenant", "roles", "routes", "expires_in"];
    let refused =
        |says: String| Fault::new(FaultKind::InvalidRequest, format!("the body is not a key to be made: {says}"));
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(body).map_err(|e| refused(e.to_string()))?;
    let unknown: Vec<&str> = members.keys().map(String::as_str).filter(|name| !KNOWN.contains(name)).collect();
    if let Some(first) = unknown.first() {
        let says = format!("it has {}, and a key has only {}", unknown.join(", "), KNOWN.join(", "));
        return Err(Fault::field((*first).to_owned(), says));
    }
    serde_json::from_slice(body).map_err(|e| refused(e.to_string()))
}

fn limit(query: Option<&str>) -> Result<usize, Fault> {
    let Some(query) = query else { return Ok(100) };
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix("limit=")) else { return Ok(100) };
    let limit: usize = text
        .parse()
        .ok()
        .filter(|limit| (1..=MOST_EVENTS).contains(limit))
        .ok_or_else(|| Fault::field("limit", "limit is a number from 1 to 1000"))?;
    Ok(limit)
}
