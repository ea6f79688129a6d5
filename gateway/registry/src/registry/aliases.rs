//! Aliases: moved, removed, followed.

use super::models::uri;
use super::{Actor, Begun, Registry};
use crate::alias::AliasName;
use crate::db::Deed;
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::model::RegisteredName;
use crate::store::{governance, models, versions};
use crate::version::ModelVersion;
use serde_json::{Value, json};

impl Registry {
    /// Lets an alias stand for a version, whatever it stood for.
    ///
    /// # Errors
    /// As [`Registry::move_alias`].
    pub async fn set_alias(
        &self,
        by: &Actor,
        name: &RegisteredName,
        alias: &AliasName,
        version: i64,
    ) -> Result<Value, RegistryFault> {
        self.move_alias(by, name, alias, version, None).await
    }

    /// Lets an alias stand for a version; where the caller says which it is `expected` to stand for now (`Some(None)`:
    /// none), it must.
    ///
    /// # Errors
    /// There is no such model or version, the alias stands for another than expected, or its gate is closed.
    pub async fn move_alias(
        &self,
        by: &Actor,
        name: &RegisteredName,
        alias: &AliasName,
        version: i64,
        expected: Option<Option<i64>>,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        let before = models::alias(change.db(), model, alias.as_str()).await?;
        if let Some(expected) = expected
            && expected != before
        {
            return Err(moved_meanwhile(name, alias, before));
        }
        self.pass(by, &mut change, (model, name, version), alias.as_str()).await?;
        models::set_alias(&mut change, model, alias.as_str(), version).await?;
        governance::moved(&mut change, model, alias.as_str(), before, Some(version)).await?;
        let deed = Deed::new("alias.set", format!("{}@{alias}", uri(name)), json!({"from": before, "to": version}));
        let answer = self.finish(change, by, deed, json!({})).await?;
        let data = json!({"name": name.as_str(), "alias": alias.as_str(), "version": version.to_string()});
        self.tell("model_version_alias", "created", data).await;
        Ok(answer)
    }

    /// Removes an alias; one that is not there is removed already.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn delete_alias(&self, by: &Actor, name: &RegisteredName, alias: &str) -> Result<Value, RegistryFault> {
        AliasName::check(alias)?;
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let row = models::get(change.db(), name.as_str()).await?;
        let before = models::alias(change.db(), row.id, alias).await?;
        if before.is_some() {
            self.may_unset(by, [alias])?;
            governance::moved(&mut change, row.id, alias, before, None).await?;
        }
        if !models::delete_alias(&mut change, row.id, alias).await? {
            return Ok(json!({}));
        }
        let deed = Deed::new("alias.delete", format!("{}@{alias}", uri(name)), json!({"from": before}));
        let answer = self.finish(change, by, deed, json!({})).await?;
        self.tell("model_version_alias", "deleted", json!({"name": name.as_str(), "alias": alias})).await;
        Ok(answer)
    }

    /// The version that an alias stands for; `latest` is the one with the highest number.
    ///
    /// # Errors
    /// There is no such model, or no such alias of it.
    pub async fn version_by_alias(&self, name: &RegisteredName, alias: &str) -> Result<ModelVersion, RegistryFault> {
        AliasName::check(alias)?;
        let mut db = self.db.read().await?;
        let row = models::get(&mut db, name.as_str()).await?;
        if alias.eq_ignore_ascii_case("latest") {
            let latest = versions::highest(&mut db, row.id)
                .await?
                .ok_or_else(|| RegistryFault::missing(format!("Latest version not found for model {name}.")))?;
            return versions::get(&mut db, row.id, name.as_str(), latest).await;
        }
        let version = models::alias(&mut db, row.id, alias)
            .await?
            .ok_or_else(|| RegistryFault::invalid(format!("Registered model alias {alias} not found.")))?;
        versions::get(&mut db, row.id, name.as_str(), version).await
    }
}

fn moved_meanwhile(name: &RegisteredName, alias: &AliasName, now: Option<i64>) -> RegistryFault {
    let now = now.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
    RegistryFault::new(
        RegistryFaultKind::Conflict,
        format!("`{alias}` of {name} stands for {now} now, which is not what you expected: look, and decide again"),
    )
}
