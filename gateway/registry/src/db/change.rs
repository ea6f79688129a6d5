//! A change of the registry: one transaction that cannot be committed without its entry in the audit log. Changes run
//! one after the other, so each sees the one before it and the log is one chain.

use super::{Db, Dialect, Sql};
use crate::audit::Entry;
use crate::fault::RegistryFault;
use serde_json::Value;
use sqlx::{Any, AnyConnection, Row as _, Transaction};
use tidegate_core::digest::Digest;
use tokio::sync::OwnedMutexGuard;

/// What a change did, for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    /// What was done, such as `model.create`.
    pub(crate) action: &'static str,
    /// To what, such as `models:/name/3`.
    pub(crate) subject: String,
    /// The particulars; what can be erased later.
    pub(crate) detail: Value,
}

impl Deed {
    /// `action` was done to `subject`.
    pub(crate) fn new(action: &'static str, subject: impl Into<String>, detail: Value) -> Self {
        Self { action, subject: subject.into(), detail }
    }
}

/// A change under way; dropped uncommitted it leaves nothing.
#[derive(Debug)]
pub(crate) struct Change {
    tx: Transaction<'static, Any>,
    dialect: Dialect,
    revision: i64,
    last_id: i64,
    hash: Digest,
    actor: String,
    now: i64,
    /// Held until the change is over.
    _turn: OwnedMutexGuard<()>,
}

impl Db {
    /// Begins a change of `actor` at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// The database fails or is busy for too long.
    pub(crate) async fn change(&self, actor: &str, now: i64) -> Result<Change, RegistryFault> {
        let turn = std::sync::Arc::clone(&self.turn).lock_owned().await;
        let mut tx = self.pool.begin_with(self.dialect().begin()).await?;
        let mut head = Sql::new("SELECT revision, last_id, hash FROM head WHERE one = 1");
        if self.dialect() == Dialect::Postgres {
            head.push(" FOR UPDATE");
        }
        let row = head.one(&mut tx).await?.ok_or_else(|| RegistryFault::internal("the registry has no head"))?;
        let hash: String = row.try_get(2)?;
        Ok(Change {
            revision: row.try_get(0)?,
            last_id: row.try_get(1)?,
            hash: hash.parse().map_err(|_| RegistryFault::internal("the head of the audit log is no hash"))?,
            tx,
            dialect: self.dialect(),
            actor: actor.to_owned(),
            now,
            _turn: turn,
        })
    }
}

impl Change {
    /// The connection to read and write with.
    pub(crate) fn db(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    /// When it happens, in milliseconds since 1970.
    pub(crate) const fn now(&self) -> i64 {
        self.now
    }

    /// Who does it.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// A number that nothing else has.
    pub(crate) const fn new_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Enters the deed into the audit log and makes everything durable.
    ///
    /// # Errors
    /// The database fails: then nothing was changed.
    pub(crate) async fn commit(mut self, deed: Deed) -> Result<(), RegistryFault> {
        let revision = self.revision + 1;
        let entry = Entry::new(self.hash, revision, self.now, &self.actor, deed)?;
        let mut insert =
            Sql::new("INSERT INTO audit (seq, at, actor, action, subject, detail, salt, detail_hash, hash) VALUES (");
        insert.bind(entry.seq).push(", ").bind(entry.at).push(", ").bind(&*entry.actor).push(", ");
        insert.bind(&*entry.action).push(", ").bind(&*entry.subject).push(", ");
        insert.bind(entry.detail.as_deref().unwrap_or_default()).push(", ");
        insert.bind(entry.salt.as_deref().unwrap_or_default()).push(", ");
        insert.bind(entry.detail_hash.to_string()).push(", ").bind(entry.hash.to_string()).push(")");
        insert.run(&mut self.tx).await?;
        let mut head = Sql::new("UPDATE head SET revision = ");
        head.bind(revision).push(", last_id = ").bind(self.last_id).push(", hash = ");
        head.bind(entry.hash.to_string()).push(" WHERE one = 1");
        head.run(&mut self.tx).await?;
        if self.dialect == Dialect::Postgres {
            // Told when, and only if, the transaction is committed.
            Sql::new(super::notice::TELL).run(&mut self.tx).await?;
        }
        Ok(self.tx.commit().await?)
    }
}
