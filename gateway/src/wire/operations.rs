//! What the admin interface can do, done with the program's files and stores.

use super::reload::Reloader;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::port::BoxFuture;
use tidegate_core::{Clock, Event, Fault, FaultKind, InferenceId, KeyRecord};
use tidegate_server::Operations;
use tidegate_server::operations::{ReloadRefused, WantedKey};
use tidegate_storage::EventReader;

/// The operations of this program.
#[derive(Debug)]
pub(crate) struct ProgramOperations {
    reloader: Arc<OnceLock<Weak<Reloader>>>,
    events: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl ProgramOperations {
    /// Operations on the reloader that `slot` will hold, and on the events of a folder.
    #[must_use]
    pub(crate) const fn new(
        slot: Arc<OnceLock<Weak<Reloader>>>,
        events: Option<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reloader: slot, events, clock }
    }

    fn reloader(&self) -> Result<Arc<Reloader>, Fault> {
        let reloader = self.reloader.get().and_then(Weak::upgrade);
        reloader.ok_or_else(|| Fault::new(FaultKind::Unavailable, "the gateway is starting or stopping: come again"))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EventReader) -> Result<T, tidegate_storage::StoreFault> + Send + 'static,
    ) -> Result<T, Fault> {
        let folder = self
            .events
            .clone()
            .ok_or_else(|| Fault::new(FaultKind::NotFound, "this gateway keeps no events: set `store.events`"))?;
        let done =
            tokio::task::spawn_blocking(move || EventReader::open(&folder).and_then(|reader| read(&reader))).await;
        done.map_err(Fault::internal)?.map_err(Fault::internal)
    }

    /// Changes the keys: the file is written first, then read again like any other change of it. Tells whether there was
    /// anything to change.
    async fn change_keys(
        &self,
        change: impl FnOnce(&mut Vec<KeyRecord>) -> bool + Send + 'static,
    ) -> Result<bool, Fault> {
        let reloader = self.reloader()?;
        let file = reloader.spec().keys.map(|keys| keys.file).ok_or_else(|| {
            Fault::new(FaultKind::Conflict, "this gateway asks for no keys: set `keys: {file: keys.yaml}` first")
        })?;
        let changing = tokio::task::spawn_blocking(move || tidegate_config::keys::change(&file, change));
        let is_changed = changing.await.map_err(Fault::internal)?.map_err(Fault::internal)?;
        if is_changed {
            reloader.reload("keys changed").await.map_err(|refused| Fault::internal(refused.report))?;
        }
        Ok(is_changed)
    }
}

impl Operations for ProgramOperations {
    fn config(&self) -> Value {
        self.reloader().map_or(Value::Null, |reloader| tidegate_config::describe(&reloader.spec()))
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, ReloadRefused>> {
        Box::pin(async {
            let reloader =
                self.reloader().map_err(|fault| ReloadRefused { report: fault.to_string(), findings: json!([]) })?;
            reloader.reload("admin").await
        })
    }

    fn events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, Fault>> {
        Box::pin(self.read(move |reader| {
            // The reader gives them in the order in which they came.
            let mut events = reader.newest(&tidegate_storage::Filter::default(), limit)?;
            events.reverse();
            Ok(events)
        }))
    }

    fn event(&self, id: InferenceId) -> BoxFuture<'_, Result<Option<Event>, Fault>> {
        Box::pin(self.read(move |reader| reader.get(id)))
    }

    fn keys(&self) -> Value {
        let keys = self.reloader().ok().and_then(|reloader| reloader.spec().keys);
        let shown: Vec<Value> = keys.iter().flat_map(|keys| &keys.keys).map(shown).collect();
        json!({"object": "list", "data": shown})
    }

    fn new_key(&self, wanted: WantedKey) -> BoxFuture<'_, Result<Value, Fault>> {
        Box::pin(async move {
            let (secret, id) = secret()?;
            let expires = wanted.expires_in.map(|seconds| self.clock.wall() + Duration::from_secs(seconds));
            let record = KeyRecord {
                id: id.parse().map_err(Fault::internal)?,
                digest: Digest::of(secret.as_bytes()),
                principal: wanted.principal,
                tenant: wanted.tenant,
                roles: wanted.roles,
                routes: wanted.routes,
                expires,
                tags: BTreeMap::new(),
            };
            let mut answer = shown(&record);
            let add = move |keys: &mut Vec<KeyRecord>| {
                keys.push(record);
                true
            };
            self.change_keys(add).await?;
            answer["secret"] = json!(secret);
            Ok(answer)
        })
    }

    fn serving(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        Box::pin(async { Ok(json!({"object": "list", "data": self.reloader()?.replicas().await?})) })
    }

    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let id = id.to_owned();
            let remove = move |keys: &mut Vec<KeyRecord>| {
                let before = keys.len();
                keys.retain(|key| key.id.as_str() != id);
                keys.len() < before
            };
            self.change_keys(remove).await
        })
    }
}

/// A secret of 256 random bits, and a public id of 64.
fn secret() -> Result<(String, String), Fault> {
    let mut bytes = [0u8; 40];
    getrandom::fill(&mut bytes).map_err(Fault::internal)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("sk-{}", &hex[..64]), format!("key-{}", &hex[64..])))
}

fn shown(key: &KeyRecord) -> Value {
    let expires = key
        .expires
        .and_then(|at| at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok())
        .map(|since| since.as_secs());
    json!({"id": key.id, "principal": key.principal, "tenant": key.tenant, "roles": key.roles, "routes": key.routes, "expires": expires, "tags": key.tags})
}
