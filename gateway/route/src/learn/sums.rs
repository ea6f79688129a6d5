//! What is remembered of an arm, by rules of either kind. Owns that both kinds add up and fade alike, so that what holds of
//! learners holds of both.

use super::linear::LinearTally;
use super::tally::Tally;

/// The sums of an arm's rewards.
#[derive(Debug, Clone, PartialEq)]
pub enum Sums {
    /// Of the rewards alone.
    Plain(Tally),
    /// Of the rewards with the features of their calls.
    Linear(LinearTally),
}

impl Default for Sums {
    fn default() -> Self {
        Self::Plain(Tally::default())
    }
}

impl From<Tally> for Sums {
    fn from(tally: Tally) -> Self {
        Self::Plain(tally)
    }
}

impl From<LinearTally> for Sums {
    fn from(tally: LinearTally) -> Self {
        Self::Linear(tally)
    }
}

impl Sums {
    /// The rewards without the features.
    #[must_use]
    pub fn plain(&self) -> Tally {
        match self {
            Self::Plain(tally) => *tally,
            Self::Linear(tally) => tally.plain(),
        }
    }

    /// The rewards with so many features; those that are known without, or with others, are none.
    #[must_use]
    pub fn linear(self, features: usize) -> LinearTally {
        match self {
            Self::Linear(tally) if tally.is_of(features) => tally,
            Self::Linear(_) | Self::Plain(_) => LinearTally::empty(features),
        }
    }

    pub(super) fn fold(&mut self, features: &[f64], reward: f64) {
        match self {
            Self::Plain(tally) => tally.add(&Tally::of(reward)),
            Self::Linear(tally) => tally.fold(features, reward),
        }
    }

    /// Adds sums of the same kind; others change nothing.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Plain(tally), Self::Plain(other)) => tally.add(other),
            (Self::Linear(tally), Self::Linear(other)) => tally.add(other),
            _ => {}
        }
    }

    pub(super) fn fade(&mut self, by: f64) {
        match self {
            Self::Plain(tally) => tally.fade(by),
            Self::Linear(tally) => tally.fade(by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_with_features_is_known_without_and_not_the_other_way_round() {
        let mut sums = Sums::from(LinearTally::empty(2));
        sums.fold(&[0.5, -0.5], 3.0);
        sums.fold(&[1.0, 0.0], 5.0);
        assert_eq!(sums.plain(), Tally { n: 2.0, sum: 8.0, squares: 34.0 });
        assert_eq!(Sums::from(sums.clone().linear(2)), sums);
        assert_eq!(sums.clone().linear(3), LinearTally::empty(3));
        assert_eq!(Sums::Plain(sums.plain()).linear(2), LinearTally::empty(2));
        let before = sums.clone();
        sums.add(&Sums::Plain(Tally::of(1.0)));
        assert_eq!(sums, before);
    }
}
