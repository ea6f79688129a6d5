//! A tracking server of MLflow beside the registry: it knows runs and logged models, and where their files lie. Owns
//! what is asked of it.

use crate::fault::{RegistryFault, RegistryFaultKind};
use bytes::Bytes;
use http::{Request, Uri};
use serde_json::Value;
use std::sync::Arc;
use tidegate_core::port::outbound::{Outbound, Reach};

/// A tracking server.
#[derive(Debug, Clone)]
pub struct Tracking {
    url: Uri,
    outbound: Arc<dyn Outbound>,
}

impl Tracking {
    /// The server at `url`. It is of the configuration, so it may be anywhere.
    #[must_use]
    pub fn new(url: Uri, outbound: Arc<dyn Outbound>) -> Self {
        Self { url, outbound }
    }

    /// A logged model.
    ///
    /// # Errors
    /// The server cannot be asked, or knows no such model.
    pub(crate) async fn logged_model(&self, id: &str) -> Result<LoggedModel, RegistryFault> {
        let unknown = || RegistryFault::missing(format!("Logged model with ID '{id}' not found."));
        let info = self.ask(&format!("logged-models/{}", escaped(id))).await?.ok_or_else(unknown)?;
        let text = |field: &str| info["model"]["info"][field].as_str().unwrap_or_default().to_owned();
        let logged = LoggedModel { artifacts: text("artifact_uri"), run_id: text("source_run_id") };
        if logged.artifacts.is_empty() { Err(unknown()) } else { Ok(logged) }
    }

    /// Where the files of a run lie; of a run that the server does not know, nowhere.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn artifacts_of_run(&self, id: &str) -> Result<Option<String>, RegistryFault> {
        if id.is_empty() {
            return Ok(None);
        }
        let run = self.ask(&format!("runs/get?run_id={}", escaped(id))).await?;
        Ok(run.and_then(|run| run["run"]["info"]["artifact_uri"].as_str().map(str::to_owned)))
    }

    async fn ask(&self, what: &str) -> Result<Option<Value>, RegistryFault> {
        let base = self.url.to_string();
        let url = format!("{}/api/2.0/mlflow/{what}", base.trim_end_matches('/'));
        let request = Request::get(url).body(Bytes::new()).map_err(RegistryFault::internal)?;
        let gone = |why: &dyn std::fmt::Display| {
            RegistryFault::new(RegistryFaultKind::Unavailable, "the tracking server cannot be asked now").because(why)
        };
        let answer = self.outbound.send(request, Reach::Any).await.map_err(|fault| gone(&fault))?;
        match answer.status() {
            status if status.is_success() => serde_json::from_slice(answer.body()).map(Some).map_err(|e| gone(&e)),
            status if status.is_client_error() => Ok(None),
            status => Err(gone(&status)),
        }
    }
}

/// A logged model, as a tracking server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedModel {
    /// Where its files lie.
    pub(crate) artifacts: String,
    /// The run that logged it.
    pub(crate) run_id: String,
}

/// An id as part of a path or a query: whoever names it cannot ask for another thing.
fn escaped(id: &str) -> String {
    id.bytes()
        .map(|b| {
            let is_plain = b.is_ascii_alphanumeric() || b"-_".contains(&b);
            if is_plain { char::from(b).to_string() } else { format!("%{b:02X}") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_ask_for_another_thing() {
        assert_eq!(escaped("m-8ea3"), "m-8ea3");
        assert_eq!(escaped("../runs/get?x=1#"), "%2E%2E%2Fruns%2Fget%3Fx%3D1%23");
    }
}
