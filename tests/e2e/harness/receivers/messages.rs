//! Those who tell people: PagerDuty's Events API v2, Alertmanager's API v2, Slack's incoming webhooks, and a receiver of
//! our own webhook that checks what our documentation says it can.

use super::form::{Wrong, list, moment, object, text, texts, word};
use super::{ROUTING_KEY, SECRET, answer, posted};
use crate::harness::upstream::{Act, Seen};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tidegate_core::Clock as _;
use tidegate_core::clock::SystemClock;

/// `POST /v2/enqueue`.
pub(crate) fn pagerduty(seen: &Seen) -> Act {
    let checked = posted(seen, "/v2/enqueue").and_then(|body| event(&body).map_err(|why| (400, why)));
    match checked {
        Ok(key) => answer(202, &json!({"status": "success", "message": "Event processed", "dedup_key": key})),
        Err((status, why)) => {
            answer(status, &json!({"status": "invalid event", "message": "Event object is invalid", "errors": [why]}))
        }
    }
}

fn event(body: &Value) -> Result<String, Wrong> {
    let optional = ["dedup_key", "payload", "client", "client_url", "links", "images"];
    object(body, &["routing_key", "event_action"], &optional)?;
    if text(&body["routing_key"], 32, 32)? != ROUTING_KEY {
        return Err("Invalid routing key".to_owned());
    }
    word(&body["event_action"], &["trigger", "acknowledge", "resolve"])?;
    if body["event_action"] != "trigger" {
        return text(&body["dedup_key"], 1, 255).map(str::to_owned);
    }
    let payload = &body["payload"];
    let optional = ["timestamp", "component", "group", "class", "custom_details"];
    object(payload, &["summary", "source", "severity"], &optional)?;
    text(&payload["summary"], 1, 1024)?;
    text(&payload["source"], 1, 1024)?;
    word(&payload["severity"], &["critical", "error", "warning", "info"])?;
    if !payload["timestamp"].is_null() {
        moment(&payload["timestamp"])?;
    }
    if body.to_string().len() > 512 * 1024 {
        return Err("the event is larger than 512 KB".to_owned());
    }
    text(&body["dedup_key"], 1, 255).map(str::to_owned)
}

/// `POST /api/v2/alerts`.
pub(crate) fn alertmanager(seen: &Seen) -> Act {
    let is_known = seen.header("authorization") == Some(&format!("Bearer {SECRET}"));
    let checked = if is_known { posted(seen, "/api/v2/alerts") } else { Err((401, "who is this?".to_owned())) };
    match checked.and_then(|body| alerts(&body).map_err(|why| (400, why))) {
        Ok(()) => Act::Answer(200, vec![], "".into()),
        Err((status, why)) => answer(status, &json!(why)),
    }
}

fn alerts(body: &Value) -> Result<(), Wrong> {
    for alert in list(body, 1, 1000)? {
        object(alert, &["labels"], &["annotations", "startsAt", "endsAt", "generatorURL"])?;
        texts(&alert["labels"])?;
        if alert["labels"]["alertname"].as_str().is_none_or(str::is_empty) {
            return Err("an alert has no name".to_owned());
        }
        texts(&alert["annotations"])?;
        if moment(&alert["endsAt"])? < moment(&alert["startsAt"])? {
            return Err("start time must be before end time".to_owned());
        }
        let link = &alert["generatorURL"];
        if !link.is_null() && link.as_str().is_none_or(|link| link.parse::<http::Uri>().is_err()) {
            return Err(format!("{link} is no uri"));
        }
    }
    Ok(())
}

/// `POST /services/T0/B0/secret`.
pub(crate) fn slack(seen: &Seen) -> Act {
    let checked = posted(seen, &format!("/services/T0/B0/{SECRET}"));
    match checked.and_then(|body| message(&body).map_err(|why| (400, why))) {
        Ok(()) => Act::Answer(200, vec![], "ok".into()),
        Err((404, _)) => Act::Answer(404, vec![], "no_service".into()),
        Err((status, why)) => Act::Answer(status, vec![], format!("invalid_blocks: {why}").into()),
    }
}

