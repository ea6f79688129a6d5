//! Vectors of arms as they stand, and that they are what is drawn.

use super::*;
use crate::plan::tests::route;
use crate::policy::{Policy, StateCell};
use std::time::Duration;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::steer::GaugeSpec;

fn steering(by: SteerBy, explore: f64, arms: usize) -> Steering {
    Steering::new(&SteeredSpec { by, explore, gauge: GaugeSpec::default() }, arms).unwrap()
}

const NOTHING: Asked = Asked { prompt: 0, most: None };

/// An arm that answers after so many seconds, with so many calls under way.
fn arm(time: f64, busy: u32) -> Seen {
    let reading = Reading { busy, time: Some(time), answers: 0, tokens: 0.0, penalty: 5.0, is_failing: false };
    Seen { is_ready: true, reading, price: None }
}

fn near(found: &[f64], wanted: &[f64]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12)
}

#[test]
fn the_slower_and_the_busier_arm_gets_less() {
    let steering = steering(SteerBy::Latency, 0.0, 3);
    assert!(near(&steering.shares(&[arm(0.1, 0), arm(0.2, 0), arm(0.3, 0)], &NOTHING), &[2.0 / 3.0, 1.0 / 3.0, 0.0]));
    assert!(near(&steering.shares(&[arm(0.1, 3), arm(0.2, 0), arm(0.3, 0)], &NOTHING), &[0.0, 2.0 / 3.0, 1.0 / 3.0]));
    assert!(near(&steering.shares(&[arm(0.2, 0); 3], &NOTHING), &[1.0 / 3.0; 3]));
    let new = Seen { reading: Reading { time: None, ..arm(0.0, 0).reading }, ..arm(0.0, 0) };
    assert!(
        near(&steering.shares(&[arm(0.1, 0), new, arm(0.3, 0)], &NOTHING), &[1.0 / 3.0, 2.0 / 3.0, 0.0]),
        "it is tried"
    );
}

#[test]
fn arms_that_take_no_calls_are_left_out_but_for_what_is_spread() {
    let steering = steering(SteerBy::Latency, 0.1, 2);
    let away = Seen { is_ready: false, ..arm(0.1, 0) };
    assert!(near(&steering.shares(&[away, arm(9.0, 9)], &NOTHING), &[0.05, 0.95]));
    let failing = Seen { reading: Reading { is_failing: true, ..arm(0.1, 0).reading }, ..arm(0.1, 0) };
    assert!(near(&steering.shares(&[failing, arm(9.0, 9)], &NOTHING), &[0.05, 0.95]));
    assert!(
        near(&steering.shares(&[failing, away], &NOTHING), &[0.5, 0.5]),
        "where none is there they are as they are"
    );
}

#[test]
fn the_least_busy_arm_gets_all_and_a_heavier_one_takes_more_at_once() {
    let least = |weights: &[f64], busy: &[u32]| {
        let arms: Vec<Seen> = busy.iter().map(|busy| arm(0.1, *busy)).collect();
        steering(SteerBy::LeastBusy { weights: weights.to_vec() }, 0.0, arms.len()).shares(&arms, &NOTHING)
    };
    assert!(near(&least(&[1.0, 1.0, 1.0], &[2, 1, 1]), &[0.0, 0.5, 0.5]));
    assert!(near(&least(&[1.0, 3.0], &[0, 0]), &[0.0, 1.0]));
    assert!(near(&least(&[1.0, 3.0], &[0, 2]), &[0.5, 0.5]), "both would have one call for each weight");
    assert!(near(&least(&[1.0, 3.0], &[0, 3]), &[1.0, 0.0]));
}

/// An arm of this price that produced so many tokens in each of so many answers.
fn priced(input: f64, output: f64, answers: u32, tokens: f64) -> Seen {
    let reading = Reading { answers, tokens, ..arm(0.1, 0).reading };
    Seen { reading, price: Some(Price { input, cached_input: None, output }), ..arm(0.1, 0) }
}

