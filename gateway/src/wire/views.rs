//! Views of features, built: each with the store that it is declared with. Owns that a view whose declaration did not change is
//! used again, with what was pushed and what is remembered, and that views of one Redis share a connection.

use super::parts::Tools;
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tidegate_classic::features::{Lookup, View};
use tidegate_core::digest::Digest;
use tidegate_core::port::features::Features;
use tidegate_core::spec::{GatewaySpec, LookupSpec, StoreSpec, ViewSpec};
use tidegate_core::{Clock, ViewName};
use tidegate_storage::features::MemoryFeatures;
use tidegate_upstream::features::{FeastFeatures, Means, TectonFeatures};

/// Connections by the digest of their address, which may have a password in it.
#[cfg(feature = "redis")]
type Wires = BTreeMap<Digest, Arc<tidegate_state::RedisWire>>;
/// Without Redis there are no connections to it.
#[cfg(not(feature = "redis"))]
type Wires = ();

/// The views in use. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views {
    built: BTreeMap<ViewName, Arc<View>>,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "without Redis there are no connections to it"))]
    wires: Wires,
}

impl Views {
    /// The views of `spec`.
    ///
    /// # Errors
    /// A file cannot be read or lacks a column, or a store cannot be set up.
    pub(super) async fn renewed(&self, spec: &GatewaySpec, tools: &Tools) -> anyhow::Result<Self> {
        let mut next = Self::default();
        for (name, view) in &spec.views {
            let built = match self.built.get(name).filter(|old| old.spec() == view) {
                Some(old) => {
                    self.keep_wire(view, &mut next.wires);
                    Arc::clone(old)
                }
                None => {
                    let store = self.store(view, tools, &mut next.wires).await;
                    let store = store.with_context(|| format!("features `{name}`"))?;
                    Arc::new(View::new(view.clone(), store, Arc::clone(&tools.clock)))
                }
            };
            next.built.insert(name.clone(), built);
        }
        Ok(next)
    }

    async fn store(&self, view: &ViewSpec, tools: &Tools, wires: &mut Wires) -> anyhow::Result<Arc<dyn Features>> {
        Ok(match &view.store {
            StoreSpec::Redis { .. } => self.redis(view, wires)?,
            StoreSpec::Feast { server, view: of } => {
                let roots = tools.roots(server);
                Arc::new(FeastFeatures::build(view, server, of, means(tools, &roots))?)
            }
            StoreSpec::Tecton { server, workspace, service } => {
                let roots = tools.roots(server);
                Arc::new(TectonFeatures::build(view, server, (workspace, service), means(tools, &roots))?)
            }
            StoreSpec::Parquet { file, sha256, timestamp } => {
                let (file, sha256, timestamp) = (file.clone(), *sha256, timestamp.clone());
                let view = view.clone();
                let read = tokio::task::spawn_blocking(move || -> anyhow::Result<MemoryFeatures> {
                    let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
                    let changed = "changed while it was read: reload";
                    ensure!(Digest::of(&bytes) == sha256, "{} {changed}", file.display());
                    MemoryFeatures::read(&file, bytes.into(), &view, timestamp.as_deref())
                        .map_err(|fault| anyhow::anyhow!(fault.says))
                });
                let table = read.await.context("a thread that reads features panicked")??;
                tracing::info!(entities = table.len(), "features are in memory");
                Arc::new(table)
            }
        })
    }

    #[cfg(feature = "redis")]
    fn redis(&self, view: &ViewSpec, wires: &mut Wires) -> anyhow::Result<Arc<dyn Features>> {
        let StoreSpec::Redis { url, project, view: of } = &view.store else { anyhow::bail!("it is in no Redis") };
        self.keep_wire(view, wires);
        let address = Digest::of(url.expose().as_bytes());
        let wire = match wires.get(&address) {
            Some(wire) => Arc::clone(wire),
            None => {
                let wire = tidegate_state::RedisWire::at(url)?;
                wires.insert(address, Arc::clone(&wire));
                wire
            }
        };
        Ok(Arc::new(tidegate_state::RedisFeatures::new(wire, view, project, of)))
    }

    #[cfg(not(feature = "redis"))]
    fn redis(&self, _: &ViewSpec, _: &mut Wires) -> anyhow::Result<Arc<dyn Features>> {
        anyhow::bail!("it is in a Redis, and this program is built without the feature `redis`")
    }

    /// The connection that views of this Redis had goes on.
    #[cfg(feature = "redis")]
    fn keep_wire(&self, view: &ViewSpec, wires: &mut Wires) {
        let StoreSpec::Redis { url, .. } = &view.store else { return };
        let address = Digest::of(url.expose().as_bytes());
        if let Some(wire) = self.wires.get(&address) {
            wires.entry(address).or_insert_with(|| Arc::clone(wire));
        }
    }

    #[cfg(not(feature = "redis"))]
    fn keep_wire(&self, _: &ViewSpec, _: &mut Wires) {}

    /// What a route looks up.
    ///
    /// # Errors
    /// It names a view that is not there, which the check of the configuration should have found.
    pub(super) fn lookup(&self, spec: &LookupSpec, clock: &Arc<dyn Clock>) -> anyhow::Result<Lookup> {
        let view = |name| self.built.get(name).cloned().with_context(|| format!("there are no features `{name}`"));
        let views = spec.views.iter().map(view).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Lookup::new(spec.clone(), views, Arc::clone(clock)))
    }
}

fn means<'a>(tools: &Tools, roots: &'a tidegate_upstream::TlsRoots) -> Means<'a> {
    Means { clock: Arc::clone(&tools.clock), dice: Arc::clone(&tools.dice), roots }
}

/// The views in force, for those who push to them.
#[derive(Debug, Default)]
pub(crate) struct Rack(RwLock<Views>);

impl Rack {
    /// Has these in force from here on.
    pub(super) fn replace(&self, views: &Views) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = views.clone();
    }

    /// The views that hear of what is pushed under this name.
    pub(crate) fn of_push(&self, source: &str) -> Vec<Arc<View>> {
        let views = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let hears = |view: &&Arc<View>| view.spec().push.as_ref().is_some_and(|push| *push.source == *source);
        views.built.values().filter(hears).cloned().collect()
    }
}
