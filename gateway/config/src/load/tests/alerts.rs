//! What is refused of alerts and why, and what becomes of good ones.

use super::*;
use tidegate_core::AlertName;
use tidegate_core::spec::{AlertTo, RunSpec, Runner};

const DEPLOYMENT: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

fn spec(to: &str) -> AlertTo {
    let loaded = loaded("alerts", &format!("{{a: {to}}}")).unwrap_or_else(|report| panic!("{report}"));
    loaded.spec.alerts[&"a".parse::<AlertName>().unwrap()].to.clone()
}

fn run(to: &str) -> RunSpec {
    match spec(to) {
        AlertTo::Run(run) => *run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn alerts() {
    each(
        "alerts",
        &[
            ("{a b: {slack: {url: \"${env:SLACK}\"}}}", "not the name of an alert"),
            ("{a: {pagerdutty: {routing_key: \"${env:KEY}\"}}}", "`pagerdutty` is not one of the choices"),
            ("{a: pagerduty}", "`pagerduty` has another form here"),
            ("{a: {pagerduty: {}}}", "`routing_key` is missing"),
            ("{a: {pagerduty: {routing_key: abc}}}", "a secret stands in the file itself"),
            ("{a: {pagerduty: {routing_key: \"${env:KEY}\", url: \"http://events.example/\"}}}", "as plain text"),
            ("{a: {webhook: {url: \"http://example.com/h\"}}}", "as plain text"),
            ("{a: {webhook: {url: \"http://169.254.169.254/h\"}}}", "as plain text"),
            ("{a: {webhook: {url: \"https://example.com/h?token=abc\"}}}", "a secret may stand in the query"),
            ("{a: {webhook: {url: \"https://u:p@example.com/\"}}}", "it carries credentials"),
            ("{a: {webhook: {url: \"https://example.com/#a\"}}}", "it has a fragment"),
            ("{a: {webhook: {url: \"https://example.com/\", secret: abc}}}", "a secret stands in the file itself"),
            ("{a: {webhook: {url: \"https://example.com/\", sekret: abc}}}", "unknown field `sekret`"),
            ("{a: {slack: {url: \"https://hooks.slack.com/services/T/B/x\"}}}", "a secret stands in the file itself"),
            ("{a: {slack: {url: \"${env:KEY}\"}}}", "no address of a webhook"),
            ("{a: {slack: {url: \"${env:OPEN}\"}}}", "as plain text"),
            ("{a: {alertmanager: {url: \"am:9093\"}}}", "an address such as"),
            ("{a: {alertmanager: {url: \"http://am:9093\", bearer: \"${env:MULTI}\"}}}", "fits into no header"),
            ("{a: {airflow: {url: \"http://af:8080\", dag: a/b}}}", "`a/b` is not an id"),
            ("{a: {airflow: {url: \"http://af:8080\", dag: d, api: 3}}}", "no such version of its API"),
            ("{a: {airflow: {url: \"http://af:8080\", dag: d, basic: \"u:p\"}}}", "a secret stands in the file itself"),
            ("{a: {airflow: {url: \"http://af:8080\", dag: d, basic: \"${env:KEY}\"}}}", "no `:` between"),
            (
                "{a: {airflow: {url: \"http://af\", dag: d, parameters: {alarm: 1}}}}",
                "`alarm` is what the alarm is called",
            ),
            ("{a: {airflow: {url: \"http://af:8080\", dag: d, parameters: [1]}}}", "expected a map"),
            ("{a: {prefect: {url: \"http://p:4200\", deployment: flow}}}", "no id of a deployment"),
            ("{a: {dagster: {url: \"http://d:3000\", location: l}}}", "`job` is missing"),
            ("{a: {kfp: {url: \"http://kfp.example\", pipeline: p}}}", "as plain text"),
            ("{a: {generic: {url: \"https://ci.example\", path: hooks}}}", "`hooks` is not a path"),
        ],
    );
    let both = "{a: {generic: {url: \"https://ci\", path: /h, bearer: \"${env:KEY}\", basic: \"${env:LOGIN}\"}}}";
    each("alerts", &[(both, "both say who we are")]);
}

#[test]
fn each_receiver_has_what_was_written_and_its_defaults() {
    let AlertTo::PagerDuty { url, routing_key } = spec("{pagerduty: {routing_key: \"${env:KEY}\"}}") else { panic!() };
    assert_eq!((url.to_string().as_str(), routing_key.expose()), ("https://events.pagerduty.com/v2/enqueue", "s3cret"));
    let AlertTo::Webhook { url, secret } = spec("{webhook: {url: \"${env:HOOK}\"}}") else { panic!() };
    assert_eq!((url.to_string().as_str(), secret), ("https://h.example/x?token=s3cret", None));
    let AlertTo::Alertmanager { url, bearer } = spec("{alertmanager: {url: \"http://am.monitoring.svc:9093/\"}}")
    else {
        panic!()
    };
    assert_eq!((url.to_string().as_str(), bearer), ("http://am.monitoring.svc:9093/", None));
    let AlertTo::Slack { url } = spec("{slack: {url: \"${env:SLACK}\"}}") else { panic!() };
    assert_eq!(url.expose(), "https://hooks.slack.com/services/T/B/s3cret");
}

#[test]
fn each_run_has_what_was_written_and_its_defaults() {
    let airflow = run(
        "{airflow: {url: \"http://af:8080\", dag: retrain, basic: \"${env:LOGIN}\", parameters: {n: 1, s: \"1\"}}}",
    );
    assert_eq!(airflow.by, Runner::Airflow { dag: "retrain".to_owned(), api: 2 });
    assert_eq!(airflow.parameters, serde_json::json!({"n": 1, "s": "1"}));
    assert_eq!(airflow.basic.unwrap().expose(), "user:s3cret");
    let prefect = run(&format!("{{prefect: {{url: \"http://p:4200\", deployment: {DEPLOYMENT}}}}}"));
    assert_eq!(prefect.by, Runner::Prefect { deployment: DEPLOYMENT.to_owned() });
    assert_eq!(prefect.parameters, serde_json::json!({}));
    let dagster = run("{dagster: {url: \"http://d:3000\", location: l, job: j}}");
    let repository = "__repository__".to_owned();
    assert_eq!(dagster.by, Runner::Dagster { location: "l".to_owned(), repository, job: "j".to_owned() });
    let kfp = run("{kfp: {url: \"https://k.example\", pipeline: p, experiment: e}}");
    assert_eq!(kfp.by, Runner::Kfp { pipeline: "p".to_owned(), version: None, experiment: Some("e".to_owned()) });
    assert_eq!(run("{generic: {url: \"https://ci.example\", path: /h}}").by, Runner::Generic { path: "/h".to_owned() });
}

#[test]
fn nothing_secret_of_an_alert_is_shown() {
    let all = format!(
        "{{p: {{pagerduty: {{routing_key: \"${{env:KEY}}\"}}}}, h: {{webhook: {{url: \"${{env:HOOK}}\", secret: \"${{env:KEY}}\"}}}}, \
         s: {{slack: {{url: \"${{env:SLACK}}\"}}}}, m: {{alertmanager: {{url: \"http://am\", bearer: \"${{env:KEY}}\"}}}}, \
         f: {{prefect: {{url: \"http://p\", deployment: {DEPLOYMENT}, basic: \"${{env:LOGIN}}\", parameters: {{k: \"${{env:KEY}}\"}}}}}}}}"
    );
    let spec = loaded("alerts", &all).unwrap_or_else(|report| panic!("{report}")).spec;
    let shown = crate::describe(&spec);
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
    let alerts = &shown["alerts"];
    assert_eq!(alerts["h"]["webhook"], serde_json::json!({"url": "https://h.example/***", "secret": "***"}));
    assert_eq!(alerts["f"]["prefect"]["parameters"], serde_json::json!({"k": "***"}));
    assert_eq!(alerts["p"]["pagerduty"]["url"], "https://events.pagerduty.com/***");
}
