//! A route as an experiment, from its records.

use super::gathered::MOMENTS;
use super::*;
use crate::replay::testing::{Call, Shop, loaded};

/// What is said of the calls of a store, by the reward `error`.
fn asked_of(shop: &Shop, words: Words) -> Experiment {
    let spec = loaded("{weighted: {a: 50%, b: 50%}}");
    let route = spec.routes.values().next().unwrap();
    let words = Words { reward: Some(words.reward.unwrap_or_else(|| "error".to_owned())), ..words };
    experiment(shop.folder(), &[route], &words.of(&spec, route).unwrap()).unwrap()
}

/// Calls of `a` and `b` in turn, of which one in ten fails in each.
fn found(calls: u64, words: Words) -> Experiment {
    let shop = Shop::new();
    let of = |nth: u64| Call { arm: usize::from(nth % 2 == 1), is_ok: nth % 20 > 1, ..Call::at(1_000 + nth) };
    shop.called(&(0..calls).map(of).collect::<Vec<_>>());
    asked_of(&shop, words)
}

fn least(text: &str) -> Words {
    Words { least: Some(least_of(text).unwrap()), ..Words::default() }
}

#[test]
fn a_difference_that_does_not_matter_ends_it_and_else_one_goes_on() {
    let stops = |words| {
        let found = found(2_000, words);
        (found.compared[0].may_stop, found.compared[0].says.clone())
    };
    let (may_stop, says) = stops(least("0.2"));
    assert!(may_stop && says.starts_with("You may stop: `b` and `a` differ by less than 0.2"), "{says}");
    let (may_stop, says) = stops(least("5%"));
    assert!(!may_stop && says.contains("a difference that matters takes about "), "{says}");
    let (may_stop, says) = stops(Words::default());
    assert!(!may_stop && !says.contains("takes about"), "{says}");
}

#[test]
fn a_picture_has_moments_from_the_first_call_to_the_last_and_not_too_many() {
    for calls in [1, 119, 120, 121, 1_000] {
        let found = found(calls, Words::default());
        let moments: Vec<u64> = found.over_time.iter().map(|moment| moment.at_ms).collect();
        assert_eq!(moments.last(), Some(&(999 + calls)), "{calls}");
        assert!(moments.len() <= 2 * MOMENTS && moments.is_sorted(), "{calls}: {}", moments.len());
        assert!(calls < 120 || moments.len() >= MOMENTS, "{calls}: {}", moments.len());
        assert_eq!((found.calls as u64, found.left_out), (calls, 0));
    }
}

#[test]
fn arms_have_their_draws_and_measures() {
    let found = found(1_000, Words::default());
    let arms: Vec<_> =
        found.arms.iter().map(|arm| (arm.name.as_str(), arm.drawn, arm.expected, arm.reward.values)).collect();
    assert_eq!(arms, [("a", 500, 500.0, 500.0), ("b", 500, 500.0, 500.0)]);
    for arm in &found.arms {
        let Measure { mean, variance, mean_variance, p50, p95, .. } = arm.reward;
        assert!(mean.is_some_and(|mean| (mean - 0.1).abs() < 1e-12), "{arm:?}");
        // 0.1 · 0.9 · 500/499, and that of the mean by 500 units.
        let expected = 0.09 * 500.0 / 499.0;
        assert!(variance.is_some_and(|variance| (variance - expected).abs() < 1e-12), "{arm:?}");
        assert!(mean_variance.is_some_and(|variance| (variance - expected / 500.0).abs() < 1e-12), "{arm:?}");
        assert!(p50 == Some(0.0) && p95.is_some_and(|p95| (p95 - 1.0).abs() < 0.02), "{arm:?}");
        let others: Vec<_> = arm.others.iter().map(|of| (of.measure.as_str(), of.values)).collect();
        // A call that failed says nothing of its latency, and this model has no price.
        assert_eq!(others, [("error", 500.0), ("latency", 450.0), ("cost", 0.0)]);
    }
    assert!(found.sample_ratio_p > 0.5 && found.arms.iter().all(|arm| arm.interval.is_some()));
}

#[test]
fn it_says_how_many_units_a_difference_takes() {
    let needed = |words| found(2_000, words).compared.remove(0).needed;
    let of = |effect| Words { effect: Some(least_of(effect).unwrap()), ..least("0.5") };
    let got = needed(of("0.05")).unwrap();
    assert!(got.is_named && got.effect == 0.05 && got.control == got.treatment, "{got:?}");
    // 2 · 0.09 · (1.96 + 0.84)² / 0.05² = 565 by one look, and more by all.
    assert!((565.0..1_400.0).contains(&got.control) && got.more.0 == (got.control - 1_000.0).max(0.0), "{got:?}");
    let twice = needed(of("25%")).unwrap();
    assert!((twice.effect - 0.025).abs() < 1e-12 && twice.more.0 > 1_000.0, "{twice:?}");
    assert!(twice.says.starts_with("A difference of 0.025 would be seen in four of five such experiments by "));
    assert!(twice.says.ends_with(" more than there are."), "{}", twice.says);
    assert_eq!(needed(least("0.2")).unwrap().effect, 0.2);
    // What the guardrail of the same measure allows; without one, what was seen: nothing.
    assert_eq!(needed(Words::default()).unwrap().effect, 0.01);
    let off = Words { guardrails: vec![rail_of("error=off").unwrap()], ..Words::default() };
    assert!(needed(off).is_none());
}

