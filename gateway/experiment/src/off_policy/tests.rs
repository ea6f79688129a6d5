//! What the golden vectors do not ask: large weights, a log without a model, refusals, coverage.

use super::*;
use crate::Alpha;
use proptest::prelude::*;

/// A draw between 0 and 1 (SplitMix64).
fn next(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    unit
}

/// Calls of a policy that takes action 1 with the probability `share`; action 1 earns 0.7, action 0 earns 0.4; the other
/// policy takes action 1 with the probability `target`.
fn drawn(n: usize, share: f64, target: f64, seed: u64) -> Vec<Logged> {
    let mut state = seed;
    let call = |_| {
        let action = usize::from(next(&mut state) < share);
        let (earns, propensity) = if action == 1 { (0.7, share) } else { (0.4, 1.0 - share) };
        let reward = if next(&mut state) < earns { 1.0 } else { 0.0 };
        Logged { action, reward, propensity, target: vec![1.0 - target, target], ..Logged::default() }
    };
    (0..n).map(call).collect()
}

#[test]
fn large_weights_are_cut_switched_and_shrunk() {
    let call = |propensity: f64, reward: f64| Logged {
        action: 0,
        reward,
        propensity,
        target: vec![1.0, 0.0],
        q: Some(vec![0.5, 0.0]),
        ..Logged::default()
    };
    let calls = [call(0.1, 1.0), call(1.0, 0.0)];
    let got = Log::new(&calls).unwrap().estimates(Limits::default());
    // The weights are 10 and 1, the surprises 0.5 and −0.5.
    assert!((got.ips - 5.0).abs() < 1e-12 && (got.clipped - 2.5).abs() < 1e-12);
    assert!((got.snips - 10.0 / 11.0).abs() < 1e-12 && (got.dm - 0.5).abs() < 1e-12);
    assert!((got.dr - 2.75).abs() < 1e-12 && (got.dr_clipped - 1.5).abs() < 1e-12);
    assert!((got.sndr - (0.5 + 4.5 / 11.0)).abs() < 1e-12 && (got.switch - 0.25).abs() < 1e-12);
    assert!((got.dros - (0.5 + 0.25 * (10.0 / 101.0 - 0.5))).abs() < 1e-12);
    assert!((got.effective_sample_size - 121.0 / 101.0).abs() < 1e-12 && (got.max_weight - 10.0).abs() < 1e-12);
}

#[test]
fn no_call_is_judged_by_a_model_that_has_seen_it() {
    let call = |action: usize, reward: f64| Logged {
        action,
        reward,
        propensity: 0.5,
        target: vec![0.5, 0.5],
        ..Logged::default()
    };
    // At even places action 0 earns 1, at odd ones 3; action 1 is done at odd places only and earns 5.
    let calls = [call(0, 1.0), call(0, 3.0), call(0, 1.0), call(1, 5.0)];
    let log = Log::new(&calls).unwrap();
    let expected: Vec<_> = log.terms.iter().map(|term| (term.expected, term.of_done)).collect();
    assert_eq!(expected, [(4.0, 3.0), (1.0, 1.0), (4.0, 3.0), (1.0, 1.0)]);
    let alone = [call(1, 5.0)];
    assert_eq!(Log::new(&alone).unwrap().estimates(Limits::default()).dm, 0.0);
}

proptest! {
    #[test]
    fn a_policy_that_is_the_logged_one_earns_what_was_earned(seed in any::<u64>(), n in 2usize..200, share in 0.1..0.9f64) {
        let calls = drawn(n, share, share, seed);
        let mean = calls.iter().map(|call| call.reward).sum::<f64>() / n as f64;
        let got = Log::new(&calls).unwrap().estimates(Limits::default());
        for value in [got.ips, got.clipped, got.snips] {
            prop_assert!((value - mean).abs() < 1e-9);
        }
        prop_assert!((got.effective_sample_size - n as f64).abs() < 1e-6);
    }
}

#[test]
fn bounds_hold_the_truth_and_narrow() {
    // The other policy takes action 1 in 9 of 10 calls: 0.9 · 0.7 + 0.1 · 0.4.
    let truth = 0.67;
    let mut missed = [0; 3];
    for seed in 0..200 {
        let calls = drawn(2_000, 0.3, 0.9, seed);
        let got = Log::new(&calls).unwrap().bounds(Alpha::FIVE_PERCENT);
        for (missed, interval) in missed.iter_mut().zip([got.ips, got.snips, got.dr]) {
            assert!(interval.width() < 0.4, "{interval:?}");
            *missed += i32::from(!interval.has(truth));
        }
        assert!(got.dr.width() < got.ips.width(), "a model helps");
    }
    assert!(missed.iter().all(|missed| *missed <= 10), "{missed:?} of 200");
    let few = drawn(20, 0.3, 0.9, 1);
    assert_eq!(Log::new(&few).unwrap().bounds(Alpha::FIVE_PERCENT).ips, crate::Interval::ALL);
}