fn message(body: &Value) -> Result<(), Wrong> {
    object(body, &["text"], &["blocks", "attachments", "thread_ts", "mrkdwn"])?;
    marked(&body["text"], 40_000)?;
    for block in list(&body["blocks"], 1, 50)? {
        match block["type"].as_str() {
            Some("header") => {
                object(block, &["type", "text"], &["block_id"])?;
                object(&block["text"], &["type", "text"], &["emoji"])?;
                word(&block["text"]["type"], &["plain_text"])?;
                text(&block["text"]["text"], 1, 150)?;
            }
            Some("section") => {
                object(block, &["type"], &["text", "fields", "block_id", "accessory", "expand"])?;
                if block["text"].is_null() && block["fields"].is_null() {
                    return Err("a section has neither text nor fields".to_owned());
                }
                if !block["text"].is_null() {
                    composed(&block["text"], 3000)?;
                }
                if !block["fields"].is_null() {
                    list(&block["fields"], 1, 10)?.iter().try_for_each(|field| composed(field, 2000))?;
                }
            }
            Some("context") => {
                object(block, &["type", "elements"], &["block_id"])?;
                list(&block["elements"], 1, 10)?.iter().try_for_each(|one| composed(one, 3000))?;
            }
            _ => return Err(format!("{} is no type of a block", block["type"])),
        }
    }
    Ok(())
}

/// A text object of mrkdwn.
fn composed(value: &Value, most: usize) -> Result<(), Wrong> {
    object(value, &["type", "text"], &["verbatim"])?;
    word(&value["type"], &["mrkdwn"])?;
    marked(&value["text"], most)
}

/// A text in which nothing is taken for a mention or a link.
fn marked(value: &Value, most: usize) -> Result<(), Wrong> {
    let given = text(value, 1, most)?;
    let bare = given.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    if bare.contains(['<', '>', '&']) { Err(format!("`{given}` is not escaped")) } else { Ok(()) }
}

/// `POST /hook`, as README says a receiver can check it.
pub(crate) fn webhook(seen: &Seen) -> Act {
    let checked = posted(seen, "/hook").and_then(|body| {
        signed(seen).map_err(|why| (401, why))?;
        told(seen, &body).map_err(|why| (422, why))
    });
    match checked {
        Ok(()) => answer(200, &json!({"ok": true})),
        Err((status, why)) => answer(status, &json!({"ok": false, "why": why})),
    }
}

fn signed(seen: &Seen) -> Result<(), Wrong> {
    let header = |name: &str| seen.header(name).ok_or_else(|| format!("`{name}` is missing"));
    let (timestamp, signature) = (header("x-tidegate-timestamp")?, header("x-tidegate-signature")?);
    let seconds: u64 = timestamp.parse().map_err(|_| format!("`{timestamp}` is no time"))?;
    if seconds.abs_diff(SystemClock.unix_ms() / 1000) > 300 {
        return Err("it is old: somebody may have kept it".to_owned());
    }
    let hex = signature.strip_prefix("v1=").ok_or("there is no signature of version 1")?;
    let digits = |at: usize| hex.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let given: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect::<Option<_>>().ok_or("it is no hex")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(&seen.body);
    mac.verify_slice(&given).map_err(|_| "the signature is another one's".to_owned())
}

fn told(seen: &Seen, body: &Value) -> Result<(), Wrong> {
    let members = ["version", "alert", "delivery", "status", "since", "at", "alarm", "monitor_url"];
    object(body, &members, &[])?;
    if body["version"] != 1 || body["delivery"].as_str() != seen.header("x-tidegate-delivery") {
        return Err("the delivery is not the one of its header".to_owned());
    }
    word(&body["status"], &["firing", "resolved"])?;
    moment(&body["since"])?;
    moment(&body["at"])?;
    let alarm = &body["alarm"];
    let members = ["monitor", "firing", "route", "summary", "since_ms", "at_ms", "dedup_key", "measurements"];
    object(alarm, &members, &["variant", "model", "model_version"])?;
    if alarm["firing"] != (body["status"] == "firing") {
        return Err("the status is another one than the alarm's".to_owned());
    }
    for measured in list(&alarm["measurements"], 0, 10_000)? {
        object(measured, &["name", "value", "labels"], &["threshold"])?;
    }
    Ok(())
}
