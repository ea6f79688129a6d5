//! A tracking server of MLflow beside the registry: it knows where the files of a logged model lie. Owns the one
//! question that is asked of it.

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

    /// Where the files of a logged model lie.
    ///
    /// # Errors
    /// The server cannot be asked, or knows no such model.
    pub(crate) async fn artifacts_of(&self, logged_model: &str) -> Result<String, RegistryFault> {
        let base = self.url.to_string();
        let url = format!("{}/api/2.0/mlflow/logged-models/{logged_model}", base.trim_end_matches('/'));
        let request = Request::get(url).body(Bytes::new()).map_err(RegistryFault::internal)?;
        let answer = self.outbound.send(request, Reach::Any).await.map_err(|fault| {
            RegistryFault::new(RegistryFaultKind::Unavailable, "the tracking server cannot be asked now").because(fault)
        })?;
        let unknown = || RegistryFault::missing(format!("Logged model with ID '{logged_model}' not found."));
        if !answer.status().is_success() {
            return Err(unknown().because(answer.status()));
        }
        let answer: Value = serde_json::from_slice(answer.body()).map_err(|e| unknown().because(e))?;
        let location = answer["model"]["info"]["artifact_uri"].as_str().filter(|uri| !uri.is_empty());
        location.map(str::to_owned).ok_or_else(unknown)
    }
}
