//! Whether the arms got the calls that they were to get. Owns the counts, what was expected of them, and the alarm.
//!
//! An experiment whose arms lack calls (lost records, a cache before one arm, crashes) compares different callers, and
//! nothing may be said of it. The alarm may be looked at after every call, as that of Lindon and Malek (Anytime-valid
//! inference for multinomial count data, NeurIPS 2022) may, and unlike theirs the expected shares may differ from call to
//! call, as under a learner.
//!
//! **Why it holds.** Let `p_t` be the share of an arm at call `t`, known before the call is drawn. For each tilt `λ` the
//! product over calls of `e^(λ·[the arm was drawn]) / (1 + p_t (e^λ − 1))` is a martingale of mean 1, whatever the shares
//! depend on in the past. As the logarithm is concave, `Σ ln(1 + p_t c) ≤ n ln(1 + (Σ p_t / n) c)`, so
//! `e^(λ k) / (1 + (Σ p_t / n)(e^λ − 1))ⁿ` with `k` calls of the arm is never larger than it. The evidence is the average of
//! that over tilts and arms: by Ville's inequality it is ever above `1/α` with a probability of at most `α`. Only counts
//! and sums of shares are kept, so that parts add up in any order.
//!
//! **What is a draw.** Where a caller keeps its arm, only its first call is drawn: count units, not their calls.

use crate::alpha::Alpha;
use crate::gamma;
use serde::{Deserialize, Serialize};

/// How much larger the shares of an arm are than said, as logarithms of odds: from 0.4 % to 55 times, both ways.
const TILTS: [f64; 11] = [0.003_906_25, 0.007_812_5, 0.015_625, 0.031_25, 0.062_5, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0];

/// Why a draw could not be counted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DrawFault {
    /// It has another number of arms.
    #[error("a draw among {got} arms does not belong to an experiment with {of}")]
    OtherArms {
        /// How many it has.
        got: usize,
        /// How many there are.
        of: usize,
    },
    /// There is no such arm.
    #[error("arm {arm} was drawn among {of}: arms are counted from 0")]
    NoSuchArm {
        /// The arm that was drawn.
        arm: usize,
        /// How many there are.
        of: usize,
    },
    /// The shares are no probabilities.
    #[error("the shares of a draw have to be between 0 and 1 and to add up to 1, and these add up to {sum}")]
    NoShares {
        /// What they add up to.
        sum: f64,
    },
}

/// What was counted of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Drawn {
    /// How often it was drawn.
    pub seen: u64,
    /// The sum of its shares over all draws: how often it was to be drawn.
    pub expected: f64,
}

impl Drawn {
    /// The logarithm of its evidence of a tilt, whose exponential is so much more than 1, after `n` draws.
    fn tilted(&self, n: f64, tilt: f64, more: f64) -> f64 {
        let share = (self.expected / n).min(1.0);
        tilt * count(self.seen) - n * (share * more).ln_1p()
    }
}

/// Counts of draws by arms against what was expected of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    n: u64,
    arms: Vec<Drawn>,
}

impl SampleRatio {
    /// No draw yet among so many arms.
    #[must_use]
    pub fn among(arms: usize) -> Self {
        Self { n: 0, arms: vec![Drawn::default(); arms] }
    }

    /// Takes a draw of `arm`, with the share that each arm had in it.
    ///
    /// # Errors
    /// There is no such arm, or the shares are none; nothing is counted then.
    pub fn add(&mut self, arm: usize, shares: &[f64]) -> Result<(), DrawFault> {
        let of = self.arms.len();
        if shares.len() != of {
            return Err(DrawFault::OtherArms { got: shares.len(), of });
        }
        if arm >= of {
            return Err(DrawFault::NoSuchArm { arm, of });
        }
        let sum: f64 = shares.iter().sum();
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || (sum - 1.0).abs() > 1e-6 {
            return Err(DrawFault::NoShares { sum });
        }
        self.n += 1;
        for ((at, drawn), share) in self.arms.iter_mut().enumerate().zip(shares) {
            drawn.expected += share;
            drawn.seen += u64::from(at == arm);
        }
        Ok(())
    }

