//! A local model as it shall serve now. Owns how a reference of the registry is followed: what it means since is loaded
//! beside what serves, and where it cannot be, that goes on and the new one is tried again after a pause.

use super::parts::{Shelf, Tools};
use crate::pull;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::FaultKind;
#[cfg(feature = "engine")]
use tidegate_core::memory::Claim;
use tidegate_core::memory::{Memory, MemoryShare};
use tidegate_core::model_ref::ModelRef;
use tidegate_core::port::backend::Backend;
use tidegate_core::port::models::{ServedVersion, Serving, ServingState};
use tidegate_core::spec::{LocalSpec, ModelSpec, Source};

/// After the first refusal; each further one doubles it.
const SHORTEST_PAUSE: Duration = Duration::from_secs(30);
/// However often it was refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A local model that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) of: (ModelSpec, LocalSpec),
    /// Its version, where it comes from the registry, and where the files of that version lie: a model that was deleted
    /// and made again begins at 1 again.
    pub(super) version: Option<ServedVersion>,
    /// The version that its reference means since, and that could not be loaded.
    pub(super) refusal: Option<Refusal>,
    /// Whether the registry could say what the reference means now.
    pub(super) is_current: bool,
    pub(super) backend: Arc<dyn Backend>,
    /// Its share of its provider's memory, where it does not give that back by itself.
    #[expect(dead_code, reason = "held while the model is in memory, never looked at")]
    share: Option<Arc<MemoryShare>>,
}

/// What loading gave.
pub(super) struct Loaded {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) share: Option<MemoryShare>,
}

/// A version that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) version: ServedVersion,
    why: String,
    tries: u32,
    /// When it is tried again.
    pub(super) again: Instant,
}

impl Refusal {
    /// The refusal of `version` now, where `before` was the last one.
    fn of(version: ServedVersion, why: String, before: Option<&Self>, now: Instant) -> Self {
        let tries = before.filter(|before| before.version == version).map_or(0, |before| before.tries) + 1;
        Self { version, why, tries, again: now + pause(tries) }
    }
}

fn pause(tries: u32) -> Duration {
    SHORTEST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

impl Local {
    /// Whether it serves this model so; its adapters are put on and off while it does, and when it sleeps and what all
    /// models together may have is not its own affair.
    pub(super) fn is_of(&self, model: &ModelSpec, local: &LocalSpec) -> bool {
        let bare = |model: &ModelSpec| ModelSpec { adapters: BTreeMap::new(), sleep_after: None, ..model.clone() };
        let own = |local: &LocalSpec| LocalSpec { memory: None, ..local.clone() };
        bare(&self.of.0) == bare(model) && own(&self.of.1) == own(local)
    }

    /// The model as it shall serve now: `old`, or a newer version of it, loaded beside.
    ///
    /// # Errors
    /// It cannot be loaded, and nothing serves that could go on.
    pub(super) async fn renewed(
        old: Option<&Self>,
        model: &ModelSpec,
        (local, memory): (&LocalSpec, &Arc<Memory>),
        tools: &Tools,
    ) -> anyhow::Result<Self> {
        let source = model.source.as_ref().context("it names no source of its weights")?;
        let of = (model.clone(), local.clone());
        let Source::Registry(reference) = source else {
            if let Some(old) = old {
                return Ok(Self { of, ..old.clone() });
            }
            let loaded = load(model, (local, memory), Place::Source(source), tools).await?;
            return Ok(Self::of(of, None, loaded));
        };
        let shelf = tools.registry.as_ref().context("there is no registry that it could come from")?;
        let wanted = match (shelf.models.resolve(reference).await, old) {
            (Ok(wanted), _) => wanted,
            // An alias that was taken away, or a registry out of reach, ends nothing.
            (Err(fault), Some(old)) => {
                tracing::error!(model = %model.name, %reference, %fault, "the version that serves goes on");
                return Ok(Self { of, is_current: fault.kind == FaultKind::NotFound, ..old.clone() });
            }
            (Err(fault), None) => anyhow::bail!("{reference}: {}", fault.says),
        };
        if let Some(old) = old {
            if old.version.as_ref() == Some(&wanted) {
                return Ok(Self { of, refusal: None, is_current: true, ..old.clone() });
            }
            let waits = |refusal: &Refusal| refusal.version == wanted && tools.clock.now() < refusal.again;
            if old.refusal.as_ref().is_some_and(waits) {
                return Ok(Self { of, is_current: true, ..old.clone() });
            }
        }
        shelf.announcer.note(serving(reference, &wanted, ServingState::Loads, "")).await;
        let began = tools.clock.now();
        match load(model, (local, memory), Place::Shelf(shelf, &wanted), tools).await {
            Ok(loaded) => {
                tools.metrics.model_loaded(tools.clock.now().saturating_duration_since(began));
                tracing::info!(model = %model.name, %reference, version = wanted.version, "a version of the registry serves");
                Ok(Self::of(of, Some(wanted), loaded))
            }
            Err(why) => {
                let before = old.and_then(|old| old.refusal.as_ref());
                let refusal = Refusal::of(wanted, format!("{why:#}"), before, tools.clock.now());
                tell(model, reference, &refusal, before, shelf, tools).await;
                match old {
                    Some(old) => Ok(Self { of, refusal: Some(refusal), is_current: true, ..old.clone() }),
                    None => Err(why.context(format!("{reference}, version {}", refusal.version.version))),
                }
            }
        }
    }

    /// One that was loaded now.
    fn of(of: (ModelSpec, LocalSpec), version: Option<ServedVersion>, loaded: Loaded) -> Self {
        let Loaded { backend, share } = loaded;
        Self { of, version, refusal: None, is_current: true, backend, share: share.map(Arc::new) }
    }

    /// What is done with its reference, where it has one.
    pub(super) fn serving(&self) -> Option<Serving> {
        let (Some(Source::Registry(reference)), Some(version)) = (&self.of.0.source, &self.version) else {
            return None;
        };
        Some(match &self.refusal {
            Some(refusal) => serving(reference, &refusal.version, ServingState::Refused, &refusal.why),
            None => serving(reference, version, ServingState::Serves, ""),
        })
    }
}

fn serving(reference: &ModelRef, version: &ServedVersion, state: ServingState, reason: &str) -> Serving {
    Serving { reference: reference.clone(), version: version.version, state, reason: reason.to_owned() }
}

/// Tells everybody that a version was refused: the log and the metrics each time, the audit log once for each reason.
async fn tell(
    model: &ModelSpec,
    reference: &ModelRef,
    refusal: &Refusal,
    before: Option<&Refusal>,
    shelf: &Shelf,
    tools: &Tools,
) {
    let (version, why) = (refusal.version.version, refusal.why.as_str());
    tracing::error!(model = %model.name, %reference, version, why, tries = refusal.tries, "a version cannot be loaded");
    tools.metrics.model_refused();
    shelf.announcer.note(serving(reference, &refusal.version, ServingState::Refused, why)).await;
    if before.is_some_and(|before| before.version == refusal.version && before.why == refusal.why) {
        return;
    }
    if let Err(fault) = shelf.models.refused(reference, version, why).await {
        tracing::error!(%fault, "the audit log does not say so");
    }
}

/// Where a model's files are.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Source(&'a Source),
    /// Those of a version of the registry.
    Shelf(&'a Shelf, &'a ServedVersion),
}

