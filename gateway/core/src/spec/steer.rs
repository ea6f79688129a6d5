//! Policies that pick an arm by how the arms stand when the call comes: measured here, without rewards.

use std::time::Duration;

/// A policy that looks at the arms.
#[derive(Debug, Clone, PartialEq)]
pub struct SteeredSpec {
    /// At what of them.
    pub by: SteerBy,
    /// The share of the calls that is spread evenly, in `[0, 1]`.
    pub explore: f64,
    /// How they are measured.
    pub gauge: GaugeSpec,
}

/// What of the arms decides.
#[derive(Debug, Clone, PartialEq)]
pub enum SteerBy {
    /// Of two arms drawn at random, the one that answers sooner and has fewer calls under way.
    Latency,
    /// The one with the fewest calls under way for its weight.
    LeastBusy {
        /// The weight of each, in the order of the variants, above 0.
        weights: Vec<f64>,
    },
    /// The one that is cheapest for this call.
    Cost {
        /// One that takes longer to its first byte is left out while another does not.
        max_latency: Option<Duration>,
    },
}

impl SteerBy {
    /// Its name in a configuration.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::LeastBusy { .. } => "least_busy",
            Self::Cost { .. } => "cost",
        }
    }
}

/// How the time of an arm is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugeSpec {
    /// After so long a measure counts for 1/e of what it did; above 0.
    pub decay: Duration,
    /// What a failed call counts as, at least.
    pub penalty: Duration,
}

impl Default for GaugeSpec {
    fn default() -> Self {
        Self { decay: Duration::from_secs(10), penalty: Duration::from_secs(5) }
    }
}
