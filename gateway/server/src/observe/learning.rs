//! The series of what replicas learn from each other. Owns their names.

use super::exposition::Exposition;
use std::fmt;

/// Who knows how replicas tell each other what they learnt.
pub trait LearningCounts: Send + Sync + fmt::Debug {
    /// Whether others can be told.
    fn is_up(&self) -> bool;
    /// How often the way to them was lost.
    fn losses(&self) -> u64;
    /// Rewards, by what became of them.
    fn rewards(&self) -> [(&'static str, u64); 3];
}

/// Writes them.
pub(super) fn write(counts: &dyn LearningCounts, page: &mut Exposition) {
    let up = u64::from(counts.is_up());
    page.gauge("tidegate_shared_learning_up", "Whether replicas tell each other what they learn.").series(&[], up);
    page.counter("tidegate_shared_learning_losses_total", "How often the way to the other replicas was lost.")
        .series(&[], counts.losses());
    page.counter(
        "tidegate_shared_learning_rewards_total",
        "Rewards heard from other replicas, told to them only after a restart, or told before and then lost here.",
    );
    for (event, count) in counts.rewards() {
        page.series(&[("event", event)], count);
    }
}
