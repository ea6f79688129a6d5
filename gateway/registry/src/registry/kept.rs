//! Answers kept by the caller's own key, so that a request sent twice is done once. Owns what counts as the same.

use crate::db::{Change, Sql};
use crate::fault::{RegistryFault, RegistryFaultKind};
use serde_json::Value;
use sqlx::Row as _;
use tidegate_core::digest::Digest;
use tidegate_core::once::Once;

/// How long an answer is kept, in milliseconds.
const KEPT: i64 = 24 * 3600 * 1000;

/// A caller's key for one request, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    request: Digest,
}

impl IdempotencyKey {
    /// The key of a request whose content digests to `request`.
    ///
    /// # Errors
    /// The key is empty, too long or not printable ASCII.
    pub fn new(key: &str, request: Digest) -> Result<Self, RegistryFault> {
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(RegistryFault::invalid(
                "the idempotency key is 1 to 255 printable ASCII characters: send a UUID",
            ));
        }
        Ok(Self { key: key.to_owned(), request })
    }
}

impl IdempotencyKey {
    /// The same for what is not kept in the registry's database.
    pub(crate) fn once(&self, principal: &str) -> Once {
        Once::new(principal, &self.key, self.request)
    }
}

/// The answer to this request, if it was done before.
pub(super) async fn find(
    change: &mut Change,
    principal: &str,
    key: &IdempotencyKey,
) -> Result<Option<Value>, RegistryFault> {
    let mut sql = Sql::new("SELECT request, answer FROM kept_answers WHERE principal = ");
    sql.bind(principal).push(" AND key = ").bind(&*key.key);
    sql.push(" AND at > ").bind(change.now() - KEPT);
    let Some(row) = sql.one(change.db()).await? else { return Ok(None) };
    if row.try_get::<String, _>(0)? != key.request.to_string() {
        return Err(RegistryFault::new(
            RegistryFaultKind::Conflict,
            "this idempotency key was sent with another request before: take a new one for each request",
        ));
    }
    serde_json::from_str(&row.try_get::<String, _>(1)?).map(Some).map_err(RegistryFault::internal)
}

/// Keeps the answer to this request.
pub(super) async fn keep(
    change: &mut Change,
    principal: &str,
    key: &IdempotencyKey,
    answer: &Value,
) -> Result<(), RegistryFault> {
    let now = change.now();
    let mut old = Sql::new("DELETE FROM kept_answers WHERE at <= ");
    old.bind(now - KEPT);
    old.run(change.db()).await?;
    let mut sql = Sql::new("INSERT INTO kept_answers (principal, key, request, answer, at) VALUES (");
    sql.bind(principal).push(", ").bind(&*key.key).push(", ").bind(key.request.to_string());
    sql.push(", ").bind(answer.to_string()).push(", ").bind(now).push(")");
    sql.run(change.db()).await?;
    Ok(())
}
