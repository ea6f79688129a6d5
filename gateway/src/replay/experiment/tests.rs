//! A route as an experiment, from its records.

use super::*;
use crate::replay::testing::{Call, Shop, route};

/// Calls of `a` and `b` in turn, of which one in ten fails in each.
fn found(calls: u64, least: Option<&str>) -> Experiment {
    let shop = Shop::new();
    let of = |nth: u64| Call { arm: usize::from(nth % 2 == 1), is_ok: nth % 20 > 1, ..Call::at(1_000 + nth) };
    shop.called(&(0..calls).map(of).collect::<Vec<_>>());
    let least = least.map(|text| least_of(text).unwrap());
    let asking = Asking { reward: RewardSource::Call(Implicit::Error), control: 0, since: 0, least };
    experiment(shop.folder(), &route("{weighted: {a: 50%, b: 50%}}"), &asking).unwrap()
}

#[test]
fn a_difference_that_does_not_matter_ends_it_and_else_one_goes_on() {
    let stops = |least| {
        let found = found(2_000, least);
        (found.compared[0].may_stop, found.compared[0].says.clone())
    };
    let (may_stop, says) = stops(Some("0.2"));
    assert!(may_stop && says.starts_with("You may stop: `b` and `a` differ by less than 0.2"), "{says}");
    let (may_stop, says) = stops(Some("5%"));
    assert!(!may_stop && says.contains("a difference that matters takes about "), "{says}");
    let (may_stop, says) = stops(None);
    assert!(!may_stop && !says.contains("takes about"), "{says}");
}

#[test]
fn a_picture_has_moments_from_the_first_call_to_the_last_and_not_too_many() {
    for calls in [1, 119, 120, 121, 1_000] {
        let found = found(calls, None);
        let moments: Vec<u64> = found.over_time.iter().map(|moment| moment.at_ms).collect();
        assert_eq!(moments.last(), Some(&(999 + calls)), "{calls}");
        assert!(moments.len() <= 2 * MOMENTS && moments.is_sorted(), "{calls}: {}", moments.len());
        assert!(calls < 120 || moments.len() >= MOMENTS, "{calls}: {}", moments.len());
        assert_eq!((found.calls as u64, found.left_out), (calls, 0));
    }
}

#[test]
fn arms_have_their_draws_and_values() {
    let found = found(1_000, None);
    let arms: Vec<_> = found.arms.iter().map(|arm| (arm.name.as_str(), arm.drawn, arm.expected, arm.values)).collect();
    assert_eq!(arms, [("a", 500, 500.0, 500.0), ("b", 500, 500.0, 500.0)]);
    assert!(found.arms.iter().all(|arm| arm.mean.is_some_and(|mean| (mean - 0.1).abs() < 1e-12)), "{:?}", found.arms);
    assert!(found.sample_ratio_p > 0.5 && found.arms.iter().all(|arm| arm.interval.is_some()));
}

#[test]
fn a_smallest_difference_is_above_nothing() {
    assert_eq!(least_of("2%"), Ok(Change::Relative(0.02)));
    assert_eq!(least_of("0.5"), Ok(Change::Absolute(0.5)));
    for bad in ["0", "-1", "%", "x", "nan", "inf%", ""] {
        assert!(least_of(bad).is_err(), "{bad}");
    }
}
