//! A model and its version registered in one change. Owns what must fit what is there already.

use super::models::uri;
use super::versions::told;
use super::{Actor, Begun, NewModel, Registry};
use crate::db::{Change, Deed};
use crate::facts::{VersionFacts, VersionId};
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::kind::{Format, Kind};
use crate::model::RegisteredName;
use crate::source::Source;
use crate::store::models::ModelRow;
use crate::store::{models, versions};
use crate::tag::Tags;
use serde_json::json;
use tidegate_core::spec::RiskTier;

/// A version to be registered, and its model where there is none yet.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The model.
    pub name: RegisteredName,
    /// The number that the version must get; the next one where none is given.
    pub version: Option<i64>,
    /// Where its file lies.
    pub source: Source,
    /// What it is, in words.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// What else is fixed of it.
    pub facts: VersionFacts,
    /// What the model is.
    pub kind: Option<Kind>,
    /// How much harm the model could do.
    pub risk: Option<RiskTier>,
}

impl Registry {
    /// Registers a version, and its model where there is none of this name.
    ///
    /// # Errors
    /// The number is not the next one, the model is of another kind or tier, or what the version is made of is not there.
    pub async fn register(&self, by: &Actor, new: Registration) -> Result<VersionId, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return VersionId::read(answer.as_str().unwrap_or_default()),
        };
        let (row, is_new) = match models::find(change.db(), new.name.as_str()).await? {
            Some(row) => (row, false),
            None => (insert(&mut change, &new).await?, true),
        };
        fits(&row, &new)?;
        if (row.kind.is_none() && new.kind.is_some()) || (row.risk.is_none() && new.risk.is_some()) {
            models::classify(&mut change, row.id, row.kind.or(new.kind), row.risk.or(new.risk)).await?;
        }
        let fixed = self.fixed(&mut change, &new).await?;
        self.parent(&mut change, &new.facts).await?;
        let detail = json!({
            "source": fixed.source,
            "kind": new.kind.map(Kind::as_str),
            "format": new.facts.format.map(Format::as_str),
            "sha256": new.facts.sha256.map(|digest| digest.to_string()),
            "lineage": new.facts.lineage.to_json(),
        });
        let version = versions::insert(&mut change, row.id, fixed).await?;
        for (key, value) in new.tags.iter() {
            versions::set_tag(&mut change, row.id, version, key, value).await?;
        }
        let made = versions::get(change.db(), row.id, new.name.as_str(), version).await?;
        let deed = Deed::new("version.register", format!("{}/{version}", uri(&new.name)), detail);
        let made_id = VersionId { name: new.name.clone(), version };
        self.finish(change, by, deed, json!(made_id.to_string())).await?;
        if is_new {
            let data = json!({"name": new.name.as_str(), "tags": {}, "description": ""});
            self.tell("registered_model", "created", data).await;
        }
        self.tell("model_version", "created", told(&made)).await;
        Ok(made_id)
    }

    /// What is fixed of the version: another's files where its source names one.
    async fn fixed(&self, change: &mut Change, new: &Registration) -> Result<versions::NewVersion, RegistryFault> {
        let at = |fault: RegistryFault| match fault.kind {
            RegistryFaultKind::Missing | RegistryFaultKind::Invalid => {
                RegistryFault::invalid(format!("uri: {}", fault.says))
            }
            _ => fault,
        };
        let (source, storage, run_id) = match (self.original(change, &new.source).await.map_err(at)?, &new.source) {
            (Some(of), _) => (format!("models:/{}/{}", of.name, of.version), of.storage, of.run_id),
            (None, Source::Elsewhere(uri)) => (uri.clone(), uri.clone(), String::new()),
            (None, _) => return Err(RegistryFault::internal("a source that names a version has none")),
        };
        Ok(versions::NewVersion {
            source,
            storage,
            run_id,
            description: new.description.clone(),
            facts: new.facts.clone(),
            ..versions::NewVersion::default()
        })
    }
}

async fn insert(change: &mut Change, new: &Registration) -> Result<ModelRow, RegistryFault> {
    let model = NewModel {
        name: new.name.clone(),
        description: String::new(),
        deployment_job: String::new(),
        tags: Tags::default(),
        kind: new.kind,
        risk: new.risk,
    };
    models::insert(change, &model).await?;
    models::get(change.db(), new.name.as_str()).await
}

/// Whether the model that is there can have such a version.
fn fits(row: &ModelRow, new: &Registration) -> Result<(), RegistryFault> {
    let conflict = |says: String| Err(RegistryFault::new(RegistryFaultKind::Conflict, says));
    let next = row.last_version + 1;
    match new.version {
        Some(wanted) if wanted < next => {
            return conflict(format!(
                "version: number {wanted} of {} is taken or was, and versions never change: the next one is {next}",
                new.name
            ));
        }
        Some(wanted) if wanted > next => {
            return conflict(format!("version: the next one of {} is {next}, not {wanted}", new.name));
        }
        _ => {}
    }
    if let (Some(is), Some(wanted)) = (row.kind, new.kind)
        && is != wanted
    {
        return conflict(format!("kind: {} is registered as {is}, not as {wanted}", new.name));
    }
    if let (Some(is), Some(wanted)) = (row.risk, new.risk)
        && is != wanted
    {
        let (is, wanted) = (is.as_str(), wanted.as_str());
        return conflict(format!("risk: {} is registered as {is}, not as {wanted}", new.name));
    }
    Ok(())
}
