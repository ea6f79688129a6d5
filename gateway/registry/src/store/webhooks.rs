//! Rows of webhooks.

use super::{number, text};
use crate::db::{Change, Sql};
use crate::fault::RegistryFault;
use crate::webhook::{Event, Webhook};
use serde_json::Value;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

const COLUMNS: &str = "SELECT id, name, description, url, events, secret, status, created, updated FROM webhooks";

fn row(row: &AnyRow) -> Result<Webhook, RegistryFault> {
    let events: Vec<Value> = serde_json::from_str(&text(row, "events")?).map_err(RegistryFault::internal)?;
    Ok(Webhook {
        id: text(row, "id")?,
        name: text(row, "name")?,
        description: text(row, "description")?,
        url: text(row, "url")?,
        events: events.iter().map(Event::read).collect::<Result<_, _>>()?,
        secret: text(row, "secret")?,
        is_active: text(row, "status")? == "ACTIVE",
        created: number(row, "created")?,
        updated: number(row, "updated")?,
    })
}

/// A webhook.
///
/// # Errors
/// There is none of this id.
pub(crate) async fn get(db: &mut AnyConnection, id: &str) -> Result<Webhook, RegistryFault> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" WHERE id = ").bind(id);
    let found = sql.one(db).await?;
    found.as_ref().map(row).transpose()?.ok_or_else(|| missing(id))
}

fn missing(id: &str) -> RegistryFault {
    RegistryFault::missing(format!("Webhook with ID {id} not found."))
}

/// Webhooks, the newest first.
pub(crate) async fn list(db: &mut AnyConnection, limit: i64, offset: i64) -> Result<Vec<Webhook>, RegistryFault> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" ORDER BY created DESC, id DESC LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
    sql.all(db).await?.iter().map(row).collect()
}

/// Writes a webhook, new or changed.
pub(crate) async fn write(change: &mut Change, webhook: &Webhook) -> Result<(), RegistryFault> {
    let events = serde_json::to_string(&webhook.events).map_err(RegistryFault::internal)?;
    let status = if webhook.is_active { "ACTIVE" } else { "DISABLED" };
    let mut sql = Sql::new(
        "INSERT INTO webhooks (id, name, description, url, events, secret, status, created, updated) VALUES (",
    );
    sql.bind(&*webhook.id);
    for value in [&webhook.name, &webhook.description, &webhook.url, &events, &webhook.secret] {
        sql.push(", ").bind(value.as_str());
    }
    sql.push(", ").bind(status).push(", ").bind(webhook.created).push(", ").bind(webhook.updated);
    sql.push(
        ") ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, \
         url = excluded.url, events = excluded.events, secret = excluded.secret, status = excluded.status, \
         updated = excluded.updated",
    );
    sql.run(change.db()).await?;
    Ok(())
}

/// Removes a webhook.
///
/// # Errors
/// There is none of this id.
pub(crate) async fn delete(change: &mut Change, id: &str) -> Result<(), RegistryFault> {
    let mut sql = Sql::new("DELETE FROM webhooks WHERE id = ");
    sql.bind(id);
    if sql.run(change.db()).await? == 0 {
        return Err(missing(id));
    }
    Ok(())
}
