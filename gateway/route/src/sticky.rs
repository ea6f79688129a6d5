//! Sticky assignment: which arm a unit (a user, a key …) has. Owns the hash of the unit and the race of the arms.
//!
//! The unit's hash is one number in `[0, 1)`, the draw; from it each arm `i` gets an own uniform number `h_i`, and the
//! arm with the least `−ln(h_i) / share_i` wins. These are independent exponential times with rates `share_i`, so
//! arm `i` is first with exactly the probability `share_i`. This is weighted rendezvous hashing (Schindelhauer,
//! Schomaker: Weighted Distributed Hash Tables, SPAA 2005).
//!
//! When shares change from `p` to `q`, a unit keeps its arm with the probability `Σ_i 1 / Σ_j max(p_j/p_i, q_j/q_i)`,
//! and no assignment that looks at the present shares alone keeps more for some pair without keeping fewer for another
//! (Moulton, Jiang: Maximally Consistent Sampling and the Jaccard Index of Probability Distributions, ICDM 2018).
//! Where one arm grows or shrinks and the others keep their proportions – every canary step, every route of two arms –
//! the units moved are exactly the total variation distance, the least that any assignment can move; never are
//! they more than twice that. Intervals in a row (the draw looked up in cumulative sums) would move units between arms
//! whose shares did not change.

use sha2::{Digest as _, Sha256};
use tidegate_core::dice;

/// What makes the assignments of one route independent of another's.
#[derive(Debug, Clone)]
pub struct Salt(Sha256);

impl Salt {
    /// The salt of the route of this name; a renamed route assigns anew.
    #[must_use]
    pub fn of(route: &str) -> Self {
        Self(Sha256::new().chain_update(b"tidegate sticky 1\0").chain_update(route).chain_update(b"\0"))
    }

    /// The salt that all routes of an experiment have, so that a unit has the same draw on each. No route has it by chance.
    #[must_use]
    pub fn of_experiment(name: &str) -> Self {
        Self(Sha256::new().chain_update(b"tidegate sticky experiment 1\0").chain_update(name).chain_update(b"\0"))
    }

    /// The draw of `unit`: the upper 53 bits of SHA-256 over the salt and the unit, as a number in `[0, 1)`. The same
    /// on every replica and after every start.
    #[must_use]
    pub fn draw(&self, unit: &[u8]) -> f64 {
        dice::unit(leading(self.0.clone().chain_update(unit)))
    }
}

/// What makes an arm's number its own: its name, so that arms may be added, removed and reordered.
#[must_use]
pub fn arm_salt(variant: &str) -> u64 {
    leading(Sha256::new().chain_update(b"tidegate arm 1\0").chain_update(variant))
}

/// The arm that wins the race at `draw`; an arm without a share does not run.
#[must_use]
pub fn race(shares: &[f64], arms: &[u64], draw: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a draw is 53 bits below 1")]
    let bits = dice::mix((draw * 9_007_199_254_740_992.0) as u64);
    let mut first = (0, f64::INFINITY);
    for (i, (&share, &arm)) in shares.iter().zip(arms).enumerate() {
        if share > 0.0 {
            // 1 − [0, 1) is (0, 1], so the logarithm is finite.
            let time = -(1.0 - dice::unit(dice::mix(bits ^ arm))).ln() / share;
            if time < first.1 {
                first = (i, time);
            }
        }
    }
    first.0
}

fn leading(hash: Sha256) -> u64 {
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests;
