//! One unit's sums, and how units are found. Owns that their order in memory depends on nothing but them.

use std::hash::{BuildHasherDefault, Hasher};

/// What a unit has brought: how many values, and their sum relative to the arm's origin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Unit {
    pub(super) n: f64,
    pub(super) sum: f64,
}

impl Unit {
    /// How many values.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(super) const fn calls(self) -> u64 {
        self.n as u64
    }
}

/// Units are hashes already, by a secret of their caller's; what is left is to spread them (the last step of `SplitMix64`,
/// Steele, Lea, Flood 2014).
pub(super) type ByUnit = BuildHasherDefault<Spread>;

#[derive(Debug, Default)]
pub(super) struct Spread(u64);

impl Spread {
    fn mix(&mut self, word: u64) {
        let mut z = (self.0 ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.0 = z ^ (z >> 31);
    }
}

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_a_row_lie_far_apart() {
        let hash = |word: u64| {
            let mut spread = Spread::default();
            spread.write_u64(word);
            spread.finish()
        };
        let mut low: Vec<_> = (0..256).map(|word| hash(word) & 0xFF).collect();
        low.sort_unstable();
        low.dedup();
        assert!(low.len() > 130, "{} of 256", low.len());
        assert_ne!(hash(1) >> 57, hash(2) >> 57);
    }
}
