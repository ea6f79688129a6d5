//! Learners in worlds where the best arm depends on the call.

use super::*;
use crate::learn::{Learner, LinearTally, Rule, Sums, Tally, Values};
use crate::policy::PolicyState;
use crate::share;
use tidegate_core::Dice;
use tidegate_core::dice::SplitMix;

const RULES: [LinearRule; 3] = [
    LinearRule::LinUcb { alpha: 1.0, range: Some((0.0, 1.0)) },
    LinearRule::LinUcb { alpha: 1.0, range: None },
    LinearRule::LinearThompson,
];

fn learner(rule: LinearRule, mixing: Mixing, half_life: Option<f64>) -> Learner {
    Learner::regarding((rule, 2), mixing, half_life, vec![LinearTally::empty(2); 3]).unwrap()
}

fn mixing() -> Mixing {
    Mixing::new(0.02, 0.01, 3).unwrap()
}

fn call(dice: &SplitMix) -> [f64; 2] {
    [2.0 * dice.unit() - 1.0, 2.0 * dice.unit() - 1.0]
}

/// How likely each arm succeeds: the first two depend on the first feature, each the other way round; over all calls the
/// third is as good as they are.
fn rates(x: [f64; 2]) -> [f64; 3] {
    [0.5 + 0.4 * x[0], 0.5 - 0.4 * x[0], 0.5]
}

/// What is lost in each half of `calls`, where states come every 10 rewards.
fn lost(
    calls: u32,
    dice: &SplitMix,
    mut learn: impl FnMut([f64; 2], Option<(usize, f64)>) -> Option<PolicyState>,
) -> [f64; 2] {
    let mut lost = [0.0; 2];
    let mut state = learn([0.0; 2], None).unwrap();
    for t in 0..calls {
        let x = call(dice);
        let rates = rates(x);
        let arm = share::at(&state.shares_in(&x), dice.unit());
        let learnt = learn(x, Some((arm, f64::from(u8::from(dice.unit() < rates[arm])))));
        if t % 10 == 9 {
            state = learnt.unwrap();
        }
        lost[usize::from(t >= calls / 2)] += rates.iter().copied().fold(0.0, f64::max) - rates[arm];
    }
    lost
}

#[test]
fn what_the_call_is_like_is_learnt_and_without_it_cannot_be() {
    let blind = {
        let mut learner = Learner::new(Rule::Thompson(Values::Booleans), Mixing::NONE, None, vec![Tally::default(); 3]);
        lost(2000, &SplitMix::seeded(1), |_, reward| {
            if let Some((arm, reward)) = reward {
                learner.fold(arm, reward);
            }
            learner.state().ok()
        })
    };
    for rule in RULES {
        let mut learner = learner(rule, Mixing::NONE, None);
        let seeing = lost(2000, &SplitMix::seeded(1), |x, reward| {
            if let Some((arm, reward)) = reward {
                learner.fold_in(&x, arm, reward);
            }
            learner.state().ok()
        });
        assert!(seeing[1] < 0.75 * seeing[0], "{rule:?}: less is lost the more is known: {seeing:?}");
        let (seeing, blind) = (seeing.iter().sum::<f64>(), blind.iter().sum::<f64>());
        assert!(seeing < blind / 3.0, "{rule:?}: {seeing} is lost, and {blind} without features");
    }
}

fn taught(rule: LinearRule, mixing: Mixing) -> Learner {
    let (mut learner, dice) = (learner(rule, mixing, None), SplitMix::seeded(3));
    for at in 0..60 {
        let x = call(&dice);
        learner.fold_in(&x, at % 3, f64::from(u8::from(dice.unit() < rates(x)[at % 3])));
    }
    learner
}

/// The propensity that a record names is the share of calls that an arm gets: over a million draws from each frozen state
/// within four standard deviations.
#[test]
fn propensities_are_true() {
    const DRAWS: u32 = 1_000_000;
    for rule in RULES {
        let (state, dice) = (taught(rule, mixing()).state().unwrap(), SplitMix::seeded(11));
        let (mut counts, mut wanted, mut variances) = ([0.0; 3], [0.0; 3], [0.0; 3]);
        let calls: Vec<[f64; 2]> = (0..8).map(|_| call(&dice)).collect();
        for at in 0..DRAWS {
            let shares = state.shares_in(&calls[at as usize % calls.len()]);
            counts[share::at(&shares, dice.unit())] += 1.0;
            for arm in 0..3 {
                wanted[arm] += shares[arm];
                variances[arm] += shares[arm] * (1.0 - shares[arm]);
            }
        }
        for arm in 0..3 {
            let (count, wanted): (f64, f64) = (counts[arm], wanted[arm]);
            assert!(
                (count - wanted).abs() <= 4.0 * f64::sqrt(variances[arm]),
                "{rule:?}: arm {arm}: {count} of {wanted}"
            );
        }
    }
}

