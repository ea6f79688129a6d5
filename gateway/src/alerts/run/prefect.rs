//! Prefect: `POST /api/deployments/{id}/create_flow_run`. The alarm lies in the run's context, since a deployment refuses
//! parameters that its flow does not have.

use crate::alerts::errand::{Errand, Telling, join};
use serde_json::json;
use tidegate_core::spec::RunSpec;

/// What starts it.
pub(super) fn errand(spec: &RunSpec, deployment: &str, telling: &Telling<'_>) -> Result<Errand, String> {
    let body = json!({
        "name": super::name(telling),
        "parameters": spec.parameters,
        "context": {"tidegate": {"alert": telling.alert, "alarm": telling.alarm}},
        "tags": ["tidegate", format!("monitor:{}", telling.alarm.monitor)],
        "idempotency_key": telling.once(),
    });
    // An address of Prefect Cloud has `/api` in it, before account and workspace.
    let has_api = spec.url.path().split('/').any(|part| part == "api");
    let api = if has_api { "" } else { "/api" };
    Ok(Errand::post(join(&spec.url, &format!("{api}/deployments/{deployment}/create_flow_run"))?, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};
    use tidegate_core::spec::Runner;

    const DEPLOYMENT: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    fn started(url: &str) -> Errand {
        let spec = RunSpec {
            by: Runner::Prefect { deployment: DEPLOYMENT.to_owned() },
            url: url.parse().unwrap(),
            bearer: None,
            basic: None,
            parameters: json!({"model": "fraud"}),
            shown: json!({}),
        };
        telling(&alarm(true), |telling| errand(&spec, DEPLOYMENT, telling)).unwrap()
    }

    #[test]
    fn a_flow_run_has_the_alarm_in_its_context() {
        let errand = started("http://127.0.0.1:4200");
        let (name, once) = telling(&alarm(true), |telling| (super::super::name(telling), telling.once()));
        let expected = json!({
            "name": name, "parameters": {"model": "fraud"}, "tags": ["tidegate", "monitor:fraud-drift"],
            "context": {"tidegate": {"alert": "duty", "alarm": alarm(true)}}, "idempotency_key": once,
        });
        assert_eq!(read(&errand.body), expected);
        assert_eq!(errand.url, format!("http://127.0.0.1:4200/api/deployments/{DEPLOYMENT}/create_flow_run").as_str());
    }

    #[test]
    fn the_cloud_has_its_workspaces_behind_the_api() {
        let url = started("https://api.prefect.cloud/api/accounts/a/workspaces/w").url;
        let path = format!("/api/accounts/a/workspaces/w/deployments/{DEPLOYMENT}/create_flow_run");
        assert_eq!(url.path(), path);
    }
}
