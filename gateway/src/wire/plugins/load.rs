//! One plugin: from its file to what can be called, in steps that each say what is wrong. Owns their order: what costs
//! nothing comes first, what runs the plugin last.

use super::settings;
use super::uses::Uses;
use super::workshop::Workshop;
use crate::components::{Depot, SIGNATURE_BYTES, signature};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::spec::PluginSpec;
use tidegate_host::{Bounds, Host, Limits, Plugin, WarmFilter};

/// A plugin that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) spec: PluginSpec,
    pub(super) sha256: Digest,
    pub(super) uses: Uses,
    pub(super) plugin: Arc<Plugin>,
    /// Where it is one.
    pub(super) filter: Option<Arc<WarmFilter>>,
    /// What was counted of those that stood here before it.
    pub(super) before: Totals,
}

/// What was counted of a plugin, all in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) calls: u64,
    pub(super) failures: BTreeMap<&'static str, u64>,
}

impl Loaded {
    /// What was counted of it and of those before it.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.before.clone();
        match &self.filter {
            Some(filter) => {
                let counts = filter.counts();
                totals.calls += counts.calls;
                for (kind, count) in counts.failures {
                    *totals.failures.entry(kind).or_default() += count;
                }
            }
            None => totals.calls += self.plugin.calls(),
        }
        totals
    }

    /// Whether it would be no other than `spec` with a component of this digest.
    fn is(&self, spec: &PluginSpec, sha256: Digest) -> bool {
        self.sha256 == sha256 && self.spec.config == spec.config && self.spec.limits == spec.limits
    }
}

/// A plugin that is to be loaded.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) spec: &'a PluginSpec,
    pub(super) uses: Uses,
}

impl Wanted<'_> {
    /// Loads it, or takes `old`, where that is the same.
    pub(super) fn loaded(
        self,
        host: &Host,
        workshop: &Workshop,
        depot: &Depot,
        old: Option<&Loaded>,
    ) -> Result<Loaded, String> {
        let Self { spec, uses } = self;
        // One byte more than is taken, so that the host says what is too large.
        let path = depot.path(spec)?;
        let bytes = read(&path, Limits::default().component_bytes as u64 + 1)
            .map_err(|why| format!("it cannot be read: {why}"))?;
        let sha256 = Digest::of(&bytes);
        if let Some(pinned) = spec.sha256.filter(|pinned| *pinned != sha256) {
            return Err(format!("its sha256 is {sha256}, and {pinned} is pinned"));
        }
        if let Some(key) = spec.signed_by {
            let path = PluginSpec::signature_of(&path);
            let file = read(&path, SIGNATURE_BYTES as u64)
                .map_err(|why| format!("its signature {} cannot be read: {why}", path.display()))?;
            signature::verify(&bytes, &file, key)?;
        }
        let (plugin, filter, before) = match old {
            Some(old) if old.is(spec, sha256) => {
                uses.fit(old.plugin.about().world, old.plugin.about().looks_at)?;
                (Arc::clone(&old.plugin), old.filter.clone(), old.before.clone())
            }
            _ => {
                let (plugin, filter) = new(host, workshop, &bytes, spec, &uses)?;
                (plugin, filter, old.map(Loaded::totals).unwrap_or_default())
            }
        };
        // Said once, not at each reload.
        let is_known = old.is_some_and(|old| old.uses == uses);
        if let Some(blind) = uses.blind_at(plugin.about().looks_at).filter(|_| !is_known) {
            tracing::warn!(plugin = %spec.name, "{blind}");
        }
        Ok(Loaded { spec: spec.clone(), sha256, uses, plugin, filter, before })
    }
}

fn new(
    host: &Host,
    workshop: &Workshop,
    bytes: &[u8],
    spec: &PluginSpec,
    uses: &Uses,
) -> Result<(Arc<Plugin>, Option<Arc<WarmFilter>>), String> {
    let said = |fault: tidegate_host::Fault| format!("{} ({})", fault.says, fault.kind);
    let bounds = Bounds { memory: spec.limits.memory, deadline: spec.limits.deadline };
    let plugin = Arc::new(workshop.load(host, bytes, bounds).map_err(said)?);
    let about = plugin.about();
    uses.fit(about.world, about.looks_at)?;
    settings::check(&about.config_schema, &spec.config)?;
    let filter = if about.world.is_warm() {
        Some(Arc::new(plugin.filter(spec.name.clone(), &spec.config).map_err(said)?))
    } else {
        None
    };
    tracing::info!(
        plugin = %spec.name,
        component = %spec.component,
        sha256 = %about.sha256.short(),
        world = %about.world,
        version = about.version,
        "plugin loaded"
    );
    Ok((plugin, filter))
}

/// At most so many bytes of a file.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