#[test]
fn every_vector_is_a_distribution_with_its_floors() {
    let dice = SplitMix::seeded(4);
    for rule in RULES {
        for learner in [learner(rule, mixing(), None), taught(rule, mixing())] {
            let state = learner.state().unwrap();
            assert_eq!(state.features(), 2);
            for x in [[0.0, 0.0], [1e9, f64::NAN], [-1.0, 1.0], call(&dice)] {
                let shares = state.shares_in(&x);
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{rule:?} {shares:?}");
                assert!(shares.iter().all(|share| *share >= 0.01), "{rule:?} {shares:?}");
            }
            assert_eq!(state.shares_in(&[1e9, f64::NAN]), state.shares_in(&[1.0, 0.0]));
            assert_eq!(state.shares_in(&[]), state.shares_in(&[0.0, 0.0]));
        }
        let even = learner(rule, mixing(), None).state().unwrap();
        assert!(even.shares().iter().all(|share| (share - 1.0 / 3.0).abs() < 1e-12), "{rule:?}: nothing is known");
    }
}

#[test]
fn the_same_rewards_lead_to_the_same_state_and_others_to_another() {
    for rule in RULES {
        let (one, other) = (taught(rule, mixing()), taught(rule, mixing()));
        assert_eq!(one.state().unwrap(), other.state().unwrap());
        let kept = one.tallies().iter().cloned().map(|sums| sums.linear(2)).collect();
        let again = Learner::regarding((rule, 2), mixing(), Some(9.0), kept).unwrap();
        assert_eq!(again.state().unwrap(), one.state().unwrap(), "a state is all in its tallies");
        let named = |learner: &Learner| learner.state().unwrap().id().unwrap();
        let mut more = one.clone();
        more.fold_in(&[0.1, 0.2], 0, 1.0);
        assert_ne!(named(&more), named(&one));
        assert_ne!(named(&taught(rule, Mixing::NONE)), named(&one), "what is mixed in belongs to it");
    }
    let names: Vec<_> = RULES.map(|rule| taught(rule, mixing()).state().unwrap().id()).to_vec();
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
}

#[test]
fn with_a_half_life_it_follows_what_changed() {
    let moved = |half_life: Option<f64>| {
        let (mut learner, dice) = (learner(LinearRule::LinearThompson, mixing(), half_life), SplitMix::seeded(7));
        let mut teach = |calls: usize, sign: f64| {
            for at in 0..calls {
                let x = call(&dice);
                let rate = rates([sign * x[0], x[1]])[at % 3];
                learner.fold_in(&x, at % 3, f64::from(u8::from(dice.unit() < rate)));
            }
            learner.state().unwrap()
        };
        teach(1500, 1.0);
        teach(900, -1.0).shares_in(&[0.8, 0.0])[1]
    };
    assert!(moved(Some(150.0)) > 0.9 && moved(None) < 0.5, "{} {}", moved(Some(150.0)), moved(None));
}

#[test]
fn what_cannot_be_learnt_from_is_refused_with_the_remedy() {
    let new =
        |features, tallies| Learner::regarding((LinearRule::LinearThompson, features), Mixing::NONE, None, tallies);
    assert_eq!(new(2, Vec::new()).unwrap_err(), LearnFault::NoArm);
    assert_eq!(new(65, vec![LinearTally::empty(65)]).unwrap_err(), LearnFault::TooMany(65));
    let other = new(2, vec![LinearTally::empty(2), LinearTally::empty(3)]).unwrap_err();
    assert_eq!(other.to_string(), "what is known of variant 1 is not of 2 features; begin without it");
    let mut broken = LinearTally::empty(1);
    broken.a[2] = -9.0;
    assert_eq!(new(1, vec![broken]).unwrap().state().unwrap_err(), LearnFault::NoSums { arm: 0 });
    assert!(new(64, vec![LinearTally::empty(64); 2]).unwrap().state().is_ok());
}

#[test]
fn what_is_no_reward_changes_nothing() {
    let mut learner = taught(LinearRule::LinearThompson, Mixing::NONE);
    let before = learner.tallies().to_vec();
    learner.fold_in(&[0.0, 0.0], 0, f64::NAN);
    learner.fold_in(&[0.0, 0.0], 9, 1.0);
    assert_eq!(learner.tallies(), before);
}

#[test]
fn what_is_expected_of_a_call_is_told_by_its_features() {
    let learner = taught(LinearRule::LinearThompson, mixing());
    let expected = learner.expects(&[0.8, 0.0]).unwrap();
    assert!(expected.len() == 3 && expected.iter().all(|arm| arm.len() == 3 && arm[2].abs() < 1e-15));
    assert!(expected[0][1] > 0.05 && expected[1][1] < -0.05, "{expected:?}");
    let blind = Learner::new(Rule::Thompson(Values::Booleans), Mixing::NONE, None, vec![Sums::default(); 3]);
    assert_eq!(blind.expects(&[0.8, 0.0]), None);
}
