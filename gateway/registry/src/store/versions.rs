//! Rows of versions, with their tags and the aliases that stand for them.

use super::{known, number, text};
use crate::db::{Change, Sql};
use crate::facts::{Lineage, Signature, VersionFacts};
use crate::fault::RegistryFault;
use crate::kind::Format;
use crate::model::RegisteredName;
use crate::version::{ModelVersion, Stage};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use std::collections::HashMap;

/// The columns of a version.
pub(crate) const COLUMNS: &str = "SELECT v.model, m.name, v.version, v.source, v.storage, v.run_id, v.run_link, \
     v.logged_model, v.format, v.sha256, v.signature, v.lineage, v.owner, v.description, v.stage, v.created, v.updated \
     FROM versions v JOIN models m ON m.id = v.model";

/// The same, for a listing by time over all models, on `SQLite`: left to itself it sorts all versions for the tie-breaks
/// of the order, where the index has them in order but for those.
pub(crate) const COLUMNS_BY_TIME: &str = "SELECT v.model, m.name, v.version, v.source, v.storage, v.run_id, v.run_link, \
     v.logged_model, v.format, v.sha256, v.signature, v.lineage, v.owner, v.description, v.stage, v.created, v.updated \
     FROM versions v INDEXED BY versions_by_time JOIN models m ON m.id = v.model";

/// Reads a row of [`COLUMNS`]: the model's number, and the version without tags and aliases.
fn row(row: &AnyRow) -> Result<(i64, ModelVersion), RegistryFault> {
    let version = ModelVersion {
        name: RegisteredName::new(&text(row, "name")?)?,
        version: number(row, "version")?,
        source: text(row, "source")?,
        storage: text(row, "storage")?,
        run_id: text(row, "run_id")?,
        run_link: text(row, "run_link")?,
        logged_model: text(row, "logged_model")?,
        facts: facts(row)?,
        owner: text(row, "owner")?,
        description: row.try_get("description")?,
        stage: Stage::read(&text(row, "stage")?)?,
        created: number(row, "created")?,
        updated: number(row, "updated")?,
        tags: std::collections::BTreeMap::new(),
        aliases: Vec::new(),
    };
    Ok((number(row, "model")?, version))
}

fn facts(row: &AnyRow) -> Result<VersionFacts, RegistryFault> {
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(RegistryFault::internal);
    Ok(VersionFacts {
        format: known(&text(row, "format")?, Format::read)?,
        sha256: known(&text(row, "sha256")?, |text| text.parse().map_err(RegistryFault::internal))?,
        signature: known(&text(row, "signature")?, |text| Signature::read(&json(text)?))?,
        lineage: known(&text(row, "lineage")?, |text| Lineage::read(&json(text)?))?.unwrap_or_default(),
    })
}

/// The rows of a statement over [`COLUMNS`], with tags and aliases, by two statements more.
pub(crate) async fn complete(
    db: &mut AnyConnection,
    rows: &[AnyRow],
) -> Result<Vec<(i64, ModelVersion)>, RegistryFault> {
    let mut found = rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let mut models: Vec<i64> = found.iter().map(|(model, _)| *model).collect();
    models.sort_unstable();
    models.dedup();
    let at: HashMap<(i64, i64), usize> =
        found.iter().enumerate().map(|(i, (model, version))| ((*model, version.version), i)).collect();
    // One version needs its own tags alone; a page of them those of its models.
    let only = match &found[..] {
        [(_, version)] => Some(version.version),
        _ => None,
    };
    for chunk in models.chunks(500) {
        let mut sql = Sql::new("SELECT model, version, key, value FROM version_tags WHERE model IN ");
        sql.list(chunk.iter().copied());
        if let Some(only) = only {
            sql.push(" AND version = ").bind(only);
        }
        for row in sql.all(db).await? {
            if let Some(&i) = at.get(&(number(&row, "model")?, number(&row, "version")?)) {
                found[i].1.tags.insert(text(&row, "key")?, text(&row, "value")?);
            }
        }
        let mut sql = Sql::new("SELECT model, alias, version FROM aliases WHERE model IN ");
        sql.list(chunk.iter().copied()).push(" ORDER BY alias");
        for row in sql.all(db).await? {
            if let Some(&i) = at.get(&(number(&row, "model")?, number(&row, "version")?)) {
                found[i].1.aliases.push(text(&row, "alias")?);
            }
        }
    }
    Ok(found)
}

/// A version.
///
/// # Errors
/// There is none.
pub(crate) async fn get(
    db: &mut AnyConnection,
    model: i64,
    name: &str,
    version: i64,
) -> Result<ModelVersion, RegistryFault> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" WHERE v.model = ").bind(model).push(" AND v.version = ").bind(version);
    let rows = sql.all(db).await?;
    let found = complete(db, &rows).await?;
    found.into_iter().next().map(|(_, version)| version).ok_or_else(|| missing(name, version))
}

pub(crate) fn missing(name: &str, version: impl std::fmt::Display) -> RegistryFault {
    RegistryFault::missing(format!("Model Version (name={name}, version={version}) not found"))
}

/// The newest version of each stage of these models.
pub(crate) async fn latest(
    db: &mut AnyConnection,
    models: &[i64],
) -> Result<HashMap<i64, Vec<ModelVersion>>, RegistryFault> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" JOIN (SELECT model, MAX(version) AS version FROM versions WHERE model IN ");
    sql.list(models.iter().copied());
    sql.push(" GROUP BY model, stage) n ON n.model = v.model AND n.version = v.version ORDER BY v.model, v.version");
    let rows = sql.all(db).await?;
    let mut found: HashMap<i64, Vec<ModelVersion>> = HashMap::new();
    for (model, version) in complete(db, &rows).await? {
        found.entry(model).or_default().push(version);
    }
    Ok(found)
}

