//! Which endpoint takes a call: pure choices over numbers and draws. Owns no state; loads, health and chance come from
//! the caller.

/// The less loaded of two drawn at random among the `count` endpoints that are `eligible`, or `None` where none is.
///
/// `draws` are two times 64 uniform bits. The two drawn are different ones where there are two; on a tie the first
/// drawn wins, and it is uniform, so ties are fair.
pub fn two_choices(
    count: usize,
    eligible: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> usize,
    draws: (u64, u64),
) -> Option<usize> {
    let open = (0..count).filter(|&i| eligible(i)).count();
    let nth = |n: usize| (0..count).filter(|&i| eligible(i)).nth(n);
    match open {
        0 => None,
        1 => nth(0),
        _ => {
            let first = below(draws.0, open);
            let other = below(draws.1, open - 1);
            let second = if other >= first { other + 1 } else { other };
            let (first, second) = (nth(first)?, nth(second)?);
            Some(if load(second) < load(first) { second } else { first })
        }
    }
}

/// The first eligible endpoint at or after `turn`, counted around.
pub fn in_turn(count: usize, eligible: impl Fn(usize) -> bool, turn: usize) -> Option<usize> {
    if count == 0 {
        return None;
    }
    (0..count).map(|step| (turn % count + step) % count).find(|&i| eligible(i))
}

/// Maps 64 uniform bits to `0..bound` by multiplication; its bias is below `bound / 2^64`.
#[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below `bound`, a usize")]
fn below(bits: u64, bound: usize) -> usize {
    ((u128::from(bits) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_core::Dice;
    use tidegate_core::dice::SplitMix;

    fn spread(loads: &[usize], rounds: usize) -> Vec<usize> {
        let dice = SplitMix::seeded(7);
        let mut hits = vec![0; loads.len()];
        for _ in 0..rounds {
            let draws = (dice.next_u64(), dice.next_u64());
            hits[two_choices(loads.len(), |_| true, |i| loads[i], draws).unwrap()] += 1;
        }
        hits
    }

    #[test]
    fn equal_loads_are_spread_evenly() {
        for hits in spread(&[3; 4], 40_000) {
            assert!((9_500..10_500).contains(&hits), "{hits}");
        }
    }

    #[test]
    fn the_most_loaded_of_all_is_never_taken() {
        let hits = spread(&[5, 0, 1, 2], 10_000);
        assert_eq!(hits[0], 0);
        assert!(hits[1] > hits[2] && hits[2] > hits[3] && hits[3] > 0, "{hits:?}");
    }

    #[test]
    fn turns_go_around_and_skip_what_is_out() {
        let got: Vec<_> = (0..5).filter_map(|turn| in_turn(3, |i| i != 1, turn)).collect();
        assert_eq!(got, [0, 2, 2, 0, 2]);
        assert_eq!(in_turn(3, |_| false, 1), None);
        assert_eq!(in_turn(0, |_| true, 1), None);
    }

    proptest! {
        #[test]
        fn a_choice_is_eligible_and_no_worse_than_the_worst(
            ends in prop::collection::vec((any::<bool>(), 0usize..50), 0..9), a: u64, b: u64
        ) {
            let got = two_choices(ends.len(), |i| ends[i].0, |i| ends[i].1, (a, b));
            let open: Vec<_> = ends.iter().filter(|e| e.0).map(|e| e.1).collect();
            match got {
                None => prop_assert!(open.is_empty()),
                Some(i) => {
                    prop_assert!(ends[i].0);
                    let worse = open.iter().filter(|l| **l >= ends[i].1).count();
                    prop_assert!(open.len() == 1 || worse >= 2);
                }
            }
        }
    }
}
