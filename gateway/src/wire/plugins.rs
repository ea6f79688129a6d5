//! Plugins that are loaded: as filters of routes, and for those who judge windows. Owns which there are, that one that did
//! not change is used again with its warm instances, and that the new ones are all there or none is; loading one is
//! `load`'s, running it the host's.

#[cfg(feature = "host")]
mod aside;
#[cfg(feature = "host")]
mod load;
#[cfg(feature = "host")]
mod mount;
#[cfg(feature = "host")]
mod rack;
#[cfg(feature = "host")]
mod settings;
#[cfg(feature = "host")]
mod trial;
#[cfg(feature = "host")]
mod uses;
#[cfg(feature = "host")]
mod web;
#[cfg(feature = "host")]
mod workshop;

use std::sync::Arc;
use tidegate_core::PluginName;
use tidegate_core::port::filter::Filter;
use tidegate_core::port::router::Router;
use tidegate_core::spec::GatewaySpec;
#[cfg(feature = "host")]
use tidegate_core::spec::PluginSpec;

#[cfg(feature = "host")]
pub(crate) use crate::components::Depot;
#[cfg(feature = "host")]
pub(crate) use mount::PluginMount;
#[cfg(feature = "host")]
pub(crate) use rack::Rack;
#[cfg(feature = "host")]
pub(crate) use workshop::Workshop;

#[cfg(feature = "host")]
use {
    crate::granted::Purse,
    anyhow::Context as _,
    load::{Loaded, Wanted},
    std::collections::BTreeMap,
    tidegate_host::{Host, Limits, Outside, World},
    uses::Uses,
};

/// The plugins in use. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plugins {
    /// The hash of the configuration that they are of: it is over the components, too.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without plugins there is nothing to keep"))]
    of: Arc<str>,
    #[cfg(feature = "host")]
    house: Option<House>,
    #[cfg(feature = "host")]
    by_name: Arc<BTreeMap<PluginName, Loaded>>,
    /// Shared by those of all configurations.
    #[cfg(feature = "host")]
    rooms: Arc<aside::Rooms>,
}

/// What runs plugins, and what it has room for.
#[cfg(feature = "host")]
#[derive(Debug, Clone)]
struct House {
    host: Host,
    room: Limits,
}

#[cfg(feature = "host")]
impl House {
    /// One with room for the largest of these.
    fn with_room_for(spec: &GatewaySpec, before: Option<&Self>) -> Result<Self, String> {
        let asked: Vec<_> = spec.plugins.values().map(load::bounds).collect();
        let room = Limits::default().with_room_for(&asked);
        if let Some(before) = before.filter(|before| before.room.has_room_of(&room)) {
            return Ok(before.clone());
        }
        let host = Host::new(room.clone(), Outside::default()).map_err(|fault| fault.says)?;
        Ok(Self { host, room })
    }
}

#[cfg(feature = "host")]
impl Plugins {
    /// The plugins of `spec`: those of `self` that did not change, the others fetched where they are far, and loaded beside
    /// them, off the threads that serve.
    ///
    /// # Errors
    /// Every plugin that cannot be had, with its file and why.
    pub(crate) async fn renewed(
        &self,
        spec: &GatewaySpec,
        workshop: &Arc<Workshop>,
        depot: &Arc<Depot>,
    ) -> anyhow::Result<Self> {
        if self.of == spec.hash {
            return Ok(self.clone());
        }
        let absent = depot.ensure(spec.plugins.values()).await;
        let (before, spec) = (self.clone(), spec.clone());
        let (workshop, depot) = (Arc::clone(workshop), Arc::clone(depot));
        let loading = tokio::task::spawn_blocking(move || before.loaded(&spec, &workshop, &depot, &absent));
        let loaded = loading.await.context("loading plugins was cut short")?;
        loaded.map_err(|faults| anyhow::anyhow!(faults.join("\n")))
    }

