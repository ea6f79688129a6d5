//! The registry: what can be done to models, versions, aliases and tags. Owns the order of checks and what each change
//! says in the audit log; statements are `store`'s, grammars those of the words' own files.

mod aliases;
mod baselines;
mod governance;
mod import;
mod kept;
mod models;
mod registration;
mod tags;
mod versions;
mod webhooks;

pub use import::{Import, import_file};
pub use kept::IdempotencyKey;
pub use models::NewModel;
pub use registration::Registration;
pub use versions::VersionRequest;
pub use webhooks::WebhookRequest;

use crate::audit::{Chain, Entry, Erasure, Tampering};
use crate::db::{Change, Db, Deed};
use crate::fault::RegistryFault;
use crate::filter::{Filter, Target};
use crate::model::RegisteredModel;
use crate::page::Order;
use crate::store::search::{self, Page, Range};
use crate::tracking::Tracking;
use crate::version::ModelVersion;
use crate::webhook::delivery::Courier;
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_core::digest::Digest;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::audit::{Audit, Noted};
use tidegate_core::spec::{DatabaseSpec, GovernanceSpec};
use tidegate_core::{Clock, Dice, Fault, FaultKind};

/// Who asks, and by which key of his the same request is known again.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The principal.
    pub principal: String,
    /// His key for this request, where he sent one.
    pub idempotency: Option<IdempotencyKey>,
    /// Whether he may approve, and move governed aliases.
    pub approves: bool,
}

/// A change that begins, or the answer to the same request that was done before.
enum Begun {
    Now(Change),
    Before(Value),
}

/// The registry of models.
#[derive(Debug)]
pub struct Registry {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    courier: Option<Courier>,
    tracking: Option<Tracking>,
    governance: GovernanceSpec,
}

impl Registry {
    /// Opens the registry in `database`; `courier` tells webhooks, where there shall be any.
    ///
    /// # Errors
    /// The database cannot be opened, or was made by a newer program.
    pub async fn open(
        database: &DatabaseSpec,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
        courier: Option<Courier>,
    ) -> Result<Self, RegistryFault> {
        let db = Db::open(database).await?;
        Ok(Self { db, clock, dice, courier, tracking: None, governance: GovernanceSpec::default() })
    }

    /// Asks `tracking` where the files of logged models lie.
    #[must_use]
    pub fn beside(mut self, tracking: Option<Tracking>) -> Self {
        self.tracking = tracking;
        self
    }

    /// Holds versions to `governance`.
    #[must_use]
    pub fn governed(mut self, governance: GovernanceSpec) -> Self {
        self.governance = governance;
        self
    }

    /// Listens for notices of changes that others make, for as long as it is polled; ends at once where its database has
    /// none.
    pub async fn listen(&self) {
        self.db.listen().await;
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Models that a filter holds for.
    ///
    /// # Errors
    /// The filter or the order is wrong, or the database fails.
    pub async fn search_models(
        &self,
        filter: &str,
        order: &[String],
        range: Range,
    ) -> Result<Page<RegisteredModel>, RegistryFault> {
        let filter = Filter::parse(filter, Target::Models)?;
        let order = Order::parse_all(order, Target::Models)?;
        if filter.prompts {
            return Ok(Page { items: Vec::new(), next: None });
        }
        search::models(&self.db, &filter, &order, range).await
    }

    /// Versions that a filter holds for.
    ///
    /// # Errors
    /// The filter or the order is wrong, or the database fails.
    pub async fn search_versions(
        &self,
        filter: &str,
        order: &[String],
        range: Range,
    ) -> Result<Page<ModelVersion>, RegistryFault> {
        let filter = Filter::parse(filter, Target::Versions)?;
        let order = Order::parse_all(order, Target::Versions)?;
        if filter.prompts {
            return Ok(Page { items: Vec::new(), next: None });
        }
        search::versions(&self.db, &filter, &order, range).await
    }

    /// Entries of the audit log after `after`, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn audit(&self, after: i64, limit: u32) -> Result<Vec<Entry>, RegistryFault> {
        crate::audit::read(&mut *self.db.read().await?, after, limit).await
    }

    /// Follows the whole audit log and compares its end with the registry's head, and its entries with `anchors`: numbers
    /// and hashes that were noted elsewhere.
    ///
    /// # Errors
    /// The database fails; the inner error says how the log is not what was written.
    pub async fn verify_audit(&self, anchors: &[(i64, Digest)]) -> Result<Result<Chain, Tampering>, RegistryFault> {
        crate::audit::verify(&mut *self.db.read().await?, anchors).await
    }

    /// The number and the hash of the newest entry.
    ///
    /// # Errors
    /// The database fails.
    pub async fn head(&self) -> Result<(i64, Digest), RegistryFault> {
        crate::audit::head(&mut *self.db.read().await?).await
    }

    /// Erases particulars in the audit log, by `principal`; tells of how many entries. The chain holds without them, and
    /// an entry says whose are gone. Where nothing is meant, nothing is written.
    ///
    /// # Errors
    /// The database fails.
    pub async fn erase(&self, principal: &str, erasure: &Erasure) -> Result<usize, RegistryFault> {
        let mut change = self.db.change(principal, self.now()).await?;
        let (count, deed) = crate::audit::erasure::erase(&mut change, erasure).await?;
        if count > 0 {
            change.commit(deed).await?;
        }
        Ok(count)
    }

    /// Erases the particulars that are older than governance keeps them; tells of how many entries.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget(&self) -> Result<usize, RegistryFault> {
        let Some(kept) = self.governance.retention else { return Ok(0) };
        let before = self.now().saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
        // Asked outside of a change: nobody shall wait where nothing is old.
        if !crate::audit::erasure::is_any_before(&mut *self.db.read().await?, before).await? {
            return Ok(0);
        }
        self.erase(crate::serving::GATEWAY, &Erasure::Before(before)).await
    }

    /// Enters into the audit log what was done beside the registry.
    ///
    /// # Errors
    /// The database fails.
    pub async fn enter(&self, noted: Noted) -> Result<(), RegistryFault> {
        let change = self.db.change(&noted.by, self.now()).await?;
        change.commit(Deed::new(noted.action, noted.subject, noted.detail)).await
    }

    /// Its database.
    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }

    /// A number that is not met twice.
    pub(crate) fn unique(&self) -> u64 {
        self.dice.next_u64()
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.clock.unix_ms()).unwrap_or(i64::MAX)
    }

    /// Begins a change, unless the same request was done before.
    async fn begin(&self, by: &Actor) -> Result<Begun, RegistryFault> {
        let mut change = self.db.change(&by.principal, self.now()).await?;
        if let Some(key) = &by.idempotency
            && let Some(answer) = kept::find(&mut change, &by.principal, key).await?
        {
            return Ok(Begun::Before(answer));
        }
        Ok(Begun::Now(change))
    }

    /// Makes a change durable, with its answer where the same request may come again.
    async fn finish(&self, mut change: Change, by: &Actor, deed: Deed, answer: Value) -> Result<Value, RegistryFault> {
        if let Some(key) = &by.idempotency {
            kept::keep(&mut change, &by.principal, key, &answer).await?;
        }
        change.commit(deed).await?;
        Ok(answer)
    }
}

impl Audit for Registry {
    fn enter(&self, deed: Noted) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            Self::enter(self, deed).await.map_err(|fault| {
                let says = "it was done, and the audit log cannot say so: send it again";
                Fault::new(FaultKind::Unavailable, says).because(fault)
            })
        })
    }
}