#[cfg(feature = "engine")]
async fn load(
    model: &ModelSpec,
    (local, memory): (&LocalSpec, &Arc<Memory>),
    place: Place<'_>,
    tools: &Tools,
) -> anyhow::Result<Loaded> {
    let files = match place {
        Place::Source(Source::Folder(folder)) => {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || super::artifacts::folder(&folder)).await??
        }
        Place::Source(source) => pull::ensure(source, &tools.pull).await?,
        Place::Shelf(shelf, version) => super::artifacts::files(version, &*shelf.blobs, &shelf.verified).await?,
    };
    super::admission::admit(&files, local)?;
    let bytes = super::admission::needed(&files, local);
    let claim = Claim { memory: Arc::clone(memory), name: model.name.as_str().into(), bytes };
    let kind = files.kind.clone();
    let time = (Arc::clone(&tools.clock), Arc::clone(&tools.dice));
    let loaded = super::local::load(model, local, files, claim, time).await?;
    anyhow::ensure!(
        model.sleep_after.is_none() || loaded.backend.sleeper().is_some(),
        "it has `sleep_after`, and only language models sleep: leave it out"
    );
    if let Place::Shelf(..) = place {
        super::warmup::warm_up(&*loaded.backend, &model.name, &kind).await?;
    }
    Ok(loaded)
}

#[cfg(not(feature = "engine"))]
async fn load(
    _model: &ModelSpec,
    _local: (&LocalSpec, &Arc<Memory>),
    _place: Place<'_>,
    _tools: &Tools,
) -> anyhow::Result<Loaded> {
    anyhow::bail!("this program was built without the feature `engine`, which local models need")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_version_is_tried_again_after_a_growing_pause() {
        let seconds: Vec<u64> = (1..8).map(|tries| pause(tries).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
        let (now, version) =
            (Instant::now(), ServedVersion { version: 2, storage: "x".into(), sha256: None, signature: None });
        let first = Refusal::of(version.clone(), "no".into(), None, now);
        let second = Refusal::of(version, "no".into(), Some(&first), now);
        assert_eq!((first.tries, second.tries, second.again - now), (1, 2, Duration::from_secs(60)));
        let other = ServedVersion { version: 3, storage: "x".into(), sha256: None, signature: None };
        assert_eq!(Refusal::of(other, "no".into(), Some(&second), now).tries, 1);
    }
}
