//! Registered models: made, renamed, described, removed.

use super::{Actor, Begun, Registry};
use crate::db::Deed;
use crate::fault::RegistryFault;
use crate::kind::Kind;
use crate::model::{RegisteredModel, RegisteredName};
use crate::store::models;
use crate::tag::Tags;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tidegate_core::spec::RiskTier;

/// A model to be registered.
#[derive(Debug, Clone)]
pub struct NewModel {
    /// Its name.
    pub name: RegisteredName,
    /// What it is, in words.
    pub description: String,
    /// The job that deploys it.
    pub deployment_job: String,
    /// Its tags.
    pub tags: Tags,
    /// What it is, where that is known.
    pub kind: Option<Kind>,
    /// How much harm it could do, where that is known.
    pub risk: Option<RiskTier>,
}

impl Registry {
    /// The model of this name.
    ///
    /// # Errors
    /// There is none.
    pub async fn model(&self, name: &RegisteredName) -> Result<RegisteredModel, RegistryFault> {
        whole(&mut *self.db.read().await?, name).await
    }

    /// Registers a model; answers with it.
    ///
    /// # Errors
    /// There is one of this name.
    pub async fn create_model(&self, by: &Actor, new: NewModel) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let id = models::insert(&mut change, &new).await?;
        for (key, value) in new.tags.iter() {
            models::set_tag(&mut change, id, key, value).await?;
        }
        let made = whole(change.db(), &new.name).await?;
        let detail = json!({"description": new.description, "tags": made.tags});
        let deed = Deed::new("model.create", uri(&new.name), detail);
        let answer = self.finish(change, by, deed, json!(made)).await?;
        let data = json!({"name": new.name.as_str(), "tags": made.tags, "description": new.description});
        self.tell("registered_model", "created", data).await;
        Ok(answer)
    }

    /// Gives a model another name; its versions keep their numbers. Answers with it.
    ///
    /// # Errors
    /// There is no such model, or one of the new name.
    pub async fn rename_model(
        &self,
        by: &Actor,
        name: &RegisteredName,
        new_name: &RegisteredName,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let row = models::get(change.db(), name.as_str()).await?;
        if new_name != name && models::find(change.db(), new_name.as_str()).await?.is_some() {
            return Err(models::exists(new_name));
        }
        // A name with a governed alias must not come to mean another model unseen.
        let aliases = whole(change.db(), name).await?.aliases;
        self.may_unset(by, aliases.keys().map(String::as_str))?;
        models::rename(&mut change, row.id, new_name).await?;
        let made = whole(change.db(), new_name).await?;
        let deed = Deed::new("model.rename", uri(name), json!({"new_name": new_name.as_str()}));
        self.finish(change, by, deed, json!(made)).await
    }

    /// Describes a model anew. Answers with it.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn describe_model(
        &self,
        by: &Actor,
        name: &RegisteredName,
        description: &str,
        deployment_job: Option<&str>,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let row = models::get(change.db(), name.as_str()).await?;
        models::describe(&mut change, row.id, description, deployment_job).await?;
        let made = whole(change.db(), name).await?;
        let deed = Deed::new("model.describe", uri(name), json!({"description": description}));
        self.finish(change, by, deed, json!(made)).await
    }

    /// Removes a model with all its versions.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn delete_model(&self, by: &Actor, name: &RegisteredName) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let row = models::get(change.db(), name.as_str()).await?;
        let aliases = whole(change.db(), name).await?.aliases;
        self.may_unset(by, aliases.keys().map(String::as_str))?;
        models::delete(&mut change, row.id).await?;
        let deed = Deed::new("model.delete", uri(name), json!({"last_version": row.last_version}));
        self.finish(change, by, deed, json!({})).await
    }
}

/// How a model is called in the audit log, and in configurations.
pub(super) fn uri(name: &RegisteredName) -> String {
    format!("models:/{name}")
}

pub(super) async fn whole(db: &mut AnyConnection, name: &RegisteredName) -> Result<RegisteredModel, RegistryFault> {
    let row = models::get(db, name.as_str()).await?;
    let found = models::complete(db, vec![row]).await?;
    found.into_iter().next().ok_or_else(|| RegistryFault::internal("a model's row was lost"))
}
