//! Those who judge windows, each with the models that are granted to its plugin, as they run now. Owns which backend a granted
//! model is; asking it is `granted`'s.

use super::parts::Parts;
use super::plugins::Plugins;
use super::snapshot::second;
use crate::granted::{Grant, Granted};
use crate::monitors::{Evaluate, Evaluators};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::spec::{GatewaySpec, PluginSpec, ProviderKind};
use tidegate_core::{Clock, PluginName};
use tidegate_host::{Input, Models, Output, Plugin, World};
use tokio::runtime::Handle;

/// Those who judge, of one configuration.
#[derive(Debug)]
pub(crate) struct Granting {
    plugins: Plugins,
    models: BTreeMap<PluginName, Arc<dyn Models>>,
}

impl Granting {
    /// Those of this configuration, which is built from these parts.
    ///
    /// # Errors
    /// A granted model is not there.
    pub(super) fn of(spec: &GatewaySpec, parts: &Parts, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let mut models = BTreeMap::new();
        for plugin in spec.plugins.values().filter(|plugin| !plugin.models.is_empty()) {
            let granted = granted(plugin, spec, parts, clock).with_context(|| format!("plugin `{}`", plugin.name))?;
            models.insert(plugin.name.clone(), granted);
        }
        Ok(Self { plugins: parts.plugins().clone(), models })
    }
}

fn granted(
    plugin: &PluginSpec,
    spec: &GatewaySpec,
    parts: &Parts,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Models>> {
    let runtime = Handle::try_current().context("models are asked on the program's runtime")?;
    let purse = parts.plugins().purse(&plugin.name).context("it is not loaded")?;
    let grant = |name| {
        let model = second(name, spec, parts)?;
        let provider = spec.models.get(name).and_then(|model| spec.providers.get(&model.provider));
        let takes_schema = provider.is_some_and(|provider| !matches!(provider.kind, ProviderKind::Local(_)));
        Ok(Grant { model, takes_schema })
    };
    let grants = plugin.models.iter().map(grant).collect::<anyhow::Result<Vec<Grant>>>()?;
    Ok(Arc::new(Granted::new(grants, purse, runtime, Arc::clone(clock))))
}

impl Evaluators for Granting {
    fn evaluator(&self, name: &PluginName) -> Option<(Arc<dyn Evaluate>, String)> {
        let (judge, own) = Evaluators::evaluator(&self.plugins, name)?;
        let Some(models) = self.models.get(name) else { return Some((judge, own)) };
        let plugin = self.plugins.evaluator(name)?;
        Some((Arc::new(Asking { plugin, models: Arc::clone(models) }), own))
    }
}

/// A plugin with its models.
#[derive(Debug)]
struct Asking {
    plugin: Arc<Plugin>,
    models: Arc<dyn Models>,
}

impl Evaluate for Asking {
    fn world(&self) -> World {
        self.plugin.about().world
    }

    fn call(&self, config: &str, input: &Input) -> Result<Output, String> {
        let done = self.plugin.call_with(config, input, &self.models);
        done.map(|done| done.output).map_err(|fault| format!("{}: {}", fault.kind, fault.says))
    }

    fn waits(&self) -> bool {
        true
    }
}
