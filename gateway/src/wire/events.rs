//! The event store: opened from its spec, counted in the metrics; or nothing in its place.

use anyhow::Context as _;
use std::sync::Arc;
use tidegate_core::port::events::{DropReason, Events, Recorded};
use tidegate_core::spec::{EventsSpec, GatewaySpec};
use tidegate_core::{Clock, Event};
use tidegate_server::observe::metrics::RecordCounts;
use tidegate_storage::configurations::Configurations;
use tidegate_storage::{EventStore, Options};

/// Opens the store, and says what the last run left.
///
/// # Errors
/// The folder cannot be used, or another process uses it.
pub(crate) fn open(spec: &EventsSpec, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<Arc<EventStore>>> {
    let Some(folder) = &spec.folder else { return Ok(None) };
    let options = Options {
        durability: spec.durability,
        retention: spec.retention,
        clock: Arc::clone(clock),
        ..Options::default()
    };
    let (store, recovery) =
        EventStore::open(folder, options).with_context(|| format!("the event store in {}", folder.display()))?;
    if recovery.lost.is_some_and(|lost| lost > 0) || recovery.bytes_cut > 0 || recovery.frames_damaged > 0 {
        tracing::warn!(
            lost = recovery.lost,
            bytes_cut = recovery.bytes_cut,
            damaged = recovery.frames_damaged,
            "the last run did not stop in order"
        );
    }
    Ok(Some(Arc::new(store)))
}

/// Keeps the configuration that the next records will name, where records are kept.
///
/// # Errors
/// It cannot be written.
pub(crate) fn keep_configuration(events: &EventsSpec, spec: &GatewaySpec) -> anyhow::Result<()> {
    let Some(folder) = &events.folder else { return Ok(()) };
    let text = format!("{:#}\n", crate::replay::kept_form(spec));
    Configurations::at(folder).keep(&spec.hash, &text).context("the configuration cannot be kept beside the records")
}

/// The store's own counts, for the metrics.
#[derive(Debug)]
pub(crate) struct Counts(pub Arc<EventStore>);

impl RecordCounts for Counts {
    fn kept(&self) -> u64 {
        self.0.stats().written
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.0.stats().dropped(reason)
    }
}

/// Keeps nothing: for configurations that want no records.
#[derive(Debug)]
pub(crate) struct NoEvents;

impl Events for NoEvents {
    fn record(&self, _event: Box<Event>) -> Recorded {
        Recorded::Queued
    }
}
