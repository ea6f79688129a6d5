//! How long an arm's requests take until they are answered, and with that how long one may be under way before it is
//! slow. Owns the counts and their fading.
//!
//! Times are counted in bins that grow by a tenth, for each interface, whole answers and streams by themselves. Only the
//! first request of a call is counted, and one that was given up counts by how long it had been waited for: it would
//! have taken longer, so it lies above the percentile, and hedging does not make its own bound ever shorter. What failed
//! says nothing of how long an answer takes. Old counts fade by being halved whenever there are many.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_core::Api;
use tidegate_core::spec::HedgeAfter;

/// The upper bound of the first bin, in microseconds.
const FIRST: f64 = 100.0;
/// How much larger the bound of a bin is than that of the one before.
const GROWTH: f64 = 1.1;
/// Bins: the last one ends at ten minutes, and has what takes longer, too.
const BINS: usize = 165;
/// So many are needed before a percentile is one.
const LEAST: u32 = 100;
/// At so many all counts are halved.
const MOST: u32 = 1_000;
/// The percentile is reckoned anew each so many.
const STEP: u32 = 10;

/// How long an arm's requests take, and how long one may be under way alone.
#[derive(Debug)]
pub struct Pace {
    after: HedgeAfter,
    /// For each interface, whole and as a stream; none where nothing is measured.
    times: Option<Box<[[Times; 2]; Api::ALL.len()]>>,
}

impl Pace {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(after: HedgeAfter) -> Self {
        let times = matches!(after, HedgeAfter::Percentile(_)).then(Box::default);
        Self { after, times }
    }

    /// What it was made of.
    #[must_use]
    pub const fn after(&self) -> HedgeAfter {
        self.after
    }

    /// How long a request may be under way before a second one goes out; `None` where too little is known to say.
    #[must_use]
    pub fn patience(&self, api: Api, stream: bool) -> Option<Duration> {
        match (self.after, self.of(api, stream)) {
            (HedgeAfter::Time(time), _) => Some(time),
            (HedgeAfter::Percentile(_), times) => times?.bound(),
        }
    }

    /// Notes how long the first request of a call took until its answer was there or had begun, or until it was given up.
    pub fn saw(&self, api: Api, stream: bool, took: Duration) {
        if let (HedgeAfter::Percentile(percent), Some(times)) = (self.after, self.of(api, stream)) {
            times.add(took, percent);
        }
    }

    fn of(&self, api: Api, stream: bool) -> Option<&Times> {
        let nth = Api::ALL.iter().position(|known| *known == api)?;
        Some(&self.times.as_ref()?[nth][usize::from(stream)])
    }
}

/// Counted times.
#[derive(Debug)]
struct Times {
    bins: [AtomicU32; BINS],
    total: AtomicU32,
    /// The percentile in microseconds; 0 where it is not known.
    bound: AtomicU64,
    /// Whether somebody is halving the counts.
    fading: AtomicBool,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            bins: [const { AtomicU32::new(0) }; BINS],
            total: AtomicU32::new(0),
            bound: AtomicU64::new(0),
            fading: AtomicBool::new(false),
        }
    }
}

impl Times {
    fn bound(&self) -> Option<Duration> {
        match self.bound.load(Ordering::Relaxed) {
            0 => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    fn add(&self, took: Duration, percent: u8) {
        self.bins[bin(took)].fetch_add(1, Ordering::Relaxed);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        if total >= LEAST && total.is_multiple_of(STEP) {
            self.bound.store(self.percentile(percent), Ordering::Relaxed);
        }
        if total >= MOST && !self.fading.swap(true, Ordering::Acquire) {
            self.fade();
            self.fading.store(false, Ordering::Release);
        }
    }

    /// The upper bound of the bin in which the percentile lies, in microseconds.
    fn percentile(&self, percent: u8) -> u64 {
        let counts: [u32; BINS] = std::array::from_fn(|nth| self.bins[nth].load(Ordering::Relaxed));
        let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * u64::from(percent)).div_ceil(100);
        let mut below = 0;
        let found = counts.iter().position(|count| {
            below += u64::from(*count);
            below >= wanted
        });
        upper(found.unwrap_or(BINS - 1))
    }

    /// Halves all counts. Those that others add meanwhile stay.
    fn fade(&self) {
        let halve = |count: u32| Some(count / 2);
        let gone: u32 = self
            .bins
            .iter()
            .filter_map(|bin| bin.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halve).ok())
            .map(|before| before - before / 2)
            .sum();
        self.total.fetch_sub(gone, Ordering::Relaxed);
    }
}

/// The bin of a time.
fn bin(took: Duration) -> usize {
    let times = took.as_secs_f64() * 1e6 / FIRST;
    if times <= 1.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 0, and cut off at the last bin")]
    let nth = (times.ln() / GROWTH.ln()).ceil() as usize;
    nth.min(BINS - 1)
}

