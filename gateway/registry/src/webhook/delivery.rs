//! Deliveries: signed as MLflow signs them, tried again a few times, and never in the way of the change that they tell of.
//! What cannot be delivered is logged and dropped.

use super::{Event, Webhook};
use crate::fault::{RegistryFault, RegistryFaultKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use hmac::{Hmac, Mac as _};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Request, Response};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::{Clock, Dice, Fault, InferenceId};
use tokio::sync::Semaphore;

/// How often a delivery is tried again, and how long before each.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// The longest that a receiver may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How many deliveries are under way at once.
const AT_ONCE: usize = 16;
/// How many may wait beside them; more are dropped.
const WAITING: usize = 4096;

const SIGNATURE: HeaderName = HeaderName::from_static("x-mlflow-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-mlflow-timestamp");
const DELIVERY_ID: HeaderName = HeaderName::from_static("x-mlflow-delivery-id");

/// Tells webhooks of events.
#[derive(Debug, Clone)]
pub struct Courier {
    outbound: Arc<dyn Outbound>,
    reach: Reach,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    /// One place for each delivery that waits or is under way.
    places: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

impl Courier {
    /// A courier whose deliveries go by `outbound`, no farther than `reach`.
    #[must_use]
    pub fn new(outbound: Arc<dyn Outbound>, reach: Reach, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self {
            outbound,
            reach,
            clock,
            dice,
            places: Arc::new(Semaphore::new(WAITING)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// How far deliveries may go.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Tells `webhook` of an event, in the background.
    pub fn tell(&self, webhook: Webhook, event: Event, data: Value) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::error!(webhook = webhook.name, "a delivery was dropped: {WAITING} wait already");
            return;
        };
        let courier = self.clone();
        tokio::spawn(async move {
            let turn = courier.at_once.acquire().await;
            match courier.deliver(&webhook, event, &data).await {
                Ok(response) if response.status().is_client_error() || response.status().is_server_error() => {
                    tracing::warn!(
                        webhook = webhook.name,
                        status = response.status().as_u16(),
                        "a delivery was refused"
                    );
                }
                Ok(_) => {}
                Err(fault) => tracing::warn!(webhook = webhook.name, %fault, "a delivery failed"),
            }
            drop((turn, place));
        });
    }

    /// Tells `webhook` of an event and waits for what it answers.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn deliver(&self, webhook: &Webhook, event: Event, data: &Value) -> Result<Response<Bytes>, Fault> {
        let request = self.request(webhook, event, data)?;
        let mut tries = AGAIN.into_iter();
        loop {
            let sent = self.outbound.send(request.clone(), self.reach).await;
            let (wait, is_worth) = match &sent {
                Ok(response) => {
                    (asked_wait(response), matches!(response.status().as_u16(), 429 | 500 | 502 | 503 | 504))
                }
                Err(fault) => (None, fault.side() == tidegate_core::Side::Upstream),
            };
            let Some(next) = is_worth.then(|| tries.next()).flatten() else { return sent };
            let jitter = Duration::from_millis(self.dice.next_u64() % 250);
            tokio::time::sleep(wait.unwrap_or(next) + jitter).await;
        }
    }

    fn request(&self, webhook: &Webhook, event: Event, data: &Value) -> Result<Request<Bytes>, Fault> {
        let now = self.clock.unix_ms();
        let moment = DateTime::from_timestamp_millis(i64::try_from(now).unwrap_or(i64::MAX)).unwrap_or_default();
        let told = Told {
            entity: event.entity,
            action: event.action,
            timestamp: moment.to_rfc3339_opts(SecondsFormat::Micros, false),
            data: InOrder(data),
        };
        let body = serde_json::to_string(&told).map_err(Fault::internal)?;
        let id = InferenceId::new(&*self.clock, &*self.dice).to_string();
        let seconds = (now / 1000).to_string();
        let mut request = Request::post(&*webhook.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(&DELIVERY_ID, &id)
            .header(&TIMESTAMP, &seconds);
        if !webhook.secret.is_empty() {
            request = request.header(&SIGNATURE, signature(&webhook.secret, &id, &seconds, &body));
        }
        request.body(body.into()).map_err(|e| Fault::field("url", "the webhook's address is none").because(e))
    }
}

/// The body of a delivery.
#[derive(Serialize)]
struct Told<'a> {
    entity: &'a str,
    action: &'a str,
    timestamp: String,
    data: InOrder<'a>,
}

/// Data with its members in the order in which MLflow writes them, by which some receivers compare.
struct InOrder<'a>(&'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        const ORDER: [&str; 10] =
            ["name", "alias", "version", "source", "run_id", "template", "tags", "description", "key", "value"];
        let Value::Object(map) = self.0 else { return self.0.serialize(s) };
        let mut members: Vec<_> = map.iter().collect();
        members.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
        s.collect_map(members)
    }
}

/// `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, as Standard Webhooks have it.
fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// How long the receiver asks to wait.
fn asked_wait(response: &Response<Bytes>) -> Option<Duration> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// What a test of a webhook showed.
#[must_use]
pub fn tested(answered: &Result<Response<Bytes>, Fault>) -> Value {
    match answered {
        Ok(response) => {
            let status = response.status();
            json!({
                "success": !status.is_client_error() && !status.is_server_error(),
                "response_status": status.as_u16(),
                "response_body": String::from_utf8_lossy(response.body()),
            })
        }
        Err(fault) => json!({"success": false, "error_message": format!("Failed to test webhook: {}", fault.says)}),
    }
}

/// There is nobody who delivers.
pub(crate) fn no_courier() -> RegistryFault {
    RegistryFault::new(RegistryFaultKind::Unsupported, "this registry delivers no webhooks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_members_in_mlflows_order() {
        let data =
            json!({"description": null, "name": "m", "run_id": "r", "source": "s", "tags": {"b": "1"}, "version": "1"});
        let told = Told { entity: "model_version", action: "created", timestamp: "t".into(), data: InOrder(&data) };
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"entity":"model_version","action":"created","timestamp":"t","data":{"name":"m","version":"1","source":"s","run_id":"r","tags":{"b":"1"},"description":null}}"#
        );
    }

    #[test]
    fn the_signature_is_that_of_mlflows_server() {
        // Computed by mlflow.webhooks.delivery._generate_hmac_signature("topsecret", "id-1", "1700000000", "{}").
        assert_eq!(
            signature("topsecret", "id-1", "1700000000", "{}"),
            "v1,BvI9knDnzhG8WyTpGt2i4PIcMFx/7NZWMEr4hiGaIQU="
        );
    }
}
