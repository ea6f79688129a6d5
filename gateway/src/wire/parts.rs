//! Parts that outlive a reload: connection pools, loaded models, limits. A part whose spec did not change is used
//! again, so a reload drops no connection and loads no model twice.

use crate::pull::{self, PullContext};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tidegate_core::port::backend::Backend;
use tidegate_core::port::blobs::Blobs;
use tidegate_core::port::models::Models;
use tidegate_core::port::prompts::Prompts;
use tidegate_core::spec::{GatewaySpec, LimitSpec, LocalSpec, ModelSpec, OpenAiSpec, ProviderKind, Source};
use tidegate_core::{Clock, Dice, FaultKind, ModelName, ProviderName};
use tidegate_server::snapshot::Served;
use tidegate_state::MemoryLimits;
use tidegate_upstream::{OpenAiBackend, TlsRoots};

/// What parts are built with.
#[derive(Debug)]
pub(crate) struct Tools {
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Chance.
    pub(crate) dice: Arc<dyn Dice>,
    /// Who is trusted to certify providers.
    pub(crate) roots: OnceLock<TlsRoots>,
    /// The registry of models, where there is one.
    pub(crate) registry: Option<Shelf>,
    /// What renders prompts, where there are any.
    pub(crate) prompts: Option<Arc<dyn Prompts>>,
    /// Where weights come from and go.
    pub(crate) pull: PullContext,
}

impl Tools {
    /// Who certifies this provider. The system's authorities are read when the first needs them: they are some sixty
    /// files and megabytes.
    fn roots(&self, provider: &OpenAiSpec) -> TlsRoots {
        let encrypted = provider.endpoints.iter().any(|endpoint| endpoint.url.scheme_str() == Some("https"));
        if encrypted { self.roots.get_or_init(TlsRoots::system).clone() } else { TlsRoots::none() }
    }
}

/// The registry of models, and where its files lie.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    /// What references mean.
    pub(crate) models: Arc<dyn Models>,
    /// The files.
    pub(crate) blobs: Arc<dyn Blobs>,
}

/// A local model that is loaded.
#[derive(Debug, Clone)]
struct Local {
    of: (ModelSpec, LocalSpec),
    /// Its version, where it comes from the registry.
    version: Option<u32>,
    /// Where the files of that version lie: a model that was deleted and made again begins at 1 again.
    storage: Option<String>,
    /// The version that its reference means since, and that could not be loaded.
    refused: Option<u32>,
    /// Whether the registry could say what the reference means now.
    is_current: bool,
    backend: Arc<dyn Backend>,
}

/// A backend and what it was built from.
type Built<Spec> = (Spec, Arc<dyn Backend>);

/// The parts in use, each with the spec that it was built from.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    openai: BTreeMap<ProviderName, Built<OpenAiSpec>>,
    local: BTreeMap<ModelName, Local>,
    limits: Option<(Vec<LimitSpec>, Arc<MemoryLimits>)>,
}

impl Parts {
    /// Builds what `spec` needs and `self` has not. Nothing in force changes until the result replaces it.
    ///
    /// # Errors
    /// A provider cannot be built, or a model not be fetched or loaded of which no version serves already: one that does
    /// goes on, so that neither a registry out of reach nor a broken version keeps other changes from taking effect.
    pub(crate) async fn renewed(&self, spec: &GatewaySpec, tools: &Tools) -> anyhow::Result<Self> {
        let mut next = Self::default();
        for (name, provider) in &spec.providers {
            if let ProviderKind::OpenAi(openai) = &provider.kind {
                let kept = self.openai.get(name).filter(|(old, _)| old == &**openai);
                let backend = match kept {
                    Some((_, backend)) => Arc::clone(backend),
                    None => Arc::new(
                        OpenAiBackend::build(
                            name,
                            openai,
                            Arc::clone(&tools.clock),
                            Arc::clone(&tools.dice),
                            &tools.roots(openai),
                        )
                        .with_context(|| format!("provider `{name}`"))?,
                    ),
                };
                next.openai.insert(name.clone(), ((**openai).clone(), backend));
            }
        }
        for model in spec.models.values() {
            if let Some(ProviderKind::Local(local)) = spec.providers.get(&model.provider).map(|provider| &provider.kind)
            {
                let old = self.local.get(&model.name).filter(|old| old.of.0 == *model && old.of.1 == *local);
                let loaded = renewed_local(old, model, local, tools).await;
                next.local.insert(model.name.clone(), loaded.with_context(|| format!("model `{}`", model.name))?);
            }
        }
        next.limits = Some(self.renewed_limits(&spec.limits, tools));
        Ok(next)
    }

    fn renewed_limits(&self, specs: &[LimitSpec], tools: &Tools) -> (Vec<LimitSpec>, Arc<MemoryLimits>) {
        let limits = match &self.limits {
            Some((old, limits)) if old == specs => Arc::clone(limits),
            Some((_, limits)) => Arc::new(limits.reconfigured(specs)),
            None => Arc::new(MemoryLimits::new(specs, Arc::clone(&tools.clock))),
        };
        (specs.to_vec(), limits)
    }

    /// What runs `model`.
    #[must_use]
    pub(crate) fn backend(&self, model: &ModelSpec) -> Option<Arc<dyn Backend>> {
        let remote = self.openai.get(&model.provider).map(|(_, backend)| backend);
        remote.or_else(|| self.local.get(&model.name).map(|local| &local.backend)).map(Arc::clone)
    }

