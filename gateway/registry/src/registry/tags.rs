//! Tags of models and versions: set and removed.

use super::models::uri;
use super::{Actor, Begun, Registry};
use crate::db::Deed;
use crate::fault::RegistryFault;
use crate::model::RegisteredName;
use crate::store::{models, versions};
use crate::tag;
use serde_json::{Value, json};

impl Registry {
    /// Sets a tag of a model, or of a version of it.
    ///
    /// # Errors
    /// There is no such model or version, or the tag is wrong.
    pub async fn set_tag(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: Option<i64>,
        key: &str,
        value: &str,
    ) -> Result<Value, RegistryFault> {
        tag::check_key(key)?;
        tag::check_value(key, value)?;
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let subject = match version {
            Some(version) => {
                let model = self.version_row(&mut change, name, version).await?;
                versions::set_tag(&mut change, model, version, key, value).await?;
                format!("{}/{version}", uri(name))
            }
            None => {
                let row = models::get(change.db(), name.as_str()).await?;
                models::set_tag(&mut change, row.id, key, value).await?;
                uri(name)
            }
        };
        let deed = Deed::new("tag.set", subject, json!({"key": key, "value": value}));
        let answer = self.finish(change, by, deed, json!({})).await?;
        if let Some(version) = version {
            let data = json!({"name": name.as_str(), "version": version.to_string(), "key": key, "value": value});
            self.tell("model_version_tag", "set", data).await;
        }
        Ok(answer)
    }

    /// Removes a tag of a model, or of a version of it; one that is not there is removed already.
    ///
    /// # Errors
    /// There is no such model or version.
    pub async fn delete_tag(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: Option<i64>,
        key: &str,
    ) -> Result<Value, RegistryFault> {
        tag::check_key(key)?;
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let (was_there, subject) = match version {
            Some(version) => {
                let model = self.version_row(&mut change, name, version).await?;
                let was_there = versions::delete_tag(&mut change, model, version, key).await?;
                (was_there, format!("{}/{version}", uri(name)))
            }
            None => {
                let row = models::get(change.db(), name.as_str()).await?;
                (models::delete_tag(&mut change, row.id, key).await?, uri(name))
            }
        };
        if !was_there {
            return Ok(json!({}));
        }
        let deed = Deed::new("tag.delete", subject, json!({"key": key}));
        let answer = self.finish(change, by, deed, json!({})).await?;
        if let Some(version) = version {
            let data = json!({"name": name.as_str(), "version": version.to_string(), "key": key});
            self.tell("model_version_tag", "deleted", data).await;
        }
        Ok(answer)
    }
}
