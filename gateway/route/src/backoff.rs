//! How long to wait before a call is tried again: exponential with full jitter (Brooker: Exponential Backoff And
//! Jitter, AWS Architecture Blog 2015). Owns the arithmetic alone.

use std::time::Duration;

/// The longest wait before retry number `retry` (from 1): `base`, doubled with each.
#[must_use]
pub fn longest(base: Duration, retry: u32) -> Duration {
    let doublings = retry.saturating_sub(1);
    1u32.checked_shl(doublings).map_or(Duration::MAX, |factor| base.saturating_mul(factor))
}

/// The wait at `unit`, a uniform number in `[0, 1)`: anywhere up to `longest`, so that calls that failed together do
/// not come back together.
#[must_use]
pub fn jittered(longest: Duration, unit: f64) -> Duration {
    Duration::try_from_secs_f64(longest.as_secs_f64() * unit.clamp(0.0, 1.0)).unwrap_or(longest).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_and_never_overflow() {
        let base = Duration::from_millis(100);
        assert_eq!([1, 2, 3].map(|n| longest(base, n)), [base, base * 2, base * 4]);
        assert_eq!(longest(base, 33), Duration::MAX);
        assert_eq!(longest(Duration::MAX, 2), Duration::MAX);
        assert_eq!(jittered(base, 0.0), Duration::ZERO);
        assert_eq!(jittered(base, 0.5), base / 2);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_its_bound(ms in 0..u64::MAX, retry in 0..80u32, unit in 0.0..1.0f64) {
            let longest = longest(Duration::from_millis(ms), retry);
            prop_assert!(jittered(longest, unit) <= longest);
        }
    }
}
