//! The calls of baselines.

use super::Asked;
use super::fields::object;
use crate::baseline::Baseline;
use crate::fault::RegistryFault;
use serde_json::Value;

/// The baseline of a version.
pub(super) async fn baseline(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    asked.registry.baseline(&asked.name()?, asked.version()?).await
}

/// Gives a version its baseline.
pub(super) async fn set_baseline(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let baseline = Baseline::read(&object(&asked.body)?)?;
    asked.registry.set_baseline(&asked.by, &asked.name()?, asked.version()?, &baseline).await
}
