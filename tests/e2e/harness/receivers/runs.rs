//! Those who start runs: Airflow's two APIs, Prefect, Dagster, Kubeflow Pipelines, and anything. Members that the real
//! ones do not know are refused where these refuse them (Airflow 3 and Prefect forbid them, GraphQL knows no others).

use super::form::{Wrong, list, moment, object, text};
use super::{DEPLOYMENT, LOGIN, SECRET, answer, posted};
use crate::harness::upstream::{Act, Seen};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Whether the caller is the one who may.
fn is_known(seen: &Seen) -> bool {
    seen.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(LOGIN)))
}

/// Airflow 2: `POST /api/v1/dags/retrain/dagRuns`.
pub(crate) fn airflow1(seen: &Seen) -> Act {
    let wrong = |status: u16, why: String| {
        answer(status, &json!({"detail": why, "status": status, "title": "Bad Request", "type": "about:blank"}))
    };
    if !is_known(seen) {
        return wrong(401, "Unauthorized".to_owned());
    }
    let checked = posted(seen, "/api/v1/dags/retrain/dagRuns").and_then(|body| {
        let known = ["logical_date", "execution_date", "data_interval_start", "data_interval_end", "conf", "note"];
        object(&body, &["dag_run_id"], &known).map_err(|why| (400, why))?;
        run_of_airflow(&body).map_err(|why| (400, why))
    });
    match checked {
        Ok(id) => answer(200, &json!({"dag_id": "retrain", "dag_run_id": id, "state": "queued"})),
        Err((status, why)) => wrong(status, why),
    }
}

/// Airflow 3: `POST /api/v2/dags/retrain/dagRuns`.
pub(crate) fn airflow2(seen: &Seen) -> Act {
    let wrong = |status: u16, why: String| answer(status, &json!({"detail": [{"type": "wrong", "msg": why}]}));
    if !is_known(seen) {
        return wrong(401, "Not authenticated".to_owned());
    }
    let checked = posted(seen, "/api/v2/dags/retrain/dagRuns").and_then(|body| {
        let known = ["dag_run_id", "data_interval_start", "data_interval_end", "run_after", "conf", "note"];
        object(&body, &["logical_date"], &known).map_err(|why| (422, why))?;
        if !body["logical_date"].is_null() {
            moment(&body["logical_date"]).map_err(|why| (422, why))?;
        }
        text(&body["note"], 0, 1000).map_err(|why| (422, why))?;
        run_of_airflow(&body).map_err(|why| (400, why))
    });
    match checked {
        Ok(id) => answer(200, &json!({"dag_id": "retrain", "dag_run_id": id, "state": "queued"})),
        Err((status, why)) => wrong(status, why),
    }
}

fn run_of_airflow(body: &Value) -> Result<String, Wrong> {
    let id = text(&body["dag_run_id"], 1, 250)?;
    // `allowed_run_id_pattern`.
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || "_.~:+-".contains(c)) {
        return Err(format!("The run_id provided '{id}' does not match regex pattern"));
    }
    if !body["conf"]["alarm"].is_object() || body["conf"]["epochs"] != 3 {
        return Err(format!("conf is {}", body["conf"]));
    }
    Ok(id.to_owned())
}

/// Prefect 3: `POST /api/deployments/{id}/create_flow_run`.
pub(crate) fn prefect(seen: &Seen) -> Act {
    let wrong = |status: u16, why: String| {
        answer(status, &json!({"exception_message": "Invalid request received.", "exception_detail": [{"msg": why}]}))
    };
    if !is_known(seen) {
        return wrong(401, "Unauthorized".to_owned());
    }
    let checked = posted(seen, &format!("/api/deployments/{DEPLOYMENT}/create_flow_run")).and_then(|body| {
        flow_run(&body).map_err(|why| (422, why))?;
        // A deployment enforces the parameters of its flow.
        object(&body["parameters"], &[], &["epochs"]).map_err(|why| (409, why))?;
        Ok(body)
    });
    match checked {
        Ok(body) => answer(201, &json!({"id": "8c0a", "name": body["name"], "state_type": "SCHEDULED"})),
        Err((status, why)) => wrong(status, why),
    }
}

fn flow_run(body: &Value) -> Result<(), Wrong> {
    let known = [
        "state",
        "name",
        "parameters",
        "enforce_parameter_schema",
        "context",
        "infrastructure_document_id",
        "empirical_policy",
        "tags",
        "idempotency_key",
        "labels",
        "parent_task_run_id",
        "work_queue_name",
        "job_variables",
    ];
    object(body, &[], &known)?;
    text(&body["idempotency_key"], 1, 255)?;
    list(&body["tags"], 0, 100)?.iter().try_for_each(|tag| text(tag, 1, 1000).map(drop))?;
    if body["context"]["tidegate"]["alarm"].is_object() { Ok(()) } else { Err("the context is no object".to_owned()) }
}