#[test]
fn the_cheapest_arm_depends_on_the_call_and_on_how_much_arms_say() {
    let cost = |asked: Asked, arms: &[Seen]| {
        steering(SteerBy::Cost { max_latency: None }, 0.0, arms.len()).shares(arms, &asked).to_vec()
    };
    let (reads, writes) = (priced(1.0, 10.0, 0, 0.0), priced(4.0, 4.0, 0, 0.0));
    assert_eq!(cost(Asked { prompt: 5000, most: Some(100) }, &[reads, writes]), [1.0, 0.0]);
    assert_eq!(cost(Asked { prompt: 100, most: Some(5000) }, &[reads, writes]), [0.0, 1.0]);
    assert_eq!(cost(NOTHING, &[reads, reads]), [0.5, 0.5]);
    // One of twice the price that says a third is cheaper, once that is known; and not where the caller wants little.
    let (long, short) = (priced(1.0, 1.0, 50, 900.0), priced(2.0, 2.0, 50, 300.0));
    assert_eq!(cost(Asked { prompt: 10, most: None }, &[long, short]), [0.0, 1.0]);
    assert_eq!(cost(Asked { prompt: 10, most: Some(20) }, &[long, short]), [1.0, 0.0]);
    assert_eq!(cost(Asked { prompt: 10, most: None }, &[long, priced(2.0, 2.0, 3, 300.0)]), [1.0, 0.0]);
}

#[test]
fn an_arm_that_is_too_slow_is_left_out_while_another_is_not() {
    let steering = steering(SteerBy::Cost { max_latency: Some(Duration::from_secs(2)) }, 0.0, 2);
    let timed = |time: Option<f64>, price: f64| {
        let one = priced(price, price, 0, 0.0);
        Seen { reading: Reading { time, ..one.reading }, ..one }
    };
    let of = |one: Option<f64>, other: Option<f64>| {
        steering.shares(&[timed(one, 1.0), timed(other, 2.0)], &NOTHING).to_vec()
    };
    assert_eq!(of(Some(2.5), Some(0.1)), [0.0, 1.0]);
    assert_eq!(of(Some(2.5), None), [0.0, 1.0], "one that is not known is tried");
    assert_eq!(of(Some(1.5), Some(0.1)), [1.0, 0.0]);
    assert_eq!(of(Some(9.0), Some(5.0)), [1.0, 0.0], "where all are slow the cheapest is as good");
}

/// The propensity that a record names is the share of calls that an arm gets: over a million draws from each frozen
/// standing within four standard deviations.
#[test]
fn propensities_are_true() {
    const DRAWS: u32 = 1_000_000;
    let policy = Policy::new(&route(4, 1), StateCell::fixed(&[0.25; 4]).unwrap()).unwrap();
    let dice = SplitMix::seeded(5);
    let standing = [arm(0.1, 2), arm(0.25, 1), arm(0.2, 0), arm(0.2, 0)];
    let of_weights = SteerBy::LeastBusy { weights: vec![1.0, 1.0, 1.0, 2.0] };
    for (by, explore) in [
        (SteerBy::Latency, 0.02),
        (SteerBy::Latency, 0.0),
        (SteerBy::LeastBusy { weights: vec![1.0; 4] }, 0.02),
        (of_weights, 0.02),
        (SteerBy::Cost { max_latency: Some(Duration::from_millis(150)) }, 0.2),
    ] {
        let shares = steering(by.clone(), explore, 4).shares(&standing, &NOTHING);
        let mut counts = [0.0; 4];
        for _ in 0..DRAWS {
            let decision = policy.choose_by(Arc::clone(&shares), None, &dice);
            counts[decision.arm] += 1.0;
            assert!(policy.replay(&decision) == decision.arm && decision.state.is_none());
        }
        for (arm, count) in counts.into_iter().enumerate() {
            let (share, all) = (shares[arm], f64::from(DRAWS));
            let deviation = (all * share * (1.0 - share)).sqrt();
            assert!((count - all * share).abs() <= 4.0 * deviation, "{by:?}: arm {arm} has {count} of {}", all * share);
        }
    }
}

#[test]
fn a_unit_stays_while_the_shares_do() {
    let policy = Policy::new(&route(3, 1), StateCell::fixed(&[1.0; 3]).unwrap()).unwrap();
    let shares = steering(SteerBy::Latency, 0.3, 3).shares(&[arm(0.1, 0), arm(0.2, 0), arm(0.3, 0)], &NOTHING);
    let of = |seed| policy.choose_by(Arc::clone(&shares), Some(b"u1"), &SplitMix::seeded(seed));
    assert!(of(1) == of(2) && of(1).sticky);
}
