//! The series of the store that replicas share. Owns their names; what is counted is the store's.

use super::exposition::Exposition;
use std::fmt;

/// Who knows how the shared store and the limits leased from it fare.
pub trait LeaseCounts: Send + Sync + fmt::Debug {
    /// Whether the store answers.
    fn is_up(&self) -> bool;
    /// How often it was lost.
    fn losses(&self) -> u64;
    /// Round trips to it, by outcome.
    fn calls(&self) -> [(&'static str, u64); 2];
    /// Calls whose limits were decided on, by the way.
    fn decided(&self) -> [(&'static str, u64); 4];
    /// How often the store was told afterwards of what was used beyond a lease.
    fn reconciled(&self) -> u64;
}

/// Writes them.
pub(super) fn write(counts: &dyn LeaseCounts, page: &mut Exposition) {
    let up = u64::from(counts.is_up());
    page.gauge("tidegate_shared_store_up", "Whether the store that replicas share answers.").series(&[], up);
    page.counter("tidegate_shared_store_losses_total", "How often the shared store was lost.")
        .series(&[], counts.losses());
    page.counter("tidegate_shared_store_calls_total", "Round trips to the shared store.");
    for (outcome, count) in counts.calls() {
        page.series(&[("outcome", outcome)], count);
    }
    page.counter("tidegate_lease_decisions_total", "Calls whose limits were decided on, by the way.");
    for (way, count) in counts.decided() {
        page.series(&[("way", way)], count);
    }
    page.counter(
        "tidegate_lease_reconciliations_total",
        "How often the shared store was told afterwards of what was used beyond a lease.",
    )
    .series(&[], counts.reconciled());
}
