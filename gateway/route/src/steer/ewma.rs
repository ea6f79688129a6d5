//! The peak-sensitive moving average of a time. Owns its arithmetic; when what is measured is the gauge's.
//!
//! As in Finagle's `PeakEwma` and tower's: a sample above the average replaces it, so that an arm that becomes slow is seen
//! at once; one below draws it down by the time since the last sample, `cost · e^(−t/τ) + sample · (1 − e^(−t/τ))`. Where
//! no sample comes it fades towards 0, so that an arm that was slow is tried again. There each look stores the faded
//! value; here it is reckoned from the last sample alone, so that it does not matter how often anybody looks.

use std::time::{Duration, Instant};

/// The average of what was measured so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PeakEwma {
    /// Seconds, when the last sample came.
    cost: f64,
    at: Instant,
}

impl PeakEwma {
    /// That of one sample, in seconds.
    pub(super) const fn first(sample: f64, at: Instant) -> Self {
        Self { cost: sample, at }
    }

    /// Takes a further sample, in seconds.
    pub(super) fn observe(&mut self, sample: f64, now: Instant, decay: Duration) {
        let kept = self.kept(now, decay);
        self.cost = if sample > self.cost { sample } else { self.cost * kept + sample * (1.0 - kept) };
        self.at = now;
    }

    /// Seconds, as they count now.
    pub(super) fn now(&self, now: Instant, decay: Duration) -> f64 {
        self.cost * self.kept(now, decay)
    }

    /// What is left of the last sample's weight.
    fn kept(&self, now: Instant, decay: Duration) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / decay.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DECAY: Duration = Duration::from_secs(10);

    #[test]
    fn a_peak_counts_at_once_and_fades_with_time() {
        let start = Instant::now();
        let mut ewma = PeakEwma::first(0.1, start);
        ewma.observe(5.0, start, DECAY);
        assert_eq!(ewma.now(start, DECAY), 5.0);
        assert!((ewma.now(start + DECAY, DECAY) - 5.0 / std::f64::consts::E).abs() < 1e-12);
        // A quick answer at once hardly helps, and ten seconds later it does.
        let mut soon = ewma;
        soon.observe(0.1, start + Duration::from_millis(1), DECAY);
        assert!(soon.cost > 4.99);
        ewma.observe(0.1, start + DECAY, DECAY);
        let kept = 1.0 / std::f64::consts::E;
        assert!((ewma.cost - (5.0 * kept + 0.1 * (1.0 - kept))).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn it_lies_between_its_samples(samples in prop::collection::vec((0.0..100.0f64, 0u64..60_000), 1..40)) {
            let mut now = Instant::now();
            let mut ewma = PeakEwma::first(samples[0].0, now);
            for (sample, pause) in &samples[1..] {
                now += Duration::from_millis(*pause);
                ewma.observe(*sample, now, DECAY);
                prop_assert!(ewma.now(now, DECAY) >= *sample - 1e-9, "never below the newest");
            }
            let most = samples.iter().map(|(sample, _)| *sample).fold(0.0, f64::max);
            prop_assert!(ewma.cost <= most + 1e-9);
        }
    }
}
