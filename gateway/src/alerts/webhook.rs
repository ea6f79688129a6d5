//! Tidegate's own webhook: the alarm as JSON, signed over the time of sending and the body, so that a receiver can tell
//! that it is ours and new.
//!
//! `x-tidegate-signature: v1=HEX` is the HMAC-SHA256 of `TIMESTAMP.BODY` with the secret, where `TIMESTAMP` is what
//! `x-tidegate-timestamp` says (seconds since 1970) and `BODY` the bytes of the body. `x-tidegate-delivery` is the same in
//! each try of one delivery.

use super::errand::{Errand, Telling};
use super::text::{hex, rfc3339};
use hmac::{Hmac, Mac as _};
use http::Uri;
use serde_json::json;
use sha2::Sha256;
use tidegate_core::Secret;

/// What tells of it.
///
/// # Errors
/// Something of it fits into no header.
pub(super) fn errand(url: &Uri, secret: Option<&Secret>, telling: &Telling<'_>) -> Result<Errand, String> {
    let alarm = telling.alarm;
    let body = json!({
        "version": 1,
        "alert": telling.alert,
        "delivery": telling.delivery,
        "status": if alarm.firing { "firing" } else { "resolved" },
        "since": rfc3339(alarm.since_ms),
        "at": rfc3339(alarm.at_ms),
        "alarm": alarm,
        "monitor_url": telling.link(),
    });
    let seconds = (telling.now_ms / 1000).to_string();
    let errand = Errand::post(url.clone(), &body)
        .with("x-tidegate-delivery", telling.delivery)?
        .with("x-tidegate-timestamp", &seconds)?;
    match secret {
        None => Ok(errand),
        Some(secret) => {
            let signature = signature(secret, &seconds, &errand.body);
            errand.with("x-tidegate-signature", &signature)
        }
    }
}

fn signature(secret: &Secret, seconds: &str, body: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return String::new() };
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};

    #[test]
    fn an_alarm_is_our_json_and_says_when_it_was_sent() {
        let url = "https://example.com/hook?x=1".parse().unwrap();
        let errand = telling(&alarm(true), |telling| errand(&url, None, telling)).unwrap();
        assert_eq!(errand.url, url);
        assert_eq!(errand.headers["x-tidegate-delivery"], "0193-delivery");
        assert_eq!(errand.headers["x-tidegate-timestamp"], "1795394175");
        assert!(!errand.headers.contains_key("x-tidegate-signature"));
        let expected = json!({
            "version": 1, "alert": "duty", "delivery": "0193-delivery", "status": "firing",
            "since": "2026-11-23T00:36:10.123Z", "at": "2026-11-23T00:36:12.123Z",
            "monitor_url": "http://127.0.0.1:8081/admin/v1/monitors/fraud-drift",
            "alarm": {
                "monitor": "fraud-drift", "firing": true, "route": "fraud", "variant": "blue", "model": "fraud-v1",
                "model_version": 3, "summary": "amount has drifted: psi 0.31 > 0.2 & <more>",
                "since_ms": 1_795_394_170_123_u64, "at_ms": 1_795_394_172_123_u64,
                "dedup_key": "fraud-drift/fraud/blue/1795394170123",
                "measurements": [
                    {"name": "psi", "value": 0.31, "threshold": 0.2, "labels": {"feature": "amount"}},
                    {"name": "rows", "value": 1000.0, "labels": {}},
                ],
            },
        });
        assert_eq!(read(&errand.body), expected);
    }

    #[test]
    fn the_signature_is_the_one_that_anybody_computes() {
        // printf '1795394175.{"a":1}' | openssl dgst -sha256 -hmac topsecret
        let expected = "v1=5e819084d384d78f0c85757c57c31ac285ddf3aff69b3de8e3d5078328f1a3b1";
        assert_eq!(signature(&Secret::new("topsecret"), "1795394175", r#"{"a":1}"#), expected);
        let url = "https://example.com/".parse().unwrap();
        let errand = telling(&alarm(false), |telling| errand(&url, Some(&Secret::new("s")), telling)).unwrap();
        let own = signature(&Secret::new("s"), "1795394175", &errand.body);
        assert_eq!(errand.headers["x-tidegate-signature"], own.as_str());
        assert_eq!(read(&errand.body)["status"], "resolved");
    }
}