#[test]
fn guardrails_are_those_that_were_asked_for() {
    let rails = |words: &[&str]| {
        let guardrails = words.iter().map(|text| rail_of(text).unwrap()).collect();
        let against = found(2_000, Words { guardrails, ..Words::default() }).compared.remove(0);
        against.guardrails.into_iter().map(|guard| (guard.measure, guard.is)).collect::<Vec<_>>()
    };
    // Errors are as many in both arms; nobody knows to a point whether they are, but to 20.
    assert_eq!(rails(&["latency=off"]), [("error".to_owned(), Guarded::NotYetKnown)]);
    assert_eq!(rails(&["latency=off", "error=20%"]), [("error".to_owned(), Guarded::Held)]);
    assert_eq!(rails(&["latency=off", "error=off"]), []);
}

#[test]
fn the_smallest_p_of_all_looks_stays() {
    let shop = Shop::new();
    // `b` fails always among the first thousand, and never afterwards, while `a` does then.
    let of = |nth: u64| {
        let arm = usize::from(nth % 2 == 1);
        Call { arm, is_ok: (arm == 0) == (nth < 1_000), ..Call::at(1_000 + nth) }
    };
    shop.called(&(0..2_000).map(of).collect::<Vec<_>>());
    let against = asked_of(&shop, Words::default()).compared.remove(0);
    let now = against.comparison.unwrap().p;
    assert!(against.msprt_p < 1e-6 && now > 0.5 && against.msprt_adjusted_p == against.msprt_p, "{now}");
}

/// Users of whom each has its own habit of failing: calls before 10,000 with these shares, and then of both arms.
fn users(before: &[f64], sticky: bool) -> Experiment {
    let shop = Shop::new();
    let mut calls = Vec::new();
    for (began, shares) in [(1_000, before), (10_000, &[0.5, 0.5][..])] {
        for nth in 0..1_600u64 {
            let user = nth % 400;
            let arm = if shares[0] < 1.0 { usize::from(user % 2 == 1) } else { 0 };
            // Two users in five fail most of the time, each a little otherwise than before.
            let is_ok = user % 5 > 1 || (user + nth / 400 * 7 + began / 1_000 * 7) % 10 < 3;
            let draw = user as f64 / 400.0;
            let shares = shares.to_vec();
            calls.push(Call { arm, is_ok, draw, sticky, shares, ..Call::at(began + nth) });
        }
    }
    shop.called(&calls);
    asked_of(&shop, Words { since: 10_000, covariate_since: Some(500), ..Words::default() })
}

#[test]
fn what_units_did_before_is_taken_out() {
    let found = users(&[1.0, 0.0], true);
    let cuped = found.cuped.unwrap();
    assert_eq!((cuped.units_with_past, cuped.units, cuped.calls_left_out), (400.0, 400.0, 0));
    assert!(cuped.variance_reduction.is_some_and(|by| by > 0.5), "{cuped:?}");
    let (plain, taken) = (found.compared[0].comparison.unwrap(), found.compared[0].cuped.unwrap());
    assert!(taken.interval.width() < 0.7 * plain.interval.width(), "{taken:?} {plain:?}");
    assert!(
        cuped.says.contains("400 of 400 units") && cuped.says.contains("goes by those without it"),
        "{}",
        cuped.says
    );
    assert_eq!(cuped.arms.len(), 2);
}

#[test]
fn a_past_in_which_arms_were_given_already_tells_nothing() {
    let found = users(&[0.5, 0.5], true);
    let cuped = found.cuped.unwrap();
    assert_eq!((cuped.units_with_past, cuped.calls_left_out, cuped.theta), (0.0, 1_600, None));
    assert!(found.compared[0].cuped.is_none() && cuped.says.contains("1600 tell nothing"), "{}", cuped.says);
    // Without a unit each call is one, and none has a past.
    let cuped = users(&[0.5, 0.5], false).cuped.unwrap();
    assert_eq!((cuped.units_with_past, cuped.units, cuped.calls_left_out), (0.0, 1_600.0, 0));
    assert!(cuped.says.starts_with("Nothing is taken out"), "{}", cuped.says);
}
