//! Prints what one decision costs, in nanoseconds: by chance and sticky, over 2, 8 and 16 arms, and a plan that succeeds;
//! and what it costs to reckon the state of 8 arms, by each rule. The same of calls with 16 and 64 features.
//!
//! `cargo run --release -p tidegate-route --example choose`

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::Dice as _;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::route::{PolicySpec, RetrySpec, RouteSpec, TimeoutSpec, VariantSpec};
use tidegate_route::learn::{Learner, LinearRule, LinearTally, Mixing, Rule, Tally, Values};
use tidegate_route::{Plan, Policy, RetryBudget, StateCell};

const CALLS: u32 = 1_000_000;
const STATES: u32 = 500;
/// Decisions by features that are timed.
const REGARDED: u32 = 20_000;

fn route(arms: u32) -> Result<RouteSpec, Box<dyn std::error::Error>> {
    let second = Duration::from_secs(1);
    let arm = |i| -> Result<_, Box<dyn std::error::Error>> {
        Ok(VariantSpec { name: format!("v{i}").parse()?, model: "m".parse()?, prompt: None, parameters: Vec::new() })
    };
    Ok(RouteSpec {
        name: "route".parse()?,
        variants: (0..arms).map(arm).collect::<Result<_, _>>()?,
        shadows: Vec::new(),
        check: Vec::new(),
        policy: PolicySpec::Weighted((0..arms).map(|_| 1.0 / f64::from(arms)).collect()),
        sticky: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts: 2, backoff: second / 10, budget: 0.2 },
        hedge: None,
        timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: second },
    })
}

fn nanoseconds(what: impl FnMut()) -> f64 {
    each(CALLS, what) * 1e9
}

/// The seconds of one of so many, in the best of five rounds.
fn each(calls: u32, mut what: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| what());
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    (0..5).map(round).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let dice = SplitMix::seeded(1);
    for arms in [2, 8, 16] {
        let shares = vec![1.0 / f64::from(arms); arms as usize];
        let policy = Policy::new(&route(arms)?, StateCell::fixed(&shares)?)?;
        let by_chance = nanoseconds(|| drop(black_box(policy.choose(None, &dice))));
        let sticky = nanoseconds(|| drop(black_box(policy.choose(Some(b"user-1234567890"), &dice))));
        writeln!(out, "{arms} arms: {by_chance:.0} ns by chance, {sticky:.0} ns sticky")?;
    }
    let route = route(2)?;
    let budget = RetryBudget::new(&route.retry, Arc::new(SystemClock));
    let plan = nanoseconds(|| drop(black_box(Plan::new(&route, 0, &budget))));
    writeln!(out, "a plan and its deposit: {plan:.0} ns")?;
    let tallies: Vec<Tally> = (0..8).map(|i| booleans(100.0 * f64::from(i), 0.3 + 0.02 * f64::from(i))).collect();
    for rule in [
        Rule::EpsilonGreedy { epsilon: 0.1, decay: None },
        Rule::Ucb1 { range: (0.0, 1.0) },
        Rule::Thompson(Values::Booleans),
        Rule::Thompson(Values::Numbers),
        Rule::TrackAndStop { delta: 0.05 },
    ] {
        let learner = Learner::new(rule, Mixing::NONE, None, tallies.clone());
        let start = Instant::now();
        (0..STATES).for_each(|_| drop(black_box(learner.state())));
        let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(STATES);
        writeln!(out, "a state of 8 arms by {rule:?}: {each:.1} µs")?;
    }
    for features in [16, 64] {
        for rule in [LinearRule::LinUcb { alpha: 1.0, range: Some((0.0, 1.0)) }, LinearRule::LinearThompson] {
            let learner = taught(rule, features)?;
            let state = each(100, || drop(black_box(learner.state())));
            let policy = Policy::new(&self::route(8)?, StateCell::new(learner.state()?))?;
            let calls: Vec<Vec<f64>> = (0..64).map(|_| call(features, &dice)).collect();
            let mut calls = calls.iter().cycle();
            let decision = each(REGARDED, || {
                drop(black_box(policy.choose_in(calls.next().map_or(&[], Vec::as_slice), None, &dice)));
            });
            let (state, decision) = (state * 1e6, decision * 1e6);
            writeln!(out, "8 arms, {features} features, {rule:?}: {decision:.2} µs a decision, {state:.0} µs a state")?;
        }
    }
    Ok(())
}

fn booleans(n: f64, rate: f64) -> Tally {
    Tally { n, sum: n * rate, squares: n * rate }
}

fn call(features: usize, dice: &SplitMix) -> Vec<f64> {
    (0..features).map(|_| 2.0 * dice.unit() - 1.0).collect()
}

/// A learner of 8 arms after 4,000 rewards.
fn taught(rule: LinearRule, features: usize) -> Result<Learner, Box<dyn std::error::Error>> {
    let dice = SplitMix::seeded(2);
    let mut learner =
        Learner::regarding((rule, features), Mixing::new(0.02, 0.01, 8)?, None, vec![LinearTally::empty(features); 8])?;
    for at in 0..4000 {
        let x = call(features, &dice);
        learner.fold_in(&x, at % 8, f64::from(u8::from(dice.unit() < 0.5 + 0.4 * x[at % 8])));
    }
    Ok(learner)
}
