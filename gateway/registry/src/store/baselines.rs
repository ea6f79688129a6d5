//! Rows of baselines: their text and its digest.

use super::text;
use crate::db::{Change, Sql};
use crate::fault::RegistryFault;
use sqlx::AnyConnection;

/// Keeps a baseline, in the place of the one before.
pub(crate) async fn set(
    change: &mut Change,
    model: i64,
    version: i64,
    body: String,
    sha256: &str,
) -> Result<(), RegistryFault> {
    let (now, by) = (change.now(), change.actor().to_owned());
    let mut sql = Sql::new("INSERT INTO baselines (model, version, body, sha256, at, by) VALUES (");
    sql.bind(model).push(", ").bind(version).push(", ").bind(body).push(", ").bind(sha256);
    sql.push(", ").bind(now).push(", ").bind(by);
    sql.push(") ON CONFLICT (model, version) DO UPDATE SET body = excluded.body, sha256 = excluded.sha256, ");
    sql.push("at = excluded.at, by = excluded.by");
    sql.run(change.db()).await?;
    Ok(())
}

/// The baseline of a version and its digest.
pub(crate) async fn get(
    db: &mut AnyConnection,
    model: i64,
    version: i64,
) -> Result<Option<(String, String)>, RegistryFault> {
    let mut sql = Sql::new("SELECT body, sha256 FROM baselines WHERE model = ");
    sql.bind(model).push(" AND version = ").bind(version);
    sql.one(db).await?.map(|row| Ok((text(&row, "body")?, text(&row, "sha256")?))).transpose()
}
