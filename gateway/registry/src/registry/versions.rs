//! Versions: made, described, put into stages, removed.

use super::models::uri;
use super::{Actor, Begun, Registry};
use crate::db::{Change, Deed};
use crate::facts::VersionFacts;
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::filter::{Clause, Filter, Key, Operand, Operator};
use crate::model::RegisteredName;
use crate::page::{By, Order};
use crate::source::Source;
use crate::store::search::{self, Page, Range};
use crate::store::{governance, models, versions};
use crate::tag::Tags;
use crate::tracking::LoggedModel;
use crate::version::{ModelVersion, Stage};
use serde_json::{Value, json};

/// A version to be made.
#[derive(Debug, Clone)]
pub struct VersionRequest {
    /// Of this model.
    pub name: RegisteredName,
    /// Where it is taken from.
    pub source: Source,
    /// The run that made it; not given, it is that of what the version is made of.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: String,
    /// The logged model behind it.
    pub logged_model: String,
    /// What it is, in words.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// What else is fixed.
    pub facts: VersionFacts,
}

impl Registry {
    /// A version.
    ///
    /// # Errors
    /// There is none.
    pub async fn version(&self, name: &RegisteredName, version: i64) -> Result<ModelVersion, RegistryFault> {
        let mut db = self.db.read().await?;
        let row = models::find(&mut db, name.as_str()).await?;
        let row = row.ok_or_else(|| versions::missing(name.as_str(), version))?;
        versions::get(&mut db, row.id, name.as_str(), version).await
    }

