//! What became of the copies for shadows, as a metric. Owns the outcomes and their names.

use super::exposition::Exposition;
use crate::snapshot::Snapshot;

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowOutcome {
    /// It was answered, and compared.
    Compared,
    /// The shadow failed.
    Failed,
    /// There was no place for it.
    NoPlace,
    /// The day's budget was spent.
    OverBudget,
}

impl ShadowOutcome {
    /// Every outcome, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Compared, Self::Failed, Self::NoPlace, Self::OverBudget];

    /// Its label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compared => "compared",
            Self::Failed => "failed",
            Self::NoPlace => "no_place",
            Self::OverBudget => "over_budget",
        }
    }
}

/// How many copies had each outcome, in the order of [`ShadowOutcome::ALL`].
pub type ShadowCounts = [u64; ShadowOutcome::ALL.len()];

/// Counts its copies.
pub trait Counted: Send + Sync + std::fmt::Debug {
    /// How many had which outcome.
    fn counts(&self) -> ShadowCounts;
}

/// The family of metrics about shadows.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut routes: Vec<_> = snapshot.routes.values().filter(|route| !route.shadows.is_empty()).collect();
    routes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let mut page = Exposition::new();
    page.counter("tidegate_shadow_copies_total", "Copies of calls for shadows, by what became of them.");
    for route in routes {
        for shadow in &route.shadows {
            for (outcome, count) in ShadowOutcome::ALL.iter().zip(shadow.counts.counts()) {
                let labels = [
                    ("route", route.spec.name.as_str()),
                    ("shadow", shadow.arm.name.as_str()),
                    ("outcome", outcome.label()),
                ];
                page.series(&labels, count);
            }
        }
    }
    page.finish()
}
