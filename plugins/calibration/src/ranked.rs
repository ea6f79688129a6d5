//! Whether what was so got the higher probabilities, whatever these were. Owns the area under the ROC curve and the average
//! precision, as scikit-learn's `roc_auc_score` and `average_precision_score` have them: equal probabilities are one
//! threshold.

use crate::scored::{Scored, Scores, count};

/// The chance that a row that was so has a higher probability than one that was not, equal ones counted half (Mann and Whitney
/// 1947; Hanley and McNeil 1982). `None` where there are no rows of both kinds.
#[must_use]
pub fn roc_auc(scores: &Scores) -> Option<f64> {
    let (mut above, mut negatives_above, mut pairs) = (0, 0, 0.0);
    for Tied { positives, negatives } in thresholds(scores) {
        // Each positive here beats the negatives below; it is easier to count those above, which beat it.
        pairs += count(positives) * (count(negatives_above) + count(negatives) / 2.0);
        above += positives;
        negatives_above += negatives;
    }
    let all = count(above) * count(negatives_above);
    (all > 0.0).then(|| 1.0 - pairs / all)
}

/// The mean of precisions at thresholds, each weighted by the recall that it adds. `None` where nothing was so.
#[must_use]
pub fn average_precision(scores: &Scores) -> Option<f64> {
    let (mut hits, mut taken, mut sum) = (0, 0, 0.0);
    for Tied { positives, negatives } in thresholds(scores) {
        hits += positives;
        taken += positives + negatives;
        sum += count(positives) * count(hits) / count(taken);
    }
    (hits > 0).then(|| sum / count(hits))
}

/// Rows with the same probability.
#[derive(Debug, Clone, Copy)]
struct Tied {
    positives: usize,
    negatives: usize,
}

/// From the highest probability to the lowest.
fn thresholds(scores: &Scores) -> Vec<Tied> {
    let mut rows: Vec<Scored> = scores.rows().to_vec();
    rows.sort_unstable_by(|one, two| two.probability.total_cmp(&one.probability));
    let tied = rows.chunk_by(|one, two| one.probability == two.probability);
    tied.map(|rows| {
        let positives = rows.iter().filter(|row| row.truth).count();
        Tied { positives, negatives: rows.len() - positives }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_is_all_that_counts() {
        let of = |probabilities: &[f64]| {
            let scores = Scores::of(probabilities, &[true, true, false, false]).expect("scores");
            (roc_auc(&scores), average_precision(&scores))
        };
        assert_eq!(of(&[0.9, 0.8, 0.2, 0.1]), (Some(1.0), Some(1.0)));
        assert_eq!(of(&[0.04, 0.03, 0.02, 0.01]), (Some(1.0), Some(1.0)));
        assert_eq!(of(&[0.5; 4]), (Some(0.5), Some(0.5)));
        assert_eq!(of(&[0.1, 0.2, 0.8, 0.9]), (Some(0.0), Some((1.0 / 3.0 + 0.5) / 2.0)));
    }

    #[test]
    fn one_kind_alone_has_no_order() {
        let all = |truth| Scores::of(&[0.1, 0.7], &[truth; 2]).expect("scores");
        assert_eq!((roc_auc(&all(true)), roc_auc(&all(false)), roc_auc(&Scores::default())), (None, None, None));
        assert_eq!((average_precision(&all(true)), average_precision(&all(false))), (Some(1.0), None));
    }

    proptest! {
        #[test]
        fn it_is_the_share_of_pairs_in_order(rows in prop::collection::vec((0u8..6, any::<bool>()), 0..40)) {
            let probabilities: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 5.0).collect();
            let truths: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let got = roc_auc(&Scores::of(&probabilities, &truths).expect("scores"));
            let of = |wanted: bool| rows.iter().filter(move |row| row.1 == wanted).map(|row| row.0);
            let (mut won, mut pairs) = (0.0, 0.0);
            for (yes, no) in of(true).flat_map(|yes| of(false).map(move |no| (yes, no))) {
                won += if yes > no { 1.0 } else if yes == no { 0.5 } else { 0.0 };
                pairs += 1.0;
            }
            match got {
                Some(got) => prop_assert!((got - won / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
