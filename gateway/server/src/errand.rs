//! A call that the gateway makes for somebody who is not there any more, by the way that all calls go: with his key,
//! his limits and his routes, and with a record of its own. It stands behind those who wait.

use crate::api::error;
use crate::listen::{Peer, Terms};
use crate::path;
use crate::reply::ReplyBody;
use crate::server::{Server, X_REQUEST_ID};
use crate::snapshot::{Keyring, Snapshot};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::{CorsSpec, Priority};
use tidegate_core::{Api, Caller, Fault, FaultKind, KeyId, Tenant};

/// The headers in which a call's names stand.
const NAME: &str = "x-client-request-id";
const GROUP: &str = "x-tidegate-episode";

/// What is asked, and for whom.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Whose key counts.
    pub key: KeyId,
    /// Whose it was when the errand was given: a key that is somebody else's now does not count.
    pub tenant: Tenant,
    /// The interface.
    pub api: Api,
    /// The body, as a caller would send it.
    pub body: Bytes,
    /// His own name for it, in the record of the call where it can be a header.
    pub name: String,
    /// The group of calls that it belongs to.
    pub group: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Brought {
    /// The status.
    pub status: u16,
    /// The call's id.
    pub id: String,
    /// When to come again, where that is said.
    pub retry_after: Option<Duration>,
    /// The body; that of a fault is JSON too.
    pub body: Bytes,
}

impl Server {
    /// The caller with this key, while it is valid; without keys, anybody.
    #[must_use]
    pub fn caller_of(&self, key: &KeyId) -> Option<Caller> {
        let snapshot = self.snapshot();
        match &snapshot.keys {
            Keyring::Open(anybody) => Some(anybody.clone()).filter(|anybody| anybody.0.id == *key),
            Keyring::Keys(keys) => {
                let now = self.ports().clock.wall();
                let is_valid = |caller: &&Caller| caller.0.expires.is_none_or(|until| now < until);
                keys.values().find(|caller| caller.0.id == *key).filter(is_valid).cloned()
            }
        }
    }

    /// Does an errand. A fault is an answer as well, as its caller would see it.
    pub async fn run(self: Arc<Self>, errand: Errand) -> Brought {
        let mut request = Request::post(format!("/v1{}", errand.api.path()));
        let headers = [(NAME, &errand.name), (GROUP, &errand.group)];
        for (name, value) in headers {
            // A name that is no header is left out.
            if let Ok(value) = HeaderValue::from_str(value) {
                request = request.header(HeaderName::from_static(name), value);
            }
        }
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(());
        let head = match request {
            Ok(request) => request.into_parts().0,
            Err(e) => return brought(error::respond(&Fault::internal(e))).await,
        };
        let snapshot = self.snapshot();
        let caller = self.caller_of(&errand.key).filter(|caller| caller.0.tenant == errand.tenant);
        let Some(caller) = caller else {
            return brought(self.unknown(errand, &head.headers, &snapshot).await).await;
        };
        let peer = peer(caller, errand.body.len());
        let entry = path::Entry::Text(errand.api, Full::new(errand.body));
        let response = path::serve(&self, snapshot, entry, &head, &peer, None);
        // Boxed, since all that a call goes through is in it.
        brought(Box::pin(response).await).await
    }

    /// Refuses an errand of somebody who is not known any more, with a record as any call has.
    async fn unknown(&self, errand: Errand, headers: &HeaderMap, snapshot: &Snapshot) -> Response<ReplyBody> {
        let mut ledger = self.open(errand.api, snapshot);
        ledger.note(|event| {
            event.key = Some(errand.key);
            event.tenant = Some(errand.tenant);
            event.client_request_id = path::caller::text(headers, NAME).map(Arc::from);
            event.episode = path::caller::text(headers, GROUP).map(Arc::from);
        });
        let says = "the key that made this batch is revoked or expired";
        let fault = Fault::new(FaultKind::Unauthenticated, says);
        path::reply::refuse(&fault, ledger, &path::voice::Voice::OpenAi).await
    }
}

/// Who is known already, and at whose listener the body was taken already.
fn peer(caller: Caller, length: usize) -> Peer {
    let minute = Duration::from_secs(60);
    let terms = Terms {
        admin: false,
        is_tls: false,
        cors: CorsSpec::Off,
        max_body: length as u64,
        head_timeout: minute,
        body_timeout: minute,
    };
    Peer { certified: Some(caller), reach: Reach::Loopback, most: Priority::Low, terms: Arc::new(terms) }
}

async fn brought(response: Response<ReplyBody>) -> Brought {
    let (head, body) = response.into_parts();
    let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let id = text(&X_REQUEST_ID).unwrap_or_default().to_owned();
    let retry_after = text(&RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    match body.collect().await {
        Ok(body) => Brought { status: head.status.as_u16(), id, retry_after, body: body.to_bytes() },
        Err(cut) => {
            let envelope = serde_json::json!({"error": {"message": cut.to_string(), "type": "server_error"}});
            Brought { status: 502, id, retry_after, body: envelope.to_string().into() }
        }
    }
}