    /// The newest versions of a model by stage; of all stages where none is named.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn latest_versions(
        &self,
        name: &RegisteredName,
        stages: &[Stage],
    ) -> Result<Vec<ModelVersion>, RegistryFault> {
        let mut db = self.db.read().await?;
        let row = models::get(&mut db, name.as_str()).await?;
        let mut latest = versions::latest(&mut db, &[row.id]).await?.remove(&row.id).unwrap_or_default();
        latest.retain(|version| stages.is_empty() || stages.contains(&version.stage));
        Ok(latest)
    }

    /// The versions of a model, the newest first.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn versions(&self, name: &RegisteredName, range: Range) -> Result<Page<ModelVersion>, RegistryFault> {
        models::get(&mut *self.db.read().await?, name.as_str()).await?;
        let own = Clause { key: Key::Name, operator: Operator::Equal, value: Operand::Text(name.as_str().to_owned()) };
        let filter = Filter { clauses: vec![own], prompts: false };
        search::versions(&self.db, &filter, &[Order { by: By::Number, descending: true }], range).await
    }

    /// Makes a version; answers with it.
    ///
    /// # Errors
    /// There is no such model, or its source names a version that is not there.
    pub async fn create_version(&self, by: &Actor, new: VersionRequest) -> Result<Value, RegistryFault> {
        // Asked before the change begins: nobody shall wait for another server.
        let logged = self.tracked(&new).await?;
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let (source, storage, run_id) = match self.original(&mut change, &new.source).await? {
            Some(of) => {
                let run_id = inherited(new.run_id, &of, &new.logged_model)?;
                (format!("models:/{}/{}", of.name, of.version), of.storage, run_id)
            }
            None => {
                let Source::Elsewhere(uri) = new.source else {
                    return Err(RegistryFault::internal("a source that names a version has none"));
                };
                let run_id = new.run_id.or_else(|| logged.as_ref().map(|logged| logged.run_id.clone()));
                let storage = logged.map_or_else(|| uri.clone(), |logged| logged.artifacts);
                (uri, storage, run_id.unwrap_or_default())
            }
        };
        let row = models::get(change.db(), new.name.as_str()).await?;
        let fixed = versions::NewVersion {
            source,
            storage,
            run_id,
            run_link: new.run_link,
            logged_model: new.logged_model,
            description: new.description,
            facts: new.facts,
        };
        let detail = json!({"source": fixed.source, "run_id": fixed.run_id, "logged_model": fixed.logged_model});
        self.parent(&mut change, &fixed.facts).await?;
        let version = versions::insert(&mut change, row.id, fixed).await?;
        for (key, value) in new.tags.iter() {
            versions::set_tag(&mut change, row.id, version, key, value).await?;
        }
        let made = versions::get(change.db(), row.id, new.name.as_str(), version).await?;
        let deed = Deed::new("version.create", format!("{}/{version}", uri(&new.name)), detail);
        let answer = self.finish(change, by, deed, json!(made)).await?;
        self.tell("model_version", "created", told(&made)).await;
        Ok(answer)
    }

    /// Describes a version anew, or takes its description away. Answers with it.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn describe_version(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        description: Option<&str>,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        versions::describe(&mut change, model, version, description).await?;
        let made = versions::get(change.db(), model, name.as_str(), version).await?;
        let subject = format!("{}/{version}", uri(name));
        let deed = Deed::new("version.describe", subject, json!({"description": description}));
        self.finish(change, by, deed, json!(made)).await
    }

    /// Puts a version into a stage, and with `archive` what stood there into `Archived`. Answers with it.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn transition(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
        stage: Stage,
        archive: bool,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        let before = versions::get(change.db(), model, name.as_str(), version).await?.stage;
        // A stage of a governed alias' name is governed as the alias is; leaving it is.
        self.pass(by, &mut change, (model, name, version), stage.as_str()).await?;
        self.may_unset(by, [before.as_str()])?;
        let archived = if archive { versions::archive(&mut change, model, version, stage).await? } else { 0 };
        versions::stage(&mut change, model, version, stage).await?;
        models::touch(&mut change, model).await?;
        let made = versions::get(change.db(), model, name.as_str(), version).await?;
        let detail = json!({"from": before.as_str(), "to": stage.as_str(), "archived": archived});
        let deed = Deed::new("version.stage", format!("{}/{version}", uri(name)), detail);
        self.finish(change, by, deed, json!(made)).await
    }

    /// Removes a version; its number is not used again.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn delete_version(
        &self,
        by: &Actor,
        name: &RegisteredName,
        version: i64,
    ) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let model = self.version_row(&mut change, name, version).await?;
        let gone = versions::get(change.db(), model, name.as_str(), version).await?;
        self.may_unset(by, gone.aliases.iter().map(String::as_str))?;
        for alias in &gone.aliases {
            governance::moved(&mut change, model, alias, Some(version), None).await?;
        }
        versions::delete(&mut change, model, version).await?;
        models::touch(&mut change, model).await?;
        let detail = json!({"source": gone.source, "aliases": gone.aliases});
        let deed = Deed::new("version.delete", format!("{}/{version}", uri(name)), detail);
        self.finish(change, by, deed, json!({})).await
    }

    /// What a tracking server knows of a source, where there is one: of a logged model, where its files lie; of files
    /// that were uploaded, that they belong to the run or logged model that is named with them.
    async fn tracked(&self, new: &VersionRequest) -> Result<Option<LoggedModel>, RegistryFault> {
        let (Some(tracking), Source::Elsewhere(uri)) = (&self.tracking, &new.source) else { return Ok(None) };
        if let Some(logged_model) = uri.strip_prefix("models:/") {
            return tracking.logged_model(logged_model).await.map(Some);
        }
        if uri.starts_with("mlflow-artifacts:") {
            let (owner, root) = if new.logged_model.is_empty() {
                ("run_id", tracking.artifacts_of_run(new.run_id.as_deref().unwrap_or_default()).await?)
            } else {
                ("model_id", tracking.logged_model(&new.logged_model).await.map(|logged| logged.artifacts).ok())
            };
            let is_within =
                |root: &String| uri == root || uri.strip_prefix(&**root).is_some_and(|rest| rest.starts_with('/'));
            if !root.as_ref().is_some_and(is_within) {
                return Err(RegistryFault::invalid(format!(
                    "Invalid model version source: '{uri}'. The {owner} request parameter must identify the resource \
                     that contains the source."
                )));
            }
        }
        Ok(None)
    }

    /// Whether what a version is said to be made of is there.
    pub(super) async fn parent(&self, change: &mut Change, facts: &VersionFacts) -> Result<(), RegistryFault> {
        let Some(parent) = &facts.lineage.parent else { return Ok(()) };
        match self.version_row(change, &parent.name, parent.version).await {
            Err(fault) if fault.kind == RegistryFaultKind::Missing => {
                Err(RegistryFault::invalid(format!("parent: there is no version {parent}: register it first")))
            }
            found => found.map(|_| ()),
        }
    }

    /// The version that a source names.
    pub(super) async fn original(
        &self,
        change: &mut Change,
        source: &Source,
    ) -> Result<Option<ModelVersion>, RegistryFault> {
        let name = match source {
            Source::Version { name, .. } | Source::Alias { name, .. } | Source::Stage { name, .. } => name,
            Source::Elsewhere(_) => return Ok(None),
        };
        let model = models::get(change.db(), name.as_str()).await?.id;
        let none = || RegistryFault::missing(format!("Latest version not found for model {name}."));
        let version = match source {
            Source::Version { version, .. } => *version,
            Source::Alias { alias, .. } if alias == "latest" => {
                versions::highest(change.db(), model).await?.ok_or_else(none)?
            }
            Source::Alias { alias, .. } => models::alias(change.db(), model, alias)
                .await?
                .ok_or_else(|| RegistryFault::invalid(format!("Registered model alias {alias} not found.")))?,
            Source::Stage { stage, .. } => {
                let latest = versions::latest(change.db(), &[model]).await?.remove(&model).unwrap_or_default();
                latest.into_iter().find(|version| version.stage == *stage).ok_or_else(none)?.version
            }
            Source::Elsewhere(_) => return Ok(None),
        };
        versions::get(change.db(), model, name.as_str(), version).await.map(Some)
    }

    /// The number of the model of a version that is there.
    pub(super) async fn version_row(
        &self,
        change: &mut Change,
        name: &RegisteredName,
        version: i64,
    ) -> Result<i64, RegistryFault> {
        let row = models::find(change.db(), name.as_str()).await?;
        let row = row.ok_or_else(|| versions::missing(name.as_str(), version))?;
        if versions::is_there(change.db(), row.id, version).await? {
            return Ok(row.id);
        }
        Err(versions::missing(name.as_str(), version))
    }
}

/// What webhooks are told of a version that was made.
pub(super) fn told(made: &ModelVersion) -> Value {
    json!({
        "name": made.name.as_str(),
        "version": made.version.to_string(),
        "source": made.source,
        "run_id": or_null(&made.run_id),
        "tags": made.tags,
        "description": or_null(made.description.as_deref().unwrap_or_default()),
    })
}

/// MLflow tells of an empty text as of none.
fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

/// The run of a version that is made of another: that one's.
fn inherited(run_id: Option<String>, of: &ModelVersion, logged_model: &str) -> Result<String, RegistryFault> {
    let is_other_run = run_id.is_some_and(|given| given != of.run_id);
    if is_other_run || (!logged_model.is_empty() && logged_model != of.logged_model) {
        return Err(RegistryFault::invalid(format!(
            "Invalid model version source: 'models:/{}/{}'. The run_id and model_id request parameters must match the \
             referenced model version.",
            of.name, of.version
        )));
    }
    Ok(of.run_id.clone())
}
