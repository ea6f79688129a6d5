//! What plugins may take, as numbers. Owns the defaults; who keeps them is `engine` (pool, stack), `cell` (memory, calls) and
//! `ticker` (time).

use std::time::Duration;

/// The bounds of a host's plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest component that is compiled. It is low as long as compiling takes place in this process.
    pub component_bytes: usize,
    /// The memory of an instance.
    pub memory_bytes: usize,
    /// The elements of a table.
    pub table_elements: usize,
    /// How many instances may live at once.
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
    /// How many metrics of a window are kept; the others are counted.
    pub metrics: usize,
}

/// What no component may have more of, whatever the rest says.
pub(crate) const INSTANCES: u32 = 16;
pub(crate) const MEMORIES: u32 = 2;
pub(crate) const TABLES: u32 = 8;

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
        }
    }
}
