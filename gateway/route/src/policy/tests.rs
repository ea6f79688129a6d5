//! Choice as a distribution, and its replay.

use super::*;
use crate::feature::tests::Call;
use crate::learn::{Learner, LinearRule, LinearTally, Mixing};
use crate::plan::tests::route;
use proptest::prelude::*;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{Implicit, LearnedSpec, RewardSource, RuleSpec};

fn policy(shares: &[f64]) -> Policy {
    Policy::new(&route(shares.len(), 1), StateCell::fixed(shares).unwrap()).unwrap()
}

#[test]
fn calls_fall_to_arms_by_their_shares() {
    const CALLS: u32 = 100_000;
    let shares = [0.9, 0.0, 0.07, 0.03];
    let (policy, dice) = (policy(&shares), SplitMix::seeded(7));
    let mut counts = [0f64; 4];
    for _ in 0..CALLS {
        counts[policy.choose(None, &dice).arm] += 1.0;
    }
    assert_eq!(counts[1], 0.0);
    let chi2: f64 = [0, 2, 3]
        .map(|i| (counts[i] - shares[i] * f64::from(CALLS)).powi(2) / (shares[i] * f64::from(CALLS)))
        .iter()
        .sum();
    assert!(chi2 < 13.82, "{chi2}: above the 99.9 % quantile of 2 degrees of freedom");
}

#[test]
fn a_unit_keeps_its_arm_whatever_the_dice() {
    let policy = policy(&[0.5, 0.5]);
    let first = policy.choose(Some(b"u1"), &SplitMix::seeded(1));
    assert_eq!(first, policy.choose(Some(b"u1"), &SplitMix::seeded(2)));
    assert!(first.sticky);
    let arms: Vec<usize> = (0..64u8).map(|unit| policy.choose(Some(&[unit]), &SplitMix::seeded(1)).arm).collect();
    assert!(arms.contains(&0) && arms.contains(&1));
}

#[test]
fn shares_for_other_arms_are_refused() {
    let one = StateCell::fixed(&[1.0]).unwrap();
    assert_eq!(Policy::new(&route(2, 1), one).unwrap_err(), SharesFault::Count { arms: 2, shares: 1 });
    assert!(StateCell::fixed(&[]).is_err());
}

#[test]
fn a_state_is_named_by_what_it_holds() {
    let id = |shares: &[f64], knowledge| PolicyState::learnt(Shares::new(shares).unwrap(), knowledge).id().unwrap();
    assert_eq!(id(&[0.5, 0.5], b"a"), id(&[0.5, 0.5], b"a"));
    assert_ne!(id(&[0.5, 0.5], b"a"), id(&[0.4, 0.6], b"a"));
    assert_ne!(id(&[0.5, 0.5], b"a"), id(&[0.5, 0.5], b"b"));
    assert_eq!(PolicyState::fixed(Shares::new(&[1.0]).unwrap()).id(), None, "shares that stay need no name");
}

#[test]
fn a_published_state_is_in_force_at_once_and_named_in_decisions() {
    let states = StateCell::new(PolicyState::learnt(Shares::new(&[1.0, 0.0]).unwrap(), b"1"));
    let policy = Policy::new(&route(2, 1), states.clone()).unwrap();
    let before = policy.choose(None, &SplitMix::seeded(1));
    states.publish(PolicyState::learnt(Shares::new(&[0.0, 1.0]).unwrap(), b"2"));
    let after = policy.clone().choose(None, &SplitMix::seeded(1));
    assert_eq!((before.arm, after.arm), (0, 1));
    assert!(before.state.is_some() && before.state != after.state);
    assert_eq!(policy.replay(&before), 0);
}

/// A state by which the first arm is the better one the larger the only feature is.
fn regarding() -> PolicyState {
    let mut learner =
        Learner::regarding((LinearRule::LinearThompson, 1), Mixing::NONE, None, vec![LinearTally::empty(1); 2])
            .unwrap();
    for at in 0..40u32 {
        let x = if at % 4 < 2 { 1.0 } else { -1.0 };
        learner.fold_in(&[x], (at % 2) as usize, if at % 2 == 0 { x } else { -x });
    }
    learner.state().unwrap()
}

#[test]
fn a_decision_is_of_the_call_and_replays_without_it() {
    let policy = Policy::new(&route(2, 1), StateCell::new(regarding())).unwrap();
    let dice = SplitMix::seeded(3);
    for (features, arm) in [([1.0], 0), ([-1.0], 1)] {
        for unit in [None, Some(b"u1".as_slice())] {
            let decision = policy.choose_in(&features, unit, &dice);
            assert_eq!((decision.arm, policy.replay(&decision)), (arm, arm));
            assert_eq!(*decision.shares, *policy.states.state().shares_in(&features));
            assert!(decision.shares[arm] > 0.99 && decision.state == policy.states.state().id());
        }
    }
    let of_nothing = policy.choose(None, &dice);
    assert_eq!(of_nothing.shares, policy.shares(), "a call of which nothing is known has all features 0");
    let fixed = self::policy(&[0.5, 0.5]);
    assert_eq!(
        fixed.choose_in(&[1.0], None, &dice).shares,
        fixed.shares(),
        "where nothing is regarded they change nothing"
    );
}

#[test]
fn what_was_regarded_stands_in_the_decision() {
    let features = vec![FeatureSpec::Header { name: "x-task".to_owned(), values: vec!["code".to_owned()] }];
    let id = FeatureSpec::id_of(&features);
    let learned = LearnedSpec {
        rule: RuleSpec::LinearThompson,
        features,
        reward: RewardSource::Call(Implicit::Error),
        explore: 0.0,
        min_share: 0.0,
        half_life: None,
        cost_share: None,
    };
    let spec = RouteSpec { policy: PolicySpec::Learned(learned), ..route(2, 1) };
    let policy = Policy::new(&spec, StateCell::new(regarding())).unwrap();
    let (call, dice) = (Call { task: Some("code".to_owned()), ..Call::default() }, SplitMix::seeded(3));
    let decision = policy.decide(&call, None, &dice);
    let regarded = decision.regarded.as_ref().unwrap();
    assert_eq!((&*regarded.features, Some(regarded.of), decision.arm), ([1.0].as_slice(), id, 0));
    assert_eq!(decision.shares, policy.choose_in(&[1.0], None, &dice).shares);
    assert_eq!(self::policy(&[0.5, 0.5]).decide(&call, None, &dice).regarded, None);
}

proptest! {
    #[test]
    fn a_decision_replays_from_its_record(
        shares in prop::collection::vec(0.001..1.0f64, 1..9),
        seed: u64,
        unit in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
    ) {
        let policy = policy(&shares);
        let decision = policy.choose(unit.as_deref(), &SplitMix::seeded(seed));
        prop_assert_eq!(policy.replay(&decision), decision.arm);
        // Also after its shares went elsewhere, for the decision holds its own.
        policy.states.publish(PolicyState::fixed(Shares::new(&vec![1.0; shares.len()]).unwrap()));
        prop_assert_eq!(policy.replay(&decision), decision.arm);
        if unit.is_none() {
            prop_assert_eq!(share::at(&decision.shares, decision.draw), decision.arm);
        }
    }
}
