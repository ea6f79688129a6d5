//! The memory of local providers: one account each, which outlives reloads. Owns that its limit is the configuration's.

use anyhow::ensure;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::ProviderName;
use tidegate_core::memory::Memory;
use tidegate_core::spec::{GatewaySpec, ProviderKind};

/// The accounts, each with its limit.
#[derive(Debug, Default)]
pub(super) struct Rooms(BTreeMap<ProviderName, (u64, Arc<Memory>)>);

impl Rooms {
    /// Those of `spec`: from here on its limits hold, and `restore` takes that back.
    ///
    /// # Errors
    /// What is taken already is more than a provider shall have.
    pub(super) fn renewed(&self, spec: &GatewaySpec) -> anyhow::Result<Self> {
        let mut next = Self::default();
        for (name, provider) in &spec.providers {
            let ProviderKind::Local(local) = &provider.kind else { continue };
            let limit = local.memory.unwrap_or(u64::MAX);
            let memory = self.0.get(name).map_or_else(|| Memory::new(limit), |(_, memory)| Arc::clone(memory));
            let used = memory.used();
            ensure!(
                used <= limit,
                "provider `{name}`: its models have {} MiB, which is more than the {} MiB of `memory`: put some to sleep, or leave some out first",
                used.div_ceil(1 << 20),
                limit >> 20
            );
            memory.allow(limit);
            next.0.insert(name.clone(), (limit, memory));
        }
        Ok(next)
    }

    /// Has these limits hold again.
    pub(super) fn restore(&self) {
        for (limit, memory) in self.0.values() {
            memory.allow(*limit);
        }
    }

    /// That of a provider.
    pub(super) fn of(&self, provider: &ProviderName) -> Arc<Memory> {
        self.0.get(provider).map_or_else(|| Memory::new(u64::MAX), |(_, memory)| Arc::clone(memory))
    }
}
