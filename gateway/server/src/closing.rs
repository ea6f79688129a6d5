//! What a closed ledger goes through: the metrics count it, a span tells it, the store keeps it.

use crate::observe::metrics::Metrics;
use crate::observe::span::{SpanRecord, Spans};
use std::sync::Arc;
use tidegate_core::port::events::{Events, Recorded};
use tidegate_core::spec::Durability;
use tidegate_core::{Event, Fault, FaultKind};

/// Stands between the ledgers and the event store.
#[derive(Debug)]
pub(crate) struct Closing {
    store: Arc<dyn Events>,
    metrics: Arc<Metrics>,
    spans: Option<Arc<dyn Spans>>,
    durability: Durability,
}

impl Closing {
    /// Passes records on to `store`.
    #[must_use]
    pub(crate) const fn new(
        store: Arc<dyn Events>,
        metrics: Arc<Metrics>,
        spans: Option<Arc<dyn Spans>>,
        durability: Durability,
    ) -> Self {
        Self { store, metrics, spans, durability }
    }
}

impl Events for Closing {
    fn record(&self, event: Box<Event>) -> Recorded {
        self.metrics.observe(&event);
        if let Some(spans) = &self.spans {
            spans.export(SpanRecord::of(&event));
            SpanRecord::of_visits(&event).into_iter().for_each(|span| spans.export(span));
        }
        match (self.store.record(event), self.durability) {
            // Who was promised a durable record must learn that there is none.
            (Recorded::Dropped(_), Durability::Ack) => {
                Recorded::Acknowledged(Box::pin(std::future::ready(Err(Fault::new(
                    FaultKind::NotDurable,
                    "the record of this call could not be kept, so its answer is withheld: try again later",
                )))))
            }
            (recorded, _) => recorded,
        }
    }
}
