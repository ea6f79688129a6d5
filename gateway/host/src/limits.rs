//! What plugins may take, as numbers. Owns the defaults, and what of them is one plugin's; who keeps them is `engine` (pool,
//! stack), `cell` (memory, calls, time) and `ticker` (time).

use crate::wasi::Wasi;
use crate::world::World;
use std::time::Duration;

/// The bounds of a host's plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest component that is compiled, where its plugin has no size of its own: compiling costs time and memory.
    pub component_bytes: usize,
    /// The memory of an instance. No plugin may be given more, and none has more than the default without asking.
    pub memory_bytes: usize,
    /// The elements of a table; the same holds.
    pub table_elements: usize,
    /// The core modules that one component may be made of; the same holds. Tables and memories are bounded by it, too.
    pub modules: u32,
    /// How many instances may live at once, beside those of filters.
    pub at_once: u32,
    /// The stack of a call. The thread that calls must have more than that.
    pub stack_bytes: usize,
    /// How long loading may run a component: its start, and what it says of itself.
    pub load_deadline: Duration,
    /// How long a window may take, all in all.
    pub deadline: Duration,
    /// How many bytes an instance may hand over at once.
    pub copied_bytes: usize,
    /// How often a window may call the host.
    pub host_calls: u32,
    /// How many log lines of a window are kept; the others are counted.
    pub log_lines: usize,
    /// The longest log line, in bytes.
    pub log_line_bytes: usize,
    /// How many metrics of a window, or series of a filter, are kept; the others are counted.
    pub metrics: usize,
    /// What is different for filters, which look at calls while they are served.
    pub filters: FilterLimits,
}

/// The bounds of filters, where they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterLimits {
    /// The memory of an instance, where its plugin has none of its own.
    pub memory_bytes: usize,
    /// How long a call may take, where its plugin has no time of its own.
    pub deadline: Duration,
    /// How long a delta of a stream may take, where its plugin has no time of its own.
    pub delta_deadline: Duration,
    /// How often a call may call the host.
    pub host_calls: u32,
    /// How many instances of all filters may live at once, idle ones and those that own a stream included.
    pub at_once: u32,
    /// How many of one filter may.
    pub at_once_each: u32,
    /// How many of one filter are kept while nobody calls.
    pub idle: usize,
    /// After so many calls an instance is replaced by a new one.
    pub calls_per_instance: u32,
    /// What the keys and values of a plugin may take together.
    pub kv_bytes: usize,
}

/// What one plugin may take, where it is not the default of its world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The memory of an instance, in bytes; [`Limits::memory_bytes`] at most.
    pub memory: Option<u64>,
    /// How long a call may take; of a filter of streams, a delta too.
    pub deadline: Option<Duration>,
    /// The largest component that is compiled, in bytes; what compiling may take grows with it.
    pub component_bytes: Option<u64>,
    /// The core modules that it may be made of; [`Limits::modules`] at most.
    pub modules: Option<u32>,
    /// The elements of a table; [`Limits::table_elements`] at most.
    pub table_elements: Option<u32>,
    /// What it is granted of WASI.
    pub wasi: Wasi,
}

/// What a plugin has that asks for no more, however much room there is for others.
const MEMORY_BYTES: usize = 128 << 20;
const TABLE_ELEMENTS: usize = 16_384;
const MODULES: u32 = 16;

