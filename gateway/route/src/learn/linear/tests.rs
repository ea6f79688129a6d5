//! Tallies that add up, and regressions held to exact fractions (`tests/golden/bandits/linear.py`).

use super::*;
use proptest::prelude::*;
use serde::Deserialize;

/// One regression of the reference.
#[derive(Debug, Deserialize)]
pub(in crate::learn) struct Case {
    pub(in crate::learn) name: String,
    pub(in crate::learn) features: usize,
    arms: usize,
    rewards: Vec<(usize, Vec<f64>, f64)>,
    /// Features that are asked for.
    pub(in crate::learn) asked: Vec<Vec<f64>>,
    theta: Vec<Vec<f64>>,
    noise: f64,
    /// For each that is asked for, of each arm: `x · θ`, `xᵀ A⁻¹ x`, and the probability that it is the best.
    pub(in crate::learn) means: Vec<Vec<f64>>,
    pub(in crate::learn) quadratics: Vec<Vec<f64>>,
    pub(in crate::learn) best: Vec<Vec<f64>>,
}

impl Case {
    pub(in crate::learn) fn tallies(&self) -> Vec<LinearTally> {
        let mut tallies = vec![LinearTally::empty(self.features); self.arms];
        self.rewards.iter().for_each(|(arm, features, reward)| tallies[*arm].fold(features, *reward));
        tallies
    }
}

/// Those of the reference.
pub(in crate::learn) fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bandits/linear.json");
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(golden.cases.len() >= 3);
    golden.cases
}

#[test]
fn regressions_are_those_of_exact_fractions() {
    for case in cases() {
        let regression = Regression::of(&case.tallies()).unwrap();
        let near = |got: f64, wanted: f64| (got - wanted).abs() <= 1e-9 * (1.0 + wanted.abs());
        let name = &case.name;
        assert!(near(regression.noise, case.noise), "{name}: noise {} {}", regression.noise, case.noise);
        for (estimate, theta) in regression.arms.iter().zip(&case.theta) {
            assert!(estimate.theta.iter().zip(theta).all(|(got, wanted)| near(*got, *wanted)), "{name}: {estimate:?}");
        }
        for (at, features) in case.asked.iter().enumerate() {
            let mut x = [0.0; MOST_FEATURES + 1];
            let x = row_of(features, case.features + 1, &mut x);
            for (arm, estimate) in regression.arms.iter().enumerate() {
                assert!(near(dot(&estimate.theta, x), case.means[at][arm]), "{name}: mean of {arm} at {at}");
                assert!(
                    near(estimate.inverse.quadratic(x), case.quadratics[at][arm]),
                    "{name}: spread of {arm} at {at}"
                );
            }
        }
    }
}

#[test]
fn without_features_an_estimate_is_the_mean_with_the_weight_of_one_reward_more() {
    let mut tallies = [LinearTally::empty(0), LinearTally::empty(0)];
    [1.0, 2.0, 6.0].iter().for_each(|reward| tallies[0].fold(&[], *reward));
    tallies[1].fold(&[], 3.0);
    let regression = Regression::of(&tallies).unwrap();
    // The mean of all is 3: (9 − 9) / 4 and (3 − 3) / 2 beside it.
    assert_eq!((regression.arms[0].theta[0], regression.arms[1].theta[0]), (0.0, 0.0));
    assert!((regression.arms[0].inverse.quadratic(&[1.0]) - 0.25).abs() < 1e-15);
    // Σ (r − 3)² = 14, all of it unexplained; the prior has twice the variance 14 / 4 with the weight of two.
    assert!((regression.noise - (7.0 + 14.0) / 6.0).abs() < 1e-12, "{}", regression.noise);
    assert_eq!(tallies[0].plain(), Tally { n: 3.0, sum: 9.0, squares: 41.0 });
}

#[test]
fn the_unit_and_the_origin_of_rewards_decide_nothing() {
    let case = &cases()[1];
    let moved: Vec<LinearTally> = {
        let mut tallies = vec![LinearTally::empty(case.features); case.arms];
        case.rewards.iter().for_each(|(arm, features, reward)| tallies[*arm].fold(features, 7.0 - reward * 1000.0));
        tallies
    };
    let (here, there) = (Regression::of(&case.tallies()).unwrap(), Regression::of(&moved).unwrap());
    assert!((there.noise / (here.noise * 1e6) - 1.0).abs() < 1e-6);
    for (here, there) in here.arms.iter().zip(&there.arms) {
        assert!(here.theta.iter().zip(&there.theta).all(|(a, b)| (a * -1000.0 - b).abs() < 1e-4), "{here:?} {there:?}");
    }
}

#[test]
fn features_are_brought_to_their_range() {
    let mut out = [7.0; MOST_FEATURES + 1];
    assert_eq!(row_of(&[f64::NAN, f64::INFINITY, -3.0, 0.5], 6, &mut out), [1.0, 0.0, 1.0, -1.0, 0.5, 7.0]);
    let mut out = [0.0; MOST_FEATURES + 1];
    assert_eq!(row_of(&[0.5; 80], 3, &mut out), [1.0, 0.5, 0.5], "what is too many is left out");
}

#[test]
fn sums_of_no_rewards_are_found() {
    let mut broken = LinearTally::empty(1);
    broken.a = vec![1.0, 40.0, 1.0];
    assert_eq!(Regression::of(&[LinearTally::empty(1), broken]), Err(1));
    let mut large = LinearTally::empty(1);
    large.fold(&[0.5], 1e200);
    assert_eq!(Regression::of(&[large, LinearTally::empty(1)]), Err(0), "its square is beyond what there is");
}

proptest! {
    #[test]
    fn tallies_add_up_in_any_order_and_cut_and_survive_their_text(
        rewards in prop::collection::vec((prop::collection::vec(-1.0..1.0f64, 3), -1e3..1e3f64), 1..40), cut in 0usize..40,
    ) {
        let all = |rewards: &[(Vec<f64>, f64)]| {
            let mut tally = LinearTally::empty(3);
            rewards.iter().for_each(|(features, reward)| tally.fold(features, *reward));
            tally
        };
        let whole = all(&rewards);
        let (left, right) = rewards.split_at(cut.min(rewards.len()));
        let mut joined = all(right);
        joined.add(&all(left));
        for (one, other) in whole.a.iter().chain(&whole.b).zip(joined.a.iter().chain(&joined.b)) {
            prop_assert!((one - other).abs() < 1e-8, "{} {}", one, other);
        }
        prop_assert!((whole.squares - joined.squares).abs() < 1e-3);
        let text = serde_json::to_string(&whole).unwrap();
        prop_assert_eq!(&serde_json::from_str::<LinearTally>(&text).unwrap(), &whole);
        let mut faded = whole.clone();
        faded.fade(0.5);
        prop_assert_eq!(faded.plain().mean(), whole.plain().mean());
        prop_assert_eq!(faded.plain().n, whole.plain().n / 2.0);
    }
}