    /// Takes the draws of another part of the same experiment.
    ///
    /// # Errors
    /// It has another number of arms.
    pub fn merge(&mut self, other: &Self) -> Result<(), DrawFault> {
        if other.arms.len() != self.arms.len() {
            return Err(DrawFault::OtherArms { got: other.arms.len(), of: self.arms.len() });
        }
        self.n += other.n;
        for (ours, theirs) in self.arms.iter_mut().zip(&other.arms) {
            ours.seen += theirs.seen;
            ours.expected += theirs.expected;
        }
        Ok(())
    }

    /// How many draws.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// What was counted of each arm.
    #[must_use]
    pub fn arms(&self) -> &[Drawn] {
        &self.arms
    }

    /// The logarithm of the evidence that the arms do not get their shares; ever above `ln(1/α)` with a probability of at
    /// most `α` where they do.
    #[must_use]
    pub fn ln_evidence(&self) -> f64 {
        // Of two arms, one says all that the other does.
        let asked = if self.arms.len() <= 2 { self.arms.len().saturating_sub(1) } else { self.arms.len() };
        if self.n == 0 || asked == 0 {
            return 0.0;
        }
        if self.arms.iter().any(|arm| arm.seen > 0 && arm.expected <= 0.0) {
            return f64::INFINITY;
        }
        // Of each tilt both ways what its exponential is more than 1.
        let tilts = TILTS.map(|tilt| [(tilt, tilt.exp_m1()), (-tilt, (-tilt).exp_m1())]);
        let tilts = tilts.as_flattened();
        let arms = self.arms.iter().take(asked);
        let all: Vec<f64> =
            arms.flat_map(|arm| tilts.iter().map(|(tilt, more)| arm.tilted(count(self.n), *tilt, *more))).collect();
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = all.iter().map(|ln| (ln - most).exp()).sum();
        most + (sum / count(all.len() as u64)).ln()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
const fn count(n: u64) -> f64 {
    n as f64
}

/// An alarm about the ratio; once raised, it stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    at: Alpha,
    highest: f64,
}

impl Default for Alarm {
    /// It errs once in 1,000 experiments.
    fn default() -> Self {
        Self::at(Alpha::ONE_IN_A_THOUSAND)
    }
}

impl Alarm {
    /// It errs so often, whenever and however often one looks.
    #[must_use]
    pub const fn at(at: Alpha) -> Self {
        Self { at, highest: 0.0 }
    }

    /// Looks; whether the alarm is raised, now or at a look before.
    pub fn look(&mut self, ratio: &SampleRatio) -> bool {
        self.highest = self.highest.max(ratio.ln_evidence());
        self.raised()
    }

    /// Whether it was raised at a look.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.highest >= -self.at.get().ln()
    }

    /// The p-value of all looks together.
    #[must_use]
    pub fn p(&self) -> f64 {
        (-self.highest).exp()
    }
}

/// Pearson's test for one look at counts that are complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// `Σ (seen − expected)² / expected`.
    pub statistic: f64,
    /// The probability of at least that.
    pub p: f64,
    /// The smallest expected count; the test says nothing below 5.
    pub least_expected: f64,
}

