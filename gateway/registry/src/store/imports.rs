//! Rows of what was imported: how it was there when it was written here, so that what changed since on either side is
//! seen.

use super::text;
use crate::db::{Change, Sql};
use crate::fault::RegistryFault;
use crate::import::{ImportedModel, ImportedVersion};
use sqlx::AnyConnection;
use tidegate_core::digest::Digest;

/// How a subject was at its origin when it was imported last; `None` where it never was.
pub(crate) async fn find(db: &mut AnyConnection, origin: &str, subject: &str) -> Result<Option<String>, RegistryFault> {
    let mut sql = Sql::new("SELECT digest FROM imports WHERE origin = ");
    sql.bind(origin).push(" AND subject = ").bind(subject);
    sql.one(db).await?.map(|row| text(&row, "digest")).transpose()
}

/// Notes how a subject is at its origin.
pub(crate) async fn set(
    change: &mut Change,
    origin: &str,
    subject: &str,
    digest: &Digest,
) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("INSERT INTO imports (origin, subject, digest) VALUES (");
    sql.bind(origin).push(", ").bind(subject).push(", ").bind(digest.to_string());
    sql.push(") ON CONFLICT (origin, subject) DO UPDATE SET digest = excluded.digest");
    sql.run(change.db()).await?;
    Ok(())
}

/// Writes what may change of a model, and when that was.
pub(crate) async fn write_model(change: &mut Change, id: i64, model: &ImportedModel) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("UPDATE models SET description = ");
    sql.bind(&*model.description).push(", deployment_job = ").bind(&*model.deployment_job);
    sql.push(", created = ").bind(model.created).push(", updated = ").bind(model.updated);
    sql.push(" WHERE id = ").bind(id);
    sql.run(change.db()).await?;
    let mut sql = Sql::new("DELETE FROM model_tags WHERE model = ");
    sql.bind(id);
    sql.run(change.db()).await?;
    for (key, value) in model.tags.iter() {
        super::models::set_tag(change, id, key, value).await?;
    }
    Ok(())
}

/// Makes a version with the number that it has at its origin; the model's next one is higher.
pub(crate) async fn insert_version(
    change: &mut Change,
    model: i64,
    new: &ImportedVersion,
) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("UPDATE models SET last_version = ");
    sql.bind(new.version).push(" WHERE id = ").bind(model).push(" AND last_version < ").bind(new.version);
    sql.run(change.db()).await?;
    let mut sql = Sql::new(
        "INSERT INTO versions (model, version, source, storage, run_id, run_link, logged_model, owner, description, stage, \
         created, updated) VALUES (",
    );
    sql.bind(model).push(", ").bind(new.version);
    let stage = new.stage.as_str();
    let texts: [&str; 8] =
        [&new.source, &new.storage, &new.run_id, &new.run_link, &new.logged_model, &new.owner, &new.description, stage];
    for text in texts {
        sql.push(", ").bind(text);
    }
    sql.push(", ").bind(new.created).push(", ").bind(new.updated).push(")");
    sql.run(change.db()).await?;
    write_tags(change, model, new).await
}

/// Writes what may change of a version, where its files lie, and when that was.
pub(crate) async fn write_version(
    change: &mut Change,
    model: i64,
    version: &ImportedVersion,
) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("UPDATE versions SET description = ");
    sql.bind(&*version.description).push(", stage = ").bind(version.stage.as_str());
    sql.push(", storage = ").bind(&*version.storage).push(", updated = ").bind(version.updated);
    sql.push(" WHERE model = ").bind(model).push(" AND version = ").bind(version.version);
    sql.run(change.db()).await?;
    write_tags(change, model, version).await
}

async fn write_tags(change: &mut Change, model: i64, version: &ImportedVersion) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("DELETE FROM version_tags WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version.version);
    sql.run(change.db()).await?;
    for (key, value) in version.tags.iter() {
        super::versions::set_tag(change, model, version.version, key, value).await?;
    }
    Ok(())
}
