//! What plugins may take, as numbers. Owns the defaults, and what of them is one plugin's; who keeps them is `engine` (pool,
//! stack), `cell` (memory, calls, time) and `ticker` (time).

use crate::world::World;
use std::time::Duration;

/// The bounds of a host's plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest component that is compiled. It is low as long as compiling takes place in this process.
    pub component_bytes: usize,
    /// The memory of an instance. No plugin may be given more.
    pub memory_bytes: usize,
    /// The elements of a table.
    pub table_elements: usize,
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
}

/// What no component may have more of, whatever the rest says.
pub(crate) const INSTANCES: u32 = 16;
pub(crate) const MEMORIES: u32 = 2;
pub(crate) const TABLES: u32 = 8;

impl Limits {
    /// Those of one plugin.
    ///
    /// # Errors
    /// It shall have more memory than there is for any.
    pub(crate) fn of(&self, world: World, bounds: Bounds) -> Result<Self, String> {
        let mut limits = self.clone();
        if world.is_warm() {
            limits.memory_bytes = self.filters.memory_bytes.min(self.memory_bytes);
            limits.deadline = self.filters.deadline;
            limits.host_calls = self.filters.host_calls;
        }
        if let Some(memory) = bounds.memory {
            limits.memory_bytes = usize::try_from(memory).unwrap_or(usize::MAX);
            if limits.memory_bytes > self.memory_bytes {
                return Err(format!(
                    "its limit of memory is {memory} bytes, and {} are the most that a plugin may have here",
                    self.memory_bytes
                ));
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
            memory_bytes: 128 << 20,
            table_elements: 16_384,
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
            let bounds = Bounds { memory, deadline: ms.map(Duration::from_millis) };
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
}
