//! What goes wrong with a plugin: a kind for metrics and policies, and a text that says what and how to mend it. Owns
//! how wasmtime's errors are told apart; what they lead to (breaker, failure mode) is the caller's.

use crate::cell::{Cell, harmless};
use crate::wasi::Stopped;
use std::fmt;
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// A plugin that cannot be loaded, or whose call did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{says}")]
pub struct Fault {
    /// What kind of thing it is.
    pub kind: Kind,
    /// What happened, and how to mend it.
    pub says: String,
}

impl Fault {
    pub(crate) fn new(kind: Kind, says: impl Into<String>) -> Self {
        Self { kind, says: says.into() }
    }
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// More bytes than the host takes.
    TooLarge,
    /// No WebAssembly component: a core module, a text, compiled code, anything else.
    NotAComponent,
    /// Truncated, damaged, or of a WebAssembly that the host does not compile.
    Damaged,
    /// It fills no world of the contract, or one of another version.
    WrongWorld,
    /// It asks for what its world does not grant.
    Import,
    /// All places for instances are taken.
    Busy,
    /// It failed too often just now and is not called for a while.
    Tripped,
    /// It did not end within its time.
    Deadline,
    /// It wanted more memory, or larger tables, than it may have.
    Memory,
    /// It called itself too deeply.
    Stack,
    /// It stopped by a trap.
    Trap,
    /// It called the host more often than it may.
    HostCalls,
    /// It said itself that it could not do its work.
    Refused(Refusal),
    /// What it gave back is too large, or is not what the contract says.
    BadOutput,
    /// What it should be given is not what its world takes.
    BadInput,
    /// The host itself could not do its part.
    Host,
}

/// Why a plugin refused, by the contract's `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its configuration.
    Config,
    /// Its input.
    Input,
    /// Something that it asked of the host.
    Host,
    /// Not now: again after so many milliseconds.
    RetryAfter(u32),
    /// Anything else.
    Internal,
}

impl Kind {
    /// All names, for metrics that have one counter each.
    pub const NAMES: [&'static str; 16] = [
        "too_large",
        "not_a_component",
        "damaged",
        "wrong_world",
        "import",
        "busy",
        "deadline",
        "memory",
        "stack",
        "trap",
        "host_calls",
        "refused",
        "bad_output",
        "bad_input",
        "host",
        "tripped",
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotAComponent => "not_a_component",
            Self::Damaged => "damaged",
            Self::WrongWorld => "wrong_world",
            Self::Import => "import",
            Self::Busy => "busy",
            Self::Tripped => "tripped",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Trap => "trap",
            Self::HostCalls => "host_calls",
            Self::Refused(_) => "refused",
            Self::BadOutput => "bad_output",
            Self::BadInput => "bad_input",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The budget of calls to the host is used up: a trap of our own.
#[derive(Debug, thiserror::Error)]
#[error("the budget of calls to the host is used up")]
pub(crate) struct HostCallsUsedUp;

/// How wasmtime's errors begin that say that a guest handed over too much, and that a function has other types than its
/// world says. They have no public types.
const TOO_MUCH_DATA: &str = "too much data is being copied between the host and the guest";
const OTHER_TYPES: &str = "failed to convert function";

/// How one begins that says that a store has as many instances, memories or tables as it may have.
const TOO_MANY_PARTS: &str = "resource limit exceeded: ";

/// The longest part of wasmtime's message that is passed on.
const SAID_BYTES: usize = 512;

/// A component that does not become code, or not code that this host has room for.
pub(crate) fn not_compiled(error: &wasmtime::Error) -> Fault {
    let says = harmless(&format!("{error:#}"), SAID_BYTES);
    if is_too_much(error) {
        let is_made_of_much = begins_with(error, "The component transitively contains");
        let kind = if is_made_of_much { Kind::TooLarge } else { Kind::Memory };
        let raise = "raise the limit that this is about: `modules`, `table` or `memory`";
        return Fault::new(kind, format!("it wants more than it may have: {says} ({raise})"));
    }
    Fault::new(Kind::Damaged, format!("it cannot be compiled: {says}"))
}

/// Whether a component is well and the pool has no room for it. Such errors have no types of their own.
pub(crate) fn is_too_much(error: &wasmtime::Error) -> bool {
    const PARTS: [&str; 3] = ["in the pooling allocator", "exceeds the limit of", "exceeds the per-instance limit"];
    error.chain().any(|cause| {
        let says = cause.to_string();
        PARTS.iter().any(|part| says.contains(part))
    })
}

/// Tells what an instance ended with. `doing` is the part of its life, such as `its call`.
pub(crate) fn told(error: &wasmtime::Error, cell: &Cell, doing: &str) -> Fault {
    let limits = cell.limits();
    if error.downcast_ref::<HostCallsUsedUp>().is_some() {
        let says = format!("{doing} called the host more than {} times: ask once, and less often", limits.host_calls);
        return Fault::new(Kind::HostCalls, says);
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Fault::new(Kind::Busy, "no place for another instance is free: all are taken");
    }
    let begins = |text: &str| begins_with(error, text);
    if begins(OTHER_TYPES) {
        return Fault::new(
            Kind::WrongWorld,
            format!("it does not fit its world: {}", harmless(&format!("{error:#}"), SAID_BYTES)),
        );
    }
    if let Some(Stopped(says)) = error.downcast_ref::<Stopped>() {
        return Fault::new(Kind::Trap, format!("{doing} {says}"));
    }
    if begins(TOO_MANY_PARTS) {
        let (modules, says) = (limits.modules, harmless(&format!("{error:#}"), SAID_BYTES));
        let says = format!(
            "it is made of more than {modules} core modules or what belongs to these: {says} (raise `modules` of its limits)"
        );
        return Fault::new(Kind::TooLarge, says);
    }
    if begins(TOO_MUCH_DATA) {
        let says = format!("{doing} handed more than {} bytes over at once: say less", limits.copied_bytes);
        return Fault::new(Kind::BadOutput, says);
    }
    // Who was refused memory mostly ends by a trap of his own making: the refusal is what matters.
    if let (Some(refused), false) = (cell.refused(), is_interrupt(error)) {
        return Fault::new(Kind::Memory, format!("{doing} wanted {refused}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Fault::new(
            Kind::Deadline,
            format!("{doing} did not end within {} ms, which is all it may take", cell.deadline().as_millis()),
        ),
        Some(Trap::StackOverflow) => {
            Fault::new(Kind::Stack, format!("{doing} called itself deeper than {} bytes of stack", limits.stack_bytes))
        }
        Some(trap) => {
            let words = cell.last_words().map_or_else(String::new, |words| format!("; its last words were `{words}`"));
            Fault::new(Kind::Trap, format!("{doing} ended by a trap: {trap}{words}"))
        }
        // What is neither a trap nor ours is said of values: a text that is no UTF-8, a list that lies outside of memory.
        None => Fault::new(
            Kind::BadOutput,
            format!(
                "{doing} handed over what is no value of the contract: {}",
                harmless(&format!("{error:#}"), SAID_BYTES)
            ),
        ),
    }
}

/// Whether the error, or one that led to it, begins with this text.
fn begins_with(error: &wasmtime::Error, text: &str) -> bool {
    error.chain().any(|cause| cause.to_string().starts_with(text))
}

fn is_interrupt(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<Trap>() == Some(&Trap::Interrupt)
}
