//! Alerts as they are shown. Owns that of an address that may itself be a secret only its server is told.

use super::HIDDEN;
use http::Uri;
use serde_json::{Value, json};
use tidegate_core::spec::{AlertSpec, AlertTo, RunSpec, Runner};

/// An alert.
pub(super) fn alert(spec: &AlertSpec) -> Value {
    match &spec.to {
        AlertTo::Webhook { url, secret } => {
            json!({"webhook": {"url": server_of(url), "secret": secret.as_ref().map(|_| HIDDEN)}})
        }
        AlertTo::PagerDuty { url, routing_key: _ } => {
            json!({"pagerduty": {"url": server_of(url), "routing_key": HIDDEN}})
        }
        AlertTo::Alertmanager { url, bearer } => {
            json!({"alertmanager": {"url": url.to_string(), "bearer": bearer.as_ref().map(|_| HIDDEN)}})
        }
        AlertTo::Slack { url: _ } => json!({"slack": {"url": HIDDEN}}),
        AlertTo::Run(run) => run_by(run),
    }
}

fn run_by(RunSpec { by, url, bearer, basic, parameters: _, shown: parameters }: &RunSpec) -> Value {
    let (kind, mut shown) = match by {
        Runner::Airflow { dag, api } => ("airflow", json!({"dag": dag, "api": api})),
        Runner::Prefect { deployment } => ("prefect", json!({"deployment": deployment})),
        Runner::Dagster { location, repository, job } => {
            ("dagster", json!({"location": location, "repository": repository, "job": job}))
        }
        Runner::Kfp { pipeline, version, experiment } => {
            ("kfp", json!({"pipeline": pipeline, "version": version, "experiment": experiment}))
        }
        Runner::Generic { path } => ("generic", json!({"path": path})),
    };
    let hidden = |secret: &Option<_>| secret.as_ref().map(|_| HIDDEN);
    shown["url"] = json!(url.to_string());
    shown["bearer"] = json!(hidden(bearer));
    shown["basic"] = json!(hidden(basic));
    shown["parameters"] = parameters.clone();
    json!({kind: shown})
}

/// An address without what stands behind its host.
fn server_of(url: &Uri) -> String {
    let rest = if matches!(url.path(), "" | "/") && url.query().is_none() { "" } else { "/***" };
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    format!("{}://{authority}{rest}", url.scheme_str().unwrap_or_default())
}
