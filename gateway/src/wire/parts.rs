//! Parts that outlive a reload: connection pools, loaded models, limits. A part whose spec did not change is used
//! again, so a reload drops no connection and loads no model twice.

use crate::pull::{self, PullContext};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::{GatewaySpec, LimitSpec, LocalSpec, ModelSpec, OpenAiSpec, ProviderKind};
use tidegate_core::{Clock, Dice, ModelName, ProviderName};
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

/// A backend and what it was built from.
type Built<Spec> = (Spec, Arc<dyn Backend>);

/// The parts in use, each with the spec that it was built from.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    openai: BTreeMap<ProviderName, Built<OpenAiSpec>>,
    local: BTreeMap<ModelName, Built<(ModelSpec, LocalSpec)>>,
    limits: Option<(Vec<LimitSpec>, Arc<MemoryLimits>)>,
}

impl Parts {
    /// Builds what `spec` needs and `self` has not. Nothing in force changes until the result replaces it.
    ///
    /// # Errors
    /// A provider cannot be built, or a model not be fetched or loaded.
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
                let key = (model.clone(), local.clone());
                let backend = match self.local.get(&model.name).filter(|(old, _)| *old == key) {
                    Some((_, backend)) => Arc::clone(backend),
                    None => load(model, local, tools).await.with_context(|| format!("model `{}`", model.name))?,
                };
                next.local.insert(model.name.clone(), (key, backend));
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
        remote.or_else(|| self.local.get(&model.name).map(|(_, backend)| backend)).map(Arc::clone)
    }

    /// What callers are held to.
    #[must_use]
    pub(crate) fn limits(&self) -> Option<Arc<MemoryLimits>> {
        self.limits.as_ref().map(|(_, limits)| Arc::clone(limits))
    }
}

#[cfg(feature = "engine")]
async fn load(model: &ModelSpec, local: &LocalSpec, tools: &Tools) -> anyhow::Result<Arc<dyn Backend>> {
    let source = model.source.as_ref().context("it names no source of its weights")?;
    let files = pull::ensure(source, &tools.pull).await?;
    super::local::load(model, local, files, Arc::clone(&tools.clock), Arc::clone(&tools.dice)).await
}

#[cfg(not(feature = "engine"))]
async fn load(_model: &ModelSpec, _local: &LocalSpec, _tools: &Tools) -> anyhow::Result<Arc<dyn Backend>> {
    anyhow::bail!("this program was built without the feature `engine`, which local models need")
}
