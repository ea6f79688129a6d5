//! Scores to probabilities, the smaller the better. Owns the closed forms; what the scores are of is the rule's.

/// The better of two different arms that are drawn at random among the `open` ones (power of two choices; Mitzenmacher,
/// 2001), as probabilities: an arm gets the pairs that it wins, and half of those in which both are equal, of all
/// `n (n − 1) / 2`. So the arm of rank `r` among `n` gets `2 (n − r) / (n (n − 1))`, and the last one nothing.
pub(super) fn of_two(scores: &[f64], open: &[bool]) -> Vec<f64> {
    let arms: Vec<usize> = (0..scores.len()).filter(|arm| open[*arm]).collect();
    let mut vector = vec![0.0; scores.len()];
    if let [only] = arms[..] {
        vector[only] = 1.0;
        return vector;
    }
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let pairs = (arms.len() * arms.len().saturating_sub(1)) as f64 / 2.0;
    for &arm in &arms {
        let won = |other: &usize| match scores[arm].total_cmp(&scores[*other]) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
        let wins: f64 = arms.iter().filter(|other| **other != arm).map(won).sum();
        vector[arm] = wins / pairs;
    }
    vector
}

/// All on the `open` arm of the least score, evenly where several have it.
pub(super) fn best(scores: &[f64], open: &[bool]) -> Vec<f64> {
    let of_open = || scores.iter().zip(open).filter(|(_, open)| **open).map(|(score, _)| *score);
    let least = of_open().fold(f64::INFINITY, f64::min);
    let count = of_open().filter(|score| *score <= least).count();
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let each = 1.0 / count.max(1) as f64;
    scores.iter().zip(open).map(|(score, open)| if *open && *score <= least { each } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_choices_give_each_rank_its_part() {
        assert_eq!(of_two(&[3.0, 1.0, 2.0], &[true; 3]), [0.0, 2.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(of_two(&[1.0, 1.0, 2.0], &[true; 3]), [0.5, 0.5, 0.0]);
        assert_eq!(of_two(&[9.0, 1.0, 2.0], &[true, false, true]), [0.0, 0.0, 1.0]);
        assert_eq!(of_two(&[9.0, 1.0], &[true, false]), [1.0, 0.0]);
        assert_eq!(of_two(&[9.0], &[true]), [1.0]);
    }

    #[test]
    fn the_best_gets_all_and_equal_ones_share() {
        assert_eq!(best(&[3.0, 1.0, 2.0], &[true; 3]), [0.0, 1.0, 0.0]);
        assert_eq!(best(&[1.0, 1.0, 2.0], &[true; 3]), [0.5, 0.5, 0.0]);
        assert_eq!(best(&[1.0, 3.0, 2.0], &[false, true, true]), [0.0, 0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn they_are_shares_and_better_arms_have_no_less(
            arms in prop::collection::vec((0u8..6, any::<bool>()), 1..9),
        ) {
            prop_assume!(arms.iter().any(|arm| arm.1));
            let scores: Vec<f64> = arms.iter().map(|arm| f64::from(arm.0)).collect();
            let open: Vec<bool> = arms.iter().map(|arm| arm.1).collect();
            for vector in [of_two(&scores, &open), best(&scores, &open)] {
                prop_assert!((vector.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", vector);
                for one in 0..arms.len() {
                    prop_assert!(open[one] || vector[one] == 0.0);
                    for other in (0..arms.len()).filter(|other| open[one] && open[*other]) {
                        prop_assert!(scores[one] > scores[other] || vector[one] >= vector[other] - 1e-12);
                    }
                }
            }
        }
    }
}
