//! Each rule by what it must do with given tallies, and all of them by what holds for any.

use super::*;
use proptest::prelude::*;

fn booleans(successes: f64, failures: f64) -> Tally {
    Tally { n: successes + failures, sum: successes, squares: successes }
}

fn rules() -> Vec<Rule> {
    vec![
        Rule::EpsilonGreedy { epsilon: 0.1, decay: Some(100.0) },
        Rule::Ucb1 { range: (0.0, 1.0) },
        Rule::Thompson(Values::Booleans),
        Rule::Thompson(Values::Numbers),
        Rule::TrackAndStop { delta: 0.05 },
    ]
}

#[test]
fn the_greedy_part_grows_as_epsilon_falls() {
    let rule = Rule::EpsilonGreedy { epsilon: 0.2, decay: Some(100.0) };
    let shares = |n: f64| rule.shares(&[booleans(0.6 * n, 0.4 * n), booleans(0.5 * n, 0.5 * n)]);
    assert!((shares(50.0)[1] - 0.05).abs() < 1e-12, "a half of it at 100 rewards, and of that a half");
    assert!((shares(5e6)[1]) < 1e-5);
    assert_eq!(rule.shares(&[booleans(9.0, 1.0), Tally::default()])[0], 0.1 / 1.1, "one that was never tried is tried");
}

#[test]
fn ucb1_takes_the_largest_bound() {
    let rule = Rule::Ucb1 { range: (0.0, 1.0) };
    assert_eq!(rule.shares(&[booleans(5.0, 5.0), Tally::default(), Tally::default()]), [0.0, 0.5, 0.5]);
    // 0.5 + √(2 ln 110 / 100) = 0.807, 0.4 + √(2 ln 110 / 10) = 1.370.
    assert_eq!(rule.shares(&[booleans(50.0, 50.0), booleans(4.0, 6.0)]), [0.0, 1.0]);
    assert_eq!(rule.shares(&[booleans(700.0, 300.0), booleans(400.0, 600.0)]), [1.0, 0.0]);
    // Rewards of another range are brought to it.
    let wide = Rule::Ucb1 { range: (-100.0, 100.0) };
    let tallies = [Tally { n: 100.0, sum: 0.0, squares: 1e4 }, Tally { n: 10.0, sum: -200.0, squares: 1e4 }];
    assert_eq!(wide.shares(&tallies), [0.0, 1.0]);
}

#[test]
fn thompson_is_scale_free_for_numbers_and_even_while_it_knows_nothing() {
    let rule = Rule::Thompson(Values::Numbers);
    assert_eq!(rule.shares(&[Tally::default(); 4]), [0.25; 4]);
    assert_eq!(rule.shares(&[Tally::of(7.0), Tally::of(7.0)]), [0.5, 0.5]);
    let arms = |unit: f64| {
        let tally =
            |n: f64, mean: f64| Tally { n, sum: n * mean * unit, squares: n * (mean * mean + 0.2) * unit * unit };
        rule.shares(&[tally(30.0, 1.0), tally(30.0, 1.2)])
    };
    let (small, large) = (arms(1.0), arms(1e6));
    assert!((small[1] - large[1]).abs() < 1e-9 && (0.9..0.99).contains(&small[1]), "{small:?} {large:?}");
}

#[test]
fn track_and_stop_nurses_then_spreads_then_stops() {
    let rule = Rule::TrackAndStop { delta: 0.05 };
    assert_eq!(rule.shares(&[booleans(5.0, 5.0), booleans(2.0, 1.0), Tally::default()]), [0.0, 0.5, 0.5]);
    let open = [booleans(30.0, 20.0), booleans(25.0, 25.0), booleans(5.0, 45.0)];
    let spread = rule.shares(&open);
    assert!(spread[0] > spread[2] && spread[1] > spread[2] && rule.found(&open).is_none(), "{spread:?}");
    let clear = [booleans(900.0, 100.0), booleans(500.0, 500.0), booleans(100.0, 900.0)];
    assert_eq!((rule.shares(&clear), rule.found(&clear)), (vec![1.0, 0.0, 0.0], Some(0)));
    assert_eq!(rule.shares(&[Tally::default()]), [1.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_vector_is_a_distribution_and_moves_with_its_arms(
        arms in prop::collection::vec((0.0..1e5f64, 0.0..=1.0f64), 1..10), turn in 0usize..10,
    ) {
        let tallies: Vec<Tally> = arms.iter().map(|(n, rate)| booleans(n * rate, n * (1.0 - rate))).collect();
        for rule in rules() {
            let shares = rule.shares(&tallies);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{rule:?} {shares:?}");
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{rule:?} {shares:?}");
            // Arms in another order have their shares in that order.
            let by = turn % tallies.len();
            let mut turned = tallies.clone();
            turned.rotate_left(by);
            let mut wanted = shares.clone();
            wanted.rotate_left(by);
            for (got, wanted) in rule.shares(&turned).iter().zip(&wanted) {
                prop_assert!((got - wanted).abs() < 1e-4, "{rule:?}");
            }
        }
    }
}
