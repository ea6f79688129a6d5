//! Alerts: who is told when a monitor raises an alarm and when it is over, and what is started then.

use crate::{AlertName, Secret};
use http::Uri;
use serde_json::Value;

/// Someone who is told, or something that is started.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// Its name.
    pub name: AlertName,
    /// How.
    pub to: AlertTo,
}

/// How it is told.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertTo {
    /// By a POST of our own JSON, signed by HMAC-SHA256 where there is a secret.
    Webhook {
        /// Where to.
        url: Uri,
        /// With which it is signed.
        secret: Option<Secret>,
    },
    /// By PagerDuty's Events API v2.
    PagerDuty {
        /// Where to; PagerDuty's own where it is not said.
        url: Uri,
        /// The integration.
        routing_key: Secret,
    },
    /// By Alertmanager's API v2.
    Alertmanager {
        /// Its address, without the path.
        url: Uri,
        /// For its `Authorization`.
        bearer: Option<Secret>,
    },
    /// By a webhook that takes what Slack's takes.
    Slack {
        /// Where to: the address is the secret.
        url: Secret,
    },
    /// By a run of something that trains again. Started by an alarm, not by its end.
    Run(Box<RunSpec>),
}

/// A run that an alarm starts.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    /// By what.
    pub by: Runner,
    /// Its address, without the path of the API.
    pub url: Uri,
    /// For its `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// For its `Authorization: Basic`, as `user:password`.
    pub basic: Option<Secret>,
    /// What goes with the run beside the alarm, a JSON object.
    pub parameters: Value,
    /// The same as it may be shown: with stars where something comes from a reference.
    pub shown: Value,
}

/// What runs things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// Airflow: `POST /api/v1/dags/{dag}/dagRuns`, or `/api/v2/…` of its third major version.
    Airflow {
        /// The DAG.
        dag: String,
        /// The version of the API: 1 or 2.
        api: u8,
    },
    /// Prefect: `POST /api/deployments/{id}/create_flow_run`.
    Prefect {
        /// The id of the deployment.
        deployment: String,
    },
    /// Dagster: the mutation `launchRun` at `/graphql`.
    Dagster {
        /// The repository's location.
        location: String,
        /// The repository.
        repository: String,
        /// The job.
        job: String,
    },
    /// Kubeflow Pipelines: `POST /apis/v2beta1/runs`.
    Kfp {
        /// The pipeline.
        pipeline: String,
        /// Its version, where not the newest is meant.
        version: Option<String>,
        /// The experiment, where one is meant.
        experiment: Option<String>,
    },
    /// Anything: a POST of this path with the parameters and the alarm.
    Generic {
        /// The path.
        path: String,
    },
}
