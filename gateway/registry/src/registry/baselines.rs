//! Baselines: kept and read. What one holds is `baseline`'s.

use super::governance::existing;
use super::models::uri;
use super::{Actor, Begun, Registry};
use crate::baseline::Baseline;
use crate::db::Deed;
use crate::fault::RegistryFault;
use crate::model::RegisteredName;
use crate::store::{baselines, governance};
use serde_json::{Value, json};
use tidegate_core::digest::Digest;

impl Registry {
    /// The baseline of a version.
    ///
    /// # Errors
    /// There is no such version, or it has no baseline.
    pub async fn baseline(&self, name: &RegisteredName, version: i64) -> Result<Value, RegistryFault> {
        let mut db = self.db.read().await?;
        let model = existing(&mut db, name, version).await?;
        let kept = baselines::get(&mut db, model, version).await?;
        let (body, _) = kept.ok_or_else(|| {
            RegistryFault::missing(format!(
                "version {version} of {name} has no baseline: make one of its training data"
            ))
        })?;
        serde_json::from_str(&body).map_err(RegistryFault::internal)
    }

    /// Gives a version its baseline. Approvals were of the one before, and are taken back. The audit log has its digest,
    /// not the whole of it. Answers with the digest.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn set_baseline(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        baseline: &Baseline,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        let body = baseline.to_json().to_string();
        let digest = Digest::of(body.as_bytes()).to_string();
        let before = baselines::get(change.db(), model, version).await?;
        let is_same = before.is_some_and(|(_, before)| before == digest);
        let voided = if is_same { 0 } else { governance::void_approvals(&mut change, model, version).await? };
        baselines::set(&mut change, model, version, body, &digest).await?;
        let size = baseline.size();
        let answer = json!({
            "sha256": digest,
            "rows": size.rows,
            "numeric_columns": size.numeric,
            "categorical_columns": size.categorical,
            "sampled_rows": size.sampled,
        });
        let mut detail = answer.clone();
        detail["approvals_void"] = json!(voided);
        let deed = Deed::new("version.baseline", format!("{}/{version}", uri(name)), detail);
        self.finish(change, by, deed, answer).await
    }
}
