//! PagerDuty's Events API v2: an alarm triggers, its end resolves, and both have one `dedup_key`.

use super::errand::{Errand, Telling};
use super::text::{cut, fingerprint, rfc3339};
use http::Uri;
use serde_json::{Map, Value, json};
use tidegate_core::Secret;
use tidegate_core::port::alerts::{Alarm, Measured};

/// The most characters of a summary.
const SUMMARY: usize = 1024;
/// The most characters of a `dedup_key`.
const DEDUP_KEY: usize = 255;
/// The most measurements that are told: an event has 512 KB at most.
const MEASUREMENTS: usize = 100;

/// What tells of it.
pub(super) fn errand(url: &Uri, routing_key: &Secret, telling: &Telling<'_>) -> Errand {
    let alarm = telling.alarm;
    let mut body = json!({
        "routing_key": routing_key.expose(),
        "event_action": if alarm.firing { "trigger" } else { "resolve" },
        "dedup_key": dedup_key(&alarm.dedup_key),
    });
    if alarm.firing {
        body["payload"] = json!({
            "summary": cut(&alarm.summary, SUMMARY),
            "source": format!("tidegate route {}", alarm.route),
            "severity": "error",
            "timestamp": rfc3339(alarm.since_ms),
            "component": alarm.monitor,
            "group": alarm.route,
            "class": "monitor",
            "custom_details": details(alarm),
        });
        body["client"] = json!("Tidegate");
        if let Some(link) = telling.link() {
            body["client_url"] = json!(link);
        }
    }
    Errand::post(url.clone(), &body)
}

fn dedup_key(key: &str) -> String {
    if key.chars().count() <= DEDUP_KEY { key.to_owned() } else { fingerprint(&[key]) }
}

fn details(alarm: &Alarm) -> Value {
    let mut details = Map::new();
    details.insert("monitor".to_owned(), json!(alarm.monitor));
    details.insert("route".to_owned(), json!(alarm.route));
    let known = [
        ("variant", alarm.variant.as_ref().map(|it| json!(it))),
        ("model", alarm.model.as_ref().map(|it| json!(it))),
        ("model_version", alarm.model_version.map(|it| json!(it))),
    ];
    details.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let told: Vec<&Measured> = alarm.measurements.iter().take(MEASUREMENTS).collect();
    details.insert("measurements".to_owned(), json!(told));
    if alarm.measurements.len() > MEASUREMENTS {
        details.insert("measurements_left_out".to_owned(), json!(alarm.measurements.len() - MEASUREMENTS));
    }
    Value::Object(details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};

    fn told(alarm: &Alarm) -> Value {
        let url = "https://events.pagerduty.com/v2/enqueue".parse().unwrap();
        let errand = telling(alarm, |telling| errand(&url, &Secret::new("R0UT1NG"), telling));
        assert_eq!(errand.url, url);
        read(&errand.body)
    }

    #[test]
    fn an_alarm_triggers_with_all_that_is_known() {
        let expected = json!({
            "routing_key": "R0UT1NG",
            "event_action": "trigger",
            "dedup_key": "fraud-drift/fraud/blue/1795394170123",
            "payload": {
                "summary": "amount has drifted: psi 0.31 > 0.2 & <more>",
                "source": "tidegate route fraud",
                "severity": "error",
                "timestamp": "2026-11-23T00:36:10.123Z",
                "component": "fraud-drift",
                "group": "fraud",
                "class": "monitor",
                "custom_details": {
                    "monitor": "fraud-drift", "route": "fraud", "variant": "blue", "model": "fraud-v1", "model_version": 3,
                    "measurements": [
                        {"name": "psi", "value": 0.31, "threshold": 0.2, "labels": {"feature": "amount"}},
                        {"name": "rows", "value": 1000.0, "labels": {}},
                    ],
                },
            },
            "client": "Tidegate",
            "client_url": "http://127.0.0.1:8081/admin/v1/monitors/fraud-drift",
        });
        assert_eq!(told(&alarm(true)), expected);
    }

    #[test]
    fn its_end_resolves_by_the_same_key() {
        let expected = json!({
            "routing_key": "R0UT1NG", "event_action": "resolve", "dedup_key": "fraud-drift/fraud/blue/1795394170123",
        });
        assert_eq!(told(&alarm(false)), expected);
    }

    #[test]
    fn what_is_too_long_is_cut_and_keys_stay_the_same() {
        let mut long = alarm(true);
        long.summary = "ä".repeat(5000);
        long.dedup_key = "k".repeat(300);
        long.measurements = vec![long.measurements[0].clone(); 150];
        let body = told(&long);
        assert_eq!(body["payload"]["summary"].as_str().unwrap().chars().count(), 1024);
        assert_eq!(body["payload"]["custom_details"]["measurements"].as_array().unwrap().len(), 100);
        assert_eq!(body["payload"]["custom_details"]["measurements_left_out"], 50);
        long.firing = false;
        assert_eq!(told(&long)["dedup_key"], body["dedup_key"]);
        assert_eq!(body["dedup_key"].as_str().unwrap().len(), 32);
    }
}
