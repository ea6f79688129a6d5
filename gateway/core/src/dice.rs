//! Chance as a port. Owns the trait and a seedable generator; seeding from the system is the program's.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where random numbers come from. Not for secrets.
pub trait Dice: Send + Sync + std::fmt::Debug {
    /// 64 uniform bits.
    fn next_u64(&self) -> u64;

    /// A uniform number in `[0, 1)`.
    fn unit(&self) -> f64 {
        unit(self.next_u64())
    }
}

/// Maps 64 uniform bits to `[0, 1)`, by the upper 53.
#[must_use]
pub fn unit(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let upper = (bits >> 11) as f64;
    upper * (1.0 / 9_007_199_254_740_992.0)
}

/// SplitMix64 (Steele, Lea, Flood 2014): one atomic addition a draw, so threads share it without a lock.
#[derive(Debug)]
pub struct SplitMix(AtomicU64);

impl SplitMix {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Dice for SplitMix {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

/// The output function of SplitMix64: a bijection that scatters neighbouring inputs.
#[must_use]
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_the_published_sequence() {
        let dice = SplitMix::seeded(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| dice.next_u64()).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn unit_stays_below_one() {
        assert_eq!(unit(0), 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