impl Bounds {
    /// The largest component that is compiled for it.
    pub(crate) fn most_bytes(self, limits: &Limits) -> usize {
        self.component_bytes.map_or(limits.component_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

impl Limits {
    /// These, with as much room as these plugins ask for.
    #[must_use]
    pub fn with_room_for<'a>(mut self, asked: impl IntoIterator<Item = &'a Bounds>) -> Self {
        for bounds in asked {
            let memory = bounds.memory.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
            self.memory_bytes = self.memory_bytes.max(memory);
            self.table_elements = self.table_elements.max(bounds.table_elements.unwrap_or_default() as usize);
            self.modules = self.modules.max(bounds.modules.unwrap_or_default());
        }
        self
    }

    /// Whether a host of these has room for all that one of `other` has.
    #[must_use]
    pub const fn has_room_of(&self, other: &Self) -> bool {
        self.memory_bytes >= other.memory_bytes
            && self.table_elements >= other.table_elements
            && self.modules >= other.modules
    }

    /// The memories of one component: most have one, and what joins languages has few more.
    pub(crate) const fn memories(&self) -> u32 {
        self.modules.div_ceil(8)
    }

    /// The tables of one component.
    pub(crate) const fn tables(&self) -> u32 {
        self.modules.div_ceil(2)
    }

    /// Those of one plugin.
    ///
    /// # Errors
    /// It shall have more than there is for any.
    pub(crate) fn of(&self, world: World, bounds: Bounds) -> Result<Self, String> {
        let mut limits = self.clone();
        limits.component_bytes = bounds.most_bytes(self);
        limits.memory_bytes = self.memory_bytes.min(MEMORY_BYTES);
        limits.table_elements = self.table_elements.min(TABLE_ELEMENTS);
        limits.modules = self.modules.min(MODULES);
        if world.is_warm() {
            limits.memory_bytes = self.filters.memory_bytes.min(self.memory_bytes);
            limits.deadline = self.filters.deadline;
            limits.host_calls = self.filters.host_calls;
        }
        if let Some(memory) = bounds.memory {
            limits.memory_bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        }
        if let Some(elements) = bounds.table_elements {
            limits.table_elements = elements as usize;
        }
        if let Some(modules) = bounds.modules {
            limits.modules = modules;
        }
        for (what, wanted, most) in [
            ("of memory is {} bytes", limits.memory_bytes, self.memory_bytes),
            ("of tables is {} elements", limits.table_elements, self.table_elements),
            ("of core modules is {}", limits.modules as usize, self.modules as usize),
        ] {
            if wanted > most {
                let what = what.replace("{}", &wanted.to_string());
                return Err(format!("its limit {what}, and {most} are the most that a plugin may have here"));
            }
        }
        if let Some(deadline) = bounds.deadline {
            limits.deadline = deadline;
            limits.filters.delta_deadline = deadline;
        }
        Ok(limits)
    }
}

impl Default for Limits {
    /// Those of evaluators, which look at whole windows in the background.
    fn default() -> Self {
        Self {
            component_bytes: 4 << 20,
            memory_bytes: MEMORY_BYTES,
            table_elements: TABLE_ELEMENTS,
            modules: MODULES,
            at_once: 8,
            stack_bytes: 512 << 10,
            load_deadline: Duration::from_secs(2),
            deadline: Duration::from_secs(30),
            copied_bytes: 4 << 20,
            host_calls: 10_000,
            log_lines: 64,
            log_line_bytes: 1024,
            metrics: 256,
            filters: FilterLimits::default(),
        }
    }
}

impl Default for FilterLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 16 << 20,
            deadline: Duration::from_millis(5),
            delta_deadline: Duration::from_millis(2),
            host_calls: 64,
            at_once: 1024,
            at_once_each: 256,
            idle: 8,
            calls_per_instance: 10_000,
            kv_bytes: 1 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_the_limits_of_its_world_or_its_own() {
        let all = Limits::default();
        let of = |world, memory, ms: Option<u64>| {
            let bounds = Bounds { memory, deadline: ms.map(Duration::from_millis), ..Bounds::default() };
            all.of(world, bounds).map(|limits| {
                let ms = [limits.deadline, limits.filters.delta_deadline].map(|time| time.as_millis());
                (limits.memory_bytes >> 20, ms, limits.host_calls)
            })
        };
        assert_eq!(of(World::Drift, None, None), Ok((128, [30_000, 2], 10_000)));
        assert_eq!(of(World::StreamFilter, None, None), Ok((16, [5, 2], 64)));
        assert_eq!(of(World::Guardrail, Some(64 << 20), Some(50)), Ok((64, [50, 50], 64)));
        assert!(of(World::Filter, Some(129 << 20), None).unwrap_err().contains("are the most"));
    }

    #[test]
    fn room_for_others_is_nobodys_who_does_not_ask() {
        let large = Limits { memory_bytes: 1 << 30, table_elements: 1 << 20, modules: 64, ..Limits::default() };
        let of = |bounds| {
            large.of(World::Drift, bounds).map(|all| (all.memory_bytes >> 20, all.table_elements, all.modules))
        };
        assert_eq!(of(Bounds::default()), Ok((128, 16_384, 16)));
        let asks =
            Bounds { memory: Some(1 << 30), modules: Some(64), table_elements: Some(1 << 20), ..Bounds::default() };
        assert_eq!(of(asks), Ok((1024, 1 << 20, 64)));
        assert!(of(Bounds { modules: Some(65), ..asks }).unwrap_err().contains("of core modules is 65, and 64 are"));
        assert!(of(Bounds { table_elements: Some(u32::MAX), ..asks }).unwrap_err().contains("of tables is"));
        let all = Limits::default();
        assert_eq!((all.modules, all.tables(), all.memories()), (16, 8, 2));
    }
}
