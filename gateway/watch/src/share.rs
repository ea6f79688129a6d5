//! Which calls are looked at, by the hash of their ids: all replicas and replays take the same. Owns the hashes of ids, so
//! that what is chosen here says nothing of what is chosen elsewhere (by a [reservoir](crate::reservoir), or for an arm).

use tidegate_core::InferenceId;
use tidegate_core::dice::{mix, unit};

/// What tells this choice from others.
const SALT: u64 = 0x7469_6465_7761_7463;

/// A share of calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// This share of all, in `[0, 1]`.
    #[must_use]
    pub const fn of(share: f64) -> Self {
        Self(share)
    }

    /// Whether the call is looked at.
    #[must_use]
    pub fn takes(self, call: InferenceId) -> bool {
        self.0 >= 1.0 || unit(hash(SALT, call)) < self.0
    }
}

/// 64 bits that follow from both and look like chance.
#[must_use]
pub(crate) fn hash(seed: u64, call: InferenceId) -> u64 {
    let bits = call.as_u128();
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    mix(mix(mix(seed) ^ high) ^ low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(share: f64) -> usize {
        (0..20_000u64)
            .filter(|n| Share::of(share).takes(InferenceId::from_parts(1_700_000_000_000 + n / 50, *n, !n)))
            .count()
    }

    #[test]
    fn a_share_is_taken_whoever_asks() {
        assert_eq!((taken(0.0), taken(1.0)), (0, 20_000));
        // 1,000, and four standard deviations.
        assert!((877..=1_123).contains(&taken(0.05)), "{}", taken(0.05));
        let call = InferenceId::from_u128(7);
        assert!((0..100u32).map(f64::from).map(|at| at / 100.0).is_sorted_by_key(|share| Share::of(share).takes(call)));
    }
}
