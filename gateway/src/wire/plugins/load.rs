//! One plugin: from its file to what can be called, in steps that each say what is wrong. Owns their order: what costs
//! nothing comes first, what runs the plugin last.

use super::settings;
use super::uses::Uses;
use super::web;
use super::workshop::Workshop;
use crate::components::{Depot, SIGNATURE_BYTES, signature};
use crate::granted::Purse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{PluginLimits, PluginSpec, WasiGrant};
use tidegate_host::{Bounds, Host, Limits, Plugin, WarmFilter, Wasi};

/// A plugin that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) spec: PluginSpec,
    pub(super) sha256: Digest,
    pub(super) uses: Uses,
    pub(super) plugin: Arc<Plugin>,
    /// Where it is one.
    pub(super) filter: Option<Arc<WarmFilter>>,
    /// What it may use up of models; that goes on as long as its rate does.
    pub(super) purse: Arc<Purse>,
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
        let (calls, failures) = match &self.filter {
            Some(filter) => {
                let counts = filter.counts();
                (counts.calls, counts.failures)
            }
            None => (self.plugin.calls(), self.plugin.failures()),
        };
        let mut totals = self.before.clone();
        totals.calls += calls;
        for (kind, count) in failures {
            *totals.failures.entry(kind).or_default() += count;
        }
        totals
    }

    /// Whether it would be no other than `spec` with a component of this digest.
    fn is(&self, spec: &PluginSpec, sha256: Digest) -> bool {
        // How many tokens of models it may use up is no matter of the plugin that is loaded.
        let bounds = |spec: &PluginSpec| (PluginLimits { tokens: None, ..spec.limits }, spec.wasi);
        let (old, new) = (&self.spec, spec);
        let is_bound_alike = bounds(old) == bounds(new) && old.web == new.web;
        self.sha256 == sha256 && old.config == new.config && is_bound_alike
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
        let most = spec.limits.size.unwrap_or(Limits::default().component_bytes as u64);
        let path = depot.path(spec)?;
        let bytes = read(&path, most.saturating_add(1)).map_err(|why| format!("it cannot be read: {why}"))?;
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
                let (plugin, filter) = new(host, workshop, (&bytes, sha256), spec, &uses)?;
                (plugin, filter, old.map(Loaded::totals).unwrap_or_default())
            }
        };
        // Said once, not at each reload.
        let is_known = old.is_some_and(|old| old.uses == uses);
        if let Some(blind) = uses.blind_at(plugin.about().looks_at).filter(|_| !is_known) {
            tracing::warn!(plugin = %spec.name, "{blind}");
        }
        let kept = old.map(|old| &old.purse).filter(|purse| purse.rate() == spec.limits.tokens);
        let purse = kept.map_or_else(|| Arc::new(Purse::new(spec.limits.tokens, Instant::now())), Arc::clone);
        Ok(Loaded { spec: spec.clone(), sha256, uses, plugin, filter, purse, before })
    }
}

/// What a plugin may take and is granted.
pub(super) fn bounds(spec: &PluginSpec) -> Bounds {
    let limits = spec.limits;
    Bounds {
        memory: limits.memory,
        deadline: limits.deadline,
        component_bytes: limits.size,
        modules: limits.modules,
        table_elements: limits.table,
        wasi: match spec.wasi {
            WasiGrant::None => Wasi::None,
            WasiGrant::Minimal => Wasi::Minimal,
        },
    }
}

fn new(
    host: &Host,
    workshop: &Workshop,
    (bytes, sha256): (&[u8], Digest),
    spec: &PluginSpec,
    uses: &Uses,
) -> Result<(Arc<Plugin>, Option<Arc<WarmFilter>>), String> {
    let said = |fault: tidegate_host::Fault| format!("{} ({})", fault.says, fault.kind);
    let mut plugin = workshop.load(host, bytes, sha256, bounds(spec)).map_err(said)?.named(&spec.name);
    if let Some(web) = web::granted(spec, plugin.about())? {
        plugin = plugin.with_web(web);
    }
    let plugin = Arc::new(plugin);
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
