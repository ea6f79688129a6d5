//! A histogram of atomic buckets. Owns counting and cumulation; bounds come from its owner.

use super::exposition::Exposition;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets for one series; a value is counted in one bucket, and cumulated only when it is read.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    buckets: [AtomicU64; N],
    above: AtomicU64,
    /// In the unit of the values counted.
    sum: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; N], above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts `value`; `bounds` are in the same unit.
    pub(super) fn count(&self, value: u64, bounds: &[u64; N]) {
        let bucket = bounds.partition_point(|&bound| bound < value);
        self.buckets.get(bucket).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Writes the series, values divided by `scale`; nothing where nothing was counted.
    pub(super) fn write(&self, page: &mut Exposition, labels: &[(&str, &str)], bounds: &[u64; N], scale: f64) {
        let counts: [u64; N] = std::array::from_fn(|i| self.buckets[i].load(Ordering::Relaxed));
        let all = counts.iter().sum::<u64>() + self.above.load(Ordering::Relaxed);
        if all == 0 {
            return;
        }
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            below += count;
            let bound = scaled(*bound, scale).to_string();
            page.suffixed("_bucket", &[labels, &[("le", &bound)]].concat(), below);
        }
        page.suffixed("_bucket", &[labels, &[("le", "+Inf")]].concat(), all);
        page.suffixed("_sum", labels, scaled(self.sum.load(Ordering::Relaxed), scale));
        page.suffixed("_count", labels, all);
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums of microseconds and tokens stay below 2^53 for centuries")]
fn scaled(value: u64, scale: f64) -> f64 {
    value as f64 / scale
}
