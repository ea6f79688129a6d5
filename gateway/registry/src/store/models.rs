//! Rows of registered models, with their tags and aliases.

use super::{known, number, text, versions};
use crate::db::{Change, Sql};
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::kind::{Kind, read_tier};
use crate::model::{RegisteredModel, RegisteredName};
use crate::registry::NewModel;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, HashMap};
use tidegate_core::spec::RiskTier;

/// A model's own row.
#[derive(Debug, Clone)]
pub(crate) struct ModelRow {
    pub(crate) id: i64,
    pub(crate) name: RegisteredName,
    pub(crate) last_version: i64,
    owner: String,
    description: String,
    deployment_job: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) risk: Option<RiskTier>,
    created: i64,
    updated: i64,
}

/// The columns of [`ModelRow`].
pub(crate) const COLUMNS: &str =
    "SELECT id, name, owner, description, deployment_job, kind, risk, created, updated, last_version FROM models";

/// Reads a row of [`COLUMNS`].
pub(crate) fn row(row: &AnyRow) -> Result<ModelRow, RegistryFault> {
    Ok(ModelRow {
        id: number(row, "id")?,
        name: RegisteredName::new(&text(row, "name")?)?,
        last_version: number(row, "last_version")?,
        owner: text(row, "owner")?,
        description: text(row, "description")?,
        deployment_job: text(row, "deployment_job")?,
        kind: known(&text(row, "kind")?, Kind::read)?,
        risk: known(&text(row, "risk")?, read_tier)?,
        created: number(row, "created")?,
        updated: number(row, "updated")?,
    })
}

/// The model of this name.
///
/// # Errors
/// There is none.
pub(crate) async fn get(db: &mut AnyConnection, name: &str) -> Result<ModelRow, RegistryFault> {
    find(db, name).await?.ok_or_else(|| RegistryFault::missing(format!("Registered Model with name={name} not found")))
}

/// The model of this name, if there is one.
pub(crate) async fn find(db: &mut AnyConnection, name: &str) -> Result<Option<ModelRow>, RegistryFault> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" WHERE name = ").bind(name);
    sql.one(db).await?.as_ref().map(row).transpose()
}

/// The rows with their tags, aliases and newest versions, by three statements however many they are.
pub(crate) async fn complete(
    db: &mut AnyConnection,
    rows: Vec<ModelRow>,
) -> Result<Vec<RegisteredModel>, RegistryFault> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut tags = tags(db, &ids).await?;
    let mut aliases = aliases(db, &ids).await?;
    let mut latest = versions::latest(db, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| RegisteredModel {
            tags: tags.remove(&row.id).unwrap_or_default(),
            aliases: aliases.remove(&row.id).unwrap_or_default(),
            latest: latest.remove(&row.id).unwrap_or_default(),
            name: row.name,
            owner: row.owner,
            description: row.description,
            deployment_job: row.deployment_job,
            kind: row.kind,
            risk: row.risk,
            created: row.created,
            updated: row.updated,
        })
        .collect())
}

async fn tags(db: &mut AnyConnection, ids: &[i64]) -> Result<HashMap<i64, BTreeMap<String, String>>, RegistryFault> {
    let mut sql = Sql::new("SELECT model, key, value FROM model_tags WHERE model IN ");
    sql.list(ids.iter().copied());
    let mut found: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
    for row in sql.all(db).await? {
        found.entry(number(&row, "model")?).or_default().insert(text(&row, "key")?, text(&row, "value")?);
    }
    Ok(found)
}

async fn aliases(db: &mut AnyConnection, ids: &[i64]) -> Result<HashMap<i64, BTreeMap<String, i64>>, RegistryFault> {
    let mut sql = Sql::new("SELECT model, alias, version FROM aliases WHERE model IN ");
    sql.list(ids.iter().copied());
    let mut found: HashMap<i64, BTreeMap<String, i64>> = HashMap::new();
    for row in sql.all(db).await? {
        found.entry(number(&row, "model")?).or_default().insert(text(&row, "alias")?, number(&row, "version")?);
    }
    Ok(found)
}

/// Makes a model.
///
/// # Errors
/// There is one of this name.
pub(crate) async fn insert(change: &mut Change, new: &NewModel) -> Result<i64, RegistryFault> {
    if find(change.db(), new.name.as_str()).await?.is_some() {
        return Err(exists(&new.name));
    }
    let (id, now, owner) = (change.new_id(), change.now(), change.actor().to_owned());
    let mut sql = Sql::new(
        "INSERT INTO models (id, name, owner, description, deployment_job, kind, risk, created, updated, last_version) VALUES (",
    );
    sql.bind(id);
    let (kind, risk) = (new.kind.map_or("", Kind::as_str), new.risk.map_or("", RiskTier::as_str));
    for text in [new.name.as_str(), &owner, &new.description, &new.deployment_job, kind, risk] {
        sql.push(", ").bind(text);
    }
    sql.push(", ").bind(now).push(", ").bind(now).push(", 0)");
    sql.run(change.db()).await?;
    Ok(id)
}

