//! Learners in simulated worlds.

use super::*;
use crate::learn::rule::Values;
use crate::share;
use tidegate_core::Dice;
use tidegate_core::dice::SplitMix;

fn learner(rule: Rule, half_life: Option<f64>) -> Learner {
    Learner::new(rule, Mixing::new(0.0, 0.02, 3).unwrap(), half_life, vec![Tally::default(); 3])
}

/// Calls whose arms succeed by `rates`; how many of them went to each arm.
fn run(learner: &mut Learner, rates: [f64; 3], calls: u32, dice: &SplitMix) -> [u32; 3] {
    let mut calls_of = [0; 3];
    for _ in 0..calls {
        let state = learner.state().unwrap();
        let arm = share::at(state.shares(), dice.unit());
        calls_of[arm] += 1;
        learner.fold(arm, f64::from(u8::from(dice.unit() < rates[arm])));
    }
    calls_of
}

#[test]
fn every_rule_finds_the_best_arm() {
    let rules = [
        Rule::EpsilonGreedy { epsilon: 0.2, decay: Some(300.0) },
        Rule::Ucb1 { range: (0.0, 1.0) },
        Rule::Thompson(Values::Booleans),
        Rule::Thompson(Values::Numbers),
        Rule::TrackAndStop { delta: 0.05 },
    ];
    for (seed, rule) in (0..).zip(rules) {
        let (mut learner, dice) = (learner(rule, None), SplitMix::seeded(seed));
        run(&mut learner, [0.3, 0.7, 0.4], 800, &dice);
        let calls = run(&mut learner, [0.3, 0.7, 0.4], 200, &dice);
        assert!(calls[1] >= 140, "{rule:?}: {calls:?}");
    }
}

/// The propensity that a record names is the share of calls that an arm gets: over a million draws from each frozen state
/// within four standard deviations.
#[test]
fn propensities_are_true() {
    const DRAWS: u32 = 1_000_000;
    let dice = SplitMix::seeded(11);
    let tallies =
        [(40.0, 0.5), (60.0, 0.55), (10.0, 0.6)].map(|(n, rate)| Tally { n, sum: n * rate, squares: n * rate });
    for rule in [
        Rule::EpsilonGreedy { epsilon: 0.2, decay: Some(300.0) },
        Rule::Ucb1 { range: (0.0, 1.0) },
        Rule::Thompson(Values::Booleans),
        Rule::Thompson(Values::Numbers),
        Rule::TrackAndStop { delta: 0.05 },
    ] {
        let mixing = Mixing::new(0.02, 0.01, 3).unwrap();
        let state = Learner::new(rule, mixing, None, tallies.to_vec()).state().unwrap();
        let mut counts = [0.0; 3];
        for _ in 0..DRAWS {
            counts[share::at(state.shares(), dice.unit())] += 1.0;
        }
        for (arm, count) in counts.into_iter().enumerate() {
            let (share, all) = (state.shares()[arm], f64::from(DRAWS));
            let deviation = (all * share * (1.0 - share)).sqrt();
            assert!(
                (count - all * share).abs() <= 4.0 * deviation,
                "{rule:?}: arm {arm} has {count} of {}",
                all * share
            );
        }
    }
}

#[test]
fn with_a_half_life_it_leaves_an_arm_that_became_worse() {
    let rule = Rule::Thompson(Values::Booleans);
    let moved = |half_life| {
        let (mut learner, dice) = (learner(rule, half_life), SplitMix::seeded(7));
        run(&mut learner, [0.3, 0.8, 0.5], 3000, &dice);
        run(&mut learner, [0.3, 0.1, 0.5], 1000, &dice);
        run(&mut learner, [0.3, 0.1, 0.5], 200, &dice)
    };
    assert!(moved(Some(300.0))[2] > 140, "{:?}", moved(Some(300.0)));
    assert!(moved(None)[2] < moved(Some(300.0))[2], "without, the past weighs for long");
}

#[test]
fn the_same_rewards_in_the_same_order_lead_to_the_same_state() {
    let rule = Rule::Thompson(Values::Numbers);
    let dice = SplitMix::seeded(3);
    let (mut first, mut second) = (learner(rule, Some(50.0)), learner(rule, Some(50.0)));
    for _ in 0..200 {
        let (arm, reward) = ((dice.next_u64() % 3) as usize, dice.unit());
        first.fold(arm, reward);
        second.fold(arm, reward);
        assert_eq!(first.state().unwrap(), second.state().unwrap());
    }
    let kept = first.tallies().to_vec();
    let again = Learner::new(rule, Mixing::new(0.0, 0.02, 3).unwrap(), Some(50.0), kept);
    assert_eq!(again.state().unwrap().id(), first.state().unwrap().id(), "a state is all in its tallies");
}

#[test]
fn what_is_no_reward_changes_nothing() {
    let mut learner = learner(Rule::Thompson(Values::Booleans), Some(10.0));
    learner.fold(0, 1.0);
    let before = learner.tallies().to_vec();
    learner.fold(1, f64::NAN);
    learner.fold(1, f64::INFINITY);
    learner.fold(9, 1.0);
    assert_eq!(learner.tallies(), before);
    assert!(Learner::new(Rule::Thompson(Values::Booleans), Mixing::NONE, None, Vec::<Tally>::new()).state().is_err());
}

