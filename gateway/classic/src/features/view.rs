//! A view that serves: its store, what was found a short time ago, and its deadline. Owns that each entity is asked for once in
//! a call, and only where it is not known.

use super::cache::Cache;
use super::counts::Counts;
use std::sync::Arc;
use tidegate_core::port::features::{FeatureKey, Features, FoundRow, PushedRow};
use tidegate_core::spec::ViewSpec;
use tidegate_core::{Clock, Fault, FaultKind};

/// The features of one kind of entity, ready to serve.
#[derive(Debug)]
pub struct View {
    spec: ViewSpec,
    store: Arc<dyn Features>,
    cache: Option<Cache>,
    pub(super) counts: Counts,
    clock: Arc<dyn Clock>,
}

impl View {
    /// The view `spec`, whose values are in `store`.
    #[must_use]
    pub fn new(spec: ViewSpec, store: Arc<dyn Features>, clock: Arc<dyn Clock>) -> Self {
        let cache = spec.cache.map(Cache::new);
        Self { spec, store, cache, counts: Counts::default(), clock }
    }

    /// What it was built from.
    #[must_use]
    pub const fn spec(&self) -> &ViewSpec {
        &self.spec
    }

    /// Takes fresh values; how many rows were newer than what was there.
    ///
    /// # Errors
    /// The store takes none, or cannot be reached.
    pub async fn push(&self, rows: &[PushedRow]) -> Result<usize, Fault> {
        let pushed = self.store.push(rows).await;
        if let Some(cache) = &self.cache {
            // Whatever became of it: what is known may be old now.
            cache.forget(rows.iter().map(|row| &row.key));
        }
        pushed
    }

    /// What is found of these entities, within the deadline.
    pub(super) async fn find(&self, keys: &[FeatureKey]) -> Result<Vec<FoundRow>, Fault> {
        let Some(cache) = &self.cache else {
            self.counts.entities(keys.len(), 0);
            return self.ask(keys).await;
        };
        let now = self.clock.now();
        let (known, seen) = cache.get(keys, now);
        let missing: Vec<FeatureKey> =
            keys.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(key, _)| key.clone()).collect();
        self.counts.entities(missing.len(), keys.len() - missing.len());
        let asked = if missing.is_empty() { Vec::new() } else { self.ask(&missing).await? };
        cache.put(missing.into_iter().zip(asked.iter().cloned()), now, seen);
        let mut asked = asked.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| asked.next())).collect())
    }

    async fn ask(&self, keys: &[FeatureKey]) -> Result<Vec<FoundRow>, Fault> {
        // A call without rows.
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.spec.deadline;
        let asked = tokio::time::timeout(deadline, self.store.look_up(keys, deadline)).await;
        let late = |_| Fault::new(FaultKind::UpstreamTimeout, format!("no answer within {deadline:?}"));
        let found = asked.map_err(late)??;
        if found.len() != keys.len() || found.iter().any(|row| row.len() != self.spec.columns.len()) {
            return Err(Fault::new(
                FaultKind::UpstreamFailed,
                "the store answered with another number of rows or values",
            ));
        }
        Ok(found)
    }
}
