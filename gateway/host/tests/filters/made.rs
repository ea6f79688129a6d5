//! Filters for tests, on hosts with small limits. What they are made of is `guests/filter`'s.

#[path = "../guests/filter.rs"]
mod guest;

pub(crate) use guest::{Guest, PASS, when_two};

use std::sync::Arc;
use std::time::Duration;
use tidegate_core::clock::{ManualClock, SystemClock};
use tidegate_core::port::filter::{Message, Part, PartKind, Seen};
use tidegate_core::{Api, Clock, InferenceId, RouteName};
use tidegate_host::{Bounds, Fault, FilterLimits, Host, Limits, Outside, Plugin, WarmFilter};

impl Guest {
    /// As a filter of a host of its own.
    pub(crate) fn filter(&self) -> WarmFilter {
        self.try_filter().unwrap()
    }

    /// The same, or why not.
    pub(crate) fn try_filter(&self) -> Result<WarmFilter, Fault> {
        Arc::new(self.load(&host(small(), None))?).filter("made".parse().unwrap(), "{}")
    }

    /// A filter whose time a test moves.
    pub(crate) fn timed(&self) -> (WarmFilter, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(SystemClock.wall()));
        let host = host(small(), Some(Arc::clone(&clock)));
        let plugin = Arc::new(self.load(&host).unwrap());
        (plugin.filter("made".parse().unwrap(), "{}").unwrap(), clock)
    }

    /// As a plugin of this host.
    pub(crate) fn load(&self, host: &Host) -> Result<Plugin, Fault> {
        host.load(&self.component(), Bounds::default())
    }
}

/// A host of such limits.
pub(crate) fn host(limits: Limits, clock: Option<Arc<ManualClock>>) -> Host {
    let mut outside = Outside::default();
    if let Some(clock) = clock {
        outside.clock = clock;
    }
    Host::new(limits, outside).unwrap()
}

/// Small limits, but time enough for a machine that is busy.
pub(crate) fn small() -> Limits {
    Limits {
        memory_bytes: 4 << 20,
        load_deadline: Duration::from_millis(500),
        copied_bytes: 64 << 10,
        at_once: 2,
        filters: FilterLimits {
            memory_bytes: 2 << 20,
            deadline: Duration::from_millis(100),
            delta_deadline: Duration::from_millis(100),
            at_once: 8,
            at_once_each: 4,
            idle: 2,
            ..FilterLimits::default()
        },
        ..Limits::default()
    }
}

/// A call.
pub(crate) fn seen(route: &RouteName) -> Seen<'_> {
    Seen {
        id: InferenceId::from_u128(7),
        route,
        tenant: None,
        api: Api::ChatCompletions,
        model: Some("m"),
        prompt_version: None,
        headers: &[("x-a", "b")],
    }
}

/// A part.
pub(crate) fn part(kind: PartKind, text: &str, is_untrusted: bool) -> Part<'_> {
    Part { kind, text: text.into(), is_untrusted }
}

/// A message of what the caller said.
pub(crate) fn said(text: &str) -> Message<'_> {
    Message { role: "user".into(), parts: vec![part(PartKind::Text, text, true)] }
}