/// Pearson's test of counts against weights (Pearson 1900; for experiments: Fabijan et al., KDD 2019). For one look only:
/// whoever looks again and again takes the [`Alarm`]. `None` where the lengths differ, there are fewer than two arms,
/// a weight is not above 0, or nothing was counted.
#[must_use]
pub fn chi_square(seen: &[u64], weights: &[f64]) -> Option<ChiSquare> {
    let (all, whole) = (count(seen.iter().sum()), weights.iter().sum::<f64>());
    if seen.len() != weights.len() || seen.len() < 2 || !weights.iter().all(|weight| *weight > 0.0) || all <= 0.0 {
        return None;
    }
    let expected = weights.iter().map(|weight| all * weight / whole);
    let least_expected = expected.clone().fold(f64::INFINITY, f64::min);
    let statistic =
        seen.iter().zip(expected).map(|(seen, expected)| (count(*seen) - expected).powi(2) / expected).sum();
    let freedom = count(seen.len() as u64 - 1);
    Some(ChiSquare { statistic, p: gamma::above(freedom / 2.0, statistic / 2.0), least_expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(draws: &[(usize, [f64; 3])]) -> SampleRatio {
        let mut ratio = SampleRatio::among(3);
        draws.iter().for_each(|(arm, shares)| ratio.add(*arm, shares).unwrap());
        ratio
    }

    proptest! {
        /// Over all outcomes of a few draws with shares that depend on the past, the evidence averages to at most 1.
        #[test]
        fn evidence_is_fair_under_shares_that_depend_on_the_past(seed in 0u64..1_000, draws in 1u32..7) {
            let mut mean = 0.0;
            for path in 0..3usize.pow(draws) {
                let (mut ratio, mut weight, mut rest) = (SampleRatio::among(3), 1.0, path);
                let mut state = seed;
                for _ in 0..draws {
                    let first = 0.05 + 0.09 * (state % 10) as f64;
                    let second = (1.0 - first) * (0.1 + 0.2 * (state / 10 % 5) as f64);
                    let shares = [first, second, 1.0 - first - second];
                    let arm = rest % 3;
                    rest /= 3;
                    weight *= shares[arm];
                    ratio.add(arm, &shares).unwrap();
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(arm as u64 + 1) >> 7;
                }
                mean += weight * ratio.ln_evidence().exp();
            }
            prop_assert!(mean <= 1.0 + 1e-9, "{mean}");
        }

        #[test]
        fn parts_add_up(draws in prop::collection::vec((0usize..3, 0usize..3), 0..40), cut in 0usize..40) {
            let shares = [[0.5, 0.25, 0.25], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]];
            let draws: Vec<_> = draws.into_iter().map(|(arm, of)| (arm, shares[of])).collect();
            let (left, right) = draws.split_at(cut.min(draws.len()));
            let (whole, mut joined) = (of(&draws), of(right));
            joined.merge(&of(left)).unwrap();
            prop_assert_eq!(whole.n(), joined.n());
            prop_assert!((whole.ln_evidence() - joined.ln_evidence()).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_missing_is_found_and_what_is_well_is_not() {
        let count = |a: u64, b: u64| SampleRatio {
            n: a + b,
            arms: vec![
                Drawn { seen: a, expected: 0.5 * (a + b) as f64 },
                Drawn { seen: b, expected: 0.5 * (a + b) as f64 },
            ],
        };
        let mut alarm = Alarm::default();
        assert!(!alarm.look(&count(5_040, 4_960)) && alarm.p() > 0.1);
        assert!(alarm.look(&count(5_400, 4_600)) && alarm.p() < 1e-9);
        assert!(alarm.look(&count(5_000, 5_000)), "it stays");
        let never =
            SampleRatio { n: 1, arms: vec![Drawn { seen: 1, expected: 0.0 }, Drawn { seen: 0, expected: 1.0 }] };
        assert_eq!(never.ln_evidence(), f64::INFINITY);
        assert_eq!((SampleRatio::among(0).ln_evidence(), SampleRatio::among(2).ln_evidence()), (0.0, 0.0));
    }

    #[test]
    fn what_is_no_draw_is_refused_and_not_counted() {
        let mut ratio = SampleRatio::among(2);
        assert_eq!(ratio.add(2, &[0.5, 0.5]), Err(DrawFault::NoSuchArm { arm: 2, of: 2 }));
        assert_eq!(ratio.add(0, &[1.0]), Err(DrawFault::OtherArms { got: 1, of: 2 }));
        assert_eq!(ratio.add(0, &[0.5, 0.4]), Err(DrawFault::NoShares { sum: 0.9 }));
        assert!(ratio.add(0, &[f64::NAN, 1.0]).is_err() && ratio.add(0, &[1.5, -0.5]).is_err());
        assert!(ratio.merge(&SampleRatio::among(3)).is_err());
        assert_eq!(ratio, SampleRatio::among(2));
    }

    #[test]
    fn pearsons_test_wants_arms_and_counts() {
        assert_eq!(chi_square(&[1, 2], &[1.0]), None);
        assert_eq!(chi_square(&[0, 0], &[1.0, 1.0]), None);
        assert_eq!(chi_square(&[3], &[1.0]), None);
        assert_eq!(chi_square(&[3, 4], &[1.0, 0.0]), None);
        let got = chi_square(&[60, 40], &[1.0, 1.0]).unwrap();
        assert!((got.statistic - 4.0).abs() < 1e-12 && got.least_expected == 50.0);
    }
}
