//! Alertmanager's API v2: an alarm is an alert with an end in the near future, told again and again until it is over;
//! its end is the same alert with an end in the past. The labels make an alert the same one.

use super::errand::{Errand, Telling, join};
use super::text::rfc3339;
use http::Uri;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::port::alerts::{Alarm, Measured};

/// How often an alarm is told again.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(60);
/// For how long it holds without being told again: some heartbeats may be lost.
const HOLDS: Duration = Duration::from_secs(5 * 60);

/// What tells of it.
pub(super) fn errand(url: &Uri, bearer: Option<&Secret>, telling: &Telling<'_>) -> Result<Errand, String> {
    let alarm = telling.alarm;
    // An end is never before the begin: Alertmanager refuses such an alert.
    let ends_ms = if alarm.firing {
        telling.now_ms.max(alarm.since_ms) + u64::try_from(HOLDS.as_millis()).unwrap_or(u64::MAX)
    } else {
        alarm.at_ms.max(alarm.since_ms)
    };
    let mut alert = json!({
        "labels": labels(alarm),
        "annotations": annotations(alarm),
        "startsAt": rfc3339(alarm.since_ms),
        "endsAt": rfc3339(ends_ms),
    });
    if let Some(link) = telling.link() {
        alert["generatorURL"] = json!(link);
    }
    Errand::post(join(url, "/api/v2/alerts")?, &json!([alert])).bearer(bearer)
}

fn labels(alarm: &Alarm) -> Value {
    let mut labels = Map::new();
    let mut add = |name: &str, value: String| labels.insert(name.to_owned(), Value::String(value));
    add("alertname", "TidegateMonitor".to_owned());
    add("monitor", alarm.monitor.to_string());
    add("route", alarm.route.to_string());
    add("severity", "warning".to_owned());
    if let Some(variant) = &alarm.variant {
        add("variant", variant.to_string());
    }
    if let Some(model) = &alarm.model {
        add("model", model.to_string());
    }
    if let Some(version) = alarm.model_version {
        add("model_version", version.to_string());
    }
    Value::Object(labels)
}

fn annotations(alarm: &Alarm) -> Value {
    let mut annotations = Map::from_iter([("summary".to_owned(), json!(alarm.summary))]);
    if !alarm.measurements.is_empty() {
        let lines: Vec<String> = alarm.measurements.iter().take(50).map(line).collect();
        annotations.insert("description".to_owned(), json!(lines.join("\n")));
    }
    Value::Object(annotations)
}

/// A measurement as a line: `psi{feature=amount} = 0.31 (bound 0.2)`.
pub(super) fn line(measured: &Measured) -> String {
    let Measured { name, value, threshold, labels } = measured;
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(", ")) };
    let bound = threshold.map_or_else(String::new, |bound| format!(" (bound {bound})"));
    format!("{name}{labels} = {value}{bound}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};

    fn told(alarm: &Alarm) -> (Errand, Value) {
        let url = "http://127.0.0.1:9093".parse().unwrap();
        let errand = telling(alarm, |telling| errand(&url, Some(&Secret::new("t0ken")), telling)).unwrap();
        let body = read(&errand.body);
        (errand, body)
    }

    fn expected(ends: &str) -> Value {
        json!([{
            "labels": {
                "alertname": "TidegateMonitor", "monitor": "fraud-drift", "route": "fraud", "severity": "warning",
                "variant": "blue", "model": "fraud-v1", "model_version": "3",
            },
            "annotations": {
                "summary": "amount has drifted: psi 0.31 > 0.2 & <more>",
                "description": "psi{feature=amount} = 0.31 (bound 0.2)\nrows = 1000",
            },
            "startsAt": "2026-11-23T00:36:10.123Z",
            "endsAt": ends,
            "generatorURL": "http://127.0.0.1:8081/admin/v1/monitors/fraud-drift",
        }])
    }

    #[test]
    fn an_alarm_ends_in_the_future_and_a_past_one_when_it_did() {
        let (errand, body) = told(&alarm(true));
        assert_eq!(errand.url, "http://127.0.0.1:9093/api/v2/alerts");
        assert_eq!(errand.headers["authorization"], "Bearer t0ken");
        assert_eq!(body, expected("2026-11-23T00:41:15.123Z"));
        assert_eq!(told(&alarm(false)).1, expected("2026-11-23T00:36:12.123Z"));
    }

    #[test]
    fn an_end_is_not_before_its_begin_whatever_the_clocks_say() {
        let mut odd = alarm(false);
        odd.at_ms = 5;
        let (_, body) = told(&odd);
        assert_eq!(body[0]["startsAt"], body[0]["endsAt"]);
    }
}
