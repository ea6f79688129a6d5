//! Parts that outlive a reload: connection pools, loaded models, limits. A part whose spec did not change is used
//! again, so a reload drops no connection and loads no model twice.

use super::announcer::Announcer;
use super::deciders::Deciders;
use super::following::Local;
use super::holds::Holds;
use super::limiter::{Leases, Limiter};
use super::plugins::{Depot, Plugins, Rack, Workshop};
use super::rooms::Rooms;
#[cfg(feature = "engine")]
use super::verified::Verified;
use super::views::{Rack as ViewRack, Views};
use crate::alerts::Teller;
use crate::pull::PullContext;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tidegate_core::port::audit::Audit;
use tidegate_core::port::backend::Backend;
use tidegate_core::port::blobs::Blobs;
use tidegate_core::port::models::{Models, Serving};
use tidegate_core::port::prompts::Prompts;
use tidegate_core::port::sleeper::Sleeper;
use tidegate_core::spec::{ClassicSpec, GatewaySpec, LimitSpec, ModelSpec, OpenAiSpec, ProviderKind, Source};
use tidegate_core::{Clock, Dice, ModelName, ProviderName};
use tidegate_server::observe::metrics::Metrics;
use tidegate_server::snapshot::Served;
use tidegate_upstream::{ClassicBackend, OpenAiBackend, TlsRoots};

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
    /// Who says which shares arms have.
    pub(crate) deciders: Deciders,
    /// The way to the store that replicas share, where there is one.
    pub(crate) leases: Option<Arc<Leases>>,
    /// Who tells of alarms.
    pub(crate) alerts: Arc<Teller>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Where the plugins in force are shown.
    pub(crate) plugins: Arc<Rack>,
    /// Where the views of features in force are found.
    pub(crate) views: Arc<ViewRack>,
    /// Where plugins are compiled.
    pub(crate) workshop: Arc<Workshop>,
    /// Where their components are had.
    pub(crate) depot: Arc<Depot>,
}

impl Tools {
    /// Who certifies this provider. The system's authorities are read when the first needs them: they are some sixty
    /// files and megabytes.
    pub(super) fn roots(&self, provider: &OpenAiSpec) -> TlsRoots {
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
    /// What is done with them.
    pub(crate) audit: Arc<dyn Audit>,
    /// Which of them were looked at.
    #[cfg(feature = "engine")]
    pub(crate) verified: Arc<Verified>,
    /// Who is told what serves.
    pub(crate) announcer: Arc<Announcer>,
}

/// Builds a provider of classic models.
fn classic(name: &ProviderName, spec: &ClassicSpec, tools: &Tools) -> anyhow::Result<Arc<dyn Backend>> {
    let (clock, dice, roots) = (Arc::clone(&tools.clock), Arc::clone(&tools.dice), tools.roots(&spec.upstream));
    let built = ClassicBackend::build(name, spec, clock, dice, &roots);
    Ok(Arc::new(built.with_context(|| format!("provider `{name}`"))?))
}

/// A backend and what it was built from.
pub(super) type Built<Spec> = (Spec, Arc<dyn Backend>);

/// The parts in use, each with the spec that it was built from.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    openai: BTreeMap<ProviderName, Built<OpenAiSpec>>,
    classic: BTreeMap<ProviderName, Built<ClassicSpec>>,
    /// Models of those whose inputs are held to something.
    held: Holds,
    local: BTreeMap<ModelName, Local>,
    limits: Option<(Vec<LimitSpec>, Limiter)>,
    plugins: Plugins,
    views: Views,
    rooms: Rooms,
}

impl Parts {
    /// Builds what `spec` needs and `self` has not. Nothing in force changes until the result replaces it.
    ///
    /// # Errors
    /// A provider cannot be built, a plugin not be loaded, or a model not be fetched or loaded of which no version serves
    /// already: one that does goes on, so that neither a registry out of reach nor a broken version keeps other changes from
    /// taking effect.
    pub(crate) async fn renewed(&self, spec: &GatewaySpec, tools: &Tools) -> anyhow::Result<Self> {
        let next = self.built(spec, tools).await;
        if next.is_err() {
            self.rooms.restore();
        }
        next
    }