/// The upper bound of a bin, in microseconds.
fn upper(bin: usize) -> u64 {
    let exponent = i32::try_from(bin).unwrap_or(i32::MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below an hour")]
    let us = (FIRST * GROWTH.powi(exponent)).ceil() as u64;
    us
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P95: HedgeAfter = HedgeAfter::Percentile(95);
    const CHAT: Api = Api::ChatCompletions;
    const MS: Duration = Duration::from_millis(1);

    fn fed(times: impl IntoIterator<Item = Duration>) -> Pace {
        let pace = Pace::new(P95);
        times.into_iter().for_each(|took| pace.saw(CHAT, false, took));
        pace
    }

    #[test]
    fn a_fixed_time_needs_no_history() {
        let pace = Pace::new(HedgeAfter::Time(300 * MS));
        pace.saw(CHAT, true, MS);
        assert_eq!(pace.patience(CHAT, true), Some(300 * MS));
        assert!(pace.times.is_none());
    }

    #[test]
    fn a_percentile_needs_a_hundred_of_its_own_kind() {
        let pace = fed((0..99).map(|_| MS));
        assert_eq!(pace.patience(CHAT, false), None);
        (0..500).for_each(|_| pace.saw(CHAT, true, MS));
        (0..500).for_each(|_| pace.saw(Api::Completions, false, MS));
        assert_eq!(pace.patience(CHAT, false), None, "those were others");
        pace.saw(CHAT, false, MS);
        let patience = pace.patience(CHAT, false).unwrap();
        assert!((MS..=MS * 11 / 10 + Duration::from_micros(1)).contains(&patience), "{patience:?}");
    }

    #[test]
    fn the_slow_ones_are_above_it() {
        // Nineteen of twenty take 10 ms, the others a second.
        let pace = fed((0..400).map(|nth| if nth % 20 == 19 { 1000 * MS } else { 10 * MS }));
        let patience = pace.patience(CHAT, false).unwrap();
        assert!((10 * MS..=11 * MS + Duration::from_micros(1)).contains(&patience), "{patience:?}");
    }

    #[test]
    fn what_was_given_up_does_not_make_it_ever_shorter() {
        let pace = fed((0..200).map(|nth| nth * MS));
        let mut first = None;
        for nth in 0u32..5_000 {
            let patience = pace.patience(CHAT, false).unwrap();
            first.get_or_insert(patience);
            // All that takes longer is given up a little later, since the second request answers at once.
            pace.saw(CHAT, false, (nth % 200 * MS).min(patience + 5 * MS));
        }
        let (first, last) = (first.unwrap(), pace.patience(CHAT, false).unwrap());
        assert!(last >= first.mul_f64(0.85), "{last:?} after {first:?}");
    }

    #[test]
    fn the_old_fades() {
        let pace = fed((0..5_000).map(|_| 10 * MS));
        (0..2_000).for_each(|_| pace.saw(CHAT, false, 100 * MS));
        assert!(pace.patience(CHAT, false).unwrap() >= 100 * MS);
        (0..5_000).for_each(|_| pace.saw(CHAT, false, MS));
        assert!(pace.patience(CHAT, false).unwrap() < 2 * MS);
        let total = pace.of(CHAT, false).unwrap().total.load(Ordering::Relaxed);
        assert!((LEAST..MOST).contains(&total), "{total}");
    }

    #[test]
    fn threads_lose_no_count() {
        let pace = Pace::new(P95);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000u32).for_each(|nth| pace.saw(CHAT, false, nth % 50 * MS)));
            }
        });
        let times = pace.of(CHAT, false).unwrap();
        let counted: u32 = times.bins.iter().map(|bin| bin.load(Ordering::Relaxed)).sum();
        assert_eq!(counted, times.total.load(Ordering::Relaxed));
        assert!(counted < 2 * MOST, "{counted}");
    }

    proptest! {
        #[test]
        fn a_bin_holds_its_times(us in 0u64..500_000_000) {
            let nth = bin(Duration::from_micros(us));
            prop_assert!(us <= upper(nth) && (nth == 0 || us + 1 >= upper(nth - 1)));
        }

        #[test]
        fn the_percentile_is_that_of_the_sorted_times(times in prop::collection::vec(1u64..5_000_000, 100..101)) {
            let pace = fed(times.iter().map(|us| Duration::from_micros(*us)));
            let mut sorted = times;
            sorted.sort_unstable();
            let patience = u64::try_from(pace.patience(CHAT, false).unwrap().as_micros()).unwrap();
            prop_assert!(patience >= sorted[94] && patience <= sorted[94] * 11 / 10 + 101, "{} of {}", patience, sorted[94]);
        }
    }
}
