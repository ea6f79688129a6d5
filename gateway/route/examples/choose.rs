//! Prints what one decision costs, in nanoseconds: by chance and sticky, over 2, 8 and 16 arms, and a plan that succeeds;
//! and what it costs to reckon the state of 8 arms, by each rule.
//!
//! `cargo run --release -p tidegate-route --example choose`

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::route::{PolicySpec, RetrySpec, RouteSpec, TimeoutSpec, VariantSpec};
use tidegate_route::learn::{Learner, Mixing, Rule, Tally, Values};
use tidegate_route::{Plan, Policy, RetryBudget, StateCell};

const CALLS: u32 = 1_000_000;
const STATES: u32 = 500;

fn route(arms: u32) -> Result<RouteSpec, Box<dyn std::error::Error>> {
    let second = Duration::from_secs(1);
    let arm = |i| -> Result<_, Box<dyn std::error::Error>> {
        Ok(VariantSpec { name: format!("v{i}").parse()?, model: "m".parse()?, prompt: None })
    };
    Ok(RouteSpec {
        name: "route".parse()?,
        variants: (0..arms).map(arm).collect::<Result<_, _>>()?,
        shadows: Vec::new(),
        policy: PolicySpec::Weighted((0..arms).map(|_| 1.0 / f64::from(arms)).collect()),
        sticky: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts: 2, backoff: second / 10, budget: 0.2 },
        timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: second },
    })
}

fn nanoseconds(mut what: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..CALLS).for_each(|_| what());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
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
    Ok(())
}

fn booleans(n: f64, rate: f64) -> Tally {
    Tally { n, sum: n * rate, squares: n * rate }
}