/// The highest number of a model's versions.
pub(crate) async fn highest(db: &mut AnyConnection, model: i64) -> Result<Option<i64>, RegistryFault> {
    let mut sql = Sql::new("SELECT version FROM versions WHERE model = ");
    sql.bind(model).push(" ORDER BY version DESC LIMIT 1");
    sql.one(db).await?.map(|row| number(&row, "version")).transpose()
}

/// Whether a version is there.
pub(crate) async fn is_there(db: &mut AnyConnection, model: i64, version: i64) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("SELECT version FROM versions WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version);
    Ok(sql.one(db).await?.is_some())
}

/// What is fixed when a version is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewVersion {
    pub(crate) source: String,
    pub(crate) storage: String,
    pub(crate) run_id: String,
    pub(crate) run_link: String,
    pub(crate) logged_model: String,
    pub(crate) facts: VersionFacts,
    pub(crate) description: String,
}

/// Makes the next version of a model; its number is the next one that was never used.
pub(crate) async fn insert(change: &mut Change, model: i64, new: NewVersion) -> Result<i64, RegistryFault> {
    let (now, owner) = (change.now(), change.actor().to_owned());
    let mut sql = Sql::new("UPDATE models SET last_version = last_version + 1, updated = ");
    sql.bind(now).push(" WHERE id = ").bind(model).push(" RETURNING last_version");
    let row = sql.one(change.db()).await?.ok_or_else(|| RegistryFault::internal("the model is gone"))?;
    let version = number(&row, "last_version")?;
    let mut sql = Sql::new(
        "INSERT INTO versions (model, version, source, storage, run_id, run_link, logged_model, format, sha256, signature, \
         lineage, owner, description, stage, created, updated) VALUES (",
    );
    sql.bind(model).push(", ").bind(version);
    let VersionFacts { format, sha256, signature, lineage } = new.facts;
    let facts = [
        format.map(|format| format.to_string()),
        sha256.map(|digest| digest.to_string()),
        signature.map(|signature| signature.as_json().to_string()),
        (lineage != Lineage::default()).then(|| lineage.to_json().to_string()),
    ];
    for text in [new.source, new.storage, new.run_id, new.run_link, new.logged_model] {
        sql.push(", ").bind(text);
    }
    for fact in facts {
        sql.push(", ").bind(fact.unwrap_or_default());
    }
    sql.push(", ").bind(owner).push(", ").bind(new.description);
    sql.push(", 'None', ").bind(now).push(", ").bind(now).push(")");
    sql.run(change.db()).await?;
    Ok(version)
}

/// Describes a version anew.
pub(crate) async fn describe(
    change: &mut Change,
    model: i64,
    version: i64,
    description: Option<&str>,
) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE versions SET description = ");
    match description {
        Some(description) => sql.bind(description),
        None => sql.push("NULL"),
    };
    sql.push(", updated = ").bind(now);
    sql.push(" WHERE model = ").bind(model).push(" AND version = ").bind(version);
    sql.run(change.db()).await?;
    Ok(())
}

/// Puts a version into a stage.
pub(crate) async fn stage(change: &mut Change, model: i64, version: i64, stage: Stage) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE versions SET stage = ");
    sql.bind(stage.as_str()).push(", updated = ").bind(now);
    sql.push(" WHERE model = ").bind(model).push(" AND version = ").bind(version);
    sql.run(change.db()).await?;
    Ok(())
}

/// Puts all versions of a stage away but one.
pub(crate) async fn archive(change: &mut Change, model: i64, but: i64, stage: Stage) -> Result<u64, RegistryFault> {
    let now = change.now();
    let mut sql = Sql::new("UPDATE versions SET stage = 'Archived', updated = ");
    sql.bind(now).push(" WHERE model = ").bind(model).push(" AND version <> ").bind(but);
    sql.push(" AND stage = ").bind(stage.as_str());
    Ok(sql.run(change.db()).await?)
}

/// Removes a version.
pub(crate) async fn delete(change: &mut Change, model: i64, version: i64) -> Result<(), RegistryFault> {
    for text in [
        "DELETE FROM aliases WHERE model = ",
        "DELETE FROM approvals WHERE model = ",
        "DELETE FROM evaluations WHERE model = ",
        "DELETE FROM baselines WHERE model = ",
        "DELETE FROM cards WHERE model = ",
        "DELETE FROM version_tags WHERE model = ",
        "DELETE FROM versions WHERE model = ",
    ] {
        let mut sql = Sql::new(text);
        sql.bind(model).push(" AND version = ").bind(version);
        sql.run(change.db()).await?;
    }
    Ok(())
}

/// Sets a tag.
pub(crate) async fn set_tag(
    change: &mut Change,
    model: i64,
    version: i64,
    key: &str,
    value: &str,
) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("INSERT INTO version_tags (model, version, key, value) VALUES (");
    sql.bind(model).push(", ").bind(version).push(", ").bind(key).push(", ").bind(value);
    sql.push(") ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value");
    sql.run(change.db()).await?;
    Ok(())
}

/// Removes a tag; false where there was none.
pub(crate) async fn delete_tag(
    change: &mut Change,
    model: i64,
    version: i64,
    key: &str,
) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("DELETE FROM version_tags WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version).push(" AND key = ").bind(key);
    Ok(sql.run(change.db()).await? > 0)
}