    /// The same at once, of what is on this machine: it takes as long as compiling does. Of `absent` is said why they are
    /// not.
    fn loaded(
        &self,
        spec: &GatewaySpec,
        workshop: &Workshop,
        depot: &Depot,
        absent: &BTreeMap<PluginName, String>,
    ) -> Result<Self, Vec<String>> {
        if spec.plugins.is_empty() {
            let (of, house) = (Arc::clone(&spec.hash), self.house.clone());
            return Ok(Self { of, house, by_name: Arc::default(), rooms: Arc::clone(&self.rooms) });
        }
        let house = House::with_room_for(spec, self.house.as_ref()).map_err(|says| vec![says])?;
        let (mut by_name, mut faults) = (BTreeMap::new(), Vec::new());
        for plugin in spec.plugins.values() {
            let wanted = Wanted { spec: plugin, uses: Uses::of(&plugin.name, spec) };
            let loaded = match absent.get(&plugin.name) {
                Some(why) => Err(why.clone()),
                None => wanted.loaded(&house.host, workshop, depot, self.by_name.get(&plugin.name)),
            };
            match loaded {
                Ok(loaded) => drop(by_name.insert(plugin.name.clone(), loaded)),
                Err(why) => faults.push(format!("plugin `{}` ({}): {why}", plugin.name, plugin.component)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (of, by_name) = (Arc::clone(&spec.hash), Arc::new(by_name));
        Ok(Self { of, house: Some(house), by_name, rooms: Arc::clone(&self.rooms) })
    }

    /// What looks at calls under this name.
    #[must_use]
    pub(crate) fn filter(&self, name: &PluginName) -> Option<Arc<dyn Filter>> {
        let filter = self.by_name.get(name)?.filter.as_ref()?;
        Some(Arc::new(aside::Aside::new(Arc::<tidegate_host::WarmFilter>::clone(filter), &self.rooms)))
    }

    /// What the plugin of this name may use up of models.
    #[must_use]
    pub(crate) fn purse(&self, name: &PluginName) -> Option<Arc<Purse>> {
        self.by_name.get(name).map(|loaded| Arc::clone(&loaded.purse))
    }

    /// What says which arms calls may have under this name.
    #[must_use]
    pub(crate) fn router(&self, name: &PluginName) -> Option<Arc<dyn Router>> {
        let loaded = self.by_name.get(name)?;
        let router = loaded.filter.as_ref().filter(|_| loaded.plugin.about().world == World::Router)?;
        Some(Arc::new(aside::AsideRouter::new(Arc::<tidegate_host::WarmFilter>::clone(router), &self.rooms)))
    }

    /// What judges windows under this name.
    #[must_use]
    pub(crate) fn evaluator(&self, name: &PluginName) -> Option<Arc<tidegate_host::Plugin>> {
        let loaded = self.by_name.get(name)?;
        uses::judges_windows(loaded.plugin.about().world).then(|| Arc::clone(&loaded.plugin))
    }
}

#[cfg(feature = "host")]
impl crate::monitors::Evaluators for Plugins {
    fn evaluator(&self, name: &PluginName) -> Option<(Arc<dyn crate::monitors::Evaluate>, String)> {
        let plugin = Self::evaluator(self, name)?;
        Some((plugin, self.by_name.get(name)?.spec.config.clone()))
    }
}

/// What is wrong with the plugins of a configuration, and with its monitors, found by loading them as a gateway would, but
/// without the network; and what is not known without it.
#[cfg(feature = "host")]
pub(crate) fn faults(spec: &GatewaySpec, depot: &Depot) -> Found {
    let mut here = spec.clone();
    here.plugins.retain(|_, plugin| depot.has(plugin));
    here.monitors.retain(|_, monitor| here.plugins.contains_key(&monitor.plugin));
    let unseen = spec.plugins.values().filter(|plugin| !here.plugins.contains_key(&plugin.name));
    let unseen = unseen.map(|plugin| {
        let PluginSpec { name, component, .. } = plugin;
        format!("the plugin `{name}` is not on this machine yet: {component} is fetched when it is served, and looked at then")
    });
    let unseen = unseen.collect();
    // What is larger than most is not compiled in this process, and what was made of it is kept for the start.
    let usual = Limits::default().component_bytes as u64;
    let is_large = here.plugins.values().any(|plugin| plugin.limits.size.is_some_and(|size| size > usual));
    let workshop = if is_large { Workshop::of_this_program() } else { Workshop::default() };
    let faults = match Plugins::default().loaded(&here, &workshop, depot, &BTreeMap::new()) {
        Ok(plugins) => crate::monitors::faults(&here, &plugins),
        Err(faults) => faults,
    };
    Found { faults, unseen }
}

/// What was found of plugins without serving them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What is wrong.
    pub(crate) faults: Vec<String>,
    /// What nobody knows until it is fetched.
    pub(crate) unseen: Vec<String>,
}

#[cfg(not(feature = "host"))]
impl Plugins {
    /// Without the feature there are none.
    ///
    /// # Errors
    /// The configuration names some.
    #[expect(clippy::unused_async, reason = "with the feature it waits for a thread that loads")]
    pub(crate) async fn renewed(&self, spec: &GatewaySpec, _: &Arc<Workshop>, _: &Arc<Depot>) -> anyhow::Result<Self> {
        anyhow::ensure!(
            spec.plugins.is_empty(),
            "this program was built without the feature `host`, which `plugins` need"
        );
        Ok(Self { of: Arc::clone(&spec.hash) })
    }

    /// None.
    #[must_use]
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(crate) fn router(&self, _: &PluginName) -> Option<Arc<dyn Router>> {
        None
    }

    /// None.
    #[must_use]
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(crate) fn filter(&self, _: &PluginName) -> Option<Arc<dyn Filter>> {
        None
    }
}

/// Compiles nothing, since there is nothing.
#[cfg(not(feature = "host"))]
#[derive(Debug, Default)]
pub(crate) struct Workshop(());

#[cfg(not(feature = "host"))]
impl Workshop {
    /// That of a program that compiles nothing.
    pub(crate) fn of_this_program() -> Self {
        Self::default()
    }
}

/// Fetches nothing, since there is nothing.
#[cfg(not(feature = "host"))]
#[derive(Debug, Default)]
pub(crate) struct Depot(());

#[cfg(not(feature = "host"))]
impl Depot {
    /// That of a program that fetches nothing.
    pub(crate) fn from_environment(_: Arc<dyn crate::pull::transport::Transport>) -> Self {
        Self::default()
    }
}

/// Shows nothing, since there is nothing.
#[cfg(not(feature = "host"))]
#[derive(Debug, Default)]
pub(crate) struct Rack(());

#[cfg(not(feature = "host"))]
impl Rack {
    /// There is nothing to show.
    #[expect(clippy::unused_self, reason = "with the feature it is told")]
    pub(crate) const fn replace(&self, _: &Plugins) {}
}

/// Without the feature nothing is loaded; that it is lacking is said elsewhere.
#[cfg(not(feature = "host"))]
pub(crate) fn faults(_: &GatewaySpec, _: &Depot) -> Found {
    Found::default()
}

#[cfg(all(test, feature = "host"))]
mod tests;
