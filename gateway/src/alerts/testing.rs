//! An alarm for tests.

use super::errand::Telling;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate_core::AlertName;
use tidegate_core::port::alerts::{Alarm, Measured};

/// 2026-11-23T00:36:10.123Z.
pub(super) const SINCE: u64 = 1_795_394_170_123;

/// An alarm of drift that began at [`SINCE`] and is told 2 seconds later.
pub(super) fn alarm(firing: bool) -> Alarm {
    Alarm {
        monitor: "fraud-drift".parse().unwrap(),
        firing,
        route: "fraud".parse().unwrap(),
        variant: Some("blue".parse().unwrap()),
        model: Some("fraud-v1".parse().unwrap()),
        model_version: Some(3),
        summary: "amount has drifted: psi 0.31 > 0.2 & <more>".to_owned(),
        since_ms: SINCE,
        at_ms: SINCE + 2_000,
        dedup_key: "fraud-drift/fraud/blue/1795394170123".to_owned(),
        measurements: vec![
            Measured {
                name: "psi".to_owned(),
                value: 0.31,
                threshold: Some(0.2),
                labels: BTreeMap::from([("feature".to_owned(), "amount".to_owned())]),
            },
            Measured { name: "rows".to_owned(), value: 1000.0, threshold: None, labels: BTreeMap::new() },
        ],
    }
}

/// Tells `then` of it, 5 seconds after it began.
pub(super) fn telling<T>(alarm: &Alarm, then: impl FnOnce(&Telling<'_>) -> T) -> T {
    let alert: AlertName = "duty".parse().unwrap();
    then(&Telling {
        alert: &alert,
        alarm,
        now_ms: SINCE + 5_000,
        delivery: "0193-delivery",
        console: Some("http://127.0.0.1:8081/admin/v1"),
    })
}

/// The JSON of a body.
pub(super) fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}