#[test]
fn what_is_no_log_is_refused_by_its_first_fault() {
    let good = drawn(3, 0.5, 0.5, 1);
    let fault = |change: fn(&mut Logged)| {
        let mut calls = good.clone();
        change(&mut calls[1]);
        Log::new(&calls).map(|_| ()).unwrap_err()
    };
    assert_eq!(Log::new(&[]).map(|_| ()), Err(LogFault::Empty));
    assert_eq!(fault(|call| call.action = 2), LogFault::NoSuchAction { at: 1, action: 2, of: 2 });
    assert_eq!(fault(|call| call.propensity = 0.0), LogFault::NoPropensity { at: 1, got: 0.0 });
    assert!(matches!(fault(|call| call.propensity = f64::NAN), LogFault::NoPropensity { at: 1, .. }));
    assert!(matches!(fault(|call| call.target = vec![0.5, 0.4]), LogFault::NoProbabilities { at: 1, .. }));
    assert!(matches!(fault(|call| call.shares = Some(vec![2.0, -1.0])), LogFault::NoProbabilities { at: 1, .. }));
    assert!(matches!(fault(|call| call.target = vec![1.0]), LogFault::OtherActions { at: 1, got: 1, of: 2, .. }));
    assert_eq!(fault(|call| call.reward = f64::NAN), LogFault::NotFinite { at: 1 });
    assert_eq!(fault(|call| call.q = Some(vec![0.0, 0.0])), LogFault::SomeExpected { at: 1 });
    let mut never = drawn(5, 1.0, 0.0, 1);
    assert_eq!(Log::new(&never).map(|_| ()), Err(LogFault::NothingShared));
    never[0].target = vec![0.5, 0.5];
    assert!(Log::new(&never).is_ok());
}

#[test]
fn a_deterministic_log_says_nothing_of_another_policy() {
    let calls = drawn(500, 1.0, 0.9, 1);
    let refusal = Log::new(&calls).unwrap().overlap().unwrap_err();
    assert_eq!(refusal, Refusal::Deterministic);
    assert!(refusal.to_string().starts_with("a deterministic log: "), "{refusal}");
    let same = drawn(500, 1.0, 1.0, 1);
    assert!(Log::new(&same).unwrap().overlap().is_ok());
}

#[test]
fn what_could_not_be_done_is_not_judged() {
    let mut calls = drawn(500, 0.5, 0.5, 1);
    for call in &mut calls {
        call.target = vec![0.5, 0.49, 0.01];
    }
    let refused = Refusal::Uncovered { uncovered: 0.01, actions: vec![2] };
    match Log::new(&calls).unwrap().overlap() {
        Err(Refusal::Uncovered { uncovered, actions }) => {
            assert!((uncovered - 0.01).abs() < 1e-9 && actions == [2], "instead of {refused:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(refused.to_string().contains("1.0 % of its probability"), "{refused}");
    // It could have been done, and by chance never was.
    calls.iter_mut().for_each(|call| call.shares = Some(vec![0.49, 0.5, 0.01]));
    assert!(Log::new(&calls).unwrap().overlap().is_ok());
    calls.iter_mut().for_each(|call| call.target = vec![0.5, 0.495, 0.005]);
    calls.iter_mut().for_each(|call| call.shares = Some(vec![0.5, 0.5, 0.0]));
    let overlap = Log::new(&calls).unwrap().overlap().unwrap();
    assert!((overlap.uncovered - 0.005).abs() < 1e-9);
}

#[test]
fn a_few_calls_that_decide_all_are_too_few() {
    let calls = drawn(9, 0.5, 0.5, 1);
    assert!(matches!(Log::new(&calls).unwrap().overlap(), Err(Refusal::TooFew { n: 9.0, .. })));
    let rare = drawn(5_000, 0.004, 1.0, 1);
    let refusal = Log::new(&rare).unwrap().overlap().unwrap_err();
    assert!(
        matches!(refusal, Refusal::TooFew { n: 5_000.0, effective } if effective < 50.0 && effective > 10.0),
        "{refusal}"
    );
    assert!(Log::new(&drawn(500, 0.5, 0.9, 1)).unwrap().overlap().is_ok());
}
