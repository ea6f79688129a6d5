//! What monitors need of the registry: baselines read, evaluations written. Owns how a monitor is called there.

use crate::monitors::{Baseline, Book, Evaluation};
use serde_json::Value;
use std::sync::Arc;
use tidegate_core::model_ref::{ModelPick, ModelRef};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::models::Models as _;
use tidegate_registry::evaluation::{Evaluation as Entry, MonitorName};
use tidegate_registry::model::RegisteredName;
use tidegate_registry::{Actor, Registry, RegistryFault};

/// Who writes into the audit log what the gateway itself did.
const GATEWAY: &str = "tidegate";

/// The registry, as monitors see it.
#[derive(Debug)]
pub(crate) struct MonitorBook(Arc<Registry>);

impl MonitorBook {
    pub(crate) const fn of(registry: Arc<Registry>) -> Self {
        Self(registry)
    }

    async fn written(&self, evaluation: Evaluation, version: u32) -> Result<(), RegistryFault> {
        let Value::Object(details) = evaluation.details else { return Ok(()) };
        let found = Entry {
            monitor: MonitorName::new(&called(evaluation.monitor.as_str()))?,
            passed: evaluation.passed,
            score: None,
            details,
        };
        let by = Actor { principal: GATEWAY.to_owned(), idempotency: None, approves: false };
        let name = RegisteredName::new(&evaluation.of.name)?;
        self.0.evaluated(&by, &name, version.into(), found).await.map(drop)
    }
}

/// A monitor's name as the registry takes it: what it has no letter for is a dash.
fn called(monitor: &str) -> String {
    monitor.replace(['/', ':', '@'], "-")
}

impl Book for MonitorBook {
    fn baseline<'a>(&'a self, of: &'a ModelRef) -> BoxFuture<'a, Result<Baseline, String>> {
        Box::pin(async move {
            let served = self.0.resolve(of).await.map_err(|fault| fault.says.to_string())?;
            let name = RegisteredName::new(&of.name).map_err(|fault| fault.says.to_string())?;
            let json = self.0.baseline(&name, served.version.into()).await.map_err(|fault| fault.says.to_string())?;
            Ok(Baseline { model: of.name.clone(), version: served.version, json })
        })
    }

    fn evaluated(&self, evaluation: Evaluation) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let version = match &evaluation.of.pick {
                ModelPick::Version(version) => *version,
                // What it stands for now: the version that an alias stood for has its evaluations already.
                ModelPick::Alias(_) => {
                    self.0.resolve(&evaluation.of).await.map_err(|fault| fault.says.to_string())?.version
                }
            };
            self.written(evaluation, version).await.map_err(|fault| fault.says.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_monitor_has_a_name_in_the_registry() {
        for name in ["drift", "team/drift:v2@eu", "a.b_c-d"] {
            assert!(MonitorName::new(&called(name)).is_ok(), "{name}");
        }
    }
}
