//! Rows of what replicas serve. They are no part of the registry's changes: nothing of them enters the audit log.

use super::{number, text};
use crate::db::Sql;
use crate::fault::RegistryFault;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use tidegate_core::ReplicaId;
use tidegate_core::port::models::{ReplicaServing, Serving, ServingState};

/// Keeps what a replica does, in the place of what it did before.
pub(crate) async fn replace(
    db: &mut AnyConnection,
    replica: &ReplicaId,
    all: &[Serving],
    now: i64,
) -> Result<(), RegistryFault> {
    let mut gone = Sql::new("DELETE FROM serving WHERE replica = ");
    gone.bind(replica.as_str()).push(" AND reference NOT IN ");
    // Of a list that holds nothing but NULL no comparison is true, nor is its opposite.
    gone.list(all.iter().map(|one| one.reference.to_string()).chain([String::new()]));
    gone.run(db).await?;
    for one in all {
        let mut sql = Sql::new("INSERT INTO serving (replica, reference, version, state, reason, at) VALUES (");
        sql.bind(replica.as_str()).push(", ").bind(one.reference.to_string()).push(", ").bind(i64::from(one.version));
        sql.push(", ").bind(one.state.as_str()).push(", ").bind(one.reason.as_str()).push(", ").bind(now);
        sql.push(") ON CONFLICT (replica, reference) DO UPDATE SET version = excluded.version, ");
        sql.push("state = excluded.state, reason = excluded.reason, at = excluded.at");
        sql.run(db).await?;
    }
    Ok(())
}

/// Forgets what was noted before `moment`.
pub(crate) async fn forget_before(db: &mut AnyConnection, moment: i64) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("DELETE FROM serving WHERE at < ");
    sql.bind(moment);
    sql.run(db).await?;
    Ok(())
}

/// What was noted since `moment`, by reference and replica.
pub(crate) async fn since(db: &mut AnyConnection, moment: i64) -> Result<Vec<ReplicaServing>, RegistryFault> {
    let mut sql = Sql::new("SELECT replica, reference, version, state, reason, at FROM serving WHERE at >= ");
    sql.bind(moment).push(" ORDER BY reference, replica");
    sql.all(db).await?.iter().map(row).collect()
}

fn row(row: &AnyRow) -> Result<ReplicaServing, RegistryFault> {
    let state = text(row, "state")?;
    let known = ServingState::ALL.into_iter().find(|known| known.as_str() == state);
    Ok(ReplicaServing {
        replica: text(row, "replica")?.parse().map_err(RegistryFault::internal)?,
        reference: text(row, "reference")?,
        version: u32::try_from(number(row, "version")?).map_err(RegistryFault::internal)?,
        state: known.ok_or_else(|| RegistryFault::internal(format!("`{state}` is no state of a replica")))?,
        reason: text(row, "reason")?,
        at: u64::try_from(number(row, "at")?).map_err(RegistryFault::internal)?,
    })
}