pub(crate) fn exists(name: &RegisteredName) -> RegistryFault {
    RegistryFault::new(RegistryFaultKind::Exists, format!("Registered Model (name={name}) already exists."))
}

/// Gives a model another name.
pub(crate) async fn rename(change: &mut Change, id: i64, name: &RegisteredName) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE models SET name = ");
    sql.bind(name.as_str()).push(", updated = ").bind(now).push(" WHERE id = ").bind(id);
    sql.run(change.db()).await?;
    let mut sql = Sql::new("UPDATE versions SET updated = ");
    sql.bind(now).push(" WHERE model = ").bind(id);
    sql.run(change.db()).await?;
    Ok(())
}

/// Describes a model anew.
pub(crate) async fn describe(
    change: &mut Change,
    id: i64,
    description: &str,
    deployment_job: Option<&str>,
) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE models SET description = ");
    sql.bind(description).push(", updated = ").bind(now);
    if let Some(job) = deployment_job {
        sql.push(", deployment_job = ").bind(job);
    }
    sql.push(" WHERE id = ").bind(id);
    sql.run(change.db()).await?;
    Ok(())
}

/// Says what a model is and how much harm it could do.
pub(crate) async fn classify(
    change: &mut Change,
    id: i64,
    kind: Option<Kind>,
    risk: Option<RiskTier>,
) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE models SET kind = ");
    sql.bind(kind.map_or("", Kind::as_str)).push(", risk = ").bind(risk.map_or("", RiskTier::as_str));
    sql.push(", updated = ").bind(now).push(" WHERE id = ").bind(id);
    sql.run(change.db()).await?;
    Ok(())
}

/// Notes that a model, or its set of versions, changed now.
pub(crate) async fn touch(change: &mut Change, id: i64) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE models SET updated = ");
    sql.bind(now).push(" WHERE id = ").bind(id);
    sql.run(change.db()).await?;
    Ok(())
}

/// Removes a model and all that stands under it.
pub(crate) async fn delete(change: &mut Change, id: i64) -> Result<(), RegistryFault> {
    // Children first, so that no cascade is needed of a database that was told to have none.
    for text in [
        "DELETE FROM alias_moves WHERE model = ",
        "DELETE FROM approvals WHERE model = ",
        "DELETE FROM evaluations WHERE model = ",
        "DELETE FROM baselines WHERE model = ",
        "DELETE FROM cards WHERE model = ",
        "DELETE FROM aliases WHERE model = ",
        "DELETE FROM version_tags WHERE model = ",
        "DELETE FROM versions WHERE model = ",
        "DELETE FROM model_tags WHERE model = ",
        "DELETE FROM models WHERE id = ",
    ] {
        let mut sql = Sql::new(text);
        sql.bind(id);
        sql.run(change.db()).await?;
    }
    Ok(())
}

/// Sets a tag.
pub(crate) async fn set_tag(change: &mut Change, id: i64, key: &str, value: &str) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("INSERT INTO model_tags (model, key, value) VALUES (");
    sql.bind(id).push(", ").bind(key).push(", ").bind(value);
    sql.push(") ON CONFLICT (model, key) DO UPDATE SET value = excluded.value");
    sql.run(change.db()).await?;
    Ok(())
}

/// Removes a tag; false where there was none.
pub(crate) async fn delete_tag(change: &mut Change, id: i64, key: &str) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("DELETE FROM model_tags WHERE model = ");
    sql.bind(id).push(" AND key = ").bind(key);
    Ok(sql.run(change.db()).await? > 0)
}

/// Lets an alias stand for a version.
pub(crate) async fn set_alias(change: &mut Change, id: i64, alias: &str, version: i64) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("INSERT INTO aliases (model, alias, version) VALUES (");
    sql.bind(id).push(", ").bind(alias).push(", ").bind(version);
    sql.push(") ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version");
    sql.run(change.db()).await?;
    Ok(())
}

/// Removes an alias; false where there was none.
pub(crate) async fn delete_alias(change: &mut Change, id: i64, alias: &str) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("DELETE FROM aliases WHERE model = ");
    sql.bind(id).push(" AND alias = ").bind(alias);
    Ok(sql.run(change.db()).await? > 0)
}

/// The version that an alias stands for.
pub(crate) async fn alias(db: &mut AnyConnection, id: i64, alias: &str) -> Result<Option<i64>, RegistryFault> {
    let mut sql = Sql::new("SELECT version FROM aliases WHERE model = ");
    sql.bind(id).push(" AND alias = ").bind(alias);
    sql.one(db).await?.map(|row| number(&row, "version")).transpose()
}
