//! What single probabilities cost. Owns the Brier score (Brier 1950) and the log loss, which are least for who says the
//! true probabilities (both are proper; Gneiting and Raftery 2007).

use crate::scored::Scores;

/// The mean square of what a probability was off by, from 0 to 1. `None` where there is no row.
#[must_use]
pub fn brier(scores: &Scores) -> Option<f64> {
    scores.mean(|row| (f64::from(u8::from(row.truth)) - row.probability).powi(2))
}

/// The mean of `−ln` of the probability given to what was so. As in scikit-learn's `log_loss`, a probability is taken to be
/// at least 2^−52: one false certainty costs 36 and not infinity. `None` where there is no row.
#[must_use]
pub fn log_loss(scores: &Scores) -> Option<f64> {
    scores.mean(|row| {
        let given = if row.truth { row.probability } else { 1.0 - row.probability };
        -given.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_costs_nothing_or_most() {
        let right = Scores::of(&[1.0, 0.0], &[true, false]).expect("scores");
        assert_eq!(brier(&right), Some(0.0));
        assert!(log_loss(&right).is_some_and(|loss| loss < 1e-15));
        let wrong = Scores::of(&[1.0, 0.0], &[false, true]).expect("scores");
        assert_eq!(brier(&wrong), Some(1.0));
        assert!(log_loss(&wrong).is_some_and(|loss| (loss - 52.0 * 2f64.ln()).abs() < 1e-12));
        let unsure = Scores::of(&[0.5; 2], &[false, true]).expect("scores");
        assert_eq!((brier(&unsure), log_loss(&unsure)), (Some(0.25), Some(2f64.ln())));
        assert_eq!((brier(&Scores::default()), log_loss(&Scores::default())), (None, None));
    }

    #[test]
    fn the_true_probability_costs_least() {
        // 30 of 100 are so.
        let truths: Vec<bool> = (0..100).map(|row| row < 30).collect();
        let scored = |probability| Scores::of(&[probability; 100], &truths).expect("scores");
        for other in [0.1, 0.29, 0.31, 0.9] {
            assert!(brier(&scored(other)) > brier(&scored(0.3)), "{other}");
            assert!(log_loss(&scored(other)) > log_loss(&scored(0.3)), "{other}");
        }
    }
}
