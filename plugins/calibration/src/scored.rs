//! Probabilities and what came of them. Owns that each probability is one, and has its outcome.

use std::fmt;

/// What was said of a row, and what was so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The probability that was given, from 0 to 1.
    pub probability: f64,
    /// Whether it was so.
    pub truth: bool,
}

/// Why rows say nothing of calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScoreFault {
    /// A score is no probability.
    NoProbability {
        /// The row, from 0.
        at: usize,
        /// What it has.
        got: f64,
    },
    /// There is another number of labels than of scores.
    OtherLength {
        /// How many scores.
        scores: usize,
        /// How many labels.
        labels: usize,
    },
}

impl fmt::Display for ScoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProbability { at, got } => {
                write!(f, "row {at} has the score {got}: a probability is from 0 to 1, so leave rows without one out")
            }
            Self::OtherLength { scores, labels } => {
                write!(f, "there are {scores} scores and {labels} labels: leave rows that lack one out")
            }
        }
    }
}

impl std::error::Error for ScoreFault {}

/// Rows whose scores are probabilities.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores(Vec<Scored>);

impl Scores {
    /// Checks them.
    ///
    /// # Errors
    /// A score is no probability; the first such row is named.
    pub fn new(rows: Vec<Scored>) -> Result<Self, ScoreFault> {
        let wrong = rows.iter().enumerate().find(|(_, row)| !(0.0..=1.0).contains(&row.probability));
        match wrong {
            Some((at, row)) => Err(ScoreFault::NoProbability { at, got: row.probability }),
            None => Ok(Self(rows)),
        }
    }

    /// From two columns.
    ///
    /// # Errors
    /// They are not equally long, or a score is no probability.
    pub fn of(probabilities: &[f64], truths: &[bool]) -> Result<Self, ScoreFault> {
        if probabilities.len() != truths.len() {
            return Err(ScoreFault::OtherLength { scores: probabilities.len(), labels: truths.len() });
        }
        let rows = probabilities.iter().zip(truths);
        Self::new(rows.map(|(&probability, &truth)| Scored { probability, truth }).collect())
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Scored] {
        &self.0
    }

    /// The mean of something over rows; `None` where there is none.
    pub(crate) fn mean(&self, of: impl Fn(&Scored) -> f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().map(of).sum::<f64>() / count(self.0.len()))
    }
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_probability_is_named() {
        for got in [-0.1, 1.1, f64::INFINITY, f64::NAN] {
            let fault = Scores::of(&[0.5, got], &[true, true]).expect_err("no probability");
            assert!(matches!(fault, ScoreFault::NoProbability { at: 1, .. }), "{fault}");
        }
        let fault = Scores::of(&[0.5], &[true, false]).expect_err("too many labels");
        assert_eq!(fault.to_string(), "there are 1 scores and 2 labels: leave rows that lack one out");
        assert_eq!(Scores::of(&[0.0, 1.0], &[true, false]).expect("two rows").rows().len(), 2);
        assert_eq!(Scores::default().mean(|row| row.probability), None);
    }
}