    async fn built(&self, spec: &GatewaySpec, tools: &Tools) -> anyhow::Result<Self> {
        let mut next = Self { rooms: self.rooms.renewed(spec)?, ..Self::default() };
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
            if let ProviderKind::Classic(spec) = &provider.kind {
                let kept = self.classic.get(name).filter(|(old, _)| old == &**spec);
                let backend = match kept {
                    Some((_, backend)) => Arc::clone(backend),
                    None => classic(name, spec, tools)?,
                };
                next.classic.insert(name.clone(), ((**spec).clone(), backend));
            }
        }
        next.held = self.held.renewed(spec, &next.classic, tools).await?;
        next.views = self.views.renewed(spec, tools).await?;
        // Before the models, which take longer.
        next.plugins = self.plugins.renewed(spec, &tools.workshop, &tools.depot).await?;
        for model in spec.models.values() {
            if let Some(ProviderKind::Local(local)) = spec.providers.get(&model.provider).map(|provider| &provider.kind)
            {
                let before = self.local.get(&model.name);
                let old = before.filter(|old| old.is_of(model, local));
                let memory = next.rooms.of(&model.provider);
                let loaded = Local::renewed(old, model, (local, &memory), tools).await;
                let loaded = loaded.with_context(|| format!("model `{}`", model.name))?;
                let worn = super::adapters::renew(before, &loaded, tools).await;
                worn.with_context(|| format!("model `{}`", model.name))?;
                next.local.insert(model.name.clone(), loaded);
            }
        }
        next.limits = Some(self.renewed_limits(&spec.limits, tools));
        Ok(next)
    }

    fn renewed_limits(&self, specs: &[LimitSpec], tools: &Tools) -> (Vec<LimitSpec>, Limiter) {
        let limits = match &self.limits {
            Some((old, limits)) if old == specs => limits.clone(),
            Some((_, limits)) => limits.reconfigured(specs),
            None => Limiter::new(tools.leases.as_deref(), &tools.clock).reconfigured(specs),
        };
        (specs.to_vec(), limits)
    }

    /// What runs `model`.
    #[must_use]
    pub(crate) fn backend(&self, model: &ModelSpec) -> Option<Arc<dyn Backend>> {
        let remote = self.held.of(&model.name).or_else(|| self.openai.get(&model.provider).map(|(_, backend)| backend));
        let remote = remote.or_else(|| self.classic.get(&model.provider).map(|(_, backend)| backend));
        remote.or_else(|| self.local.get(&model.name).map(|local| &local.backend)).map(Arc::clone)
    }

    /// The version of `model`, where it comes from the registry.
    #[must_use]
    pub(crate) fn version(&self, model: &ModelSpec) -> Option<u32> {
        self.local.get(&model.name).and_then(|local| Some(local.version.as_ref()?.version))
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
            old.is_some_and(|old| Arc::ptr_eq(&old.backend, &local.backend) && old.refusal == local.refusal)
        };
        !self.local.values().all(is_same)
    }

    /// The models of the registry that are served.
    #[must_use]
    pub(crate) fn served(&self) -> Vec<Served> {
        let served = |local: &Local| match (&local.of.0.source, &local.version) {
            (Some(Source::Registry(reference)), Some(version)) => Some(Served {
                model: local.of.0.name.clone(),
                reference: reference.clone(),
                version: version.version,
                refused: local.refusal.as_ref().map(|refusal| refusal.version.version),
            }),
            _ => None,
        };
        self.local.values().filter_map(served).collect()
    }

    /// What is done with the references that it has.
    #[must_use]
    pub(crate) fn servings(&self) -> Vec<Serving> {
        self.local.values().filter_map(Local::serving).collect()
    }

    /// Whether a version that was refused is to be tried again at `now`.
    #[must_use]
    pub(crate) fn are_due(&self, now: Instant) -> bool {
        self.local.values().filter_map(|local| local.refusal.as_ref()).any(|refusal| refusal.again <= now)
    }

    /// The models that sleep by themselves, and after how long without a call.
    #[must_use]
    pub(crate) fn sleepers(&self) -> Vec<(ModelName, Duration, Arc<dyn Sleeper>)> {
        let sleeper = |local: &Local| {
            let model = &local.of.0;
            Some((model.name.clone(), model.sleep_after?, local.backend.sleeper()?))
        };
        self.local.values().filter_map(sleeper).collect()
    }

    /// The plugins.
    #[must_use]
    pub(crate) const fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// The views of features.
    #[must_use]
    pub(crate) const fn views(&self) -> &Views {
        &self.views
    }

    /// What callers are held to.
    #[must_use]
    pub(crate) fn limits(&self) -> Option<Limiter> {
        self.limits.as_ref().map(|(_, limits)| limits.clone())
    }
}
