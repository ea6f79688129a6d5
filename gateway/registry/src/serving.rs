//! The port `Models`: what a reference means now, for those who serve registered models.

use crate::db::{Deed, Sql};
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::model::RegisteredName;
use crate::registry::Registry;
use crate::store::serving;
use serde_json::json;
use sqlx::Row as _;
use tidegate_core::model_ref::{ModelPick, ModelRef};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::models::{Models, ReplicaServing, Revision, ServedVersion, Serving};
use tidegate_core::{Fault, FaultKind, ReplicaId};

/// A replica that noted nothing for so long is gone, in milliseconds. Replicas note it by their own clocks, which are
/// taken to agree within seconds.
const ALIVE: i64 = 60_000;
/// Who writes into the audit log what the gateway itself did.
pub(crate) const GATEWAY: &str = "tidegate";

impl Registry {
    async fn served(&self, reference: &ModelRef) -> Result<ServedVersion, RegistryFault> {
        let name = RegisteredName::new(&reference.name)?;
        let found = match &reference.pick {
            ModelPick::Alias(alias) => self.version_by_alias(&name, alias).await?,
            ModelPick::Version(version) => self.version(&name, (*version).into()).await?,
        };
        let version = u32::try_from(found.version).map_err(RegistryFault::internal)?;
        let signature = found.facts.signature.as_ref().map(|signature| signature.as_json().clone());
        Ok(ServedVersion { version, storage: found.storage, sha256: found.facts.sha256, signature })
    }

    async fn newest_change(&self) -> Result<Revision, RegistryFault> {
        let sql =
            Sql::new("SELECT h.revision, a.at FROM head h LEFT JOIN audit a ON a.seq = h.revision WHERE h.one = 1");
        let row = sql.one(&mut *self.db().read().await?).await?;
        let row = row.ok_or_else(|| RegistryFault::internal("the registry has no head"))?;
        let at = row.try_get::<Option<i64>, _>(1)?.and_then(|at| u64::try_from(at).ok());
        Ok(Revision { number: row.try_get(0)?, at })
    }

    async fn note_serving(&self, replica: &ReplicaId, all: &[Serving]) -> Result<(), RegistryFault> {
        let now = self.now();
        let mut aside = self.db().aside().await?;
        serving::replace(&mut aside, replica, all, now).await?;
        serving::forget_before(&mut aside, now - ALIVE).await?;
        Ok(aside.commit().await?)
    }

    async fn all_serving(&self) -> Result<Vec<ReplicaServing>, RegistryFault> {
        serving::since(&mut *self.db().read().await?, self.now() - ALIVE).await
    }

    async fn note_refused(&self, reference: &ModelRef, version: u32, why: &str) -> Result<(), RegistryFault> {
        let change = self.db().change(GATEWAY, self.now()).await?;
        let detail = json!({"version": version, "why": why});
        change.commit(Deed::new("serving.refused", reference.to_string(), detail)).await
    }
}

impl Models for Registry {
    fn resolve<'a>(&'a self, reference: &'a ModelRef) -> BoxFuture<'a, Result<ServedVersion, Fault>> {
        Box::pin(async move { self.served(reference).await.map_err(of_registry) })
    }

    fn revision(&self) -> BoxFuture<'_, Result<Revision, Fault>> {
        Box::pin(async move { self.newest_change().await.map_err(of_registry) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.db().changed())
    }

    fn announce<'a>(&'a self, replica: &'a ReplicaId, all: &'a [Serving]) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.note_serving(replica, all).await.map_err(of_registry) })
    }

    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaServing>, Fault>> {
        Box::pin(async move { self.all_serving().await.map_err(of_registry) })
    }

    fn refused<'a>(&'a self, reference: &'a ModelRef, version: u32, why: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.note_refused(reference, version, why).await.map_err(of_registry) })
    }
}

fn of_registry(fault: RegistryFault) -> Fault {
    let kind = match fault.kind {
        // MLflow's wire calls an alias that is not there a wrong parameter.
        RegistryFaultKind::Missing | RegistryFaultKind::Invalid => FaultKind::NotFound,
        RegistryFaultKind::Unavailable => FaultKind::Unavailable,
        _ => return Fault::internal(fault),
    };
    Fault::new(kind, fault.says)
}