    /// The version of `model`, where it comes from the registry.
    #[must_use]
    pub(crate) fn version(&self, model: &ModelSpec) -> Option<u32> {
        self.local.get(&model.name).and_then(|local| local.version)
    }

    /// Whether the registry could say of all references what they mean now.
    #[must_use]
    pub(crate) fn are_current(&self) -> bool {
        self.local.values().all(|local| local.is_current)
    }

    /// Whether a local model is served otherwise than `before`: by another backend, or with another refusal.
    #[must_use]
    pub(crate) fn serves_otherwise(&self, before: &Self) -> bool {
        let is_same = |local: &Local| {
            let old = before.local.get(&local.of.0.name);
            old.is_some_and(|old| Arc::ptr_eq(&old.backend, &local.backend) && old.refused == local.refused)
        };
        !self.local.values().all(is_same)
    }

    /// The models of the registry that are served.
    #[must_use]
    pub(crate) fn served(&self) -> Vec<Served> {
        let served = |local: &Local| match (&local.of.0.source, local.version) {
            (Some(Source::Registry(reference)), Some(version)) => Some(Served {
                model: local.of.0.name.clone(),
                reference: reference.clone(),
                version,
                refused: local.refused,
            }),
            _ => None,
        };
        self.local.values().filter_map(served).collect()
    }

    /// What callers are held to.
    #[must_use]
    pub(crate) fn limits(&self) -> Option<Arc<MemoryLimits>> {
        self.limits.as_ref().map(|(_, limits)| Arc::clone(limits))
    }
}

/// The model as it shall serve now: the one that does, or a newer version of it, loaded beside.
async fn renewed_local(
    old: Option<&Local>,
    model: &ModelSpec,
    local: &LocalSpec,
    tools: &Tools,
) -> anyhow::Result<Local> {
    let source = model.source.as_ref().context("it names no source of its weights")?;
    let Source::Registry(reference) = source else {
        if let Some(old) = old {
            return Ok(old.clone());
        }
        let backend = load(model, local, Place::Source(source), false, tools).await?;
        let of = (model.clone(), local.clone());
        return Ok(Local { of, version: None, storage: None, refused: None, is_current: true, backend });
    };
    let shelf = tools.registry.as_ref().context("there is no registry that it could come from")?;
    let wanted = match (shelf.models.resolve(reference).await, old) {
        (Ok(wanted), _) => wanted,
        // An alias that was taken away, or a registry out of reach, ends nothing.
        (Err(fault), Some(old)) => {
            tracing::error!(model = %model.name, %reference, %fault, "the version that serves goes on");
            return Ok(Local { is_current: fault.kind == FaultKind::NotFound, ..old.clone() });
        }
        (Err(fault), None) => anyhow::bail!("{reference}: {}", fault.says),
    };
    if let Some(old) = old {
        if old.version == Some(wanted.version) && old.storage.as_ref() == Some(&wanted.storage) {
            return Ok(Local { refused: None, is_current: true, ..old.clone() });
        }
        if old.refused == Some(wanted.version) {
            return Ok(Local { is_current: true, ..old.clone() });
        }
    }
    let place = Place::Shelf(shelf, &wanted.storage);
    match (load(model, local, place, old.is_some(), tools).await, old) {
        (Ok(backend), _) => {
            tracing::info!(model = %model.name, %reference, version = wanted.version, "a version of the registry serves");
            let (of, version, storage) = ((model.clone(), local.clone()), Some(wanted.version), Some(wanted.storage));
            Ok(Local { of, version, storage, refused: None, is_current: true, backend })
        }
        (Err(why), Some(old)) => {
            let why = format!("{why:#}");
            tracing::error!(model = %model.name, %reference, version = wanted.version, why, "a version cannot be loaded");
            if let Err(fault) = shelf.models.refused(reference, wanted.version, &why).await {
                tracing::error!(%fault, "the audit log does not say so");
            }
            Ok(Local { refused: Some(wanted.version), is_current: true, ..old.clone() })
        }
        (Err(why), None) => Err(why.context(format!("{reference}, version {}", wanted.version))),
    }
}

/// Where a model's files are.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Source(&'a Source),
    /// At this place of the registry's store.
    Shelf(&'a Shelf, &'a str),
}

#[cfg(feature = "engine")]
async fn load(
    model: &ModelSpec,
    local: &LocalSpec,
    place: Place<'_>,
    is_beside: bool,
    tools: &Tools,
) -> anyhow::Result<Arc<dyn Backend>> {
    let files = match place {
        Place::Source(source) => pull::ensure(source, &tools.pull).await?,
        Place::Shelf(shelf, storage) => super::artifacts::files(storage, &*shelf.blobs).await?,
    };
    if is_beside {
        super::admission::admit(&files, local)?;
    }
    super::local::load(model, local, files, Arc::clone(&tools.clock), Arc::clone(&tools.dice)).await
}

#[cfg(not(feature = "engine"))]
async fn load(
    _model: &ModelSpec,
    _local: &LocalSpec,
    _place: Place<'_>,
    _is_beside: bool,
    _tools: &Tools,
) -> anyhow::Result<Arc<dyn Backend>> {
    anyhow::bail!("this program was built without the feature `engine`, which local models need")
}