/// Dagster: `launchRun` at `/graphql`. A form that GraphQL does not know is a 400, everything else a 200.
pub(crate) fn dagster(seen: &Seen) -> Act {
    let body = match posted(seen, "/graphql") {
        Ok(body) => body,
        Err((status, why)) => return answer(status, &json!({"errors": [{"message": why}]})),
    };
    let launched = |of: Value| answer(200, &json!({"data": {"launchRun": of}}));
    match execution(&body) {
        Err(why) => answer(400, &json!({"errors": [{"message": why}]})),
        Ok(params) if params["selector"]["jobName"] != "retrain" => launched(json!({
            "__typename": "PipelineNotFoundError", "message": "Could not find Pipeline",
        })),
        Ok(params) if params["runConfigData"] != json!({"ops": {"train": {"config": {"epochs": 3}}}}) => {
            launched(json!({"__typename": "RunConfigValidationInvalid", "errors": [{"message": "wrong config"}]}))
        }
        Ok(_) => launched(json!({"__typename": "LaunchRunSuccess", "run": {"runId": "b1"}})),
    }
}

fn execution(body: &Value) -> Result<&Value, Wrong> {
    object(body, &["query"], &["operationName", "variables"])?;
    let query = text(&body["query"], 1, 10_000)?;
    if !query.starts_with("mutation ") || !query.contains("launchRun(executionParams: $params)") {
        return Err(format!("this launches nothing: {query}"));
    }
    let params = &body["variables"]["params"];
    object(params, &["selector"], &["runConfigData", "mode", "executionMetadata", "stepKeys", "preset"])?;
    let known = ["jobName", "pipelineName", "solidSelection", "assetSelection", "assetCheckSelection"];
    object(&params["selector"], &["repositoryName", "repositoryLocationName"], &known)?;
    object(&params["executionMetadata"], &[], &["tags", "rootRunId", "parentRunId"])?;
    for tag in list(&params["executionMetadata"]["tags"], 1, 100)? {
        object(tag, &["key", "value"], &[])?;
        text(&tag["key"], 1, 127)?;
        text(&tag["value"], 0, 10_000)?;
    }
    Ok(params)
}

/// Kubeflow Pipelines: `POST /apis/v2beta1/runs`.
pub(crate) fn kfp(seen: &Seen) -> Act {
    let wrong =
        |status: u16, why: String| answer(status, &json!({"error": why, "code": 3, "message": why, "details": []}));
    if seen.header("authorization") != Some(&format!("Bearer {SECRET}")) {
        return wrong(401, "Unauthenticated".to_owned());
    }
    let checked = posted(seen, "/apis/v2beta1/runs").and_then(|body| run_of_kfp(&body).map_err(|why| (400, why)));
    match checked {
        Ok(()) => answer(200, &json!({"run_id": "c2", "state": "PENDING"})),
        Err((status, why)) => wrong(status, why),
    }
}

fn run_of_kfp(body: &Value) -> Result<(), Wrong> {
    let known = ["description", "experiment_id", "service_account", "pipeline_spec"];
    object(body, &["display_name", "runtime_config", "pipeline_version_reference"], &known)?;
    text(&body["display_name"], 1, 128)?;
    text(&body["description"], 0, 255)?;
    object(&body["pipeline_version_reference"], &["pipeline_id"], &["pipeline_version_id"])?;
    object(&body["runtime_config"], &[], &["parameters", "pipeline_root"])?;
    // A pipeline takes the parameters that it has.
    object(&body["runtime_config"]["parameters"], &["epochs"], &[]).map(drop)
}

/// Anything: `POST /hooks/retrain`.
pub(crate) fn generic(seen: &Seen) -> Act {
    let checked = posted(seen, "/hooks/retrain").and_then(|body| {
        object(&body, &["version", "alert", "run", "parameters", "alarm"], &[]).map_err(|why| (422, why))?;
        let key = seen.header("idempotency-key").unwrap_or_default();
        if key.len() == 32 { Ok(()) } else { Err((400, "`idempotency-key` is missing".to_owned())) }
    });
    match checked {
        Ok(()) => answer(202, &json!({"started": true})),
        Err((status, why)) => answer(status, &json!({"started": false, "why": why})),
    }
}
