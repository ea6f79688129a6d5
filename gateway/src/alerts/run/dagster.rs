//! Dagster: the mutation `launchRun` at `/graphql`. What it says of the run stands in an answer of status 200, right or
//! wrong.

use crate::alerts::errand::{Errand, Telling, join};
use crate::alerts::text::cut;
use serde_json::{Value, json};
use tidegate_core::spec::RunSpec;

/// What is asked.
const LAUNCH: &str = "\
mutation TidegateLaunch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}";

/// What starts it. `of` are location, repository and job.
pub(super) fn errand(spec: &RunSpec, of: [&str; 3], telling: &Telling<'_>) -> Result<Errand, String> {
    let [location, repository, job] = of;
    let alarm = telling.alarm;
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let mut tags = vec![
        tag("tidegate/alarm", &telling.once()),
        tag("tidegate/monitor", alarm.monitor.as_str()),
        tag("tidegate/route", alarm.route.as_str()),
        tag("tidegate/summary", &cut(&alarm.summary, 1000)),
    ];
    tags.extend(alarm.model.as_ref().map(|model| tag("tidegate/model", model.as_str())));
    tags.extend(alarm.model_version.map(|version| tag("tidegate/model_version", &version.to_string())));
    let body = json!({
        "operationName": "TidegateLaunch",
        "query": LAUNCH,
        "variables": {"params": {
            "selector": {"repositoryLocationName": location, "repositoryName": repository, "jobName": job},
            "runConfigData": spec.parameters,
            "executionMetadata": {"tags": tags},
        }},
    });
    let errand = Errand::post(join(&spec.url, "/graphql")?, &body);
    match &spec.bearer {
        // Dagster+ has a header of its own beside the usual one.
        Some(token) => errand.with("dagster-cloud-api-token", token.expose()),
        None => Ok(errand),
    }
}

/// What an answer says of the run: nothing where it was started, else why not, and whether that may pass.
pub(in crate::alerts) fn refusal(answer: &[u8]) -> Option<(String, bool)> {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return Some(("the answer is no JSON: this is no Dagster".to_owned(), false));
    };
    let launched = &answer["data"]["launchRun"];
    let kind = launched["__typename"].as_str();
    if kind == Some("LaunchRunSuccess") {
        return None;
    }
    let errors = if kind.is_some() { &launched["errors"] } else { &answer["errors"] };
    let said: Vec<&str> = errors
        .as_array()
        .into_iter()
        .flatten()
        .chain([launched])
        .filter_map(|error| error["message"].as_str())
        .collect();
    // A `PythonError` is a fault of the server's, such as a location that loads just now.
    Some((format!("{}: {}", kind.unwrap_or("no run was started"), said.join("; ")), kind == Some("PythonError")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};
    use tidegate_core::Secret;
    use tidegate_core::spec::Runner;

    #[test]
    fn a_run_is_launched_by_a_mutation_with_the_alarm_in_its_tags() {
        let spec = RunSpec {
            by: Runner::Dagster { location: "l".to_owned(), repository: "r".to_owned(), job: "j".to_owned() },
            url: "http://127.0.0.1:3000".parse().unwrap(),
            bearer: Some(Secret::new("t")),
            basic: None,
            parameters: json!({"ops": {"train": {"config": {"epochs": 3}}}}),
            shown: json!({}),
        };
        let errand = telling(&alarm(true), |telling| errand(&spec, ["l", "r", "j"], telling)).unwrap();
        assert_eq!(errand.url, "http://127.0.0.1:3000/graphql");
        assert_eq!(errand.headers["dagster-cloud-api-token"], "t");
        let body = read(&errand.body);
        assert!(body["query"].as_str().unwrap().contains("launchRun(executionParams: $params)"));
        let once = telling(&alarm(true), |telling| json!(telling.once()));
        let expected = json!({"params": {
            "selector": {"repositoryLocationName": "l", "repositoryName": "r", "jobName": "j"},
            "runConfigData": {"ops": {"train": {"config": {"epochs": 3}}}},
            "executionMetadata": {"tags": [
                {"key": "tidegate/alarm", "value": once},
                {"key": "tidegate/monitor", "value": "fraud-drift"},
                {"key": "tidegate/route", "value": "fraud"},
                {"key": "tidegate/summary", "value": "amount has drifted: psi 0.31 > 0.2 & <more>"},
                {"key": "tidegate/model", "value": "fraud-v1"},
                {"key": "tidegate/model_version", "value": "3"},
            ]},
        }});
        assert_eq!(body["variables"], expected);
    }

    #[test]
    fn an_answer_of_status_200_may_be_a_refusal() {
        let says = |answer: Value| refusal(answer.to_string().as_bytes());
        let launched = |of: Value| says(json!({"data": {"launchRun": of}}));
        assert_eq!(launched(json!({"__typename": "LaunchRunSuccess", "run": {"runId": "1"}})), None);
        let wrong = launched(
            json!({"__typename": "RunConfigValidationInvalid", "errors": [{"message": "a"}, {"message": "b"}]}),
        );
        assert_eq!(wrong, Some(("RunConfigValidationInvalid: a; b".to_owned(), false)));
        let passing = launched(json!({"__typename": "PythonError", "message": "it loads"}));
        assert_eq!(passing, Some(("PythonError: it loads".to_owned(), true)));
        let graphql = says(json!({"errors": [{"message": "unknown type"}]}));
        assert_eq!(graphql, Some(("no run was started: unknown type".to_owned(), false)));
        assert!(refusal(b"<html>").is_some_and(|(_, may_pass)| !may_pass));
    }
}
