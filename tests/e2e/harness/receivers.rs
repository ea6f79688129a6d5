//! Strict stand-ins for those who are told of alarms: each refuses what the real one's schema refuses, with its status. Each
//! is a function for `Act::By`, so that an `Upstream` becomes the receiver.

mod form;
mod messages;
mod runs;

pub(crate) use messages::{alertmanager, pagerduty, slack, webhook};
pub(crate) use runs::{airflow1, airflow2, dagster, generic, kfp, prefect};

use super::upstream::{Act, Seen};
use serde_json::Value;

/// The secret of whatever has one.
pub(crate) const SECRET: &str = "a-secret-of-the-alerts-of-tests-1";
/// The key of the integration: PagerDuty's have 32 characters.
pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
/// `USER:PASSWORD` of whatever asks for them.
pub(crate) const LOGIN: &str = "runner:of-the-tests";
/// A deployment of Prefect.
pub(crate) const DEPLOYMENT: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

fn answer(status: u16, body: &Value) -> Act {
    Act::Answer(status, vec![], body.to_string().into())
}

/// What is asked of every one of them: a POST of JSON to this path.
fn posted(seen: &Seen, path: &str) -> Result<Value, (u16, String)> {
    if seen.path != path {
        return Err((404, format!("there is no {}", seen.path)));
    }
    if seen.method != "POST" {
        return Err((405, seen.method.clone()));
    }
    if seen.header("content-type") != Some("application/json") {
        return Err((415, "the body is no application/json".to_owned()));
    }
    serde_json::from_slice(&seen.body).map_err(|e| (400, e.to_string()))
}