/// Two learners that tell each other every so many rewards, and one that folds all.
fn two_and_one(half_life: Option<f64>, every: usize) -> ([Learner; 2], Learner) {
    let dice = SplitMix::seeded(11);
    let rule = Rule::Thompson(Values::Numbers);
    let mut one = learner(rule, half_life);
    let mut two = [learner(rule, half_life), learner(rule, half_life)];
    let exchange = |two: &mut [Learner; 2]| {
        let told = [two[0].told(), two[1].told()];
        for at in 0..2 {
            let heard = two[at].pooled(&BTreeMap::from([(format!("r{}", 1 - at), told[1 - at].clone())]));
            two[at].hear(heard);
        }
    };
    for reward in 0..600 {
        let (arm, value) = ((dice.next_u64() % 3) as usize, (dice.next_u64() % 2) as f64);
        one.fold(arm, value);
        two[usize::from(dice.unit() < 0.3)].fold(arm, value);
        if reward % every == 0 {
            exchange(&mut two);
        }
    }
    exchange(&mut two);
    (two, one)
}

#[test]
fn two_that_tell_each_other_know_what_one_knows_that_saw_all() {
    let (two, one) = two_and_one(None, 7);
    for of in &two {
        assert_eq!(of.known(), one.known(), "counts are exact");
        assert_eq!(of.state().unwrap(), one.state().unwrap());
    }
    assert_eq!(two[0].folded() + two[1].folded(), 600);
}

#[test]
fn rewards_fade_by_those_of_all() {
    let apart = |every| {
        let (two, one) = two_and_one(Some(50.0), every);
        let known = two[0].known();
        assert!(
            two[1].known().iter().zip(&known).all(|(a, b)| (a.plain().n - b.plain().n).abs() < 1e-9),
            "both know the same"
        );
        known.iter().zip(one.known()).map(|(a, b)| (a.plain().n - b.plain().n).abs()).sum::<f64>()
    };
    assert!(apart(1) < 1e-9, "told after each reward: {}", apart(1));
    assert!(apart(7) < 4.0, "of about 72; late by up to 7: {}", apart(7));
}

#[test]
fn what_is_told_twice_or_after_a_silence_counts_once() {
    let rule = Rule::Thompson(Values::Numbers);
    let (mut here, mut there) = (learner(rule, Some(10.0)), learner(rule, Some(10.0)));
    (0..20).for_each(|_| here.fold(0, 1.0));
    (0..20).for_each(|_| there.fold(1, 1.0));
    let told = BTreeMap::from([("there".to_owned(), there.told())]);
    here.hear(here.pooled(&told));
    let known = here.known();
    here.hear(here.pooled(&told));
    assert_eq!(here.known(), known, "told twice");
    here.hear(here.pooled(&BTreeMap::new()));
    assert!(here.known()[1].plain().n.abs() < 1e-12, "who is silent is not in the sum");
    here.hear(here.pooled(&told));
    assert_eq!(here.known(), known, "and his silence made nothing fade");
}

#[test]
fn what_was_heard_goes_on_after_a_restart() {
    let (two, _) = two_and_one(Some(50.0), 7);
    let before = &two[0];
    let rule = Rule::Thompson(Values::Numbers);
    let again = Learner::new(rule, Mixing::new(0.0, 0.02, 3).unwrap(), Some(50.0), before.tallies().to_vec());
    let again = again.going_on(before.folded(), before.heard().clone());
    assert_eq!(again.state().unwrap(), before.state().unwrap());
    assert_eq!(again.told(), before.told());
}

/// Two that regard features and tell each other, and one that folds all; the values are exact, so that sums are.
#[test]
fn those_that_regard_features_pool_them_as_well() {
    let dice = SplitMix::seeded(5);
    let new = || {
        let tallies = vec![LinearTally::empty(2); 3];
        Learner::regarding((LinearRule::LinearThompson, 2), Mixing::NONE, None, tallies).unwrap()
    };
    let (mut one, mut two) = (new(), [new(), new()]);
    for reward in 0..300 {
        let half = |bits: u64| (bits % 5) as f64 / 2.0 - 1.0;
        let (x, arm) = ([half(dice.next_u64()), half(dice.next_u64())], (dice.next_u64() % 3) as usize);
        let value = (dice.next_u64() % 2) as f64;
        one.fold_in(&x, arm, value);
        two[usize::from(dice.unit() < 0.3)].fold_in(&x, arm, value);
        if reward % 7 == 0 || reward == 299 {
            let told = [two[0].told(), two[1].told()];
            for at in 0..2 {
                let heard = two[at].pooled(&BTreeMap::from([("other".to_owned(), told[1 - at].clone())]));
                two[at].hear(heard);
            }
        }
    }
    for of in &two {
        assert_eq!(of.known(), one.known());
        assert_eq!(of.state().unwrap(), one.state().unwrap());
    }
    let blind = Learner::new(Rule::Thompson(Values::Booleans), Mixing::NONE, None, one.tallies().to_vec());
    assert!(blind.known().iter().zip(one.known()).all(|(plain, sums)| plain.plain() == sums.plain()));
    let heard = blind.pooled(&BTreeMap::from([("other".to_owned(), one.told())]));
    assert!(heard.tallies.iter().all(|sums| *sums == Sums::default()), "sums of another kind are not added");
}
